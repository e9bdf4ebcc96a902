"""What was so at a moment: balances and positions as of then, from the rows that were written then."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Table, and_, exists, func, select
from sqlalchemy.engine import RowMapping

from accountd.store import tables
from accountd.store.query_filter import EVERYTHING, Filter, filtered, stream


def balances_at(conn: Connection, at: datetime, f: Filter = EVERYTHING) -> Iterator[RowMapping]:
    """Yield each balance as it was at a moment; what was first told later is not there."""
    return _as_of(conn, tables.balance_history, ("account_id", "market", "asset"), at, f)


def positions_at(conn: Connection, at: datetime, f: Filter = EVERYTHING) -> Iterator[RowMapping]:
    """Yield each position as it was at a moment, closed ones with quantity zero."""
    keys = ("account_id", "market", "symbol", "position_side")
    return _as_of(conn, tables.position_history, keys, at, f)


def _as_of(
    conn: Connection, table: Table, keys: tuple[str, ...], at: datetime, f: Filter
) -> Iterator[RowMapping]:
    c, earlier = table.c, table.alias("earlier")
    same: list[Any] = [earlier.c[name] == c[name] for name in keys]
    last = select(func.max(earlier.c.n)).where(*same, earlier.c.updated_at <= at).scalar_subquery()
    return stream(conn, filtered(table, c.updated_at, f).where(c.n == last))


def unproven_at(conn: Connection, dataset: str, at: datetime, account: str | None = None) -> list[str]:
    """Return the accounts whose dataset is not proven at a moment, or lies in an open gap there."""
    a, c, g = tables.accounts.c, tables.coverage.c, tables.gaps.c
    proven = exists().where(
        and_(c.account_id == a.account_id, c.dataset == dataset, c.symbol == "", c.from_time <= at,
             c.to_time >= at)
    )  # fmt: skip
    hole = exists().where(
        and_(g.account_id == a.account_id, g.dataset == dataset, g.closed_at.is_(None), g.from_time <= at,
             (g.to_time.is_(None)) | (g.to_time >= at))
    )  # fmt: skip
    query = select(a.name).where(~proven | hole)
    if account is not None:
        query = query.where(a.account_id == account)
    return sorted(conn.execute(query).scalars())
