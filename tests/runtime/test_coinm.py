"""binance-coinm end to end, against the simulated COIN-M futures and their faults."""

from decimal import Decimal as D

from accountd.store import tables
from tests.coinm_world import CoinmWorld
from tests.endurance import endure


async def test_first_sync_and_stream_are_exact(sqlite_url):
    """History, then live trading: everything equals the truth, and only what is new rings."""
    world = CoinmWorld(sqlite_url)
    world.coinm.backfill("main", 1.5, 40, 3)
    async with world:
        await world.trade(80, rate=400)
        await world.agreed(40)
        await world.rang()
        assert not world.coinm.counters()["forbidden"]
        assert {row["market"] for row in world.rows(tables.fills)} == {"coinm"}
        for fill in world.rows(tables.fills):
            size = D(100) if fill["symbol"].startswith("BTC") else D(10)
            assert fill["quote_quantity"] == fill["quantity"] * size
        assert not [row for row in world.rows(tables.findings) if row["severity"] == "error"]
        assert await world.stop() == 0


async def test_every_fault_heals(sqlite_url):
    """Through one fault after the other, trading all the while, the record equals the truth in the end."""
    async with CoinmWorld(sqlite_url, KEEPALIVE_INTERVAL="500ms") as world:
        await endure(world)


async def test_without_an_algo_service(sqlite_url):
    """Where COIN-M has no conditional orders yet, everything else is complete and nothing is refused."""
    async with CoinmWorld(sqlite_url, coinm={"algo_service": False}) as world:
        await world.trade(30)
        world.faults.inject("rst")
        await world.trade(20)
        await world.until(world.live, 20)
        await world.agreed(20)
        assert world.coinm.requests["GET /dapi/v1/openAlgoOrders"]
        assert not [row for row in world.rows(tables.findings) if row["kind"] == "symbol_refused"]
