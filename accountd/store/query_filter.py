"""Which rows a named query gives, in which order, and how they stream."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import islice
from operator import itemgetter
from typing import Any, cast

from sqlalchemy import Connection, Select, Table, and_, func, or_, select, text, tuple_
from sqlalchemy.engine import RowMapping
from sqlalchemy.sql.elements import ColumnElement

from accountd.store import tables

CLOSED = [word.strip("'") for word in tables.CLOSED.split(",")]
BATCH = 1000  # rows that are in memory at a time
BY_TIME = ("fills", "orders", "transfers")  # those with an index by account and time
FIRST_SPAN = timedelta(seconds=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Filter:
    """Which rows; None does not restrict, and what a table has no column for does not restrict it.

    ``since`` is inclusive, ``until`` exclusive, both in venue time. ``symbol`` also means the asset where
    rows have one. ``order_id`` also finds an algo order by the plain order that it placed. ``kind`` is that
    of an order (order, algo), a transfer (funding_fee ...) or a finding. ``limit`` counts from the oldest,
    or with ``newest`` from the newest, which then comes first. ``open`` keeps what is open, or with False
    what is over, of orders, gaps, findings and sessions.
    """

    account: str | None = None
    market: str | None = None
    symbol: str | None = None
    side: str | None = None
    status: str | None = None
    kind: str | None = None
    order_id: str | None = None
    client_order_id: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    limit: int | None = None
    newest: bool = False
    open: bool | None = None
    through_orders: bool = False  # `client_order_id` of a fill is looked up in orders; see `resolved`


EVERYTHING = Filter()
CLIENT = "client_order_id"
_EQUAL = {
    "account_id": "account", "market": "market", "side": "side", "status": "status", "kind": "kind",
    "client_order_id": "client_order_id",
}  # fmt: skip


def stream(conn: Connection, query: Select[Any]) -> Generator[RowMapping, None, None]:
    """Run a query and yield its rows, a batch in memory at a time."""
    with conn.execute(query.execution_options(yield_per=BATCH)) as found:
        yield from found.mappings()


def filtered(table: Table, at: ColumnElement[Any], f: Filter) -> Select[Any]:
    """Return the rows of a table that the filter keeps, by ``at`` and then by key."""
    query = where(table, at, f).order_by(*order(table, at, f))
    return query if f.limit is None else query.limit(f.limit)


def order(table: Table, at: ColumnElement[Any], f: Filter) -> list[ColumnElement[Any]]:
    """Return the order of a list: by time, then by key."""
    # SQLite would rather read all orders by time than sort the few that are open.
    when = func.coalesce(at, at) if f.open and table is tables.orders else at
    columns: list[ColumnElement[Any]] = [when, *table.primary_key]
    return [column.desc() for column in columns] if f.newest else columns


def where(table: Table, at: ColumnElement[Any], f: Filter) -> Select[Any]:
    """Return the rows of a table that the filter keeps, in no order and without its limit."""
    query, c = select(table), table.c
    for name, field in _EQUAL.items():
        if (wanted := getattr(f, field)) is not None and name in c:
            indirect = f.through_orders and name == CLIENT
            query = query.where(_of_client(wanted) if indirect else c[name] == wanted)
    if f.symbol is not None:
        named = [c[name] == f.symbol for name in ("symbol", "asset") if name in c]
        query = query.where(or_(*named)) if named else query
    if f.order_id is not None and "order_id" in c:
        # Two index look-ups; an order has one such link at most.
        told = [c.order_id == f.order_id]
        if "actual_order_id" in c:  # exactly the condition of the index orders_by_actual
            placed = (c.kind == "algo", c.actual_order_id.is_not(None), c.actual_order_id == f.order_id)
            told.append(and_(*placed))
        query = query.where(or_(*told))
    if f.since is not None:
        query = query.where(at >= f.since)
    if f.until is not None:
        query = query.where(at < f.until)
    if f.open is not None:
        query = query.where(*_open(table, f.open))
    return query


def resolved(conn: Connection, table: Table, f: Filter) -> Filter:
    """Find fills of a client order id through its order, which has an index for it, if there is one."""
    if f.client_order_id is None or table is not tables.fills:
        return f
    o = tables.orders.c
    known = conn.execute(select(o.order_id).where(o.client_order_id == f.client_order_id).limit(1)).first()
    return replace(f, through_orders=known is not None)


def _of_client(client_order_id: str) -> ColumnElement[bool]:
    """Return what keeps the fills of an order: orders have an index for its client id, and know it first."""
    o, f = tables.orders.c, tables.fills.c
    mine = select(o.account_id, o.market, o.symbol, o.order_id).where(
        o.client_order_id == client_order_id, o.kind == "order"
    )
    return tuple_(f.account_id, f.market, f.symbol, f.order_id).in_(mine)


def _open(table: Table, wanted: bool) -> list[ColumnElement[bool]]:
    """Return what keeps the rows that are open, or those that are over."""
    c = table.c
    if table is tables.orders:
        over = or_(c.missing_since.is_not(None), c.status.in_(CLOSED))
        # Word for word the condition of the index orders_open.
        return [cast("ColumnElement[bool]", text(tables.OPEN)) if wanted else over]
    ended = next((c[name] for name in ("closed_at", "resolved_at") if name in c), None)
    if ended is None:
        return []
    return [ended.is_(None) if wanted else ended.is_not(None)]


def account_ids(conn: Connection) -> list[str]:
    """Return the ids of all accounts."""
    name = tables.accounts.c.account_id
    return list(conn.execute(select(name).order_by(name)).scalars())


def ordered(conn: Connection, table: Table, at: ColumnElement[Any], f: Filter) -> Iterator[RowMapping]:
    """Yield the rows of a large table in order of time, over all accounts without sorting the table.

    Every index begins with the account, so each account is read in its order and the streams are merged.
    """
    f = resolved(conn, table, f)
    names = [f.account] if f.account is not None else account_ids(conn)
    if len(names) <= 1 or _few(table, f):
        yield from stream(conn, filtered(table, at, f))
        return
    if f.limit is not None and f.limit <= BATCH:
        yield from first_rows(conn, table, at, where(table, at, f), f, f.limit)
        return
    with ExitStack() as stack:
        each = [
            stack.enter_context(closing(stream(conn, filtered(table, at, replace(f, account=name)))))
            for name in names
        ]
        yield from islice(heapq.merge(*each, key=sort_key(table, at), reverse=f.newest), f.limit)


def _few(table: Table, f: Filter) -> bool:
    """Tell whether a filter keeps few rows: they have an index of their own, or the table is read once."""
    rare = table is tables.transfers and f.kind not in (None, "funding_fee")
    return rare or f.open is True or f.order_id is not None or f.client_order_id is not None


def first_rows(
    conn: Connection, table: Table, at: ColumnElement[Any], query: Select[Any], f: Filter, size: int,
    start: datetime | None = None,
) -> Sequence[RowMapping]:  # fmt: skip
    """Return the first ``size`` rows of a query over all accounts; it is neither ordered nor limited.

    No index is by time alone. Where one is by account and time, the stretch of time in which the list begins
    is read of all accounts, and a longer one while it holds too few: what is read is little more than what
    is told, whichever accounts it comes from. ``start`` is a time that nothing in the list is before.
    """
    ranked = query.order_by(*order(table, at, f)).limit(size)
    if table.name not in BY_TIME or _few(table, f):
        return conn.execute(ranked).mappings().all()
    first, last = _ends(conn, table, at, f, start)
    if first is None or last is None:
        return []
    names, whole, span = account_ids(conn), abs(last - first), FIRST_SPAN
    while True:
        edge = first - min(span, whole) if f.newest else first + min(span, whole)
        # Both ends, although nothing lies before the first: a planner takes one end for half of everything.
        inside = at.between(min(edge, first), max(edge, first))
        found = conn.execute(ranked.where(table.c.account_id.in_(names), inside)).mappings().all()
        if len(found) == size or span >= whole:
            return found
        span *= min(max(2 * size // len(found), 2), 16) if found else 8


def _ends(
    conn: Connection, table: Table, at: ColumnElement[Any], f: Filter, start: datetime | None
) -> tuple[datetime | None, datetime | None]:  # fmt: skip
    """Return between which times a list over all accounts lies, its beginning first."""
    limits = [at >= f.since] if f.since is not None else []
    limits += [at < f.until] if f.until is not None else []
    if start is not None:
        limits.append(at <= start if f.newest else at >= start)
    a = tables.accounts
    own = select(at).where(table.c.account_id == a.c.account_id, *limits)
    least, most = (
        own.with_only_columns(end(at)).correlate(a).scalar_subquery() for end in (func.min, func.max)
    )
    of_each = select(least.label("least"), most.label("most")).select_from(a).subquery()
    ends = conn.execute(select(func.min(of_each.c.least), func.max(of_each.c.most))).one()
    return (ends[1], ends[0]) if f.newest else (ends[0], ends[1])


def sort_key(table: Table, at: ColumnElement[Any]) -> Callable[[RowMapping], tuple[Any, ...]]:
    """Return what rows of a table are ordered by."""
    return itemgetter(at.key, *(column.key for column in table.primary_key))
