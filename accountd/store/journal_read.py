"""Reads of the journal in bounded memory: rows in pages by key, heads, checkpoints, triggers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec
from sqlalchemy import Connection, func, select, text
from sqlalchemy.engine import RowMapping

from accountd.core.chain import ChainRow
from accountd.errors import RecordRefused
from accountd.store import tables
from accountd.store.rows import Reader
from accountd.store.tables import APPEND_ONLY, checkpoints, heads, journal
from accountd.store.types import time_text

PAGE = 2_000  # rows of one statement
CHUNK = 32  # rows in memory at a time: a REST page may be a megabyte
_COLUMNS = ("seq", "source", "kind", "event_time", "received_at", "session_id", "raw", "salt", "digest",
            "head", "live_since", "loaded_seq")  # fmt: skip
# Without the time of the row, which the note itself tells.
_KEPT = [checkpoints.c[name] for name in ("account_id", "size", "root", "head", "note", "frontier")]
# Tables whose rows name the journal row that made them.
_DERIVED = ("orders", "order_events", "fills", "balance_history", "position_history", "transfers")


class Unreadable(RecordRefused):
    """A journal row holds a time that no accountd wrote."""

    def __init__(self, seq: int) -> None:
        self.seq = seq
        super().__init__(f"journal row {seq} holds a time that no accountd wrote")


class HeadRow(msgspec.Struct):
    """Where an account's journal ends, as its head row says."""

    seq: int
    head: bytes


def journaled_accounts(conn: Connection) -> list[str]:
    """Return every account that has a head, a journal row or a checkpoint."""
    found = set(conn.execute(select(heads.c.account_id)).scalars())
    found.update(conn.execute(select(tables.accounts.c.account_id)).scalars())
    for table in (journal, checkpoints):
        column, last = table.c.account_id, ""
        while True:  # a DISTINCT would read every row
            name = conn.execute(select(func.min(column)).where(column > last)).scalar()
            if name is None:
                break
            found.add(last := name)
    return sorted(found)


def head_row(conn: Connection, account: str) -> HeadRow | None:
    """Return the account's head row."""
    found = conn.execute(select(heads.c.seq, heads.c.head).where(heads.c.account_id == account)).first()
    return None if found is None else HeadRow(found.seq, bytes(found.head))


def last_row(conn: Connection, account: str) -> HeadRow | None:
    """Return the number and head of the journal's last row."""
    c = journal.c
    query = select(c.seq, c.head).where(c.account_id == account).order_by(c.seq.desc()).limit(1)
    found = conn.execute(query).first()
    return None if found is None else HeadRow(found.seq, bytes(found.head))


def head_at(conn: Connection, account: str, seq: int) -> bytes | None:
    """Return the head that one row bears."""
    c = journal.c
    found = conn.execute(select(c.head).where(c.account_id == account, c.seq == seq)).scalar()
    return None if found is None else bytes(found)


def chain_rows(
    conn: Connection, account: str, after: int, to: int, *, raw: bool = True, limit: int = PAGE
) -> Iterator[ChainRow]:
    """Yield the next rows behind ``after`` up to ``to``, at most ``limit``; without ``raw`` as if pruned.

    Raises:
        Unreadable: a row's time is not written as accountd writes times.
    """
    dialect = conn.dialect.name
    names = [name if raw or name != "raw" else "NULL AS raw" for name in _COLUMNS]
    mark = "?" if dialect == "sqlite" else "%s"
    sql = (
        f"SELECT {', '.join(names)} FROM journal WHERE account_id = {mark} AND seq > {mark} "
        f"AND seq <= {mark} ORDER BY seq LIMIT {limit}"
    )
    streamed = {"yield_per": CHUNK}
    with conn.exec_driver_sql(sql, (account, after, to), execution_options=streamed) as found:
        read = Reader(dialect)
        for row in found:
            yield _row(read, dialect, row)


def _row(read: Reader, dialect: str, row: Any) -> ChainRow:
    seq, source, kind, event, received, session, raw, salt, digest, head, live, loaded = row
    try:
        times = [read.moment(value) for value in (event, received, live)]
        if dialect == "sqlite":
            written = [None if at is None else time_text(at) for at in times]
            if written != [event, received, live]:
                raise Unreadable(seq)
    except (ValueError, TypeError) as error:
        raise Unreadable(seq) from error
    received_at = read.at(received)
    return ChainRow(
        seq, source, kind, times[0], received_at, session, None if raw is None else bytes(raw), bytes(salt),
        bytes(digest), bytes(head), times[2], loaded,
    )  # fmt: skip


def checkpoints_after(
    conn: Connection, account: str, size: int, to: int, limit: int = 500
) -> list[RowMapping]:
    """Return the next checkpoints that are longer than ``size`` and not longer than ``to``, by size."""
    c = checkpoints.c
    query = select(*_KEPT).where(c.account_id == account, c.size > size, c.size <= to)
    return list(conn.execute(query.order_by(c.size).limit(limit)).mappings())


def last_checkpoint(conn: Connection, account: str) -> RowMapping | None:
    """Return the account's longest checkpoint."""
    c = checkpoints.c
    query = select(*_KEPT).where(c.account_id == account).order_by(c.size.desc()).limit(1)
    return conn.execute(query).mappings().first()


def farthest_source(conn: Connection, account: str) -> tuple[str, int]:
    """Return the highest journal row that a row of the record says it comes from, and that row's table."""
    found = ("", 0)
    for name in _DERIVED:
        c = tables.metadata.tables[name].c
        seq = conn.execute(select(func.max(c.journal_seq)).where(c.account_id == account)).scalar() or 0
        found = max(found, (name, seq), key=lambda one: one[1])
    return found


def pruned_rows(conn: Connection, account: str) -> tuple[int, int] | None:
    """Return the first and the last row whose raw bytes are gone; None when all are there."""
    c = journal.c
    query = select(func.min(c.seq), func.max(c.seq)).where(c.account_id == account, c.raw.is_(None))
    first, last = conn.execute(query).one()
    return None if first is None else (first, last)


def missing_triggers(conn: Connection) -> list[str]:
    """Return the append-only triggers that should be there and are not."""
    if conn.dialect.name == "sqlite":
        sql, actions = "SELECT name FROM sqlite_master WHERE type = 'trigger'", ("delete", "update")
    else:
        sql = (
            "SELECT tgname FROM pg_trigger JOIN pg_class ON pg_class.oid = tgrelid "
            "WHERE NOT tgisinternal AND tgenabled <> 'D' AND pg_table_is_visible(pg_class.oid)"
        )
        actions = ("delete", "update")
    there = set(conn.execute(text(sql)).scalars())
    wanted = [f"{table}_no_{action}" for table in APPEND_ONLY for action in actions]
    return [name for name in wanted if name not in there]
