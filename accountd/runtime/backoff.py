"""How often connections are tried: full-jitter back-off per account, one connect budget per host."""

from __future__ import annotations

import random
from collections import deque
from datetime import timedelta

from accountd.runtime.clock import Clock

FIRST = 0.5  # seconds: the cap of the first wait
HEALTHY = 30.0  # seconds of subscribed life after which failures are forgotten


class Backoff:
    """Full jitter: each wait is uniform between nothing and a cap that doubles with every failure.

    Only healthy *subscribed* life resets it; a handshake that succeeds proves nothing.
    """

    def __init__(self, most: timedelta, rng: random.Random) -> None:
        self.most = most.total_seconds()
        self.rng = rng
        self.failures = 0

    def next(self, lived: float = 0.0) -> float:
        """Return the seconds to wait after a session that was LIVE for ``lived`` seconds."""
        if lived >= min(HEALTHY, self.most):
            self.failures = 0
        cap = min(self.most, FIRST * 2.0 ** min(self.failures, 20))
        self.failures += 1
        return self.rng.uniform(0, cap)


class ConnectBudget:
    """At most ``limit`` connection attempts within ``window`` for each host, whoever asks."""

    def __init__(self, limit: int, window: timedelta, clock: Clock) -> None:
        self.limit = limit
        self.window = window.total_seconds()
        self.clock = clock
        self._tries: dict[str, deque[float]] = {}

    async def acquire(self, host: str) -> None:
        """Wait until the host may be tried again, and count the attempt."""
        tries = self._tries.setdefault(host, deque())
        while True:
            now = self.clock.monotonic()
            while tries and tries[0] <= now - self.window:
                tries.popleft()
            if len(tries) < self.limit:
                tries.append(now)
                return
            await self.clock.sleep(tries[0] + self.window - now)
