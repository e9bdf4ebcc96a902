"""The commands that list what the record holds: orders, fills, balances, positions, transfers."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Annotated, Any

import typer

from accountd.cli import moments, output, record
from accountd.store import queries, tables

Account = Annotated[str | None, typer.Option("--account", "-a", help="Only this account.")]
Symbol = Annotated[str | None, typer.Option("--symbol", "-s", help="Only this symbol, or asset.")]
Side = Annotated[str | None, typer.Option("--side", help="Only BUY or only SELL.")]
Status = Annotated[str | None, typer.Option("--status", help="Only orders in this state.")]
Since = Annotated[
    str | None, typer.Option("--since", help="From then on: ISO time, 2h, 7d, today, yesterday.")
]
Until = Annotated[str | None, typer.Option("--until", help="Before then; same words.")]
Limit = Annotated[int | None, typer.Option("--limit", "-n", min=1, help="The newest N rows.")]
AsJson = Annotated[bool, typer.Option("--json", help="One array of objects, every column and row.")]
AsCsv = Annotated[bool, typer.Option("--csv", help="Comma-separated, every column and row.")]

SCREENFUL = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """How one table is listed for people."""

    table: Any
    read: Callable[..., Iterable[Mapping[Any, Any]]]
    shown: Sequence[str]
    heads: Mapping[str, str] = field(default_factory=dict)


ORDERS = View(
    table=tables.orders,
    read=queries.orders,
    shown=(
        "updated_at", "account", "symbol", "kind", "order_id", "side", "type", "price", "quantity",
        "filled_quantity", "average_price", "status",
    ),
    heads={"updated_at": "updated (UTC)", "filled_quantity": "filled", "average_price": "average"},
)  # fmt: skip
FILLS = View(
    table=tables.fills,
    read=queries.fills,
    shown=(
        "traded_at", "account", "symbol", "trade_id", "side", "price", "quantity", "commission",
        "commission_asset", "realized_pnl", "is_maker", "source",
    ),
    heads={"traded_at": "traded (UTC)", "commission_asset": "in", "realized_pnl": "pnl", "is_maker": "maker"},
)  # fmt: skip
BALANCES = View(
    table=tables.balances,
    read=queries.balances,
    shown=("account", "market", "asset", "total", "free", "locked", "updated_at"),
    heads={"updated_at": "updated (UTC)"},
)
POSITIONS = View(
    table=tables.positions,
    read=queries.positions,
    shown=(
        "account", "market", "symbol", "position_side", "quantity", "entry_price", "unrealized_pnl",
        "margin_type", "leverage", "updated_at",
    ),
    heads={
        "position_side": "side",
        "entry_price": "entry",
        "unrealized_pnl": "pnl",
        "updated_at": "updated (UTC)",
    },
)  # fmt: skip
TRANSFERS = View(
    table=tables.transfers,
    read=queries.transfers,
    shown=("occurred_at", "account", "market", "kind", "asset", "amount", "symbol", "transfer_id"),
    heads={"occurred_at": "occurred (UTC)", "transfer_id": "id"},
)


def orders(
    account: Account = None, symbol: Symbol = None, side: Side = None, status: Status = None,
    since: Since = None, until: Until = None, limit: Limit = None, json: AsJson = False, csv: AsCsv = False,
) -> None:  # fmt: skip
    """List orders in their latest state."""
    _list(ORDERS, json, csv, limit, account, since, until, symbol=symbol, side=side, status=status)


def fills(
    account: Account = None, symbol: Symbol = None, side: Side = None, since: Since = None,
    until: Until = None, limit: Limit = None, json: AsJson = False, csv: AsCsv = False,
) -> None:  # fmt: skip
    """List fills, each exactly once."""
    _list(FILLS, json, csv, limit, account, since, until, symbol=symbol, side=side)


def balances(
    account: Account = None, symbol: Symbol = None, since: Since = None, until: Until = None,
    limit: Limit = None, json: AsJson = False, csv: AsCsv = False,
) -> None:  # fmt: skip
    """List balances as last told."""
    _list(BALANCES, json, csv, limit, account, since, until, symbol=symbol)


def positions(
    account: Account = None, symbol: Symbol = None, since: Since = None, until: Until = None,
    limit: Limit = None, json: AsJson = False, csv: AsCsv = False,
) -> None:  # fmt: skip
    """List positions as last told; a closed one has quantity zero."""
    _list(POSITIONS, json, csv, limit, account, since, until, symbol=symbol)


def transfers(
    account: Account = None, symbol: Symbol = None, since: Since = None, until: Until = None,
    limit: Limit = None, json: AsJson = False, csv: AsCsv = False,
) -> None:  # fmt: skip
    """List movements of money: funding, commission, realised profit, deposits, transfers."""
    _list(TRANSFERS, json, csv, limit, account, since, until, symbol=symbol)


def _list(
    view: View, json: bool, csv: bool, limit: int | None, account: str | None, since: str | None,
    until: str | None, *, symbol: str | None, side: str | None = None, status: str | None = None,
) -> None:  # fmt: skip
    """Read the rows of one view and write them in the form that was asked for."""
    how = output.form(json, csv)
    now = datetime.now(UTC)
    wanted = queries.Filter(
        account=account.lower() if account else None,
        symbol=symbol.upper() if symbol else None,
        side=side.upper() if side else None,
        status=status.upper() if status else None,
        since=moments.read("--since", since, now),
        until=moments.read("--until", until, now),
        limit=limit or (SCREENFUL if how == "table" else None),
        newest=limit is not None or how == "table",
    )
    columns = [column.name for column in view.table.columns]
    with record.opened() as connection:
        record.require_account(connection, account)
        rows: Iterable[Mapping[Any, Any]] = view.read(connection, wanted)
        if how == "table":
            names = {row["account_id"]: row["name"] for row in queries.accounts(connection)}
            rows = [{**row, "account": names.get(row["account_id"], row["account_id"])} for row in rows]
        output.write(
            how, columns, rows, shown=view.shown, heads=view.heads,
            note=lambda count: _note(count, limit),
        )  # fmt: skip


def _note(count: int, limit: int | None) -> str:
    full = limit is None and count == SCREENFUL
    return f"the newest {SCREENFUL}; --limit N shows more, --json and --csv everything" if full else ""
