"""binance-portfolio end to end, against the simulated portfolio margin account and its faults."""

from accountd.store import tables
from tests.endurance import endure
from tests.portfolio_world import PortfolioWorld


async def test_first_sync_and_stream_are_exact(database_url):
    """History, then live trading in three markets: each equals its truth, and only what is new rings."""
    world = PortfolioWorld(database_url)
    world.portfolio.backfill("main", 1.5, 45, 3)
    async with world:
        await world.trade(90, rate=400)
        await world.agreed(40)
        await world.rang()
        assert not world.portfolio.counters()["forbidden"]
        assert {row["market"] for row in world.rows(tables.fills)} == {"usdm", "coinm", "margin"}
        assert not [row for row in world.rows(tables.findings) if row["severity"] == "error"]
        assert await world.stop() == 0


async def test_every_fault_heals(sqlite_url):
    """Through one fault after the other, trading all the while, the record equals the truth in the end."""
    async with PortfolioWorld(sqlite_url, SWEEP_INTERVAL="5s", KEEPALIVE_INTERVAL="500ms") as world:
        await endure(world)
