"""How a host that is out of reach is tried: by its accounts in turn, and by all of them when it is back."""

from __future__ import annotations

import asyncio
import random
from datetime import timedelta

from accountd.runtime.backoff import FIRST
from accountd.runtime.clock import Clock
from accountd.runtime.tasks import end

SHARE = 0.25  # of the outage so far: the longest wait, so that a short outage is not made a long one
SPREAD = 0.02  # seconds for each account: they do not all come in the same moment when the host is back


class Outage:
    """What the accounts of one host know of it together.

    Nobody is connected and an attempt has failed: the host is out of reach. Then attempts are queued with
    full jitter between them, whoever makes them: the host sees as many as of a single account. The longest
    wait grows with the outage, up to ``most``. The first account that gets through wakes all others.
    """

    def __init__(self, most: timedelta, rng: random.Random, clock: Clock) -> None:
        self.most = most.total_seconds()
        self.rng = rng
        self.clock = clock
        self._connected: set[str] = set()
        self._waiting = 0
        self._since: float | None = None
        self._last = 0.0  # when the last queued attempt is due
        self._back = asyncio.Event()

    def reached(self, who: str) -> None:
        """``who`` is connected and has proven it."""
        self._connected.add(who)
        self._since = None
        self._back.set()

    def left(self, who: str) -> None:
        """``who`` is not connected any more."""
        self._connected.discard(who)

    @property
    def elsewhere(self) -> bool:
        """Say whether somebody is connected: then a failure is the account's own."""
        return bool(self._connected)

    async def turn(self) -> None:
        """Wait, after an attempt that failed, until the next may be made."""
        now = self.clock.monotonic()
        if self._since is None:
            self._since = self._last = now
            self._back.clear()
        self._last = max(now, self._last)
        longest = min(self.most, max(FIRST, SHARE * (self._last - self._since)))
        self._last += self.rng.uniform(0, longest)
        self._waiting += 1
        wait = asyncio.create_task(self.clock.sleep(self._last - now))
        back = asyncio.create_task(self._back.wait())
        try:
            await asyncio.wait({wait, back}, return_when=asyncio.FIRST_COMPLETED)
            woken = back.done() and not wait.done()
            others = self._waiting
        finally:
            self._waiting -= 1
            await end(wait, back)
        if woken:
            await self.clock.sleep(self.rng.uniform(0, SPREAD * others))


class Outages:
    """One `Outage` for each host."""

    def __init__(self, most: timedelta, rng: random.Random, clock: Clock) -> None:
        self.most = most
        self.rng = rng
        self.clock = clock
        self._hosts: dict[str, Outage] = {}

    def of(self, host: str) -> Outage:
        """Return what is known of a host."""
        return self._hosts.setdefault(host, Outage(self.most, self.rng, self.clock))
