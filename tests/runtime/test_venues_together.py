"""Accounts of several venues in one daemon: one that is broken in every way does not touch the others."""

import time

from accountd.sim.coinm import Coinm
from accountd.sim.limits import WeightLimit
from accountd.sim.options_product import Options
from accountd.store import tables
from tests.world import WEIGHT, World

VENUES = {"main": "binance-usdm", "coin": "binance-coinm", "calls": "binance-options"}


class Together(World):
    """A world with an account of each of three venues."""

    def __init__(self, url, **more):
        super().__init__(url, accounts=tuple(VENUES), **more)
        clock = self.exchange.clock
        self.coinm = Coinm(self.exchange, limit=WeightLimit(clock, WEIGHT))
        self.options = Options(self.exchange, limit=WeightLimit(clock, WEIGHT))
        self.server_options = {"products": [self.options, self.coinm]}

    def environ(self):
        """Return the settings, each account with its venue."""
        env = super().environ()
        return env | {f"ACCOUNTD_ACCOUNTS__{name.upper()}__VENUE": word for name, word in VENUES.items()}


async def test_a_broken_venue_leaves_the_others_alone(sqlite_url):
    """While COIN-M refuses, expires and lies, USDⓈ-M stays LIVE and its fills ring within a second."""
    async with Together(sqlite_url) as world:
        world.faults.inject("http_5xx", path="/dapi/", n=10_000, status=503)
        world.faults.inject("expire_key", account="coin")
        slowest = 0.0
        rounds = 0
        while rounds < 8 or (world.live("coin") and rounds < 200):
            rounds += 1
            began, before = time.monotonic(), len(world.hook.fills())
            world.exchange.burst("main", 3, "BTCUSDT")
            await world.until(lambda n=before: len(world.hook.fills()) >= n + 3, 5)
            slowest = max(slowest, time.monotonic() - began)
            assert world.live("main")
        assert slowest < 1.0
        assert not world.live("coin")
        world.faults.clear()
        await world.coinm.trader("coin", 3, 200).run(10)
        await world.until(lambda: world.live("coin"), 20)
        for name, truth in (("coin", world.coinm.truth("coin")), ("main", world.exchange.truth("main"))):
            mine, fills = tables.fills.c.account_id == name, len(truth["fills"])
            await world.until(lambda n=fills, own=mine: len(world.rows(tables.fills, own)) == n, 20)
