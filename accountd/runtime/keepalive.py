"""Listen keys are renewed here: APScheduler sets the pace, a monotonic guard keeps it honest."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, timedelta

import structlog
from apscheduler.schedulers.asyncio import AsyncIOScheduler
from apscheduler.triggers.interval import IntervalTrigger

from accountd.errors import VenueError
from accountd.runtime.clock import Clock

log = structlog.get_logger("accountd.keepalive")

STEP = 0.5  # seconds that wall and monotonic clock may disagree between two looks
RETRY_FIRST, RETRY_MOST = 1.0, 60.0


@dataclass(slots=True)
class Lease:
    """One key that must be renewed; times are monotonic seconds."""

    renew: Callable[[], Awaitable[None]]
    renewed_at: float
    refused_at: float = float("-inf")  # a permanent refusal: not before the next interval again
    busy: bool = False


class KeepAlive:
    """Calls each account's ``renew`` every ``interval``, and again soon when it failed.

    APScheduler reckons in wall-clock time: a step back would stop its jobs for as long as the step.
    The guard compares the two clocks and re-arms every job on a step; a job that is overdue on the
    monotonic clock, or after a suspension on the wall clock, runs at once.
    """

    def __init__(self, interval: timedelta, clock: Clock) -> None:
        self.interval = interval.total_seconds()
        self.clock = clock
        self.leases: dict[str, Lease] = {}
        self.rearmed = 0
        self._scheduler = AsyncIOScheduler(
            timezone=UTC, job_defaults={"misfire_grace_time": None, "coalesce": True, "max_instances": 1}
        )

    def add(self, account: str, renew: Callable[[], Awaitable[None]]) -> None:
        """Begin to renew an account's key, the first time after one interval."""
        self.leases[account] = Lease(renew, self.clock.monotonic())
        self._arm(account)

    def remove(self, account: str) -> None:
        """Stop renewing an account's key."""
        if self.leases.pop(account, None) is not None and self._scheduler.get_job(account):
            self._scheduler.remove_job(account)

    def age(self, account: str) -> float:
        """Return the seconds since the account's key was last known to be alive."""
        lease = self.leases.get(account)
        return 0.0 if lease is None else self.clock.monotonic() - lease.renewed_at

    async def run(self) -> None:
        """Run the schedule and its guard until cancelled."""
        self._scheduler.start()
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._guard(group), name="accountd-keepalive-guard")
        finally:
            self._scheduler.shutdown(wait=False)

    def _arm(self, account: str) -> None:
        self._scheduler.add_job(
            self._renew, IntervalTrigger(seconds=self.interval, timezone=UTC), args=[account], id=account,
            replace_existing=True,
        )  # fmt: skip

    async def _guard(self, group: asyncio.TaskGroup) -> None:
        tick = min(15.0, self.interval / 4)
        wall, steady = self.clock.now(), self.clock.monotonic()
        while True:
            await self.clock.sleep(tick)
            wall_now, steady_now = self.clock.now(), self.clock.monotonic()
            step = (wall_now - wall).total_seconds() - (steady_now - steady)
            wall, steady = wall_now, steady_now
            if abs(step) > STEP:
                log.warning("clock step", seconds=round(step, 3))
            for account, lease in list(self.leases.items()):
                since = max(lease.renewed_at, lease.refused_at)
                late = not lease.busy and steady_now - since > self.interval + tick
                # a step forward may be a suspension, in which the key went on ageing
                if late or step > STEP:
                    # a task of its own: one venue that does not answer must not keep the others waiting
                    group.create_task(self._renew(account), name=f"accountd-renew-{account}")
                if late or abs(step) > STEP:
                    self.rearmed += 1
                    self._arm(account)

    async def _renew(self, account: str) -> None:
        lease = self.leases.get(account)
        if lease is None or lease.busy:
            return
        lease.busy, wait = True, min(RETRY_FIRST, self.interval / 10)
        try:
            while self.leases.get(account) is lease:
                try:
                    await lease.renew()
                except VenueError as error:
                    log.warning("renewal failed", account=account, error=str(error), code=error.code)
                    if error.permanent:
                        lease.refused_at = self.clock.monotonic()
                        return
                    await self.clock.sleep(max(wait, min(error.retry_after or 0.0, RETRY_MOST)))
                    wait = min(wait * 2, RETRY_MOST, self.interval / 4)
                    continue
                lease.renewed_at = self.clock.monotonic()
                return
        finally:
            lease.busy = False
