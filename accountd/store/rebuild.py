"""Writes what a replay folds: journal rows as they were, heads, and fills with the times of their commits."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import msgspec
from sqlalchemy import Connection, func, insert, select

from accountd.core.changes import Changes, FillKey
from accountd.errors import SettingsError
from accountd.store import rows, statements, tables
from accountd.store.ready import ready
from accountd.store.rows import AccountRow, Reader
from accountd.store.types import time_text
from accountd.store.writer import Transaction

# What is made from the journal. A withdrawn fill is not: a sweep decided it, like a gap.
DERIVED = ("orders", "order_events", "fills", "fill_corrections", "balances", "balance_history", "positions",
           "position_history", "transfers")  # fmt: skip
_RECEIVED = rows.FILLS.index("received_at")


def require_empty(conn: Connection) -> None:
    """Refuse a database that holds anything.

    Raises:
        SettingsError: it is not empty.
    """
    for table in (tables.accounts, tables.journal, tables.orders, tables.fills):
        if conn.execute(select(func.count()).select_from(table.select().limit(1).subquery())).scalar():
            raise SettingsError("--into: that database is not empty; a replay only fills an empty one")


def accounts(conn: Connection, account: str | None) -> list[AccountRow]:
    """Read the accounts to replay."""
    c = tables.accounts.c
    query = select(tables.accounts).order_by(c.account_id)
    if account is not None:
        query = query.where(c.account_id == account)
    return [
        AccountRow(
            account_id=row["account_id"], name=row["name"], venue=row["venue"],
            environment=row["environment"], created_at=row["created_at"], is_new=False,
        )
        for row in conn.execute(query).mappings()
    ]  # fmt: skip


def committed_at(conn: Connection, account: str, keys: Iterable[FillKey]) -> dict[FillKey, str]:
    """Read when fills were committed: the journal cannot know, for a row is written before its commit."""
    wanted = msgspec.json.encode(list(keys)).decode()
    dialect = conn.dialect.name
    if dialect == "postgresql":
        wanted = wanted.replace("\\u0000", "\\ufffd")  # as the rows are written
    read = Reader(dialect)
    found = conn.exec_driver_sql(statements.look_up(dialect, "fills", 3), (wanted, account))
    return {(row[1], row[2], row[3]): time_text(read.at(row[-1])) for row in found}


def write(tx: Transaction, changes: Changes, committed: Mapping[FillKey, str]) -> None:
    """Write one batch of a replay; a fill whose commit nobody remembers bears when it was received."""
    what = ready([changes])
    for move in what.moves:
        tx.advance(move)
    for name, values in what.work.items():
        tx.insert(name, values)
    tx.name_fills(what)
    tx.resolve(what)
    tx.insert("fills", [_stamped(row, committed) for row in what.fills])


def _stamped(row: rows.Row, committed: Mapping[FillKey, str]) -> rows.Row:
    return (*row, committed.get((row[1], row[2], row[3]), row[_RECEIVED]))


def copy_checkpoints(source: Connection, tx: Transaction, account: str) -> int:
    """Copy the signed checkpoints, which are about the very same journal; return how many."""
    c = tables.checkpoints.c
    found = source.execute(select(tables.checkpoints).where(c.account_id == account).order_by(c.size))
    kept = [dict(row) for row in found.mappings()]
    if kept:
        tx.connection.execute(insert(tables.checkpoints), kept)
    return len(kept)


def differences(source: Connection, copy: Connection, account: str, table: str,
                note: Callable[[str], None]) -> int:  # fmt: skip
    """Compare one derived table of an account in two databases, row by row; return how many rows differ."""
    left, right = (_ordered(conn, account, table) for conn in (source, copy))
    number = 0
    mine, theirs = next(left, None), next(right, None)
    while mine is not None or theirs is not None:
        if mine is not None and theirs is not None and mine[0] == theirs[0]:
            if mine[1] != theirs[1]:
                number += 1
                note(f"{table} {mine[0]}: {_what(mine[1], theirs[1])}")
            mine, theirs = next(left, None), next(right, None)
        elif theirs is None or (mine is not None and mine[0] < theirs[0]):
            assert mine is not None
            number += 1
            note(f"{table} {mine[0]}: only in the record")
            mine = next(left, None)
        else:
            number += 1
            note(f"{table} {theirs[0]}: only in the replay")
            theirs = next(right, None)
    return number


def _what(mine: Mapping[str, Any], theirs: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {mine[name]} / {theirs[name]}" for name in mine if mine[name] != theirs[name])


def _ordered(conn: Connection, account: str, table: str) -> Iterator[tuple[Any, Mapping[str, Any]]]:
    """Yield (key, columns) in an order that both databases share: that of the bytes."""
    t = tables.metadata.tables[table]
    keys = [column.name for column in t.primary_key if column.name != "account_id"]
    query = select(t).where(t.c.account_id == account)
    if table == "fill_corrections":
        query = query.where(t.c.kind != "withdrawn")
    sorting = [
        t.c[name].collate("C") if conn.dialect.name == "postgresql" and name != "n" else t.c[name]
        for name in keys
    ]
    found = conn.execute(query.order_by(*sorting), execution_options={"yield_per": 500})
    for row in found.mappings():
        yield tuple(row[name] for name in keys), dict(row)
