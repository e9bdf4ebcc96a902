"""A world whose account trades COIN-M: the simulated product, the daemon, and how their truths compare."""

from accountd.sim.coinm import Coinm
from accountd.sim.limits import WeightLimit
from tests.world import World


class CoinmWorld(World):
    """A world of COIN-M. ``coinm`` are options of the simulated product."""

    def __init__(self, url, *, coinm=None, account=None, **more):
        super().__init__(url, account={"VENUE": "binance-coinm", **(account or {})}, **more)
        pool = WeightLimit(self.exchange.clock, 2400)
        self.coinm = Coinm(self.exchange, limit=pool, **(coinm or {}))
        self.server_options = {**self.server_options, "products": [self.coinm], "weight": pool}

    def truth(self, account="main"):
        """Return what happened to the COIN-M wallet."""
        return self.coinm.truth(account)

    async def trade(self, steps, rate=200.0, account="main"):
        """Do so many things on the wallet."""
        trader = self.coinm.trader(account, self.seed, rate)
        self.seed += 1
        await trader.run(steps)
