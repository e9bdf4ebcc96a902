"""How attempts to deliver went, written in one statement a table however many they are.

They share the writer with events, and a statement for each would give the interpreter lock away each time.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection

from accountd.core.alerts import DELIVERED, PENDING, Attempt
from accountd.store import statements
from accountd.store.rows import Row, moment

_TRIED = ("message_id", "attempt", "status_code", "error", "started_at", "duration")
_MOVED = ("message_id", "status", "reason", "attempts", "next_attempt_at", "delivered_at", "first_attempt_at")
# What is delivered is delivered, whatever was decided meanwhile; anything else only moves what is pending.
_MOVE = f"""
UPDATE outbox SET {", ".join(f"{name} = told.{name}" for name in _MOVED[1:-1])},
    first_attempt_at = coalesce(outbox.first_attempt_at, told.first_attempt_at)
FROM told
WHERE outbox.message_id = told.message_id AND (told.status = '{DELIVERED}' OR outbox.status = '{PENDING}')
"""
_KEEP = f"""
INSERT INTO deliveries ({", ".join(_TRIED)}) SELECT {", ".join(_TRIED)} FROM told WHERE true
ON CONFLICT DO NOTHING
"""


def record(conn: Connection, attempts: Sequence[Attempt]) -> None:
    """Write how attempts went, and move their messages on.

    A delivered message is delivered, whatever was decided about it meanwhile; any other result counts only
    while the message is pending. Several attempts of one message come in their order.
    """
    if not attempts:
        return
    dialect = conn.dialect.name
    moved: dict[str, Row] = {}
    for attempt in attempts:
        before = moved.get(attempt.message_id)
        if before is None or before[1] != DELIVERED:
            moved[attempt.message_id] = _moved(attempt, before)
    for table, columns, what, rows in (
        ("deliveries", _TRIED, _KEEP, [_tried(attempt) for attempt in attempts]),
        ("outbox", _MOVED, _MOVE, list(moved.values())),
    ):
        head = statements.from_json(dialect, table, columns)
        conn.exec_driver_sql(head + what, (statements.as_json(columns, rows),))


def _tried(attempt: Attempt) -> Row:
    return (attempt.message_id, attempt.attempt, attempt.status_code, attempt.error,
            moment(attempt.started_at), attempt.duration)  # fmt: skip


def _moved(attempt: Attempt, before: Any) -> Row:
    reason = attempt.error if attempt.status not in (PENDING, DELIVERED) else None
    begun = before[-1] if before else moment(attempt.started_at)
    return (attempt.message_id, attempt.status, reason, attempt.attempt, moment(attempt.next_attempt_at),
            moment(attempt.delivered_at), begun)  # fmt: skip
