"""The outbox: alerts that are written with what caused them, and what became of each."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from datetime import datetime
from typing import Any

import msgspec
from sqlalchemy import Connection as Connection
from sqlalchemy import Select, Table, Text, bindparam, cast, func, literal_column, select, update
from sqlalchemy.dialects import postgresql, sqlite

from accountd.core.alerts import PENDING, SUPPRESSED, OutboxRow
from accountd.store.results import record as record
from accountd.store.tables import hooks, outbox

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
        query = query.where(outbox.c.message_id.not_in(_listed(conn, exclude)))
    found = msgspec.json.decode(conn.execute(_as_json(conn, query)).scalar() or "[]", type=list[OutboxRow])
    return sorted(found, key=_age)


def _age(row: OutboxRow) -> tuple[datetime, str]:
    return row.created_at, row.message_id


def _listed(conn: Connection, ids: Iterable[str]) -> Any:
    """Return a query for ids that are given as one JSON text: a parameter each would take milliseconds."""
    text = bindparam("listed", msgspec.json.encode(list(ids)).decode(), type_=Text)
    if conn.dialect.name == "postgresql":
        return select(func.json_array_elements_text(cast(text, postgresql.JSON)).column_valued())
    return select(func.json_each(text).table_valued("value").c.value)


def _as_json(conn: Connection, query: Select[Any]) -> Select[Any]:
    """Return a query for the same rows as one JSON text: row by row, a busy event loop delays each."""
    page = query.subquery()
    cells: dict[str, Any] = {name: page.c[name] for name in OutboxRow.__struct_fields__}
    cells["order_key"] = func.coalesce(page.c.order_key, "")
    pairs: list[Any] = []
    for name, cell in cells.items():
        pairs += [literal_column(f"'{name}'"), cell]
    if conn.dialect.name == "postgresql":
        return select(cast(func.json_agg(func.json_build_object(*pairs)), Text))
    return select(func.json_group_array(func.json_object(*pairs)))


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
