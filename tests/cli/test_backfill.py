"""Deep history on demand: from where it stopped, as far as the venue keeps it, beside or without a daemon."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest
from typer.testing import CliRunner

from accountd import config
from accountd.cli.backfill import beginning
from accountd.cli.main import app
from accountd.errors import SettingsError
from accountd.runtime import backfill
from accountd.sim.app import build
from accountd.sim.trader import Trader
from accountd.store import tables
from tests.world import World

ROOMY = {"weight_limit": 100_000}
NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)


class Offline(World):
    """A world whose daemon is not started, with ``days`` of history in one symbol."""

    def __init__(self, url, days, **more):
        super().__init__(url, server=ROOMY, **more)
        self.exchange = build(1, self.accounts, history_days=days, history_steps=0)
        for name in set(self.exchange.symbols) - {"BTCUSDT"}:
            del self.exchange.symbols[name]
        trader = Trader(self.exchange, "main", seed=1, symbols=["BTCUSDT"], rare=0)
        now, steps = self.exchange.clock.now(), 40
        for number in range(steps):
            with self.exchange.clock.pinned(now - int(days * 86_400_000) * (steps - number) // (steps + 1)):
                trader.step()

    async def start(self):
        """Only read the settings."""
        self.settings = config.load(self.environ(), env_file=None)

    async def stop(self):
        """Nothing to stop."""


def test_how_far_back_is_read_as_people_write_it():
    """Years, days, dates and max are understood; what is not in the past is refused."""
    assert NOW - beginning("2y", NOW) == timedelta(days=732)
    assert beginning("90d", NOW) == NOW - timedelta(days=90)
    assert beginning("2026-11-01", NOW) == datetime(2026, 11, 1, tzinfo=UTC)
    assert beginning("max", NOW).year == 2017
    for written in ("2027-01-01", "now", "soon"):
        with pytest.raises(SettingsError):
            beginning(written, NOW)


async def test_history_without_a_daemon(sqlite_url):
    """Everything that the venue keeps is read and proven; what is older is a gap that never closes."""
    async with Offline(sqlite_url, 5.0, account={"BACKFILL": "1d"}) as world:
        since = datetime.now(UTC) - timedelta(days=700)
        (report,) = await backfill.backfill(world.settings, ["main"], since)
        assert not report.error
        assert len(world.rows(tables.fills)) == len(world.exchange.truth("main")["fills"]) == report.fills
        gaps = {gap["dataset"]: gap for gap in world.rows(tables.gaps, tables.gaps.c.closed_at.is_(None))}
        assert set(gaps) == {"orders", "algo_orders", "fills", "transfers"}
        for gap in gaps.values():
            assert gap["reason"] == "older than the venue keeps"
            assert gap["from_time"] == since
            assert abs(gap["to_time"] - (datetime.now(UTC) - timedelta(days=90))) < timedelta(days=4)
        starts = [
            row["from_time"] for row in world.rows(tables.coverage, tables.coverage.c.dataset == "fills")
        ]
        assert max(starts) < datetime.now(UTC) - timedelta(days=80)
        (again,) = await backfill.backfill(world.settings, ["main"], since)
        assert again.fills == 0
        assert len(world.rows(tables.gaps, tables.gaps.c.closed_at.is_(None))) == 4


async def test_an_interrupted_backfill_goes_on_where_it_was(sqlite_url):
    """What was proven before an interruption is not asked for again."""
    async with Offline(sqlite_url, 60.0, account={"BACKFILL": "1d"}) as world:
        since = datetime.now(UTC) - timedelta(days=70)
        steps = []

        def step(account, done, total):
            steps.append(done)
            if done == 12:
                asyncio.current_task().cancel()

        with pytest.raises((asyncio.CancelledError, ExceptionGroup)):
            await backfill.backfill(world.settings, ["main"], since, step)
        asked = len(world.rows(tables.evidence, tables.evidence.c.sweep == "backfill"))
        assert asked
        left = []
        (report,) = await backfill.backfill(world.settings, ["main"], since, lambda *told: left.append(told))
        assert not report.error
        whole = left[-1][2] + 12
        assert len(left) <= whole - 10
        assert len(world.rows(tables.fills)) == len(world.exchange.truth("main")["fills"])


async def test_a_daemon_that_holds_the_record_is_asked(sqlite_url, monkeypatch):
    """While `run` holds the record the command asks it, waits, and the daemon reads the history."""
    more = {"SWEEP_INTERVAL": "1h"}
    async with World(sqlite_url, history=5.0, server=ROOMY, account={"BACKFILL": "1h"}, **more) as world:
        assert len(world.rows(tables.fills)) < len(world.exchange.truth("main")["fills"])
        for name, value in world.environ().items():
            monkeypatch.setenv(name, value)
        done = await asyncio.to_thread(CliRunner().invoke, app, ["backfill", "--since", "30d"])
        assert done.exit_code == 0, done.output
        assert "has been asked" in done.output and "done" in done.output
        assert len(world.rows(tables.fills)) == len(world.exchange.truth("main")["fills"])
