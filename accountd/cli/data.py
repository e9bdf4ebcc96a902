"""The commands that list what the record holds: orders, fills, balances, positions, transfers."""

import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Annotated, Any

import typer

from accountd.cli import filters, moments, output, record
from accountd.cli.filters import (
    Account,
    AsCsv,
    AsJson,
    Client,
    During,
    Kind,
    Limit,
    Market,
    Order,
    Side,
    Since,
    Status,
    Symbol,
    Until,
)  # fmt: skip
from accountd.errors import SettingsError
from accountd.store import queries, query_at, tables

Open = Annotated[bool, typer.Option("--open", help="Only orders that are not over.")]
At = Annotated[str | None, typer.Option("--at", help="As of then: '2026-11-01 12:00', 2h, yesterday.")]
Life = Annotated[bool, typer.Option("--timeline", help="What happened to the order, not its state.")]

SCREENFUL = 50
PAGES = 1000  # rows on a terminal, where a pager shows them
LIVES = 5  # orders of one id whose lives are shown with them


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


TIMELINE = (
    "at", "account", "symbol", "kind", "order_id", "what", "execution_type", "status", "price", "quantity",
    "filled_quantity", "trade_id", "commission", "commission_asset", "reason", "linked_kind",
    "linked_order_id", "source",
)  # fmt: skip
TIMELINE_HEADS = {
    "at": "at (UTC)", "execution_type": "execution", "filled_quantity": "filled", "commission_asset": "in",
    "linked_kind": "of", "linked_order_id": "of order",
}  # fmt: skip


def orders(
    account: Account = None, market: Market = None, symbol: Symbol = None, side: Side = None,
    status: Status = None, order: Order = None, client: Client = None, still_open: Open = False,
    timeline: Life = False, since: Since = None, until: Until = None, during: During = None,
    limit: Limit = None, json: AsJson = False, csv: AsCsv = False,
) -> None:  # fmt: skip
    """List orders in their latest state; --order shows the whole life of one."""
    wanted = filters.wanted(
        account=account, market=market, symbol=symbol, side=side, status=status, order=order, client=client,
        since=since, until=until, during=during, limit=limit,
    )  # fmt: skip
    view = replace(ORDERS, read=queries.open_orders) if still_open else ORDERS
    if timeline and not (order or client):
        raise SettingsError("--timeline needs --order or --client-id")
    if not timeline:
        _list(view, wanted, json, csv)
    if timeline or ((order or client) and output.form(json, csv) == "table"):
        _lives(view, wanted, output.form(json, csv))


def fills(
    account: Account = None, market: Market = None, symbol: Symbol = None, side: Side = None,
    order: Order = None, client: Client = None, since: Since = None, until: Until = None,
    during: During = None, limit: Limit = None, json: AsJson = False, csv: AsCsv = False,
) -> None:  # fmt: skip
    """List fills, each exactly once."""
    wanted = filters.wanted(
        account=account, market=market, symbol=symbol, side=side, order=order, client=client, since=since,
        until=until, during=during, limit=limit,
    )  # fmt: skip
    _list(FILLS, wanted, json, csv)


def balances(
    account: Account = None, market: Market = None, symbol: Symbol = None, at: At = None,
    since: Since = None, until: Until = None, during: During = None, limit: Limit = None,
    json: AsJson = False, csv: AsCsv = False,
) -> None:  # fmt: skip
    """List balances as last told, or with --at as they were at a moment."""
    wanted = filters.wanted(
        account=account, market=market, symbol=symbol, since=since, until=until, during=during, limit=limit
    )  # fmt: skip
    _list(_then(BALANCES, query_at.balances_at, at, wanted), wanted, json, csv)


def positions(
    account: Account = None, market: Market = None, symbol: Symbol = None, at: At = None,
    since: Since = None, until: Until = None, during: During = None, limit: Limit = None,
    json: AsJson = False, csv: AsCsv = False,
) -> None:  # fmt: skip
    """List positions as last told, or with --at as they were; a closed one has quantity zero."""
    wanted = filters.wanted(
        account=account, market=market, symbol=symbol, since=since, until=until, during=during, limit=limit
    )  # fmt: skip
    _list(_then(POSITIONS, query_at.positions_at, at, wanted), wanted, json, csv)


def transfers(
    account: Account = None, market: Market = None, symbol: Symbol = None, kind: Kind = None,
    since: Since = None, until: Until = None, during: During = None, limit: Limit = None,
    json: AsJson = False, csv: AsCsv = False,
) -> None:  # fmt: skip
    """List movements of money: funding, commission, realised profit, deposits, transfers."""
    wanted = filters.wanted(
        account=account, market=market, symbol=symbol, kind=kind, since=since, until=until, during=during,
        limit=limit,
    )  # fmt: skip
    _list(TRANSFERS, wanted, json, csv)


def _then(view: View, read: Callable[..., Any], written: str | None, wanted: queries.Filter) -> View:
    """Return the view as of the moment that --at names; the record's own doubts are said on stderr."""
    at = moments.read("--at", written, datetime.now(UTC))
    if at is None:
        return view
    if wanted.since is not None or wanted.until is not None:
        raise SettingsError("--at names one moment; leave out --since, --until and --during")

    def as_of(connection: Any, f: queries.Filter) -> Iterable[Mapping[Any, Any]]:
        for name in query_at.unproven_at(connection, view.table.name, at, f.account):
            typer.echo(f"{name}: {view.table.name} are not proven at {at:%Y-%m-%d %H:%M:%S} UTC", err=True)
        return read(connection, at, f)  # type: ignore[no-any-return]

    return replace(view, read=as_of)


def _list(view: View, wanted: queries.Filter, json: bool, csv: bool) -> None:
    """Read the rows of one view and write them in the form that was asked for."""
    how = output.form(json, csv)
    limit = wanted.limit
    most = PAGES if sys.stdout.isatty() else SCREENFUL
    if how == "table":
        wanted = replace(wanted, limit=limit or most)
    wanted = replace(wanted, newest=limit is not None or how == "table")
    columns = [column.name for column in view.table.columns]
    with record.opened() as connection:
        record.require_account(connection, wanted.account)
        rows: Iterable[Mapping[Any, Any]] = view.read(connection, wanted)
        if how == "table":
            rows = _named(connection, rows)
        output.write(
            how, columns, rows, shown=view.shown, heads=view.heads,
            note=lambda count: _note(count, most) if limit is None else "",
        )  # fmt: skip


def _lives(view: View, wanted: queries.Filter, how: str) -> None:
    """Write what happened to the orders that are wanted, each in the order of time."""
    with record.opened() as connection:
        found = list(view.read(connection, replace(wanted, limit=LIVES, newest=True)))
        rows: list[Mapping[Any, Any]] = []
        for order in found:
            # An algo order found by the plain order that it placed is in the life of that one.
            if wanted.order_id in (None, order["order_id"]):
                rows += queries.timeline(
                    connection, order["order_id"], order["account_id"], order["market"], order["symbol"],
                    order["kind"],
                )  # fmt: skip
        if how != "table":
            output.write(how, queries.TIMELINE_COLUMNS, rows)
        elif found:
            sys.stdout.write("\n")
            output.write(how, TIMELINE, list(_named(connection, rows)), heads=TIMELINE_HEADS)


def _named(connection: Any, rows: Iterable[Mapping[Any, Any]]) -> Iterable[Mapping[Any, Any]]:
    """Add the account's name to each row, as people see it."""
    names = {row["account_id"]: row["name"] for row in queries.accounts(connection)}
    return ({**row, "account": names.get(row["account_id"], row["account_id"])} for row in rows)


def _note(count: int, most: int) -> str:
    full = count == most
    return f"the newest {most}; --limit N shows more, --json and --csv everything" if full else ""
