"""Conditions as they are kept: which hold, since when, and how often they were told."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from datetime import datetime

import msgspec
from sqlalchemy import Connection, or_, select, update

from accountd.core.alerts import PENDING, SUPPRESSED
from accountd.core.conditions import FIRING, RESOLVED, Condition
from accountd.store.proving import upsert
from accountd.store.tables import conditions, outbox


def held(conn: Connection, names: Collection[str]) -> dict[str, Condition]:
    """Return the named conditions, whatever their state, by fingerprint."""
    if not names:
        return {}
    found = conn.execute(select(conditions).where(conditions.c.fingerprint.in_(names))).mappings()
    return {row["fingerprint"]: Condition(**row) for row in found}


def firing(conn: Connection, types: Collection[str] | None = None) -> list[Condition]:
    """Return the conditions that hold, the oldest first."""
    query = select(conditions).where(conditions.c.status == FIRING).order_by(conditions.c.fired_at)
    if types is not None:
        query = query.where(conditions.c.type.in_(types))
    return [Condition(**row) for row in conn.execute(query).mappings()]


def keep(conn: Connection, kept: Condition) -> None:
    """Write a condition as it is now."""
    values = msgspec.structs.asdict(kept)
    fresh = upsert(conn, conditions).values(values)
    changed = {name: value for name, value in values.items() if name != "fingerprint"}
    conn.execute(fresh.on_conflict_do_update(index_elements=["fingerprint"], set_=changed))


def resolve(conn: Connection, name: str, now: datetime) -> None:
    """Write that a condition does not hold any more."""
    mine = (conditions.c.fingerprint == name) & (conditions.c.status == FIRING)
    conn.execute(update(conditions).where(mine).values(status=RESOLVED, resolved_at=now))


def told_again(conn: Connection, name: str, now: datetime) -> None:
    """Write that a condition was told once more."""
    mine = conditions.c.fingerprint == name
    conn.execute(update(conditions).where(mine).values(last_told_at=now, told=conditions.c.told + 1))


def quieten(conn: Connection, types: Iterable[str], accounts: Collection[str], why: str) -> int:
    """Suppress what is not sent yet and follows from a condition that fires; return how many."""
    c = outbox.c
    waits = (c.status == PENDING) & (c.attempts == 0)
    folded = (c.status == SUPPRESSED) & c.next_attempt_at.is_not(None)
    mine = c.type.in_(list(types)) & c.account_id.in_(list(accounts)) & or_(waits, folded)
    values = {"status": SUPPRESSED, "next_attempt_at": None, "summary_id": None, "reason": why}
    return conn.execute(update(outbox).where(mine).values(values)).rowcount
