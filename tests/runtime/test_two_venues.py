"""Accounts of different venues in one daemon: what breaks one does not touch the other."""

import asyncio

from accountd.store import tables
from tests.spot_world import SpotWorld
from tests.world import World

# In turn, and some of them at once: everything that can be wrong with a venue.
BREAKAGES = [
    [("garbage", {"kind": kind}) for kind in ("binary", "utf8", "json", "event", "array")],
    [("torn_frame", {"n": 20}), ("duplicate", {"p": 0.5, "seconds": 1}), ("drop", {"p": 0.5, "seconds": 1})],
    [("terminate_stream", {}), ("http_5xx", {"n": 50, "status": 503})],
    [("torn_json", {"n": 20}), ("rst", {})],
    [("html", {"n": 20, "status": 200}), ("close", {})],
    [("accept_then_close", {"n": 5}), ("rst", {}), ("slow_rest", {"seconds": 1.0, "lasting": 2})],
    [("rate_limit", {"n": 3, "retry_after": 1}), ("half_open", {})],
    [("revoke_key", {}), ("rst", {})],
    [("blackhole", {"seconds": 1.0}), ("refuse", {"seconds": 1.0})],
]


class Stage(SpotWorld):
    """A spot exchange without a daemon of its own."""

    async def start(self):
        """Start nothing."""

    async def stop(self):
        """Stop nothing."""


async def test_a_broken_venue_leaves_the_other_alone(sqlite_url):
    """While a spot account is broken in every way, a futures account stays LIVE, prompt and exact."""
    calm = {"SWEEP_INTERVAL": "8s"}  # or the weight of a minute is used up in seconds
    async with Stage(sqlite_url) as broken, World(sqlite_url, **calm) as world:
        await world.stop()
        own = {key.replace("__MAIN__", "__OTHER__"): value for key, value in broken.environ().items()}
        good = world.environ() | {key: value for key, value in own.items() if "__OTHER__" in key}
        world.environ = lambda: good
        await world.start()
        for breakage in BREAKAGES:
            for fault, options in breakage:
                broken.faults.inject(fault, **options)
            noise = asyncio.create_task(broken.trade(12, rate=200))
            await world.trade(15, rate=200)
            await noise
            assert world.live("main")
        await world.agreed(40)
        c = tables.fills.c
        fills = world.rows(tables.fills, c.account_id == "main", c.source == "stream")
        waits = sorted((row["committed_at"] - row["received_at"]).total_seconds() for row in fills)
        assert len(waits) > 20
        assert waits[len(waits) * 9 // 10] < 2.0  # a blocked loop or writer would cost the length of a fault
        sessions = world.rows(tables.sessions, tables.sessions.c.account_id == "main")
        assert len(sessions) == 2  # before and after the restart
        others = world.rows(tables.sessions, tables.sessions.c.account_id == "other")
        assert len(others) > 1  # it was lost, and tried again
