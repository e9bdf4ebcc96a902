"""No listen key dies of a clock: renewals go on through steps, freezes, suspensions and failures.

An hour is shrunk to a second or so: keys live for two intervals, as they do at the venue by default.
"""

import asyncio
import time
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from apscheduler.executors import base as executors
from apscheduler.schedulers import base as schedulers
from apscheduler.triggers import interval as triggers

from accountd.errors import KeyRefused, VenueUnavailable
from accountd.runtime.keepalive import KeepAlive

INTERVAL = 0.4
LIFETIME = 2 * INTERVAL
HOUR = 3_600.0


class Stepped:
    """The machine's clocks, whose wall clock an administrator, or a suspension, moves."""

    def __init__(self):
        self.offset = timedelta(0)

    def now(self):
        return datetime.now(UTC) + self.offset

    def monotonic(self):
        return time.monotonic()

    async def sleep(self, seconds):
        await asyncio.sleep(max(0.0, seconds))

    def step(self, seconds):
        self.offset += timedelta(seconds=seconds)


@pytest.fixture
def clock(monkeypatch):
    """A clock that can be stepped, which the scheduler reads too."""
    made = Stepped()

    class Moved(datetime):
        @classmethod
        def now(cls, tz=None):
            return datetime.now(tz) + made.offset

    for module in (executors, schedulers, triggers):
        monkeypatch.setattr(module, "datetime", Moved)
    return made


class Key:
    """A listen key at a venue that may refuse; remembers when it was renewed and when it was tried."""

    def __init__(self, *refusals):
        self.refusals = list(refusals)
        self.tried = []
        self.renewed = [time.monotonic()]

    async def renew(self):
        self.tried.append(time.monotonic())
        if self.refusals:
            raise self.refusals.pop(0)
        self.renewed.append(time.monotonic())

    def longest(self):
        """Return the longest time without a renewal, up to now."""
        times = [*self.renewed, time.monotonic()]
        return max(later - earlier for earlier, later in pairwise(times))


@asynccontextmanager
async def keeping(clock, **keys):
    """Keep keys alive."""
    keeper = KeepAlive(timedelta(seconds=INTERVAL), clock)
    running = asyncio.create_task(keeper.run())
    await asyncio.sleep(0)
    for name, key in keys.items():
        keeper.add(name, key.renew)
    try:
        yield keeper
    finally:
        assert not running.done()
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


async def lives_through(clock, *moves):
    """Keep a key through moves of the clock, one each interval and a bit; return the key."""
    key = Key()
    async with keeping(clock, main=key):
        await asyncio.sleep(INTERVAL * 0.7)
        for move in moves:
            clock.step(move)
            await asyncio.sleep(INTERVAL * 1.2)
        await asyncio.sleep(INTERVAL)
    return key


async def test_a_key_is_renewed_at_the_pace(clock):
    """With nothing wrong there is one renewal an interval, not more."""
    key = await lives_through(clock, 0, 0, 0)
    assert key.longest() < LIFETIME
    assert 4 <= len(key.tried) <= 6


@pytest.mark.parametrize(
    "moves", [(-HOUR,), (HOUR,), (-HOUR, HOUR), (HOUR, -HOUR), (-HOUR, -HOUR), (-2.0, 2.0)], ids=str
)
async def test_a_step_of_the_wall_clock_delays_no_renewal(clock, moves):
    """An hour back or forth, or both, leaves no gap as long as the key's life."""
    key = await lives_through(clock, *moves)
    assert key.longest() < LIFETIME
    assert len(key.tried) <= 10


async def test_without_the_guard_a_step_back_kills_the_key(clock, monkeypatch):
    """Control: the scheduler alone sleeps through the hour that the clock was set back by."""

    async def blind(self, group):
        await asyncio.Event().wait()

    monkeypatch.setattr(KeepAlive, "_guard", blind)
    key = await lives_through(clock, -HOUR)
    assert key.longest() > LIFETIME


async def test_a_frozen_process_renews_when_it_thaws(clock):
    """Stopped past the time of a renewal, the process makes it up at once."""
    key = Key()
    async with keeping(clock, main=key):
        await asyncio.sleep(INTERVAL * 0.7)
        time.sleep(INTERVAL * 0.6)  # noqa: ASYNC251  # the freeze: both clocks go on, nothing of ours runs
        thawed = time.monotonic()
        await asyncio.sleep(INTERVAL * 0.5)
    assert key.renewed[-1] - thawed < INTERVAL * 0.4
    assert key.longest() < LIFETIME


async def test_a_suspended_machine_renews_when_it_wakes(clock):
    """After a suspension, which only the wall clock knows of, the key is renewed within a look or two."""
    key = Key()
    async with keeping(clock, main=key):
        await asyncio.sleep(INTERVAL * 0.2)
        clock.step(1_500)
        woken = time.monotonic()
        await asyncio.sleep(INTERVAL * 0.6)
        assert len(key.tried) == 1
        assert key.tried[0] - woken < INTERVAL * 0.5


async def test_a_failed_renewal_is_made_again_soon(clock):
    """One PUT that fails costs a fraction of an interval, not a whole one."""
    key = Key(VenueUnavailable("502"), VenueUnavailable("502"))
    async with keeping(clock, main=key):
        await asyncio.sleep(INTERVAL * 2)
    assert key.tried[2] - key.tried[0] < INTERVAL * 0.6
    assert key.longest() < LIFETIME


async def test_a_permanent_refusal_is_not_hammered(clock):
    """A key that is refused for good is tried again at the pace of the schedule, not of the guard."""
    key = Key(*[KeyRefused("-2015") for _ in range(100)])
    async with keeping(clock, main=key):
        await asyncio.sleep(INTERVAL * 4.5)
    assert 2 <= len(key.tried) <= 5


async def test_one_venue_that_fails_keeps_no_other_waiting(clock):
    """While one account's renewal fails for ever, a step of the clock is still seen for the others."""
    dead, well = Key(*[VenueUnavailable("502") for _ in range(1_000)]), Key()
    async with keeping(clock, dead=dead, well=well):
        await asyncio.sleep(INTERVAL * 0.3)
        clock.step(HOUR)  # the guard itself renews both now
        await asyncio.sleep(INTERVAL * 0.7)
        clock.step(-2 * HOUR)
        await asyncio.sleep(INTERVAL * 2.5)
    assert well.longest() < LIFETIME
    assert len(dead.tried) > 3


async def test_a_key_that_is_given_up_is_left_alone(clock):
    """After its removal a key is not renewed, not even by a retry that was under way."""
    key = Key(*[VenueUnavailable("502") for _ in range(1_000)])
    async with keeping(clock, main=key) as keeper:
        await asyncio.sleep(INTERVAL * 1.3)
        assert keeper.age("main") > INTERVAL
        keeper.remove("main")
        tried = len(key.tried)
        await asyncio.sleep(INTERVAL * 1.5)
        assert len(key.tried) <= tried + 1
        assert keeper.age("main") == 0.0
