"""What people do with alerts: list them, look at one, replay, mute, use a hook again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import msgspec
from sqlalchemy import ColumnElement, Connection, and_, func, or_, select, true, update

from accountd.core.alerts import PENDING
from accountd.core.mutes import Mute
from accountd.store.outbox import disabled as disabled
from accountd.store.proving import upsert
from accountd.store.tables import deliveries, hooks, mutes, outbox

Row = Mapping[Any, Any]


class Chosen(msgspec.Struct, kw_only=True, frozen=True):
    """Which alerts are meant; None and empty match all. ``since`` and ``until`` are about when they rang."""

    ids: tuple[str, ...] = ()
    hook: str | None = None
    type: str | None = None
    account: str | None = None
    status: str | None = None
    since: datetime | None = None
    until: datetime | None = None

    def clause(self) -> ColumnElement[bool]:
        """Return the condition for a query."""
        c = outbox.c
        parts: list[ColumnElement[bool]] = []
        if self.ids:
            parts.append(c.message_id.in_(self.ids))
        for column, value in ((c.hook, self.hook), (c.account_id, self.account), (c.status, self.status)):
            if value is not None:
                parts.append(column == value)
        if self.type is not None:
            parts.append(c.type == self.type)
        if self.since is not None:
            parts.append(c.created_at >= self.since)
        if self.until is not None:
            parts.append(c.created_at < self.until)
        return and_(true(), *parts)


def listed(conn: Connection, chosen: Chosen, limit: int | None) -> list[Row]:
    """Return the alerts, the newest ``limit`` of them, in the order in which they rang."""
    query = select(outbox).where(chosen.clause()).order_by(outbox.c.created_at.desc(), outbox.c.message_id)
    if limit is not None:
        query = query.limit(limit)
    return list(reversed(conn.execute(query).mappings().all()))


def found(conn: Connection, beginning: str) -> list[Row]:
    """Return the alerts whose id begins so, at most two."""
    begins = outbox.c.message_id.startswith(beginning, autoescape=True)
    return list(conn.execute(select(outbox).where(begins).limit(2)).mappings())


def attempts(conn: Connection, message_id: str) -> list[Row]:
    """Return every attempt to deliver a message."""
    query = select(deliveries).where(deliveries.c.message_id == message_id).order_by(deliveries.c.attempt)
    return list(conn.execute(query).mappings())


def replay(conn: Connection, chosen: Chosen, now: datetime) -> dict[str, int]:
    """Let messages that are through be sent again, as they are; return how many for each hook."""
    through = and_(chosen.clause(), outbox.c.status != PENDING)
    counted = conn.execute(select(outbox.c.hook, func.count()).where(through).group_by(outbox.c.hook))
    numbers = {hook: number for hook, number in counted}
    conn.execute(
        update(outbox).where(through).values(
            status=PENDING, reason=None, next_attempt_at=now, replayed_at=now,
            replayed_after=outbox.c.attempts,
        )
    )  # fmt: skip
    for hook in numbers:
        poke(conn, hook, now)
    return numbers


def poke(conn: Connection, hook: str, now: datetime) -> None:
    """Let a running daemon look at a hook."""
    fresh = upsert(conn, hooks).values(hook=hook, poked_at=now)
    conn.execute(fresh.on_conflict_do_update(index_elements=["hook"], set_={"poked_at": now}))


def enable(conn: Connection, hook: str, now: datetime) -> bool:
    """Use a hook again; say whether it was disabled. What was suppressed meanwhile stays so."""
    was = conn.execute(select(hooks.c.disabled_at).where(hooks.c.hook == hook)).scalar() is not None
    conn.execute(update(hooks).where(hooks.c.hook == hook).values(disabled_at=None, reason=None))
    poke(conn, hook, now)
    return was


def add_mute(conn: Connection, mute: Mute) -> None:
    """Keep a mute."""
    conn.execute(mutes.insert(), msgspec.structs.asdict(mute))


def end_mutes(conn: Connection, ids: Sequence[str] | None, now: datetime) -> int:
    """End mutes, all or those named; return how many were in force."""
    mine = mutes.c.until > now
    if ids is not None:
        mine = and_(mine, or_(*(mutes.c.mute_id.startswith(name, autoescape=True) for name in ids)))
    return conn.execute(update(mutes).where(mine).values(until=now)).rowcount


def muted(conn: Connection, now: datetime) -> list[Mute]:
    """Return the mutes in force."""
    query = select(mutes).where(mutes.c.until > now).order_by(mutes.c.until)
    return [Mute(**row) for row in conn.execute(query).mappings()]


def pokes(conn: Connection) -> dict[str, datetime]:
    """Return when a command last changed something for each hook."""
    found_ = conn.execute(select(hooks.c.hook, hooks.c.poked_at).where(hooks.c.poked_at.is_not(None)))
    return {hook: at for hook, at in found_}


def dead(conn: Connection) -> list[Row]:
    """Return, for each hook and type, how many messages are dead, since when, and the last reason."""
    c = outbox.c
    query = (
        select(
            c.hook, c.type, func.count().label("dead"),
            func.min(c.created_at, type_=c.created_at.type).label("first_at"),
            func.max(c.created_at, type_=c.created_at.type).label("last_at"),
            func.max(c.reason).label("reason"),
        )
        .where(c.status == "dead").group_by(c.hook, c.type).order_by(c.hook, c.type)
    )  # fmt: skip
    return list(conn.execute(query).mappings())
