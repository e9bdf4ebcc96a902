"""A world whose account trades spot: the simulated exchange, the daemon, and how their truths compare."""

from collections import Counter
from decimal import Decimal

from accountd.sim.spot import Spot
from accountd.store import tables
from tests.world import World, ms

VENUE = {"binance": "binance-spot", "us": "binance-us"}
# How the exchange names a movement, and how the record does.
MOVES = {"deposit": "deposit", "withdrawal": "withdrawal", "transfer": "transfer", "dividend": "dividend"}


class SpotWorld(World):
    """A world of spot. ``spot`` are options of the simulated product, ``mode`` binance or us."""

    def __init__(self, url, *, mode="binance", spot=None, account=None, **more):
        super().__init__(url, account={"VENUE": VENUE[mode], **(account or {})}, **more)
        self.spot = Spot(self.exchange, mode=mode, **(spot or {}))
        self.server_options = {**self.server_options, "products": [self.spot]}

    def environ(self):
        """Return the settings; the WebSocket API lives where the streams do."""
        self.account_more = {"WS_API_URL": self.server.stream_url, **self.account_more}
        return super().environ()

    def truth(self, account="main"):
        """Return what happened to the wallet."""
        return self.spot.truth(account)

    async def trade(self, steps, rate=200.0, account="main"):
        """Do so many things on the wallet."""
        (trader,) = self.spot.traders(account, self.seed, rate)
        self.seed += 1
        await trader.run(steps)

    def differences(self, account="main"):
        """Compare the record with the exchange's truth; empty when they say the same."""
        truth, found = self.truth(account), {}
        mine = {
            table: self.rows(table, table.c.account_id == account)
            for table in (tables.fills, tables.orders, tables.balances, tables.transfers)
        }
        pairs = {
            "fills": (
                [fill_of(f) for f in truth["fills"]],
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
                [order_of(o) for o in truth["orders"]],
                [
                    (
                        o["symbol"], o["order_id"], o["status"], o["filled_quantity"], o["filled_quote"],
                        o["quantity"], o["price"], o["client_order_id"],
                    )
                    for o in mine[tables.orders]
                    if o["status"] != "REJECTED"  # told by the stream alone: the exchange keeps no such order
                ],
            ),
            "balances": (
                [row for asset, b in truth["balances"].items() if any((row := balance_of(asset, b))[1:])],
                [
                    (b["asset"], b["free"], b["locked"], b["total"])
                    for b in mine[tables.balances]
                    if b["total"]
                ],
            ),
            "transfers": (
                [
                    (MOVES[m["kind"]], m["asset"], Decimal(m["amount"]))
                    for m in truth["moves"]
                    if m["kind"] in MOVES and (self.spot.pushes or m["kind"] in ("deposit", "withdrawal"))
                ],
                [
                    (t["kind"], t["asset"], t["amount"])
                    for t in mine[tables.transfers]
                    if t["kind"] in MOVES.values()
                ],
            ),
        }  # fmt: skip
        for what, (there, here) in pairs.items():
            missing, extra = Counter(there) - Counter(here), Counter(here) - Counter(there)
            if missing or extra:
                found[what] = {"missing": list(missing)[:5], "extra": list(extra)[:5]}
        return found

    async def rang(self, seconds=10.0):
        """Wait until every fill since the first start rang, then check that none rang twice."""
        (account,) = self.rows(tables.accounts, tables.accounts.c.name == "main")
        born = ms(account["created_at"])
        due = {(f["symbol"], trade_name(f)) for f in self.truth()["fills"] if f["time_ms"] >= born}
        await self.until(lambda: set(self.hook.fills()) >= due, seconds)
        assert sorted(self.hook.fills()) == sorted(due)


def trade_name(fill):
    """Return the trade id of the record: allocations have numbers of their own."""
    return f"alloc-{fill['allocation_id']}" if int(fill["trade_id"]) < 0 else str(fill["trade_id"])


def fill_of(f):
    """Return what the exchange says of an execution."""
    numbers = (Decimal(f[name]) for name in ("price", "quantity", "quote", "commission"))
    return (
        f["symbol"], trade_name(f), str(f["order_id"]), f["side"], *numbers, f["commission_asset"],
        f["maker"], f["time_ms"],
    )  # fmt: skip


def order_of(o):
    """Return what the exchange says of an order."""
    numbers = (Decimal(o[name]) for name in ("filled", "quote", "quantity", "price"))
    return (o["symbol"], str(o["order_id"]), o["status"], *numbers, o["client_order_id"])


def balance_of(asset, b):
    """Return what the exchange says of a balance."""
    free, locked = Decimal(b["free"]), Decimal(b["locked"])
    return asset, free, locked, free + locked
