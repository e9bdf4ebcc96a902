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

    def longest(self) -> float:
        """Return the seconds to wait for what would only do harm again: at least half of the cap."""
        self.failures += 1
        return self.rng.uniform(self.most / 2, self.most)


class ConnectBudget:
    """At most ``limit`` connection attempts within ``window`` for each host, whoever asks.

    Of several that connect to a host none may use up more than half: one that is cut for ever must not
    keep the others out.
    """

    def __init__(self, limit: int, window: timedelta, clock: Clock) -> None:
        self.limit = limit
        self.window = window.total_seconds()
        self.clock = clock
        self._tries: dict[str, deque[tuple[float, str]]] = {}
        self._known: dict[str, set[str]] = {}

    async def acquire(self, host: str, who: str = "") -> None:
        """Wait until ``who`` may try the host again, and count the attempt."""
        tries = self._tries.setdefault(host, deque())
        known = self._known.setdefault(host, set())
        known.add(who)
        while True:
            now = self.clock.monotonic()
            while tries and tries[0][0] <= now - self.window:
                tries.popleft()
            own = [at for at, one in tries if one == who]
            share = self.limit if len(known) == 1 else max(1, self.limit // 2)
            if len(tries) < self.limit and len(own) < share:
                tries.append((now, who))
                return
            first = own[0] if len(own) >= share else tries[0][0]
            await self.clock.sleep(first + self.window - now)
