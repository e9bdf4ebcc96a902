"""The alerts of one hook that are in memory, in lanes that keep the order of each order's alerts."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterable
from datetime import datetime, timedelta

import msgspec

from accountd.core.alerts import OutboxRow

SOON = timedelta(seconds=1)  # the rows of one transaction are due a microsecond apart


class Entry(msgspec.Struct, gc=False):
    """A row in a lane; ``since`` is when it became known to be committed."""

    row: OutboxRow
    lane: str
    since: datetime


class HookQueue:
    """Rows of one hook, at most ``limit``; the rest stays in the database and is fetched as room appears.

    A lane is one order key: only its first row is ever in flight. Rows that come straight from a commit
    are taken only while nothing of this hook can be in the database that should go first (``direct``, and
    no row of the lane waits there for its time); otherwise they are left there and the next look at the
    database brings them, in order.
    """

    def __init__(self, hook: str, limit: int) -> None:
        self.hook = hook
        self.limit = limit
        self.lanes: dict[str, deque[Entry]] = {}
        self.held: set[str] = set()  # ids queued, in flight, or whose result is not committed yet
        self.failed: dict[str, str] = {}  # lane -> id of its first row, which waits for its next attempt
        self.direct = False
        self.waiting: frozenset[str] = frozenset()  # lanes whose first row waits in the database for its time
        self.held_until: datetime | None = None  # the receiver asked for a pause
        self.tick = asyncio.Event()  # whoever waits for the end of the pause should look again
        self.looking = False  # a look at the database is under way
        self.missed = True  # something may be in the database that no look has seen
        self.next_at: datetime | None = None  # when the next row that waits there is due
        self.disabled: str | None = None
        self.stir = asyncio.Event()  # the database should be looked at, or the time until then has changed
        self._ready: asyncio.Queue[str | None] = asyncio.Queue()
        self._closed = False

    @property
    def wants_look(self) -> bool:
        """Say whether the database should be looked at now; a little room is not worth a look."""
        return self.missed and self.room >= max(1, self.limit // 4)

    @property
    def room(self) -> int:
        """Return how many more rows may be fetched."""
        return max(0, self.limit - len(self.held))

    def offer(self, row: OutboxRow, now: datetime) -> None:
        """Take a row that was just committed, or remember that the database holds something new."""
        if self.disabled is None and self.direct and not self.looking and self.room and self._first(row, now):
            self._add(row, now)
        else:
            self.look_again()

    def _first(self, row: OutboxRow, now: datetime) -> bool:
        """Say whether nothing must go before the row, and its time has come."""
        lane = _lane(row)
        due = row.next_attempt_at is None or row.next_attempt_at <= now + SOON
        return due and lane not in self.failed and lane not in self.waiting

    def look_again(self) -> None:
        """Ask for a look at the database."""
        self.missed = True
        self.stir.set()

    def begin_look(self) -> frozenset[str]:
        """Start a look at the database; return the ids that it shall leave out."""
        self.looking, self.missed = True, False
        self.failed = {lane: row_id for lane, row_id in self.failed.items() if row_id in self.held}
        return frozenset(self.held)

    def end_look(self, rows: Iterable[OutboxRow], more: bool, next_at: datetime | None,
                 waiting: frozenset[str] | None = None) -> None:  # fmt: skip
        """Take what a look found; ``more`` = it was cut short, ``next_at`` = when something else is due.

        ``waiting`` names the lanes of what is not due yet (None: too many to know). A lane that failed
        while the look was under way is left alone: its first row has to go first.
        """
        self.looking = False
        for row in rows:
            if _lane(row) not in self.failed and row.message_id not in self.held:
                self._add(row, row.created_at)
        self.missed = self.missed or more
        self.next_at = next_at
        self.waiting = waiting or frozenset()
        self.direct = not (self.missed or (next_at and waiting is None))

    def abandon_look(self) -> None:
        """Note that a look failed, so that another one is made."""
        self.looking, self.missed = False, True

    def _add(self, row: OutboxRow, since: datetime) -> None:
        lane = _lane(row)
        self.held.add(row.message_id)
        waiting = self.lanes.get(lane)
        if waiting is None:
            self.lanes[lane] = deque((Entry(row, lane, since),))
            self._ready.put_nowait(lane)
        else:
            waiting.append(Entry(row, lane, since))

    async def take(self) -> Entry | None:
        """Wait for a row that may be sent now; None when the queue is closed."""
        while True:
            lane = await self._ready.get()
            if self._closed or lane is None:
                return None
            if lane in self.lanes:
                return self.lanes[lane][0]

    def passed(self, entry: Entry) -> None:
        """Go on with the lane: its first row is delivered or dead."""
        waiting = self.lanes.get(entry.lane)
        if waiting is None:
            return
        waiting.popleft()
        if waiting:
            self._ready.put_nowait(entry.lane)
        else:
            del self.lanes[entry.lane]

    def later(self, entry: Entry) -> None:
        """Let the whole lane wait in the database: its first row is to be tried again."""
        for follower in list(self.lanes.pop(entry.lane, ()))[1:]:
            self.held.discard(follower.row.message_id)
        self.failed[entry.lane] = entry.row.message_id

    def release(self, ids: Iterable[str]) -> None:
        """Forget rows whose result is committed; look at the database for what waits for room or time."""
        self.held.difference_update(ids)
        if self.failed:
            self.look_again()
        elif self.wants_look:
            self.stir.set()

    def hold(self, until: datetime) -> None:
        """Give nothing out before ``until``: the receiver asked for a pause."""
        if self.held_until is None or until > self.held_until:
            self.held_until = until

    def enable(self) -> None:
        """Use the hook again."""
        self.disabled = None
        self.look_again()

    def disable(self, reason: str) -> None:
        """Drop everything that is not in flight; what comes from now on is not taken."""
        self.disabled = reason
        self.direct = False
        self.next_at = None
        for waiting in self.lanes.values():
            for entry in list(waiting)[1:]:
                self.held.discard(entry.row.message_id)
        self.lanes.clear()

    def close(self, workers: int) -> None:
        """Give no more rows out, and let those who wait for one go."""
        self._closed = True
        self.stir.set()
        self.tick.set()
        for _ in range(workers):
            self._ready.put_nowait(None)


def _lane(row: OutboxRow) -> str:
    return row.order_key or row.message_id
