"""Completeness: nothing is called proven that is not there, and nothing is found where nothing is wrong."""

import asyncio

import pytest

from accountd.store import tables
from tests.sampling import Sampler
from tests.world import World


async def test_a_run_without_faults_finds_nothing(database_url):
    """Trading, funding, transfers, algos and a rotation leave no finding and tie in every way."""
    async with World(database_url, history=0.0, ROTATE_AFTER="3s") as world:
        await world.trade(600, rate=60)
        await world.agreed(30)
        auditor = world.daemon.runners[0].auditor
        await asyncio.sleep(2 * auditor.slack.total_seconds() + 1)
        await auditor.audit()
        assert world.rows(tables.findings) == []
        ties = world.rows(tables.ties)
        assert {tie["kind"] for tie in ties} >= {"order_fills", "balance_unexplained", "position_unexplained"}
        assert all(tie["tied"] for tie in ties)


ROOMY = {"weight_limit": 100_000}
FAULTS = {
    "drop while connected": [("drop", {"p": 0.4, "seconds": 2.5})],
    "drop, and REST lags within the settle time": [
        ("stale_rest", {"seconds": 0.3, "lasting": 4}), ("drop", {"p": 0.4, "seconds": 2.5}),
    ],
    "REST lags for longer than the settle time": [("stale_rest", {"seconds": 2.0, "lasting": 4})],
    "cut": [("refuse", {"seconds": 0.7}), ("rst", {})],
    "REST fails": [("http_5xx", {"n": 40, "status": 503}), ("drop", {"p": 0.4, "seconds": 2})],
}  # fmt: skip


@pytest.mark.parametrize("name", FAULTS)
async def test_every_difference_is_owned_up_to(sqlite_url, name):
    """At every moment what the record lacks lies after the proof, in an open gap or in a finding."""
    async with World(sqlite_url, server=ROOMY) as world, Sampler(world) as sampler:
        await world.trade(30, rate=60)
        for fault, options in FAULTS[name]:
            world.faults.inject(fault, **options)
        await world.trade(150, rate=50)
        world.faults.clear()
        await world.agreed(20)
        assert sampler.samples > 10
        assert not sampler.lies, sampler.lies[:3]
