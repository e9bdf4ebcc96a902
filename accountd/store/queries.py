"""Every read query that accountd itself asks, by name; money comes as Decimal, times as aware UTC."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Select, Table, func, or_, select
from sqlalchemy.engine import RowMapping
from sqlalchemy.sql.elements import ColumnElement

from accountd.store import tables
from accountd.store.tables import metadata

BATCH = 1000  # rows that are in memory at a time


@dataclass(frozen=True, slots=True, kw_only=True)
class Filter:
    """Which rows; None does not restrict. ``since`` is inclusive, ``until`` exclusive, both in venue time.

    ``symbol`` also means the asset where rows have one. ``limit`` counts from the oldest, or with
    ``newest`` from the newest, which then comes first.
    """

    account: str | None = None
    symbol: str | None = None
    side: str | None = None
    status: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    limit: int | None = None
    newest: bool = False


EVERYTHING = Filter()


def accounts(conn: Connection) -> Iterator[RowMapping]:
    """Yield the accounts by name."""
    return _stream(conn, select(tables.accounts).order_by(tables.accounts.c.name))


def sessions(conn: Connection, account: str | None = None) -> Iterator[RowMapping]:
    """Yield the latest session of each account."""
    c = tables.sessions.c
    age = func.row_number().over(
        partition_by=c.account_id, order_by=(c.opened_at.desc(), c.session_id.desc())
    )
    ranked = select(tables.sessions, age.label("age"))
    if account is not None:
        ranked = ranked.where(c.account_id == account)
    found = ranked.subquery()
    columns = [found.c[column.name] for column in c]
    return _stream(conn, select(*columns).where(found.c.age == 1).order_by(found.c.account_id))


def orders(conn: Connection, f: Filter = EVERYTHING) -> Iterator[RowMapping]:
    """Yield orders in their latest state, by the time of their last change."""
    return _stream(conn, _filtered(tables.orders, tables.orders.c.updated_at, f))


def open_orders(conn: Connection, f: Filter = EVERYTHING) -> Iterator[RowMapping]:
    """Yield the orders that are not over and that the venue still shows."""
    c = tables.orders.c
    closed = [word.strip("'") for word in tables.CLOSED.split(",")]
    query = _filtered(tables.orders, c.updated_at, f)
    return _stream(conn, query.where(c.missing_since.is_(None), c.status.not_in(closed)))


def fills(conn: Connection, f: Filter = EVERYTHING) -> Iterator[RowMapping]:
    """Yield fills by the time of the trade."""
    return _stream(conn, _filtered(tables.fills, tables.fills.c.traded_at, f))


def balances(conn: Connection, f: Filter = EVERYTHING) -> Iterator[RowMapping]:
    """Yield balances as last told, by the time of their last change."""
    return _stream(conn, _filtered(tables.balances, tables.balances.c.updated_at, f))


def positions(conn: Connection, f: Filter = EVERYTHING) -> Iterator[RowMapping]:
    """Yield positions as last told, closed ones with quantity zero."""
    return _stream(conn, _filtered(tables.positions, tables.positions.c.updated_at, f))


def transfers(conn: Connection, f: Filter = EVERYTHING) -> Iterator[RowMapping]:
    """Yield movements of money by the time they happened."""
    return _stream(conn, _filtered(tables.transfers, tables.transfers.c.occurred_at, f))


def gaps(conn: Connection, f: Filter = EVERYTHING, open_only: bool = False) -> Iterator[RowMapping]:
    """Yield the holes in the record by where they begin; all, or those not closed yet."""
    query = _filtered(tables.gaps, tables.gaps.c.from_time, f)
    return _stream(conn, query.where(tables.gaps.c.closed_at.is_(None)) if open_only else query)


def findings(conn: Connection, f: Filter = EVERYTHING, open_only: bool = False) -> Iterator[RowMapping]:
    """Yield what does not tie by when it was found; all, or what is not resolved yet."""
    query = _filtered(tables.findings, tables.findings.c.opened_at, f)
    return _stream(conn, query.where(tables.findings.c.resolved_at.is_(None)) if open_only else query)


def coverage(conn: Connection, f: Filter = EVERYTHING) -> Iterator[RowMapping]:
    """Yield the proven stretches of time by where they begin."""
    return _stream(conn, _filtered(tables.coverage, tables.coverage.c.from_time, f))


def deliveries(conn: Connection) -> Iterator[RowMapping]:
    """Yield (hook, status, count) of the alerts."""
    c = tables.outbox.c
    query = select(c.hook, c.status, func.count().label("count")).group_by(c.hook, c.status)
    return _stream(conn, query.order_by(c.hook, c.status))


def concerns(conn: Connection) -> dict[str, int]:
    """Return how many alerts are pending and dead, and how many gaps and findings are open."""

    def number(table: Table, *where: ColumnElement[bool]) -> int:
        return int(conn.execute(select(func.count()).select_from(table).where(*where)).scalar_one())

    return {
        "pending": number(tables.outbox, tables.outbox.c.status == "pending"),
        "dead": number(tables.outbox, tables.outbox.c.status == "dead"),
        "gaps": number(tables.gaps, tables.gaps.c.closed_at.is_(None)),
        "findings": number(tables.findings, tables.findings.c.resolved_at.is_(None)),
    }


def counts(conn: Connection) -> dict[str, int]:
    """Return how many rows each table has."""
    return {
        name: conn.execute(select(func.count()).select_from(table)).scalar_one()
        for name, table in sorted(metadata.tables.items())
    }


def _filtered(table: Table, at: ColumnElement[Any], f: Filter) -> Select[Any]:
    query, c = select(table), table.c
    for name, wanted in (("account_id", f.account), ("side", f.side), ("status", f.status)):
        if wanted is not None and name in c:
            query = query.where(c[name] == wanted)
    if f.symbol is not None:
        named = [c[name] == f.symbol for name in ("symbol", "asset") if name in c]
        query = query.where(or_(*named)) if named else query
    if f.since is not None:
        query = query.where(at >= f.since)
    if f.until is not None:
        query = query.where(at < f.until)
    order = [at, *table.primary_key]
    query = query.order_by(*([column.desc() for column in order] if f.newest else order))
    return query if f.limit is None else query.limit(f.limit)


def _stream(conn: Connection, query: Select[Any]) -> Iterator[RowMapping]:
    with conn.execution_options(yield_per=BATCH).execute(query) as result:
        yield from result.mappings()
