"""A clock that tests drive: sleeping moves it, nothing waits for real."""

import asyncio
import heapq
import itertools
from datetime import UTC, datetime, timedelta


class FakeClock:
    """Starts at ``start``; `advance` moves both clocks, `step_wall` only the wall.

    With ``auto`` (the default) the earliest sleeper wakes as soon as everybody sleeps, so virtual minutes
    pass at once and in the right order.
    """

    def __init__(self, start=datetime(2026, 1, 1, tzinfo=UTC), *, auto=True):
        self._wall = start
        self._mark = 0.0
        self._auto = auto
        self._sleepers = []
        self._count = itertools.count()
        self.slept = []

    def now(self):
        """Return the wall clock."""
        return self._wall

    def monotonic(self):
        """Return seconds since the start."""
        return self._mark

    def step_wall(self, seconds):
        """Move only the wall clock, as an administrator or NTP would."""
        self._wall += timedelta(seconds=seconds)

    def advance(self, seconds):
        """Let time pass and wake who is due."""
        self._mark += seconds
        self._wall += timedelta(seconds=seconds)
        while self._sleepers and self._sleepers[0][0] <= self._mark + 1e-9:
            woken = heapq.heappop(self._sleepers)[2]
            if not woken.done():
                woken.set_result(None)

    async def sleep(self, seconds):
        """Wait until the clock has moved by ``seconds``."""
        self.slept.append(seconds)
        due = self._mark + max(0.0, seconds)
        woken = asyncio.get_running_loop().create_future()
        sleeper = (due, next(self._count), woken)
        heapq.heappush(self._sleepers, sleeper)
        try:
            while self._auto and not woken.done():
                mark = self._mark
                for _ in range(20):  # let everybody else come to rest first, also who has just been woken
                    await asyncio.sleep(0)
                if not woken.done() and self._mark == mark and self._sleepers[0] is sleeper:
                    self.advance(max(0.0, due - self._mark))
            await woken
        finally:
            if sleeper in self._sleepers:  # cancelled: nobody may wait behind it
                self._sleepers.remove(sleeper)
                heapq.heapify(self._sleepers)
