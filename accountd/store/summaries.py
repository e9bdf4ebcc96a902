"""Alerts that wait to be told together: what is due, and the messages that stand for them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, and_, func, select, update

from accountd.core import summary
from accountd.core.alerts import PENDING, SUPPRESSED, OutboxRow
from accountd.core.summary import MOST, Folded
from accountd.store import outbox as rows
from accountd.store.tables import outbox

_OPEN = and_(
    outbox.c.status == SUPPRESSED, outbox.c.summary_id.is_not(None), outbox.c.next_attempt_at.is_not(None)
)


def next_due(conn: Connection) -> datetime | None:
    """Return when the next summary is due."""
    c = outbox.c.next_attempt_at
    return conn.execute(select(func.min(c, type_=c.type)).where(_OPEN)).scalar()


def fold(conn: Connection, now: datetime) -> list[OutboxRow]:
    """Write the summaries that are due, and let a message that waits alone go by itself.

    Returns the rows that are to be sent now.
    """
    c = outbox.c
    due = conn.execute(
        select(c.hook, c.summary_id).where(_OPEN, c.next_attempt_at <= now).distinct().order_by(c.hook)
    ).all()
    return [row for hook, base in due for row in _fold_one(conn, hook, base, now)]


def _fold_one(conn: Connection, hook: str, base: str, now: datetime) -> list[OutboxRow]:
    c, part = outbox.c, 1
    made: list[OutboxRow] = []
    mine = and_(_OPEN, c.hook == hook, c.summary_id == base)
    while True:
        found = conn.execute(
            select(c.message_id, c.account_id, c.type, c.body, c.created_at, c.reason)
            .where(mine).order_by(c.created_at, c.message_id).limit(MOST)
        ).all()  # fmt: skip
        if not found:
            return made
        if len(found) == 1 and not made:
            return [_release(conn, found[0].message_id, now)]
        name = summary.part_id(hook, base, part)
        part += 1
        if conn.execute(select(c.message_id).where(c.message_id == name)).first() is not None:
            continue  # told already; what came after it goes into another part
        items = [Folded(*row) for row in found]
        made.append(summary.row(name, hook, items, now))
        rows.add(conn, made[-1:])
        _point(conn, [item.message_id for item in items], name, items[0].why)


def _release(conn: Connection, message_id: str, now: datetime) -> OutboxRow:
    values: dict[str, Any] = {"status": PENDING, "reason": None, "summary_id": None, "next_attempt_at": now}
    conn.execute(update(outbox).where(outbox.c.message_id == message_id).values(values))
    return rows.one(conn, message_id)


def _point(conn: Connection, ids: Sequence[str], name: str, why: str) -> None:
    """Say of each message which summary stands for it."""
    conn.execute(
        update(outbox).where(outbox.c.message_id.in_(ids))
        .values(summary_id=name, next_attempt_at=None, reason=f"{why}: told by {name}")
    )  # fmt: skip
