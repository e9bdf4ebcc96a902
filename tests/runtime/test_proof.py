"""Completeness: nothing is called proven that is not there, and nothing is found where nothing is wrong."""

import asyncio

from accountd.store import tables
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
