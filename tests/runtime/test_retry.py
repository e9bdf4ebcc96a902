"""An account connects again alone, in turn with the others of its host, or after a flood not for long."""

import random
from datetime import timedelta

import pytest

from accountd.runtime.backoff import FIRST, HEALTHY, Backoff
from accountd.runtime.outage import Outage
from accountd.runtime.retry import Retry
from tests.fake_clock import FakeClock

MOST = timedelta(seconds=60)


class Greatest(random.Random):
    """Draws the upper bound every time."""

    def uniform(self, low, high):
        return high


@pytest.fixture
def clock():
    return FakeClock()


@pytest.fixture
def outage(clock):
    return Outage(MOST, Greatest(), clock)


@pytest.fixture
def retry(clock, outage):
    return Retry("main", Backoff(MOST, Greatest()), outage, clock)


async def waited(retry, clock, lived=0.0, outside=False):
    """Return for how long an account pauses."""
    before = clock.monotonic()
    await retry.pause(lived, outside)
    return clock.monotonic() - before


async def test_its_own_failures_wait_longer_each_time_until_it_was_healthy(retry, clock):
    """A failure inside counts too; life that was LIVE for long is forgiven."""
    assert [await waited(retry, clock) for _ in range(3)] == [FIRST, 1, 2]
    assert retry.soon() == 4
    assert await waited(retry, clock) == 8
    assert await waited(retry, clock, lived=HEALTHY) == FIRST


async def test_out_of_reach_it_takes_its_turn(retry, clock):
    """While nobody reaches the host its own failures do not count: the outage says when."""
    assert [await waited(retry, clock, outside=True) for _ in range(3)] == [FIRST] * 3
    assert retry.backoff.failures == 0


async def test_another_account_that_is_connected_makes_it_its_own_failure(retry, outage, clock):
    """What fails for one alone is no outage of the host."""
    outage.reached("other")
    assert [await waited(retry, clock, outside=True) for _ in range(3)] == [FIRST, 1, 2]
    outage.left("other")
    assert await waited(retry, clock, outside=True) == FIRST
    assert retry.backoff.failures == 3


async def test_what_it_reaches_and_loses_is_known_to_the_others(retry, outage):
    """Its own connection counts for the host until it is lost."""
    retry.connected()
    assert outage.elsewhere
    retry.lost()
    assert not outage.elsewhere


@pytest.mark.parametrize("outside", [False, True])
async def test_after_a_flood_it_waits_for_long_once(retry, clock, outside):
    """Whatever else is true, a flood costs the longest wait; the next one is as usual, and longer by it."""
    retry.flooded()
    retry.flooded()
    assert await waited(retry, clock, lived=HEALTHY, outside=outside) == 60
    assert await waited(retry, clock) == 1
