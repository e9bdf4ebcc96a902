"""Stretches of time that are proven, and by what: written in bulk, for a fill may wait behind them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime
from functools import cache
from typing import Any

import msgspec
from sqlalchemy import Connection, Table, bindparam, delete, insert, select, update
from sqlalchemy.dialects import postgresql, sqlite

from accountd.store.tables import coverage, evidence

Key = tuple[str, str, str]  # dataset, market, symbol


def upsert(dialect: str, table: Table) -> Any:
    """Return an INSERT that knows ON CONFLICT in a dialect."""
    return (postgresql if dialect == "postgresql" else sqlite).insert(table)


class Evidence(msgspec.Struct, kw_only=True):
    """What a stretch of coverage was proven by: which requests, how asked, how many calls and rows.

    ``asked_by`` is ``time``, ``id``, ``time and id`` or ``snapshot``; ``sweep`` says on what occasion.
    """

    sweep: str
    requests: str
    asked_by: str
    calls: int
    rows: int


class Proven(msgspec.Struct):
    """A stretch of a dataset, of one symbol or (empty) of all, and what proves it."""

    dataset: str
    market: str
    symbol: str
    from_time: datetime
    to_time: datetime
    by: Evidence | None = None

    @property
    def key(self) -> Key:
        """Return what it is a stretch of."""
        return self.dataset, self.market, self.symbol


class _Held(msgspec.Struct):
    """A row of evidence as it is held, or to be, and what is added to it."""

    first_at: datetime
    from_time: datetime
    to_time: datetime
    requests: str
    asked_by: str
    sweeps: int = 0
    calls: int = 0
    rows: int = 0
    fresh: bool = False


def write(connection: Connection, account_id: str, told: Sequence[Proven], at: datetime) -> None:
    """Add stretches to the coverage, and what they were proven by to the evidence."""
    if told:
        _extend(connection, account_id, told, at)
        _explain(connection, account_id, [(one, one.by) for one in told if one.by is not None], at)


def _of(table: Table, account_id: str, told: Sequence[Proven]) -> list[Any]:
    """Return the condition of rows that may be about what is told."""
    c = table.c
    names = [{getattr(one, name) for one in told} for name in ("dataset", "market", "symbol")]
    wanted = zip((c.dataset, c.market, c.symbol), names, strict=True)
    return [c.account_id == account_id, *(column.in_(sorted(some)) for column, some in wanted)]


def _extend(connection: Connection, account_id: str, told: Sequence[Proven], at: datetime) -> None:
    """Add stretches; those that touch or overlap become one."""
    c = coverage.c
    begin, end = min(one.from_time for one in told), max(one.to_time for one in told)
    near = select(c.dataset, c.market, c.symbol, c.from_time, c.to_time, c.proven_at).where(
        *_of(coverage, account_id, told), c.from_time <= end, c.to_time >= begin
    )
    held: defaultdict[Key, dict[datetime, tuple[datetime, datetime]]] = defaultdict(dict)
    for dataset, market, symbol, since, until, proven in connection.execute(near):
        held[dataset, market, symbol][since] = (until, proven)
    stored = {key: set(mine) for key, mine in held.items()}
    moved: set[tuple[Key, datetime]] = set()
    for one in told:
        mine = held[one.key]
        since, until, proven = one.from_time, one.to_time, at
        for start in [
            start for start, (stop, _) in mine.items() if start <= one.to_time and stop >= one.from_time
        ]:
            stop, when = mine.pop(start)
            since, until, proven = min(since, start), max(until, stop), max(proven, when)
        mine[since] = (until, proven)
        moved.add((one.key, since))
    gone = [(key, start) for key, starts in stored.items() for start in sorted(starts - held[key].keys())]
    if gone:
        connection.execute(_forget(), [
            {"account": account_id, "of": key[0], "in_": key[1], "for_": key[2], "start": start}
            for key, start in gone
        ])  # fmt: skip
    connection.execute(_cover(connection.dialect.name), [
        {"account_id": account_id, "dataset": key[0], "market": key[1], "symbol": key[2], "from_time": since,
         "to_time": held[key][since][0], "proven_at": held[key][since][1]}
        for key, since in sorted(moved) if since in held[key]
    ])  # fmt: skip


def _explain(connection: Connection, account_id: str, told: Sequence[tuple[Proven, Evidence]],
             at: datetime) -> None:  # fmt: skip
    """Write down what stretches were proven by.

    One row a day (UTC) and occasion: a later sweep of the same day whose stretch touches is added to it.
    """
    if not told:
        return
    c, day = evidence.c, at.replace(hour=0, minute=0, second=0, microsecond=0)
    occasions = sorted({by.sweep for _, by in told})
    stretches = [one for one, _ in told]
    today = select(
        c.dataset, c.market, c.symbol, c.sweep, c.first_at, c.from_time, c.to_time, c.requests, c.asked_by
    ).where(*_of(evidence, account_id, stretches), c.sweep.in_(occasions), c.first_at >= day)
    held: defaultdict[tuple[Key, str], list[_Held]] = defaultdict(list)
    for dataset, market, symbol, sweep, *rest in connection.execute(today.order_by(c.first_at.desc())):
        held[(dataset, market, symbol), sweep].append(_Held(*rest))
    for one, by in told:
        mine = held[one.key, by.sweep]
        row = next((row for row in mine if _touches(row, one, by)), None)
        if row is not None:
            row.from_time, row.to_time = min(row.from_time, one.from_time), max(row.to_time, one.to_time)
        else:
            row = next((row for row in mine if row.first_at == at), None)
        if row is None:
            row = _Held(at, one.from_time, one.to_time, by.requests, by.asked_by, fresh=True)
            mine.insert(0, row)
        row.sweeps, row.calls, row.rows = row.sweeps + 1, row.calls + by.calls, row.rows + by.rows
    kept = [
        ({"account": account_id, "of": key[0], "in_": key[1], "for_": key[2], "on": sweep,
          "start": row.first_at, "at": at, "since": row.from_time, "until": row.to_time,
          "more_sweeps": row.sweeps, "more_calls": row.calls, "more_rows": row.rows,
          "how": row.asked_by, "what": row.requests}, row.fresh)
        for (key, sweep), mine in held.items() for row in mine if row.sweeps
    ]  # fmt: skip
    for statement, is_fresh in ((_found(), True), (_grow(), False)):
        if some := [values for values, fresh in kept if fresh == is_fresh]:
            connection.execute(statement, some)


def _touches(row: _Held, one: Proven, by: Evidence) -> bool:
    same = (row.requests, row.asked_by) == (by.requests, by.asked_by)
    return same and row.from_time <= one.to_time and row.to_time >= one.from_time


# The statements, each made once: they run with every sweep.


def _here(table: Table) -> list[Any]:
    """Return the condition of the row about a stretch."""
    c = table.c
    return [c.account_id == bindparam("account"), c.dataset == bindparam("of"), c.market == bindparam("in_"),
            c.symbol == bindparam("for_")]  # fmt: skip


@cache
def _forget() -> Any:
    return delete(coverage).where(*_here(coverage), coverage.c.from_time == bindparam("start"))


@cache
def _cover(dialect: str) -> Any:
    fresh = upsert(dialect, coverage)
    keys = [column.name for column in coverage.primary_key]
    moved = {"to_time": fresh.excluded.to_time, "proven_at": fresh.excluded.proven_at}
    return fresh.on_conflict_do_update(index_elements=keys, set_=moved)


@cache
def _found() -> Any:
    values = {
        "account_id": "account", "dataset": "of", "market": "in_", "symbol": "for_", "sweep": "on",
        "first_at": "start", "last_at": "at", "from_time": "since", "to_time": "until", "requests": "what",
        "asked_by": "how", "sweeps": "more_sweeps", "calls": "more_calls", "rows": "more_rows",
    }  # fmt: skip
    return insert(evidence).values({column: bindparam(name) for column, name in values.items()})


@cache
def _grow() -> Any:
    c = evidence.c
    return update(evidence).where(
        *_here(evidence), c.sweep == bindparam("on"), c.first_at == bindparam("start")
    ).values(
        last_at=bindparam("at"), from_time=bindparam("since"), to_time=bindparam("until"),
        sweeps=c.sweeps + bindparam("more_sweeps"), calls=c.calls + bindparam("more_calls"),
        rows=c.rows + bindparam("more_rows"),
    )  # fmt: skip
