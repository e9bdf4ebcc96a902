"""The command that adds up profit, fees and funding."""

import json as json_text
from collections.abc import Iterable, Iterator
from decimal import Decimal
from typing import Annotated, Any

import typer

from accountd.cli import filters, output, record
from accountd.cli.filters import Account, AsCsv, AsJson, During, Market, Since, Symbol, Until
from accountd.store import queries

By = Annotated[str, typer.Option("--by", help="day, month or symbol (UTC).")]

FIRST = ("account_id", "market")
AMOUNTS = ("realized_pnl", "funding", "other", "fees", "fees_valued", "fees_unvalued", "net", "fills")
HEADS = {
    "realized_pnl": "realized", "fees_valued": "fees in asset", "fees_unvalued": "fees without a price",
    "net": "net in asset",
}  # fmt: skip


def pnl(
    by: By = "day", account: Account = None, market: Market = None, symbol: Symbol = None,
    since: Since = None, until: Until = None, during: During = None, json: AsJson = False, csv: AsCsv = False,
) -> None:  # fmt: skip
    """Add up realised profit, fees by asset and funding, by day, month or symbol."""
    how = output.form(json, csv)
    wanted = filters.wanted(
        account=account, market=market, symbol=symbol, since=since, until=until, during=during
    )
    with record.opened() as connection:
        record.require_account(connection, wanted.account)
        found = queries.pnl(connection, by, wanted)
        rows: Iterable[dict[str, Any]]
        if how == "table":
            names = {row["account_id"]: row["name"] for row in queries.accounts(connection)}
            told = list(found)
            rows = [_shown(row, by, names) for row in told]
            if len(told) > 1:
                rows += _totals(told, by)
            output.write(how, (by, "account", "market", "asset", *AMOUNTS), rows, heads=HEADS)
            return
        rows = (_exact(row, by) for row in found)
        if how == "csv":
            rows = ({k: json_text.dumps(v) if isinstance(v, dict) else v for k, v in r.items()} for r in rows)
        output.write(how, (*FIRST, by, "asset", *AMOUNTS), rows)


def _exact(row: queries.PnlRow, by: str) -> dict[str, Any]:
    """Return a row for programs: fees are objects of asset to amount."""
    return {
        "account_id": row.account_id, "market": row.market, by: row.bucket, "asset": row.asset,
        "realized_pnl": row.realized_pnl, "funding": row.funding, "other": row.other,
        "fees": {asset: output.plain(paid) for asset, paid in sorted(row.fees.items())},
        "fees_valued": row.fees_valued,
        "fees_unvalued": {asset: output.plain(paid) for asset, paid in sorted(row.fees_unvalued.items())},
        "net": row.net, "fills": row.fills,
    }  # fmt: skip


def _shown(row: queries.PnlRow, by: str, names: dict[str, str]) -> dict[str, Any]:
    """Return a row for people: fees in words."""
    told = _exact(row, by) | {"account": names.get(row.account_id, row.account_id)}
    return told | {name: _words(getattr(row, name)) for name in ("fees", "fees_unvalued")}


def _words(fees: dict[str, Decimal]) -> str:
    return " ".join(f"{output.plain(paid)} {asset}" for asset, paid in sorted(fees.items()))


def _totals(rows: list[queries.PnlRow], by: str) -> Iterator[dict[str, Any]]:
    """Yield a sum of all rows for each asset; amounts of different assets do not add up."""
    for asset in sorted({row.asset for row in rows}):
        total = queries.PnlRow(account_id="", market="", bucket="total", asset=asset)
        for row in rows:
            if row.asset == asset:
                total.add(row)
        yield _shown(total, by, {})
