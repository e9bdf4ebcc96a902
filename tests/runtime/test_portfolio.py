"""binance-portfolio end to end, against the simulated portfolio margin account and its faults."""

import json

import pytest

from accountd.sim.portfolio_events import risk
from accountd.store import tables
from accountd.venues.base import Pool
from accountd.venues.binance_portfolio import POOL, BinancePortfolio
from tests.endurance import FEWER, endure
from tests.portfolio_world import PortfolioWorld
from tests.world import World

PLENTY = 60_000


@pytest.fixture
def plenty(monkeypatch):
    """Ten times the weight: a minute's worth of reconnects in a second must not wait for the next minute."""
    pools = BinancePortfolio.pools | {POOL: Pool(limit=PLENTY)}
    monkeypatch.setattr(BinancePortfolio, "pools", pools)


async def test_first_sync_and_stream_are_exact(sqlite_url, plenty):
    """History, then live trading in three markets: each equals its truth, and only what is new rings."""
    world = PortfolioWorld(sqlite_url, weight=PLENTY)
    world.portfolio.backfill("main", 1.5, 45, 3)
    async with world:
        await world.trade(90, rate=400)
        await world.agreed(40)
        await world.rang()
        assert not world.portfolio.counters()["forbidden"]
        assert {row["market"] for row in world.rows(tables.fills)} == {"usdm", "coinm", "margin"}
        assert not [row for row in world.rows(tables.findings) if row["severity"] == "error"]
        assert await world.stop() == 0


async def test_every_fault_heals(sqlite_url, plenty):
    """Through one fault after the other, trading all the while, the record equals the truth in the end."""
    async with PortfolioWorld(sqlite_url, weight=PLENTY, KEEPALIVE_INTERVAL="500ms") as world:
        await endure(world, FEWER)


async def test_a_pro_account_has_a_second_stream(sqlite_url):
    """With PORTFOLIO_PRO a USDⓈ-M account stands in two doors by one key, and the risk stream rings."""
    async with World(sqlite_url, account={"PORTFOLIO_PRO": "true"}) as world:
        targets = sorted(session.target.partition("?")[0] for session in world.server.sessions)
        assert [one.split("/")[1] for one in targets] == ["private", "ws"]
        key = world.server.keys.current(world.exchange.accounts["main"])
        world.server.usdm.push(key, risk(world.exchange.clock.now(), "FORCE_LIQUIDATION"))
        await world.until(lambda: world.hook.bodies)
        await world.trade(20)
        await world.agreed()
        rung = [json.loads(bodies[0]) for bodies in world.hook.bodies.values()]
        (alarm,) = [one["data"] for one in rung if one["type"] == "liquidation"]
        assert (alarm["risk_level"], alarm["uni_mmr"]) == ("FORCE_LIQUIDATION", "1.99999999")
