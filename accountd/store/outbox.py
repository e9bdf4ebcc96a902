"""The outbox: alerts that are written with what caused them, and what became of each."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection as Connection
from sqlalchemy import Table, bindparam, func, select, update
from sqlalchemy.dialects import postgresql, sqlite

from accountd.core.alerts import DELIVERED, PENDING, SUPPRESSED, Attempt, OutboxRow
from accountd.store.tables import deliveries, hooks, outbox
from accountd.store.types import Instant

_ROW = [outbox.c[name] for name in OutboxRow.__struct_fields__]
_WAITING = outbox.c.status == PENDING


def _insert(conn: Connection, table: Table) -> Any:
    """Return an INSERT that knows ON CONFLICT in the dialect of the connection."""
    return (postgresql if conn.dialect.name == "postgresql" else sqlite).insert(table)


def add(conn: Connection, rows: Sequence[OutboxRow]) -> None:
    """Write new rows; an id that is already there stays as it is, whatever became of it."""
    if rows:
        fields = OutboxRow.__struct_fields__
        values = [{name: getattr(row, name) for name in fields} for row in rows]
        conn.execute(_insert(conn, outbox).on_conflict_do_nothing(), values)


def due(
    conn: Connection, hook: str, now: datetime, limit: int, exclude: Collection[str] = ()
) -> list[OutboxRow]:
    """Return up to ``limit`` pending rows whose time has come, the oldest first.

    A row is left out while an earlier one of its order waits for its next attempt; ``exclude`` names the
    message ids that the caller has in hand.
    """
    mine = _WAITING & (outbox.c.hook == hook)
    later = outbox.c.next_attempt_at > now
    held_back = select(outbox.c.order_key).where(mine, later, outbox.c.order_key != "")
    query = (
        select(*_ROW)
        .where(mine, outbox.c.next_attempt_at <= now, func.coalesce(outbox.c.order_key, "").not_in(held_back))
        .order_by(outbox.c.created_at, outbox.c.message_id)
        .limit(limit)
    )
    if exclude:
        query = query.where(outbox.c.message_id.not_in(sorted(exclude)))
    found = conn.execute(query).mappings()
    return [OutboxRow(**{**row, "order_key": row["order_key"] or ""}) for row in found]


def one(conn: Connection, message_id: str) -> OutboxRow:
    """Return one row.

    Raises:
        NoResultFound: there is none.
    """
    row = conn.execute(select(*_ROW).where(outbox.c.message_id == message_id)).mappings().one()
    return OutboxRow(**{**row, "order_key": row["order_key"] or ""})


def next_due(conn: Connection, hook: str, now: datetime) -> datetime | None:
    """Return the next moment after ``now`` at which a pending row of the hook is due."""
    query = (
        select(outbox.c.next_attempt_at)
        .where(_WAITING, outbox.c.hook == hook, outbox.c.next_attempt_at > now)
        .order_by(outbox.c.next_attempt_at)
        .limit(1)
    )
    return conn.execute(query).scalar()


def waiting_lanes(conn: Connection, hook: str, now: datetime, most: int = 10_000) -> frozenset[str] | None:
    """Return the order keys of the rows whose time has not come; None when they are more than ``most``."""
    query = (
        select(outbox.c.order_key)
        .where(_WAITING, outbox.c.hook == hook, outbox.c.next_attempt_at > now, outbox.c.order_key != "")
        .distinct()
        .limit(most + 1)
    )
    found = frozenset(conn.execute(query).scalars())
    return None if len(found) > most else found


def waiting(conn: Connection) -> dict[str, int]:
    """Return how many rows wait for each hook, hooks that are no longer configured included."""
    found = conn.execute(select(outbox.c.hook, func.count()).where(_WAITING).group_by(outbox.c.hook))
    return {hook: number for hook, number in found}


def record(conn: Connection, attempts: Sequence[Attempt]) -> None:
    """Write how attempts went, and move their messages on.

    A delivered message is delivered, whatever was decided about it meanwhile; any other result counts only
    while the message is pending.
    """
    if not attempts:
        return
    log = [
        {
            "message_id": attempt.message_id,
            "attempt": attempt.attempt,
            "status_code": attempt.status_code,
            "error": attempt.error,
            "started_at": attempt.started_at,
            "duration": attempt.duration,
        }
        for attempt in attempts
    ]
    conn.execute(_insert(conn, deliveries).on_conflict_do_nothing(), log)
    delivered = [_moved(attempt) for attempt in attempts if attempt.status == DELIVERED]
    others = [_moved(attempt) for attempt in attempts if attempt.status != DELIVERED]
    if delivered:
        conn.execute(_MOVE, delivered)
    if others:
        conn.execute(_MOVE.where(_WAITING), others)


_MOVE = (
    update(outbox)
    .where(outbox.c.message_id == bindparam("of"))
    .values(
        status=bindparam("to"),
        reason=bindparam("why"),
        attempts=bindparam("made"),
        next_attempt_at=bindparam("again"),
        delivered_at=bindparam("at"),
        first_attempt_at=func.coalesce(outbox.c.first_attempt_at, bindparam("begun", type_=Instant)),
    )
)


def _moved(attempt: Attempt) -> dict[str, Any]:
    return {
        "of": attempt.message_id,
        "to": attempt.status,
        "why": attempt.error if attempt.status not in (PENDING, DELIVERED) else None,
        "made": attempt.attempt,
        "again": attempt.next_attempt_at,
        "at": attempt.delivered_at,
        "begun": attempt.started_at,
    }


def suppress_these(conn: Connection, named: Sequence[tuple[str, str]]) -> None:
    """Take pending rows out of the queue, each with its reason."""
    if named:
        rows = [{"of": message, "why": why} for message, why in named]
        conn.execute(_SUPPRESS, rows)


_SUPPRESS = (
    update(outbox)
    .where(outbox.c.message_id == bindparam("of"), _WAITING)
    .values(status=SUPPRESSED, reason=bindparam("why"), next_attempt_at=None)
)


def suppress(conn: Connection, hook: str, reason: str) -> int:
    """Take every pending row of a hook out of the queue, with the reason; return how many there were."""
    done = conn.execute(
        update(outbox)
        .where(_WAITING, outbox.c.hook == hook)
        .values(status=SUPPRESSED, reason=reason, next_attempt_at=None)
    )
    return done.rowcount


def disable(conn: Connection, hook: str, reason: str, now: datetime) -> int:
    """Remember that a hook is not to be used any more, and suppress what waits for it."""
    fresh = _insert(conn, hooks).values(hook=hook, disabled_at=now, reason=reason)
    conn.execute(
        fresh.on_conflict_do_update(index_elements=["hook"], set_={"disabled_at": now, "reason": reason})
    )
    return suppress_disabled(conn, hook, reason)


def suppress_disabled(conn: Connection, hook: str, reason: str) -> int:
    """Suppress what waits for a hook that is disabled for the given reason; return how many rows."""
    return suppress(conn, hook, f"hook disabled: {reason}")


def disabled(conn: Connection) -> dict[str, str]:
    """Return the hooks that are disabled, each with the reason."""
    found = conn.execute(select(hooks.c.hook, hooks.c.reason).where(hooks.c.disabled_at.is_not(None)))
    return {hook: reason or "disabled" for hook, reason in found}


def counts(conn: Connection) -> dict[tuple[str, str], int]:
    """Return how many rows each hook has in each status."""
    found = conn.execute(
        select(outbox.c.hook, outbox.c.status, func.count()).group_by(outbox.c.hook, outbox.c.status)
    )
    return {(hook, status): number for hook, status, number in found}
