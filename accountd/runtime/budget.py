"""How much may be asked of a venue: request weight, shared by every account on this address."""

from __future__ import annotations

import asyncio
import heapq
import itertools
import math
from collections import deque
from collections.abc import Hashable
from datetime import datetime
from enum import IntEnum

from accountd.runtime.clock import Clock

WINDOW = 60.0
# The venue's header counts everybody on the address; this much of the limit is nobody's.
CROWDED = 0.9
LATE = 12.0  # seconds after which no answer comes any more
SKEW = 2.0  # seconds before the venue's minute in which what is sent may be counted in it


class Priority(IntEnum):
    """Who goes first."""

    KEEPALIVE = 0
    SEAM = 1
    CANARY = 2
    SWEEP = 3
    BACKFILL = 4


# The part of the share that each priority and those below it may use up together, so that what is urgent
# never finds it empty.
REACH = {
    Priority.CANARY: 0.65,
    Priority.SWEEP: 0.55,
    Priority.BACKFILL: 0.35,
}
# The part of the share that a minute may hold when each of these asks; all others leave room for them.
ROOM = {Priority.KEEPALIVE: 1.0, Priority.SEAM: 0.98}
PACED_ROOM = 0.8
# These heal: where the venue starts its count anew every minute they need not wait for any 60 s to pass.
HEALING = (Priority.SEAM, Priority.CANARY)
# What can wait is spread over the minute: this part of its reach at once, the rest at an even pace.
AT_ONCE = 0.4
# One call too heavy for an even pace is held to what a minute may hold: so much of the share.
HEAVY = {Priority.CANARY: 0.9, Priority.SWEEP: 0.6, Priority.BACKFILL: 0.35}
# ... of which so much may go at once, half where nothing is said.
FREE = {Priority.SEAM: 1.0, Priority.SWEEP: 0.0, Priority.BACKFILL: 0.0}


class _Bucket:
    """What a priority and those below it may spend now; it fills by itself, evenly."""

    def __init__(self) -> None:
        self.spent = 0.0
        self.at = 0.0

    def delay(self, now: float, weight: float, reach: float) -> float:
        """Return seconds until ``weight`` may be spent; more than the whole bucket needs a full one."""
        self.spent = max(0.0, self.spent - (now - self.at) * (1 - AT_ONCE) * reach / WINDOW)
        self.at = now
        over = self.spent + min(weight, AT_ONCE * reach) - AT_ONCE * reach
        if over <= 1e-6 or reach <= 0:
            return 0.0
        return max(0.001, over * WINDOW / ((1 - AT_ONCE) * reach))


class _Waiter:
    def __init__(self, priority: Priority, due: float, turn: int) -> None:
        self.rank = (priority, due, turn)
        self.first = asyncio.Event()

    def __lt__(self, other: _Waiter) -> bool:
        return self.rank < other.rank


class _Pool:
    """One pool: what was spent in the last minute, who waits, and what the venue last said."""

    def __init__(self) -> None:
        self.limit = 0
        self.spent: deque[tuple[float, int]] = deque()
        self.used = 0
        self.waiters: list[_Waiter] = []
        self.paused_until = 0.0
        self.served: dict[Priority, float] = {}  # how far the sharing out has come, in weight
        self.shares: dict[tuple[Priority, Hashable], float] = {}  # ... for each of those who ask
        self.told_used = 0
        self.told_until = 0.0
        self.heard: deque[tuple[float, int]] = deque()  # what was answered: the venue has counted it
        self.starts_anew = False  # the venue's count was seen to hold less than what it counted of late
        self.buckets = {priority: _Bucket() for priority in REACH}

    def due(self, priority: Priority, who: Hashable, weight: int) -> float:
        """Return when a request is due, in weight shared out so far: start-time fair queueing."""
        start = max(self.served.get(priority, 0.0), self.shares.get((priority, who), 0.0))
        self.shares[priority, who] = start + weight
        return start

    def expire(self, now: float) -> None:
        while self.spent and self.spent[0][0] <= now - WINDOW:
            self.used -= self.spent.popleft()[1]

    def is_heavy(self, weight: int, priority: Priority, share: float) -> bool:
        """Say whether one call is too much for an even pace: it is held to what a minute may hold alone."""
        return priority in REACH and weight > AT_ONCE * REACH[priority] * self.limit * share / 4

    def delay(self, now: float, weight: int, priority: Priority, share: float, spare: float = 0.0,
              heavy: bool = False) -> float:  # fmt: skip
        """Return seconds until ``weight`` fits; 0 = now. ``spare`` is the part of a bucket that must be left.

        Nothing goes while everybody on the address is about to cross the limit, but keep-alives.
        """
        if now < self.paused_until:
            return self.paused_until - now
        if not self.limit:
            return 0.0
        crowded = self.limit * (1.0 if priority is Priority.KEEPALIVE else CROWDED)
        if now < self.told_until and self.told_used + weight > crowded:
            return self.told_until - now
        whole = self.limit * share
        if heavy:
            return self._window(now, weight, whole * HEAVY[priority])
        paced = [
            bucket.delay(now, weight + spare * AT_ONCE * REACH[name] * whole, REACH[name] * whole)
            for name, bucket in self.buckets.items() if name <= priority
        ]  # fmt: skip
        return max([self._room(now, weight, priority, whole * ROOM.get(priority, PACED_ROOM)), *paced])

    def _room(self, now: float, weight: int, priority: Priority, room: float) -> float:
        """Return seconds until ``weight`` fits into ``room``: of any 60 s, or of the venue's own minute.

        No 60 s ever hold more than what everybody on the address may use, whatever the venue counts.
        """
        wait = self._window(now, weight, room)
        if not wait or priority not in HEALING or not self.starts_anew:
            return wait
        ends = self.told_until + WINDOW * max(0, math.ceil((now - self.told_until) / WINDOW))
        used = sum(spent for at, spent in self.spent if at >= ends - WINDOW - SKEW)
        left = 0.0 if used + weight <= room else max(ends - now, 0.001)
        return min(wait, max(left, self._window(now, weight, self.limit * CROWDED)))

    def hear(self, now: float, weight: int, used: int, left: float) -> None:
        """Take the venue's count with an answer to what weighed ``weight``, ``left`` seconds before its
        minute ends. What it has counted and does not tell any more, it has forgotten before 60 s were over.
        """
        self.told_used, self.told_until = used, now + left
        self.heard.append((now, weight))
        while self.heard[0][0] <= now - WINDOW + LATE:
            self.heard.popleft()
        self.starts_anew = self.starts_anew or used < sum(one for _, one in self.heard)

    def _window(self, now: float, weight: int, room: float) -> float:
        """Return seconds until ``weight`` fits into what the last minute left of ``room``."""
        self.expire(now)
        used = self.used
        if used == 0 or used + weight <= room:
            return 0.0  # a call heavier than the whole room goes when nothing else did
        for at, spent in self.spent:
            used -= spent
            if used == 0 or used + weight <= room:
                return max(at + WINDOW - now, 0.001)
        return WINDOW  # cannot be: with everything expired, used is 0

    def spend(self, now: float, weight: int, priority: Priority, share: float) -> None:
        self.spent.append((now, weight))
        self.used += weight
        for name, bucket in self.buckets.items():
            if name <= priority:
                most = AT_ONCE * REACH[name] * self.limit * share
                bucket.spent = max(bucket.spent, min(bucket.spent + weight, most))


class Budget:
    """The weight that all accounts of this process may use, ``share`` of each pool's limit in any 60 s.

    The window slides, so the venue's own fixed minute, wherever it starts, never holds more than the share.
    Where the venue's count is seen to start anew, what heals a loss is held to the share of that minute.
    What can wait is spread over the minute and leaves a reserve: a reconnect finds its weight at any moment.
    Inside a priority the order is first come, first served, whichever account asks.
    """

    def __init__(self, clock: Clock, share: float = 0.5) -> None:
        self._clock = clock
        self._share = share
        self._pools: dict[str, _Pool] = {}
        self._turns = itertools.count()

    def _pool(self, name: str) -> _Pool:
        return self._pools.setdefault(name, _Pool())

    def set_limit(self, pool: str, per_minute: int) -> None:
        """Take the venue's declared weight per minute; a pool without a limit is not held back."""
        self._pool(pool).limit = per_minute

    def used(self, pool: str) -> int:
        """Return the weight that this process spent in the last 60 s."""
        state = self._pool(pool)
        state.expire(self._clock.monotonic())
        return state.used

    def paused(self, pool: str) -> float:
        """Return seconds until the pool may be used again; 0 when it may."""
        return max(0.0, self._pool(pool).paused_until - self._clock.monotonic())

    def crowded(self, pool: str) -> float:
        """Return how much everybody on the address may have used before the rest is left alone."""
        return self._pool(pool).limit * CROWDED

    def wait(self, pool: str, weight: int, priority: Priority, spare: float = 0.0) -> float:
        """Return seconds until ``weight`` may be spent at once; 0 when it may now. ``spare`` is the part of
        what may be spent at once that must be left."""
        state = self._pool(pool)
        return state.delay(self._clock.monotonic(), weight, priority, self._share, spare)

    def pace(self, pool: str, weight: int, priority: Priority) -> float:
        """Return seconds in which half of the even pace of a priority is as much as ``weight``."""
        even = (1 - AT_ONCE) * REACH[priority] * self._pool(pool).limit * self._share
        return 2 * weight * WINDOW / even if even else 0.0

    def has_room(self, pool: str, weight: int, priority: Priority) -> bool:
        """Say whether ``weight`` may be spent at once and leaves half of the room to others; the rest goes
        at an even pace."""
        state, now = self._pool(pool), self._clock.monotonic()
        heavy = state.is_heavy(weight, priority, self._share)
        if state.waiters or state.delay(now, weight, priority, self._share, 0.5, heavy) > 0:
            return False
        if (priority in REACH and not heavy) or not state.limit:
            return True
        room = state.limit * self._share * (ROOM | HEAVY)[priority]
        last = state.spent[-1][0] if state.spent else now - WINDOW
        # What nobody waits for takes one turn a minute: a reconnect looks twice, and finds room for both.
        pace = WINDOW if priority >= Priority.SWEEP else WINDOW * weight / room
        return state.used + weight <= room * FREE.get(priority, 0.5) or now - last >= pace

    async def acquire(self, pool: str, weight: int, priority: Priority, who: Hashable = None) -> None:
        """Wait until ``weight`` may be spent, and spend it.

        Within a priority the scarce weight is shared: ``who`` has spent less goes first, however many
        requests the others have lined up.
        """
        state = self._pool(pool)
        waiter = _Waiter(priority, state.due(priority, who, weight), next(self._turns))
        heapq.heappush(state.waiters, waiter)
        try:
            while True:
                if state.waiters[0] is not waiter:
                    waiter.first.clear()
                    await waiter.first.wait()
                    continue
                now = self._clock.monotonic()
                heavy = state.is_heavy(weight, priority, self._share)
                wait = state.delay(now, weight, priority, self._share, heavy=heavy)
                if wait <= 0:
                    state.spend(now, weight, priority, self._share)
                    state.served[priority] = max(state.served.get(priority, 0.0), waiter.rank[1])
                    return
                await self._clock.sleep(wait)
        finally:
            state.waiters.remove(waiter)
            heapq.heapify(state.waiters)
            if state.waiters:
                state.waiters[0].first.set()

    def observe(self, pool: str, used: int, venue_now: datetime, weight: int = 0) -> None:
        """Take the used weight of the venue's current minute from a reply's header; ``weight`` is that of
        the call that was answered."""
        left = WINDOW - venue_now.second - venue_now.microsecond / 1_000_000
        self._pool(pool).hear(self._clock.monotonic(), weight, used, left)

    def pause(self, pool: str, seconds: float) -> None:
        """Let nobody use the pool for ``seconds``; a longer pause that runs already stays."""
        state = self._pool(pool)
        state.paused_until = max(state.paused_until, self._clock.monotonic() + seconds)
