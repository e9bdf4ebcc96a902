"""A world whose account is one of portfolio margin: three markets, one stream, and their truths."""

import asyncio
from collections import Counter

from accountd.sim.coinm import Coinm
from accountd.sim.limits import WeightLimit
from accountd.sim.margin_exchange import MarginExchange
from accountd.sim.portfolio import PAIRS, Portfolio
from accountd.sim.spot import Spot
from accountd.sim.spot_model import SPOT_SYMBOLS
from accountd.store import tables
from tests.spot_world import balance_of, fill_of, order_of, trade_name
from tests.world import World, compare, ms

DEBTS = ("borrow", "repay", "interest", "transfer")


class PortfolioWorld(World):
    """A world of portfolio margin; ``weight`` is its limit a minute."""

    def __init__(self, url, *, account=None, weight=6000, **more):
        super().__init__(url, account={"VENUE": "binance-portfolio", **(account or {})}, **more)
        pool = WeightLimit(self.exchange.clock, 2400)
        coinm = Coinm(self.exchange, limit=pool)
        # Two pairs: each reading of margin orders weighs a hundred, of six thousand a minute.
        margin = MarginExchange(self.exchange, [one for one in SPOT_SYMBOLS if one.name in PAIRS])
        spot = Spot(self.exchange, margin)
        for name in self.accounts:
            margin.open_cross(name)
        self.portfolio = Portfolio(coinm, spot, weight_limit=weight)
        products = [self.portfolio, coinm, spot]
        self.server_options = {**self.server_options, "products": products, "weight": pool}

    def truth(self, account="main"):
        """Return what happened in the three markets, by name."""
        return self.portfolio.truth(account)

    async def trade(self, steps, rate=200.0, account="main"):
        """Do so many things, in each market a third of them."""
        traders = self.portfolio.traders(account, self.seed, rate)
        self.seed += 1
        await asyncio.gather(*(trader.run(max(1, steps // 3)) for trader in traders))

    def differences(self, account="main"):
        """Compare each market's record with its truth; empty when they say the same."""
        truth, found = self.truth(account), {}
        for market in ("usdm", "coinm"):
            mine = self.recorded(account, market)
            # The stream tells every asset's balance of every market, which may be zero.
            mine[tables.balances] = [row for row in mine[tables.balances] if row["total"]]
            there = {**truth[market]}
            there["balances"] = {a: total for a, total in there["balances"].items() if float(total)}
            found |= {f"{market} {what}": how for what, how in compare(there, mine).items()}
        return found | self.margin(truth["margin"], self.recorded(account, "margin"))

    def margin(self, truth, mine):
        """Compare the margin wallet."""
        pairs = {
            "margin fills": (
                [fill_of(f)[:6] + fill_of(f)[7:] for f in truth["fills"]],
                [
                    (
                        f["symbol"], f["trade_id"], f["order_id"], f["side"], f["price"], f["quantity"],
                        f["commission"], f["commission_asset"], f["is_maker"], ms(f["traded_at"]),
                    )
                    for f in mine[tables.fills]
                ],
            ),
            "margin orders": (
                [order_of(o) for o in truth["orders"]],
                [
                    (
                        o["symbol"], o["order_id"], o["status"], o["filled_quantity"], o["filled_quote"],
                        o["quantity"], o["price"], o["client_order_id"],
                    )
                    for o in mine[tables.orders]
                    if o["status"] != "REJECTED"
                ],
            ),
            "margin balances": (
                [row for a, b in truth["balances"].items() if any((row := balance_of(a, b))[1:])],
                [
                    (b["asset"], b["free"], b["locked"], b["total"])
                    for b in mine[tables.balances]
                    if b["total"]
                ],
            ),
            "margin transfers": (
                [(m["kind"], m["asset"], str(m["number"])) for m in truth["moves"] if m["kind"] in DEBTS],
                [(t["kind"], t["asset"], t["transfer_id"]) for t in mine[tables.transfers]],
            ),
        }  # fmt: skip
        found = {}
        for what, (there, here) in pairs.items():
            missing, extra = Counter(there) - Counter(here), Counter(here) - Counter(there)
            if missing or extra:
                found[what] = {"missing": list(missing)[:5], "extra": list(extra)[:5]}
        return found

    async def rang(self, seconds=10.0):
        """Wait until every fill since the first start rang, then check that none rang twice."""
        (account,) = self.rows(tables.accounts, tables.accounts.c.name == "main")
        born, truth = ms(account["created_at"]), self.truth()
        fills = [f for market in truth.values() for f in market["fills"] if f["time_ms"] >= born]
        due = {(f["symbol"], trade_name(f) if "allocation_id" in f else str(f["trade_id"])) for f in fills}
        await self.until(lambda: set(self.hook.fills()) >= due, seconds)
        assert set(self.hook.fills()) == due
        assert len(self.hook.fills()) == len(fills)
