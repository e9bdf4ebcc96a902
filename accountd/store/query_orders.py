"""The whole life of one order."""

from __future__ import annotations

from collections.abc import Iterator

from sqlalchemy import Connection, column, select, table
from sqlalchemy.engine import RowMapping

from accountd.store import tables
from accountd.store.query_filter import stream
from accountd.store.types import Instant, Money

_o = tables.orders.c
_t = table(
    "order_timeline",
    *(column(name, _o[name].type) for name in ("account_id", "market", "symbol", "kind", "order_id")),
    column("at", Instant), column("what"), column("n"), column("execution_type"), column("status"),
    column("price", Money), column("quantity", Money), column("filled_quantity", Money), column("trade_id"),
    column("commission", Money), column("commission_asset"), column("source"), column("journal_seq"),
    column("reason"), column("linked_kind"), column("linked_order_id"),
)  # fmt: skip
TIMELINE_COLUMNS = tuple(_t.c.keys())


def timeline(
    conn: Connection, order_id: str, account: str | None = None, market: str | None = None,
    symbol: str | None = None, kind: str | None = None,
) -> Iterator[RowMapping]:  # fmt: skip
    """Yield what happened to the orders of this id in the order of time; see the view `order_timeline`."""
    c = _t.c
    query = select(_t).where(c.order_id == order_id)
    for name, wanted in (("account_id", account), ("market", market), ("symbol", symbol), ("kind", kind)):
        if wanted is not None:
            query = query.where(c[name] == wanted)
    order = (c.account_id, c.market, c.symbol, c.kind, c.at, c.journal_seq, c.what, c.n, c.trade_id)
    return stream(conn, query.order_by(*order))
