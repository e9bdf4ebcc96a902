"""The writer's SQL: built with SQLAlchemy once per dialect, then run as text with plain values."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cache
from itertools import chain
from typing import Any

import msgspec
from sqlalchemy import Connection, Text, bindparam, cast, column, func, select, table, update
from sqlalchemy import text as sql
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.dialects.postgresql import JSON
from sqlalchemy.dialects.postgresql.psycopg import PGDialect_psycopg
from sqlalchemy.engine import Dialect
from sqlalchemy.sql.expression import ColumnElement, TableClause

from accountd.store import rows
from accountd.store.rows import Row
from accountd.store.tables import metadata

# Per table: the columns in the order of the rows, and what an upsert leaves as it was first written
# (None: a plain insert, whose violations are to surface).
INSERT: dict[str, tuple[tuple[str, ...], frozenset[str] | None]] = {
    "journal": (rows.JOURNAL, None),
    "orders": (rows.ORDERS, frozenset()),
    "order_events": (rows.ORDER_EVENTS, None),
    "fills": (rows.FILLS, None),
    "fill_corrections": (rows.CORRECTIONS, frozenset(rows.CORRECTIONS)),  # the same telling is told again
    "balances": (rows.BALANCES, frozenset()),
    "balance_history": (rows.BALANCES, None),
    "positions": (rows.POSITIONS, frozenset()),
    "position_history": (rows.POSITIONS, None),
    "transfers": (rows.TRANSFERS, None),
    "findings": (rows.FINDINGS, frozenset({"account_id", "kind", "subject", "opened_at"})),
    "outbox": (rows.OUTBOX, frozenset(rows.OUTBOX)),  # an alert that is there stays as it is
}
WORTH_COPY = 64  # rows, from which on COPY beats one JSON text on Postgres
MANY = (256, 64, 16)  # rows of one statement on SQLite
NAME = ("client_order_id", "account_id", "market", "symbol", "trade_id")
_DIALECTS: dict[str, Dialect] = {
    "sqlite": sqlite.dialect(paramstyle="qmark"),
    "postgresql": PGDialect_psycopg(paramstyle="format"),  # type: ignore[no-untyped-call]
}


def _text(statement: Any, dialect: str) -> str:
    return str(statement.compile(dialect=_DIALECTS[dialect]))


def _target(name: str, columns: Iterable[str]) -> TableClause:
    """Return the table with its columns in the order of the rows."""
    cells = metadata.tables[name].c
    return table(name, *(column(cell, cells[cell].type) for cell in columns))


def _recordset(cells: Iterable[ColumnElement[Any]]) -> Any:
    """Return Postgres's view of one JSON text parameter as rows of typed columns."""
    rows_of = func.json_to_recordset(cast(bindparam("rows", type_=Text), JSON))
    return rows_of.table_valued(*cells).render_derived(name="told", with_types=True)


@cache
def from_json(dialect: str, name: str, columns: tuple[str, ...]) -> str:
    """Return the head of a statement that reads its one JSON text as ``told``, with columns of a table."""
    if dialect == "sqlite":
        cells = ", ".join(f"json_extract(value, '$.{cell}') AS {cell}" for cell in columns)
        return f"WITH told AS (SELECT {cells} FROM json_each(?))"
    rows_of = _recordset([column(cell, metadata.tables[name].c[cell].type) for cell in columns])
    return f"WITH told AS ({_text(select(rows_of), dialect)})"


@cache
def insert(dialect: str, name: str, only_if: str | None = None) -> str:
    """Return the statement that writes a table's rows: a tuple a row on SQLite, one JSON text on Postgres.

    ``only_if`` is a condition without which nothing is written, on Postgres.
    """
    columns, kept = INSERT[name]
    target = _target(name, columns)
    statement: Any
    if dialect == "sqlite":
        statement = sqlite.insert(target).values({cell: bindparam(cell) for cell in columns})
    else:
        told = _recordset([column(cell, target.c[cell].type) for cell in columns])
        statement = postgresql.insert(target).from_select(
            list(columns),
            select(*(told.c[c] for c in columns)).where(*([] if only_if is None else [sql(only_if)])),
        )
    if kept is not None:
        keys = [cell.name for cell in metadata.tables[name].primary_key]
        fresh = {c: statement.excluded[c] for c in columns if c not in kept and c not in keys}
        if fresh:
            statement = statement.on_conflict_do_update(index_elements=keys, set_=fresh)
        else:
            statement = statement.on_conflict_do_nothing(index_elements=keys)
    return _text(statement, dialect)


@cache
def name_fills(dialect: str) -> str:
    """Return the statement by which fills learn their client order id; one that is there stays."""
    keys = NAME[1:]
    target = _target("fills", NAME)
    if dialect == "sqlite":
        same = [target.c[cell] == bindparam(f"_{cell}") for cell in keys]
        new: Any = bindparam("_new")
    else:
        told = _recordset([column(cell, Text()) for cell in NAME])
        same = [target.c[cell] == told.c[cell] for cell in keys]
        new = told.c.client_order_id
    statement = update(target).where(*same, target.c.client_order_id.is_(None)).values(client_order_id=new)
    return _text(statement, dialect)


@cache
def look_up(dialect: str, name: str, width: int) -> str:
    """Return the statement that finds rows by the first ``width`` key columns after the account, in bulk.

    Parameters: the JSON array of key arrays, and the account.
    """
    columns = INSERT[name][0]
    listed = ", ".join(f"t.{cell}" for cell in columns)
    if dialect == "sqlite":  # CROSS JOIN fixes the order: the wanted keys drive, the primary key finds
        same = " AND ".join(
            f"t.{columns[n]} = json_extract(w.value, '$[{n - 1}]')" for n in range(1, width + 1)
        )
        return (
            f"SELECT {listed} FROM json_each(?) AS w CROSS JOIN {name} AS t WHERE t.account_id = ? AND {same}"
        )
    same = " AND ".join(f"t.{columns[n]} = w.value ->> {n - 1}" for n in range(1, width + 1))
    return (
        f"SELECT {listed} FROM json_array_elements(CAST(%s AS JSON)) AS w(value) "
        f"JOIN {name} AS t ON t.account_id = %s AND {same}"
    )


@cache
def advance(dialect: str) -> str:
    """Return the fenced update of a head: (seq, head, account, epoch, seq before)."""
    mark = "?" if dialect == "sqlite" else "%s"
    return (
        f"UPDATE heads SET seq = {mark}, head = {mark} "
        f"WHERE account_id = {mark} AND epoch = {mark} AND seq = {mark}"
    )


@cache
def all_at_once(names: tuple[str, ...], heads: int) -> str:
    """Return the one statement that moves ``heads`` heads and then writes some tables, on Postgres.

    Parameters: those of `advance` for each head, then one JSON text a table. Its row says how many heads
    moved, and names the transaction. Unless all of them move nothing is written: we are fenced.
    """
    parts = [f"h{n} AS ({advance('postgresql')} RETURNING 1)" for n in range(heads)]
    moved = " + ".join(f"(SELECT count(*) FROM h{n})" for n in range(heads)) or "0"
    only_if = f"(SELECT n FROM moved) = {heads}" if heads else None
    parts.append(f"moved AS (SELECT {moved} AS n)")
    parts += [f"t{n} AS ({insert('postgresql', name, only_if)})" for n, name in enumerate(names)]
    return f"WITH {', '.join(parts)} SELECT n, pg_current_xact_id() FROM moved"


@cache
def of_account(dialect: str, name: str, where: str = "") -> str:
    """Return the statement that reads all of an account's rows of a table."""
    mark = "?" if dialect == "sqlite" else "%s"
    more = f" AND {where}" if where else ""
    return f"SELECT {', '.join(INSERT[name][0])} FROM {name} WHERE account_id = {mark}{more}"


@cache
def of_many(statement: str, width: int, count: int) -> str:
    """Return an INSERT on SQLite of ``count`` rows at once."""
    one = f"({', '.join('?' * width)})"
    return statement.replace(f"VALUES {one}", f"VALUES {', '.join([one] * count)}")


@cache
def copy_of(statement: str) -> str | None:
    """Return the COPY that does what a plain INSERT on Postgres does; None for what may meet known rows."""
    for name, (columns, kept) in INSERT.items():
        if kept is None and statement == insert("postgresql", name):
            return f"COPY {name} ({', '.join(columns)}) FROM STDIN"
    return None


def together(connection: Connection, questions: Sequence[tuple[str, Row]]) -> list[list[Any]]:
    """Ask Postgres several questions in one round trip and return the rows of each."""
    driver: Any = connection.connection.dbapi_connection
    cursors = [driver.cursor() for _ in questions]
    with driver.pipeline():
        for cursor, (statement, values) in zip(cursors, questions, strict=True):
            cursor.execute(statement, values)
        return [cursor.fetchall() for cursor in cursors]


def run(connection: Connection, statement: str, columns: Sequence[str], values: list[Row]) -> None:
    """Write rows with a statement of this module."""
    if connection.dialect.name != "sqlite":
        copy = copy_of(statement) if len(values) >= WORTH_COPY else None
        if copy is not None:
            _copy(connection, copy, values)
        else:
            connection.exec_driver_sql(statement, (as_json(columns, values),))
        return
    start = 0
    if statement.startswith("INSERT"):
        # executemany gives the interpreter lock away for each row, and waits for it behind a busy socket
        for many in MANY:
            while len(values) - start >= many:
                cells = tuple(chain.from_iterable(values[start : start + many]))
                connection.exec_driver_sql(of_many(statement, len(columns), many), cells)
                start += many
    if start < len(values):
        connection.exec_driver_sql(statement, values[start:])


def _copy(connection: Connection, statement: str, values: list[Row]) -> None:
    if "\x00" in "".join([cell for row in values for cell in row if type(cell) is str]):
        values = [tuple(cell if type(cell) is bytes else _plain(cell) for cell in row) for row in values]
    driver: Any = connection.connection.dbapi_connection
    with driver.cursor() as cursor, cursor.copy(statement) as stream:
        for row in values:
            stream.write_row(row)


def as_json(columns: Sequence[str], values: list[Row]) -> str:
    """Write rows as one JSON text for Postgres: bytes as its hex notation, NUL as U+FFFD.

    Postgres text cannot hold a NUL; where one is told, the journal's raw bytes still have it.
    """
    encoded = msgspec.json.encode(
        [dict(zip(columns, map(_plain, row), strict=True)) for row in values] if _has_bytes(values)
        else [dict(zip(columns, row, strict=True)) for row in values]
    )  # fmt: skip
    if b"\\u0000" in encoded:
        encoded = msgspec.json.encode([
            dict(zip(columns, (_plain(cell) for cell in row), strict=True)) for row in values
        ])  # fmt: skip
    return encoded.decode()


def _has_bytes(values: list[Row]) -> bool:
    return any(type(cell) is bytes for cell in values[0])


def _plain(cell: Any) -> Any:
    if type(cell) is bytes:
        return "\\x" + cell.hex()
    if type(cell) is str and "\x00" in cell:
        return cell.replace("\x00", "\ufffd")
    return cell
