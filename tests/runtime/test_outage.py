"""A host that is out of reach is tried soon, by all accounts together as if they were one."""

import asyncio
import random
from datetime import timedelta

import pytest

from accountd.runtime.backoff import FIRST, Backoff
from accountd.runtime.outage import SHARE, SPREAD, Outages
from tests.fake_clock import FakeClock

MOST = timedelta(seconds=30)


class Host:
    """A host that is out of reach for a while, and accounts that want in."""

    def __init__(self, accounts, down, seed=1):
        self.clock = FakeClock()
        self.outage = Outages(MOST, random.Random(seed), self.clock).of("host")
        self.accounts, self.down = accounts, down
        self.attempts = []  # seconds
        self.inside = {}

    async def account(self, name):
        while True:
            self.attempts.append(self.clock.monotonic())
            if self.clock.monotonic() >= self.down:
                self.inside[name] = self.clock.monotonic()
                self.outage.reached(name)
                return
            await self.outage.turn()

    async def run(self):
        await asyncio.gather(*(self.account(str(number)) for number in range(self.accounts)))
        return self


@pytest.mark.parametrize("seed", range(20))
async def test_a_short_outage_is_not_made_a_long_one(seed):
    """After ten seconds out of reach the next attempt comes within a quarter of that."""
    host = await Host(1, 10.0, seed).run()
    assert host.inside["0"] < 10.0 * (1 + SHARE) + FIRST
    assert len(host.attempts) > 8


@pytest.mark.parametrize("accounts", [1, 40])
async def test_a_long_outage_draws_no_more_attempts_from_forty_accounts(accounts):
    """After each has failed once, they take turns: within the connect budget, and a few a minute later."""
    host = await Host(accounts, 1_200.0).run()
    tries = [at for at in host.attempts if at < 1_200.0][accounts:]
    assert len([at for at in tries if at < 300.0]) < 75
    assert 30 < len([at for at in tries if at >= 300.0]) < 120


async def test_without_it_a_hundred_accounts_use_up_the_hosts_connects():
    """Control: each by itself, they have tried more than 150 times within five seconds."""
    tries = []
    for number in range(100):
        backoff, at = Backoff(MOST, random.Random(number)), 0.0
        while at < 5.0:
            tries.append(at)
            at += backoff.next()
    assert len(tries) > 300


async def test_the_first_that_gets_through_wakes_all():
    """Forty accounts are back within a second of it, and not in one moment."""
    host = await Host(40, 120.0).run()
    back = sorted(host.inside.values())
    assert back[-1] - back[0] <= SPREAD * 40
    assert back[20] - back[1] > 0.1


async def test_a_failure_is_an_accounts_own_while_another_is_connected():
    """Only when nobody is connected any more is the host out of reach."""
    outage = Host(0, 0.0).outage
    outage.reached("well")
    assert outage.elsewhere
    outage.left("well")
    assert not outage.elsewhere


async def test_a_cancelled_wait_leaves_nothing_behind():
    """An account that stops while it waits neither holds the others up nor counts for them."""
    host = Host(2, 10.0)
    first = asyncio.create_task(host.account("gone"))
    for _ in range(3):
        await asyncio.sleep(0)
    first.cancel()
    await asyncio.gather(first, return_exceptions=True)
    await host.account("0")
    assert host.inside["0"] < 14.0
    assert host.outage._waiting == 0
