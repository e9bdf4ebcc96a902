"""Clocks: the venue's time survives steps of the wall."""

from datetime import UTC, timedelta

from accountd.runtime.clock import SystemClock, VenueClock
from tests.fake_clock import FakeClock


def test_venue_time_ignores_wall_steps():
    """Once measured, the venue's time is carried on by the monotonic clock."""
    clock = FakeClock()
    venue = VenueClock(clock)
    assert venue.now() == clock.now()
    assert not venue.measured
    ahead = timedelta(seconds=3)
    start = clock.now() + ahead
    assert venue.set(start) == ahead
    clock.step_wall(3600)
    clock.advance(10)
    assert venue.now() == start + timedelta(seconds=10)
    assert venue.measured


async def test_the_system_clock_is_aware_and_steady():
    """The wall clock is UTC, the monotonic one never falls, and a negative sleep returns."""
    clock = SystemClock()
    before = clock.monotonic()
    await clock.sleep(-1)
    assert clock.now().tzinfo is UTC
    assert clock.monotonic() >= before
