"""What may happen to a journal besides new rows: checkpoints, pruning, and a head row put right."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime

from sqlalchemy import Connection, func, select, update

from accountd.core.checkpoint import Checkpoint
from accountd.core.journal import GENESIS
from accountd.store import journal_read
from accountd.store.engine import reading, writer_engine
from accountd.store.proving import upsert
from accountd.store.tables import checkpoints, heads, journal

STRETCH = 1_000  # rows that one statement prunes


def add_checkpoint(conn: Connection, made: Checkpoint, note: str, frontier: bytes, now: datetime) -> None:
    """Keep a signed checkpoint; one of the same length that is there stays."""
    row = {
        "account_id": made.account, "size": made.size, "root": made.root, "head": made.head, "note": note,
        "frontier": frontier, "created_at": now,
    }  # fmt: skip
    conn.execute(upsert(conn, checkpoints).on_conflict_do_nothing(), row)


def prune(conn: Connection, account: str, after: int, before: datetime) -> tuple[int, int | None]:
    """Delete the raw bytes of the next rows behind ``after`` that were received before a time.

    Return how many rows lost them, and behind which row to go on; None when no older row follows.
    """
    c = journal.c
    last = conn.execute(select(func.max(c.seq)).where(c.account_id == account)).scalar() or 0
    stretch = (c.account_id == account, c.seq > after, c.seq <= after + STRETCH)
    if after >= last:
        return 0, None
    old = (*stretch, c.received_at < before)
    if conn.execute(select(c.seq).where(*old).limit(1)).first() is None:
        return 0, None
    done = conn.execute(update(journal).where(*old, c.raw.is_not(None)).values(raw=None))
    return done.rowcount, after + STRETCH


def prune_all(url: str, accounts: Iterable[str], before: datetime) -> Iterator[tuple[str, int]]:
    """Prune accounts in many small transactions; yield each with how many rows lost their bytes."""
    engine = writer_engine(url)
    try:
        for account in accounts:
            total = 0
            following: int | None = 0
            while following is not None:
                with reading(engine) as conn:
                    rows, following = prune(conn, account, following, before)
                total += rows
            yield account, total
    finally:
        engine.dispose()


def mend_head(conn: Connection, account: str) -> bool:
    """Let the head row name the journal's last row, unless rows are missing; say whether it had to change.

    Without it, a head row that was changed would keep everything new from being written.
    """
    last = journal_read.last_row(conn, account) or journal_read.HeadRow(0, GENESIS)
    held = journal_read.head_row(conn, account)
    if held is not None and (held.seq > last.seq or held == last):
        return False
    fresh = upsert(conn, heads).values(account_id=account, seq=last.seq, head=last.head, epoch=0)
    told = {"seq": fresh.excluded.seq, "head": fresh.excluded.head}
    conn.execute(fresh.on_conflict_do_update(index_elements=["account_id"], set_=told))
    return True
