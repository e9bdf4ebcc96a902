"""binance-options end to end: a listen key, its stream over a real socket, and the venue's histories."""

from decimal import Decimal as D

from accountd.sim.limits import WeightLimit
from accountd.sim.options_product import Options
from accountd.store import tables
from tests.world import WEIGHT, World

CALL, PUT = "BTC-270326-90000-C", "BTC-270326-60000-P"
KINDS = {"FEE": "commission", "CONTRACT": "contract", "TRANSFER": "transfer", "DELIVERY": "delivery"}


class OptionsWorld(World):
    """A world whose account trades options."""

    def __init__(self, url, **more):
        super().__init__(url, account={"VENUE": "binance-options"}, **more)
        self.product = Options(self.exchange, limit=WeightLimit(self.exchange.clock, WEIGHT))
        self.options = self.product.options
        self.server_options = {"products": [self.product]}

    def differences(self, account="main"):
        """Compare the record with the truth; empty when they say the same."""
        truth, mine = self.product.truth(account), self.recorded(account)
        pairs = {
            "fills": (
                {(f["symbol"], str(f["tradeId"]), D(f["quantity"]), -D(f["fee"])) for f in truth["fills"]},
                {(f["symbol"], f["trade_id"], f["quantity"], f["commission"]) for f in mine[tables.fills]},
            ),
            "orders": (
                {(str(o["orderId"]), o["status"], o["clientOrderId"]) for o in truth["orders"]},
                {(o["order_id"], o["status"], o["client_order_id"]) for o in mine[tables.orders]},
            ),
            "positions": (
                {(symbol, D(held)) for symbol, held in truth["positions"].items() if D(held)},
                {(p["symbol"], p["quantity"]) for p in mine[tables.positions] if p["quantity"]},
            ),
            "balance": ({D(truth["cash"])}, {b["total"] for b in mine[tables.balances]}),
            "transfers": (
                {(KINDS[b["type"]], str(b["id"]), D(b["amount"])) for b in truth["bill"]}
                | {("exercise", e["id"], D(e["amount"])) for e in truth["exercises"]},
                {(t["kind"], t["transfer_id"], t["amount"]) for t in mine[tables.transfers]},
            ),
        }
        return {what: (there ^ here) for what, (there, here) in pairs.items() if there != here}


async def test_history_stream_and_a_cut_are_exact(sqlite_url):
    """History, live trading, an expired key and a cut: fills, fees, positions, bill and exercises tie."""
    world = OptionsWorld(sqlite_url)
    world.options.place("main", CALL, "BUY", D("0.5"), D(1200))
    async with world:
        world.options.place("main", CALL, "BUY", D("0.1"), D(1250))
        world.options.place("main", PUT, "SELL", D("0.3"), D(800))
        world.options.deposit("main", D(250))
        await world.until(lambda: len(world.rows(tables.fills)) == 3)
        assert [row["source"] for row in world.rows(tables.fills)].count("stream") == 2
        await world.agreed()
        world.faults.inject("expire_key")
        world.options.place("main", CALL, "SELL", D("0.6"), D(1300))
        world.options.exercise("main", PUT, D("-30"))
        await world.agreed(20)
        world.faults.inject("rst")
        world.options.place("main", PUT, "BUY", D("0.2"), D(700))
        await world.until(world.live, 20)
        await world.agreed(20)
        due = [(PUT, "1"), (PUT, "2"), (CALL, "2"), (CALL, "3")]
        await world.until(lambda: sorted(world.hook.fills()) == due)
        assert not world.product.forbidden
        assert {row["market"] for row in world.rows(tables.fills)} == {"options"}


async def test_many_trades_tie(sqlite_url):
    """A trader's orders and fills in every contract are exact, from history and from the stream."""
    world = OptionsWorld(sqlite_url)
    world.product.backfill("main", 0.5, 20, 3)
    async with world:
        (trader,) = world.product.traders("main", 5, 200)
        await trader.run(40)
        await world.agreed(30)
