"""Reconnects are spread, remember failure until proven healthy, and stay within the host's budget."""

import asyncio
import random
from datetime import timedelta

import pytest

from accountd.runtime.backoff import FIRST, HEALTHY, Backoff, ConnectBudget
from tests.fake_clock import FakeClock

MOST = timedelta(seconds=60)


class Greatest(random.Random):
    """Draws the upper bound every time."""

    def uniform(self, low, high):
        assert low == 0
        return high


def test_the_cap_doubles_up_to_the_longest_wait():
    """The caps of consecutive waits are 0.5, 1, 2 ... and never more than the setting, however many."""
    backoff = Backoff(MOST, Greatest())
    caps = [backoff.next() for _ in range(2_000)]
    assert caps[:9] == [FIRST, 1, 2, 4, 8, 16, 32, 60, 60]
    assert max(caps) == 60


def test_waits_are_spread_from_nothing_to_the_cap():
    """Full jitter: of a thousand fleets' eighth waits every tenth of the range has its share."""
    waits = []
    for seed in range(1_000):
        backoff = Backoff(MOST, random.Random(seed))
        waits.append([backoff.next() for _ in range(8)][-1])
    assert all(0 <= wait <= 60 for wait in waits)
    shares = [sum(low <= wait < low + 6 for wait in waits) for low in range(0, 60, 6)]
    assert all(60 < share < 150 for share in shares)


@pytest.mark.parametrize(("lived", "forgiven"), [(0.0, False), (HEALTHY - 0.1, False), (HEALTHY, True)])
def test_only_healthy_life_is_forgiven(lived, forgiven):
    """Failures are forgotten after half a minute of LIVE, not after a handshake."""
    backoff = Backoff(MOST, Greatest())
    for _ in range(5):
        backoff.next()
    assert backoff.next(lived) == (FIRST if forgiven else 16)


def test_a_venue_that_accepts_and_closes_is_not_stormed():
    """Accepting and closing at once for ten minutes draws a few dozen connections, not thousands."""
    backoff, passed, tries = Backoff(MOST, random.Random(1)), 0.0, 0
    while passed < 600:
        passed += backoff.next(lived=0.05)
        tries += 1
    assert tries < 60


def test_were_every_handshake_forgiven_it_would_be_stormed():
    """Control: with failures forgotten at each connect, the same ten minutes draw over a thousand."""
    backoff, passed, tries = Backoff(MOST, random.Random(1)), 0.0, 0
    while passed < 600:
        passed += backoff.next(lived=HEALTHY)
        tries += 1
    assert tries > 1_000


def most_within(times, window):
    """Return the largest number of times in any window, half open."""
    return max(sum(start <= other < start + window for other in times) for start in times)


async def connects(limit, accounts, each, hosts=1):
    """Let accounts connect as often as they may; return when each connect to host 0 was allowed."""
    clock = FakeClock()
    budget = ConnectBudget(limit, timedelta(minutes=5), clock)
    times = []

    async def account(number):
        for _ in range(each):
            await budget.acquire(f"host-{number % hosts}")
            if number % hosts == 0:
                times.append(clock.monotonic())

    await asyncio.gather(*(account(number) for number in range(accounts)))
    return times


async def test_all_accounts_share_the_budget_of_a_host():
    """Forty accounts that reconnect at once stay within 150 in any five minutes, and all get through."""
    times = await connects(150, 40, 10)
    assert len(times) == 400
    assert most_within(times, 300) == 150
    assert times[-1] == 600


async def test_without_the_budget_it_is_broken():
    """Control: the same accounts under no limit pass 150 in five minutes."""
    assert most_within(await connects(10_000, 40, 10), 300) == 400


async def test_another_host_has_a_budget_of_its_own():
    """What is spent on one host takes nothing from another."""
    times = await connects(10, 4, 5, hosts=2)
    assert times == [0.0] * 10


async def test_a_wall_clock_step_changes_no_budget():
    """An hour's step of the wall clock neither frees nor blocks a connect."""
    clock = FakeClock()
    budget = ConnectBudget(2, timedelta(minutes=5), clock)
    for _ in range(2):
        await budget.acquire("host")
    clock.step_wall(3_600)
    await budget.acquire("host")
    assert clock.monotonic() == 300


async def test_one_that_is_cut_for_ever_keeps_nobody_out():
    """An account that connects again and again uses up half of a host's budget; another gets in at once."""
    clock = FakeClock()
    budget = ConnectBudget(10, timedelta(minutes=5), clock)
    await budget.acquire("host", "well")

    async def storm():
        for _ in range(20):
            await budget.acquire("host", "cut")

    storming = asyncio.create_task(storm())
    await asyncio.sleep(0)
    for _ in range(4):
        await budget.acquire("host", "well")
    assert clock.monotonic() == 0
    await storming
    assert clock.monotonic() == 900
