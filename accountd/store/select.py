"""SQL that a person writes: one statement that reads; the database itself keeps it from writing."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterator
from itertools import chain
from typing import Any

import psycopg
from sqlalchemy import Connection

from accountd.errors import DatabaseError, QueryRefused, RecordRefused
from accountd.store.faults import classify

# The first word after comments and brackets. COPY, for one, could write files although it reads the tables.
READS = frozenset({"SELECT", "WITH", "VALUES", "TABLE", "EXPLAIN", "SHOW"})
_FIRST = re.compile(r"(?:\s|--[^\n]*(?:\n|$)|/\*.*?\*/|\()*([A-Za-z]*)", re.DOTALL)
_ALLOWED = frozenset({
    sqlite3.SQLITE_SELECT, sqlite3.SQLITE_READ, sqlite3.SQLITE_FUNCTION, sqlite3.SQLITE_RECURSIVE,
})  # fmt: skip
_DRIVER = (sqlite3.Error, sqlite3.Warning, psycopg.Error)


def run_select(conn: Connection, sql: str) -> tuple[list[str], Iterator[tuple[Any, ...]]]:
    """Run one statement on a reader's connection; return its column names and a stream of its rows.

    On SQLite money is text and `dsum(column)` sums it exactly; on Postgres money is Decimal.

    Raises:
        QueryRefused: the statement writes, is not one statement, or is not SQL.
        DatabaseGone: the database does not answer.
    """
    match = _FIRST.match(sql)
    word = match.group(1).upper() if match else ""
    if word not in READS:
        raise QueryRefused(f"query: {word or 'nothing'} does not only read; begin with SELECT or WITH")
    raw: Any = conn.connection.driver_connection
    if conn.dialect.name == "sqlite":
        return _sqlite(raw, sql)
    # The snapshot fixes the transaction as read-only: from here on no SET can undo it.
    conn.exec_driver_sql("SELECT 1").close()
    return _postgres(raw, sql)


def _sqlite(raw: sqlite3.Connection, sql: str) -> tuple[list[str], Iterator[tuple[Any, ...]]]:
    raw.set_authorizer(_authorize)
    try:
        cursor = raw.execute(sql)
    except _DRIVER as error:
        raise _refusal(error) from error
    finally:
        raw.set_authorizer(None)
    return [column[0] for column in cursor.description or ()], _rows(cursor)


def _authorize(action: int, *names: str | None) -> int:
    return sqlite3.SQLITE_OK if action in _ALLOWED else sqlite3.SQLITE_DENY


def _postgres(raw: psycopg.Connection[Any], sql: str) -> tuple[list[str], Iterator[tuple[Any, ...]]]:
    cursor = raw.cursor()
    # One row at a time over the extended protocol, which takes a single statement only.
    rows = _rows(cursor.stream(sql.encode()))
    first = next(rows, None)
    if first is None:  # an empty stream does not name its columns
        try:
            cursor.execute(sql.encode(), prepare=True)
        except _DRIVER as error:
            raise _refusal(error) from error
        rows = iter(())
    columns = [column.name for column in cursor.description or ()]
    return columns, rows if first is None else chain((first,), rows)


def _rows(found: Any) -> Iterator[tuple[Any, ...]]:
    try:
        yield from found
    except _DRIVER as error:
        raise _refusal(error) from error


def _refusal(error: BaseException) -> DatabaseError | QueryRefused:
    """Tell a statement that is wrong from a database that is in trouble."""
    if isinstance(error, psycopg.errors.ReadOnlySqlTransaction | psycopg.errors.ActiveSqlTransaction):
        return QueryRefused(f"query: only reads are allowed: {error}")
    name = getattr(error, "sqlite_errorname", None) or ""
    if name.startswith(("SQLITE_READONLY", "SQLITE_AUTH")):
        return QueryRefused(f"query: only reads are allowed: {error}")
    meant = classify(error)
    return QueryRefused(f"query: {meant.message}") if isinstance(meant, RecordRefused) else meant
