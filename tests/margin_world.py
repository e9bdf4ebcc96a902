"""A world whose account trades on margin: cross or isolated, the daemon, and how their truths compare."""

from collections import Counter
from dataclasses import replace
from decimal import Decimal

from accountd.sim.products import build_spot
from accountd.store import tables
from tests.spot_world import balance_of, fill_of, order_of
from tests.world import World, ms

UNUSED = ("ETHBTC", "BTCUSDC")
VENUE = {"margin": "binance-margin", "isolated": "binance-isolated-margin"}
KINDS = ("borrow", "repay", "interest", "transfer", "liquidation_fee")


class MarginWorld(World):
    """A world of margin. ``market`` is margin or isolated, ``product`` attributes of the simulated one."""

    def __init__(self, url, *, market="margin", product=None, account=None, **more):
        # A question about a symbol's orders weighs 200 of 12,000 a minute: few symbols, few sweeps.
        more = {"SWEEP_INTERVAL": "6s", **more}
        super().__init__(url, account={"VENUE": VENUE[market], **(account or {})}, **more)
        self.market = market
        self.margin, self.spot = build_spot(self.exchange, (market,))
        symbols = self.margin.margin.symbols
        for name in UNUSED:
            symbols[name] = replace(symbols[name], margin=False)
        for name, value in (product or {}).items():
            setattr(self.margin, name, value)
        self.server_options = {**self.server_options, "products": [self.margin, self.spot]}

    def environ(self):
        """Return the settings; the WebSocket API lives where the streams do."""
        self.account_more = {"WS_API_URL": self.server.stream_url, **self.account_more}
        return super().environ()

    def wallets(self, account="main"):
        """Return the truths of the wallets, with the name under which the record keeps their balances."""
        truth = self.margin.truth(account)
        if self.market == "margin":
            return [("", truth["margin"])]
        return [(f"{pair}:", one) for pair, one in truth["isolated"].items()]

    async def trade(self, steps, rate=200.0, account="main"):
        """Do so many things, wallet by wallet."""
        traders = self.margin.traders(account, self.seed, rate)
        self.seed += 1
        for trader in traders:
            trader.rate = rate
            await trader.run(max(1, steps // len(traders)))

    def differences(self, account="main"):
        """Compare the record with the exchange's truth; empty when they say the same."""
        found, wallets = {}, self.wallets(account)
        mine = {
            table: self.rows(table, table.c.account_id == account)
            for table in (tables.fills, tables.orders, tables.balances, tables.transfers)
        }
        pairs = {
            "fills": (
                [fill_of(f) for _, one in wallets for f in one["fills"]],
                [
                    (
                        f["symbol"], f["trade_id"], f["order_id"], f["side"], f["price"], f["quantity"],
                        f["quote_quantity"], f["commission"], f["commission_asset"], f["is_maker"],
                        ms(f["traded_at"]),
                    )
                    for f in mine[tables.fills]
                ],
            ),
            "orders": (
                [order_of(o) for _, one in wallets for o in one["orders"]],
                [
                    (
                        o["symbol"], o["order_id"], o["status"], o["filled_quantity"], o["filled_quote"],
                        o["quantity"], o["price"], o["client_order_id"],
                    )
                    for o in mine[tables.orders]
                    if o["status"] != "REJECTED"
                ],
            ),
            "balances": (
                [
                    balance_of(f"{name}{asset}", b)
                    for name, one in wallets
                    for asset, b in one["balances"].items()
                    if any(balance_of("", b)[1:])
                ],
                [
                    (b["asset"], b["free"], b["locked"], b["total"])
                    for b in mine[tables.balances]
                    if b["total"]
                ],
            ),
            "transfers": (
                [
                    (m["kind"], f"{name}{m['asset']}", Decimal(m["amount"]))
                    for name, one in wallets
                    for m in one["moves"]
                    if m["kind"] in KINDS
                ],
                [(t["kind"], t["asset"], t["amount"]) for t in mine[tables.transfers]],
            ),
        }  # fmt: skip
        for what, (there, here) in pairs.items():
            missing, extra = Counter(there) - Counter(here), Counter(here) - Counter(there)
            if missing or extra:
                found[what] = {"missing": list(missing)[:5], "extra": list(extra)[:5]}
        return found

    def subscriptions(self):
        """Return how many subscriptions the venue has."""
        return sum(len(session.subscriptions.active) for session in self.spot.sessions())
