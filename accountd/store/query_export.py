"""Whole tables as a stream of plain values, for files: exact, and never all in memory."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any

from sqlalchemy import (
    Column,
    Connection,
    Integer,
    LargeBinary,
    Text,
    cast,
    column,
    func,
    select,
    table,
    type_coerce,
)
from sqlalchemy import Table as SqlTable
from sqlalchemy.engine import RowMapping
from sqlalchemy.sql.elements import ColumnElement

from accountd.errors import SettingsError
from accountd.store import tables
from accountd.store.query_filter import EVERYTHING, Filter, account_ids, filtered, stream, where
from accountd.store.types import Blob, Flag, Instant, Money

BATCH = 5000  # rows that are in memory at a time
# The time by which a table is filtered and ordered.
TIMES: Mapping[str, str] = MappingProxyType({
    "accounts": "created_at", "journal": "received_at", "orders": "updated_at", "order_events": "event_time",
    "fills": "traded_at", "balances": "updated_at", "balance_history": "updated_at",
    "positions": "updated_at", "position_history": "updated_at", "transfers": "occurred_at",
    "sessions": "opened_at", "coverage": "from_time", "gaps": "from_time", "findings": "opened_at",
    "outbox": "created_at", "deliveries": "started_at", "prices": "at",
})  # fmt: skip
# Those with an index by account and time; the others come in the order of their key.
ORDERED = ("orders", "fills", "transfers")
_KINDS: tuple[tuple[Any, str], ...] = (
    (Money, "money"), (Instant, "time"), (Flag, "flag"), (LargeBinary, "blob"), (Integer, "whole"),
    (Text, "text"),
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Export:
    """The columns of a table with their kinds (text money time flag whole number blob), and its rows.

    Money is text with its exact digits. A time is a datetime, or text as SQLite stores it.
    """

    columns: tuple[tuple[str, str], ...]
    batches: Iterator[list[tuple[Any, ...]]]


def export(conn: Connection, name: str, f: Filter = EVERYTHING) -> Export:
    """Return a table for a file: account by account, in the order of time where there is an index for it.

    Raises:
        SettingsError: there is no such table, or the filter asks for a time that it does not have.
    """
    source = find(name, f)
    return Export(
        columns=tuple((c.name, kind(c)) for c in source.columns),
        batches=_batches(conn, source, f),
    )


def find(name: str, f: Filter = EVERYTHING) -> SqlTable:
    """Return a table by its name.

    Raises:
        SettingsError: there is none, or the filter asks for a time that it does not have.
    """
    if name not in tables.metadata.tables:
        there = ", ".join(sorted(tables.metadata.tables))
        raise SettingsError(f"{name!r} is no table; tables: {there}")
    if (f.since or f.until) and name not in TIMES:
        raise SettingsError(f"--since, --until: {name} has no time")
    return tables.metadata.tables[name]


def count(conn: Connection, name: str, f: Filter = EVERYTHING) -> int:
    """Return how many rows an export will have."""
    source = find(name, f)
    inner = where(source, _at(source), f).subquery()
    return int(conn.execute(select(func.count()).select_from(inner)).scalar_one())


def kind(c: Column[Any]) -> str:
    """Return what a column holds: text, money, time, flag, whole, number (floating-point) or blob."""
    for type_, word in _KINDS:
        if isinstance(c.type, type_):
            return word
    return "number"


def _at(source: SqlTable) -> ColumnElement[Any]:
    return source.c[TIMES[source.name]] if source.name in TIMES else next(iter(source.primary_key))


def _batches(conn: Connection, source: SqlTable, f: Filter) -> Generator[list[tuple[Any, ...]], None, None]:
    by_account = "account_id" in source.c and source.name not in ("accounts", "heads")
    names = [f.account] if f.account is not None or not by_account else account_ids(conn)
    left = f.limit
    for name in names:
        one = replace(f, account=name, limit=left)
        if source.name in ORDERED:
            query = filtered(source, _at(source), one)
        else:
            key = source.primary_key
            query = where(source, _at(source), one).order_by(*((c.desc() for c in key) if f.newest else key))
            query = query if left is None else query.limit(left)
        plain = query.with_only_columns(*(_plain(conn, c) for c in source.columns))
        # Without server-side rows Postgres would send everything at once.
        with conn.execute(plain.execution_options(yield_per=BATCH)) as found:
            for part in found.partitions():
                if left is not None:
                    left -= len(part)
                yield [tuple(row) for row in part]
        if left == 0:
            return


def _plain(conn: Connection, c: Column[Any]) -> ColumnElement[Any]:
    """Return a column without conversion in Python, which would cost more than the reading."""
    sqlite = conn.dialect.name == "sqlite"
    if isinstance(c.type, Money):
        return type_coerce(c, Text) if sqlite else cast(c, Text)
    if isinstance(c.type, Instant) and sqlite:
        return type_coerce(c, Text)
    return type_coerce(c, Blob) if isinstance(c.type, LargeBinary) else c


_values = table(
    "fill_values",
    *(column(name, tables.fills.c[name].type) for name in (
        "account_id", "market", "symbol", "trade_id", "order_id", "side", "price", "quantity",
        "quote_quantity", "commission", "commission_asset", "realized_pnl", "traded_at",
    )),
    column("pnl_asset"), column("fee_price", Money),
)  # fmt: skip


def valued_fills(conn: Connection, f: Filter = EVERYTHING) -> Iterator[RowMapping]:
    """Yield fills with the asset of their profit and the price of their fee, account by account."""
    names = [f.account] if f.account is not None else account_ids(conn)
    for name in names:
        query = where(_values, _values.c.traded_at, replace(f, account=name))  # type: ignore[arg-type]
        with closing(stream(conn, query.order_by(_values.c.traded_at, _values.c.trade_id))) as rows:
            yield from rows
