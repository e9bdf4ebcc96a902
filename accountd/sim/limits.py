"""The weight limit of one address: fixed minutes, 429 above it, a ban for those who go on."""

import math
from collections import Counter

from accountd.sim import refusals
from accountd.sim.clock import Clock

MINUTE_MS = 60_000
BAN_MS = 120_000
PATIENCE = 20


class WeightLimit:
    """Counts weight in fixed minutes of the venue's clock."""

    def __init__(self, clock: Clock, limit: int = 2400) -> None:
        self.clock, self.limit = clock, limit
        self.used = 0
        self.peak = 0
        self.total = 0
        self.statuses: Counter[int] = Counter()
        self._minute = -1
        self._refused = 0
        self._banned_until = 0

    def charge(self, weight: int) -> None:
        """Count a request.

        Raises Refused: 429 above the limit, 418 after twenty more requests in the same minute.
        """
        now = self.clock.now()
        if now < self._banned_until:
            raise refusals.banned(self._banned_until, math.ceil((self._banned_until - now) / 1000))
        minute = now // MINUTE_MS
        if minute != self._minute:
            self._minute, self.used, self._refused = minute, 0, 0
        self.used += weight
        self.total += weight
        self.peak = max(self.peak, self.used)
        if self.used <= self.limit:
            return
        self._refused += 1
        if self._refused > PATIENCE:
            self.ban(BAN_MS)
            raise refusals.banned(self._banned_until, BAN_MS // 1000)
        raise refusals.too_many(self.limit, math.ceil(((minute + 1) * MINUTE_MS - now) / 1000))

    def ban(self, duration_ms: int) -> None:
        """Ban the address for a time in ms."""
        self._banned_until = self.clock.now() + duration_ms

    def pardon(self) -> None:
        """Lift a ban."""
        self._banned_until = 0
