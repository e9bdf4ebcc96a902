"""Every read query that accountd itself asks, by name; money comes as Decimal, times as aware UTC."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime

from sqlalchemy import Connection, Table, func, select
from sqlalchemy.engine import RowMapping
from sqlalchemy.sql.elements import ColumnElement

from accountd.store import tables
from accountd.store.query_equity import EquityPoint, equity
from accountd.store.query_filter import EVERYTHING, Filter, filtered, ordered, stream
from accountd.store.query_orders import TIMELINE_COLUMNS, timeline
from accountd.store.query_pages import PAGED, Page, page
from accountd.store.query_pnl import PnlRow, pnl
from accountd.store.tables import metadata

__all__ = [
    "EVERYTHING", "PAGED", "TIMELINE_COLUMNS", "EquityPoint", "Filter", "Page", "PnlRow", "accounts",
    "balances", "blind", "concerns", "counts", "coverage", "deliveries", "equity", "fills", "findings",
    "gaps", "heads", "open_orders", "orders", "page", "pnl", "positions", "sessions", "timeline", "transfers",
]  # fmt: skip


def accounts(conn: Connection) -> Iterator[RowMapping]:
    """Yield the accounts by name."""
    return stream(conn, select(tables.accounts).order_by(tables.accounts.c.name))


def heads(conn: Connection) -> dict[str, int]:
    """Return the last journal sequence of each account: what grows when anything was told."""
    c = tables.heads.c
    return {row.account_id: row.seq for row in conn.execute(select(c.account_id, c.seq))}


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
    return stream(conn, select(*columns).where(found.c.age == 1).order_by(found.c.account_id))


def blind(conn: Connection) -> dict[str, datetime]:
    """Return since when nothing is heard, of each account of which that is so."""
    c = tables.blind_windows.c
    query = select(c.account_id, c.from_time).where(c.to_time.is_(None))
    return {row.account_id: row.from_time for row in conn.execute(query)}


def orders(conn: Connection, f: Filter = EVERYTHING) -> Iterator[RowMapping]:
    """Yield orders in their latest state, by the time of their last change."""
    return ordered(conn, tables.orders, tables.orders.c.updated_at, f)


def open_orders(conn: Connection, f: Filter = EVERYTHING) -> Iterator[RowMapping]:
    """Yield the orders that are not over and that the venue still shows."""
    return stream(conn, filtered(tables.orders, tables.orders.c.updated_at, replace(f, open=True)))


def fills(conn: Connection, f: Filter = EVERYTHING) -> Iterator[RowMapping]:
    """Yield fills by the time of the trade."""
    return ordered(conn, tables.fills, tables.fills.c.traded_at, f)


def balances(conn: Connection, f: Filter = EVERYTHING) -> Iterator[RowMapping]:
    """Yield balances as last told, by the time of their last change."""
    return stream(conn, filtered(tables.balances, tables.balances.c.updated_at, f))


def positions(conn: Connection, f: Filter = EVERYTHING) -> Iterator[RowMapping]:
    """Yield positions as last told, closed ones with quantity zero."""
    return stream(conn, filtered(tables.positions, tables.positions.c.updated_at, f))


def transfers(conn: Connection, f: Filter = EVERYTHING) -> Iterator[RowMapping]:
    """Yield movements of money by the time they happened."""
    return ordered(conn, tables.transfers, tables.transfers.c.occurred_at, f)


def gaps(conn: Connection, f: Filter = EVERYTHING, open_only: bool = False) -> Iterator[RowMapping]:
    """Yield the holes in the record by where they begin; all, or those not closed yet."""
    query = filtered(tables.gaps, tables.gaps.c.from_time, f)
    return stream(conn, query.where(tables.gaps.c.closed_at.is_(None)) if open_only else query)


def findings(conn: Connection, f: Filter = EVERYTHING, open_only: bool = False) -> Iterator[RowMapping]:
    """Yield what does not tie by when it was found; all, or what is not resolved yet."""
    query = filtered(tables.findings, tables.findings.c.opened_at, f)
    return stream(conn, query.where(tables.findings.c.resolved_at.is_(None)) if open_only else query)


def coverage(conn: Connection, f: Filter = EVERYTHING) -> Iterator[RowMapping]:
    """Yield the proven stretches of time by where they begin."""
    return stream(conn, filtered(tables.coverage, tables.coverage.c.from_time, f))


def deliveries(conn: Connection) -> Iterator[RowMapping]:
    """Yield (hook, status, count) of the alerts."""
    c = tables.outbox.c
    query = select(c.hook, c.status, func.count().label("count")).group_by(c.hook, c.status)
    return stream(conn, query.order_by(c.hook, c.status))


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
