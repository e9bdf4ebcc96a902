"""binance-spot and binance-us end to end, against the simulated spot exchange and its faults."""

import pytest

from tests.spot_world import SpotWorld


@pytest.mark.parametrize("mode", ["binance", "us"])
async def test_first_sync_and_stream_are_exact(database_url, mode):
    """History, then live trading: everything equals the truth, and only what is new rings."""
    world = SpotWorld(database_url, mode=mode)
    world.spot.backfill("main", 1.5, 40, 3)
    async with world:
        await world.trade(80)
        await world.agreed(40)
        await world.rang()
        assert not world.spot.counters()["forbidden"]
        assert await world.stop() == 0


CUTS = {
    "close": [("close", {})],
    "rst": [("rst", {})],
    "half open": [("half_open", {})],
    "blackhole": [("blackhole", {"seconds": 1.0})],
    "refuse": [("refuse", {"seconds": 1.0}), ("rst", {})],
    "duplicate": [("duplicate", {"p": 0.5, "seconds": 2})],
    "reorder": [("reorder", {"p": 0.5, "seconds": 2})],
    "drop while connected": [("drop", {"p": 0.3, "seconds": 2})],
    "stale REST": [("stale_rest", {"seconds": 0.3, "lasting": 2}), ("close", {})],
    "429": [("rate_limit", {"n": 1, "retry_after": 1}), ("close", {})],
    "REST 5xx": [("http_5xx", {"n": 12, "status": 503}), ("close", {})],
    "torn JSON and HTML": [("torn_json", {"n": 3}), ("html", {"n": 3, "status": 200}), ("close", {})],
    "torn frames": [("torn_frame", {"n": 3})],
    "server shutdown": [("server_shutdown", {"seconds": 1.0})],
    "subscription ended": [("terminate_stream", {})],
    "subscription dead in silence": [("kill_subscription", {})],
}


@pytest.mark.parametrize("name", CUTS)
async def test_every_fault_heals(sqlite_url, name):
    """After any fault, with trading before, during and after it, the record equals the truth."""
    async with SpotWorld(sqlite_url) as world:
        await world.trade(15)
        for fault, options in CUTS[name]:
            world.faults.inject(fault, **options)
        await world.trade(40, rate=80)
        await world.until(world.live, 20)
        await world.trade(10)
        await world.agreed(20)
        await world.rang()
