"""binance-portfolio end to end, against the simulated portfolio margin account and its faults."""

from accountd.store import tables
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


FAULTS = [
    [("rst", {})],
    [
        ("duplicate", {"p": 0.4, "seconds": 1}), ("reorder", {"p": 0.4, "seconds": 1}),
        ("drop", {"p": 0.3, "seconds": 1}), ("torn_frame", {"n": 3}), ("extra_fields", {"seconds": 1}),
    ],
    [("expire_key", {})],
    [("replace_key", {})],
    [("stale_rest", {"seconds": 0.3, "lasting": 1}), ("torn_json", {"n": 1}), ("close", {})],
    [("html", {"n": 1, "status": 200}), ("http_5xx", {"n": 2, "status": 503}), ("close", {})],
    [("rate_limit", {"n": 1, "retry_after": 1}), ("close", {})],
    [("ban", {"seconds": 1}), ("close", {})],
    [("expire_key", {"told": False})],
    [("blackhole", {"seconds": 0.3, "where": "stream"})],
]  # fmt: skip


async def test_every_fault_heals(sqlite_url):
    """Through one fault after the other, trading all the while, the record equals the truth in the end."""
    async with PortfolioWorld(sqlite_url) as world:
        for faults in FAULTS:
            for fault, options in faults:
                world.faults.inject(fault, **options)
            await world.trade(18, rate=120)
            await world.until(world.live, 20)
        await world.trade(12)
        await world.agreed(30)
        await world.rang()
