"""Completeness: nothing is called proven that is not there, and nothing is found where nothing is wrong."""

import asyncio
import time
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest

from accountd.core import doubts
from accountd.runtime import rounds, sweeper
from accountd.runtime.budget import Priority
from accountd.runtime.replay import Replay
from accountd.store import tables
from accountd.store.proven import Proven
from accountd.store.writer import Writer
from tests.coinm_world import CoinmWorld
from tests.sampling import Sampler, told
from tests.spot_world import SpotWorld
from tests.world import World


async def settled(world):
    """Sweep and audit until everything that happened so far has been compared."""
    runner = world.daemon.runners[0]
    runner.auditor.slack = timedelta(seconds=1)
    await asyncio.sleep(2.2)
    await runner.sweeper.sweep(Priority.SEAM)
    await runner.auditor.audit()


async def test_a_run_without_faults_finds_nothing(sqlite_url):
    """Trading, funding, transfers, algos and a rotation leave no finding and tie in every way."""
    async with World(sqlite_url, server=ROOMY, ROTATE_AFTER="3s", SETTLE_AFTER="200ms") as world:
        await world.trade(240, rate=60)
        await world.agreed(30)
        await settled(world)
        assert told(world.rows(tables.findings)) == []
        ties = world.rows(tables.ties)
        assert {tie["kind"] for tie in ties} >= {"order_fills", "balance_unexplained", "position_unexplained"}
        assert all(tie["tied"] for tie in ties)


HOUR = timedelta(hours=1)
ROOMY = {"weight_limit": 100_000}
@pytest.mark.parametrize("kind", [SpotWorld, CoinmWorld])
async def test_no_venue_finds_anything_without_faults(sqlite_url, kind):
    """Whatever the venue: trading and moving money leaves no finding, and what is judged ties."""
    async with kind(sqlite_url, SETTLE_AFTER="200ms") as world:
        await world.trade(60, rate=60)
        await world.agreed(40)
        await settled(world)
        assert told(world.rows(tables.findings)) == []
        ties = world.rows(tables.ties)
        assert "balance_unexplained" in {tie["kind"] for tie in ties}
        assert all(tie["tied"] for tie in ties)


@pytest.mark.parametrize(("kind", "seed"), [(World, 11), (World, 23), (CoinmWorld, 37)])
async def test_restarts_and_rotations_find_nothing(sqlite_url, kind, seed):
    """Orderly restarts under trading and a rotation every other second open no finding, not for a moment."""
    more = {"server": ROOMY, "ROTATE_AFTER": "2s", "SETTLE_AFTER": "200ms"}
    async with kind(sqlite_url, seed=seed, **more) as world:
        for _ in range(2):
            await world.trade(120, rate=60)
            assert await world.stop() == 0
            await world.start()
        await world.trade(60, rate=60)
        await world.agreed(30)
        await settled(world)
        assert {row["close_reason"] for row in world.rows(tables.sessions)} >= {"rotation", "stopped"}
        assert world.rows(tables.finding_history) == []
        assert all(tie["tied"] for tie in world.rows(tables.ties))


FAULTS = {
    "drop while connected": [("drop", {"p": 0.4, "seconds": 1.5})],
    "drop, and REST lags within the settle time": [
        ("stale_rest", {"seconds": 0.3, "lasting": 2.5}), ("drop", {"p": 0.4, "seconds": 1.5}),
    ],
    "REST lags for longer than the settle time": [("stale_rest", {"seconds": 2.0, "lasting": 2.5})],
    "REST fails": [("http_5xx", {"n": 30, "status": 503}), ("drop", {"p": 0.4, "seconds": 1.5})],
}  # fmt: skip


@pytest.mark.parametrize("name", FAULTS)
async def test_every_difference_is_owned_up_to(sqlite_url, name):
    """At every moment what the record lacks lies after the proof, in an open gap or in a finding."""
    async with World(sqlite_url, server=ROOMY) as world, Sampler(world) as sampler:
        await world.trade(30, rate=60)
        for fault, options in FAULTS[name]:
            world.faults.inject(fault, **options)
        await world.trade(100, rate=50)
        world.faults.clear()
        await world.agreed(20)
        assert sampler.samples > 10
        assert not sampler.lies, sampler.lies[:3]


async def test_a_slow_database_and_a_full_ring_are_owned_up_to(sqlite_url, monkeypatch):
    """Frames dropped at a full ring are in a gap, or after the proof, throughout."""
    begin = Writer.begin

    @contextmanager
    def crawl(self):
        time.sleep(0.05)
        with begin(self) as transaction:
            yield transaction

    async with World(sqlite_url, server=ROOMY, RING_SIZE="100") as world, Sampler(world) as sampler:
        monkeypatch.setattr(Writer, "begin", crawl)
        monkeypatch.setattr(world.daemon.runners[0].recorder, "ring_size", 3)
        await world.trade(150, rate=120)
        monkeypatch.undo()
        world.daemon.runners[0].recorder.ring_size = 100
        await world.until(world.live)
        await world.agreed(20)
        assert not sampler.lies, sampler.lies[:3]
        gaps = world.rows(tables.gaps, tables.gaps.c.reason == "ring overflow")
        assert {gap["dataset"] for gap in gaps} >= {"fills", "orders", "balances"}
        assert all(gap["closed_at"] for gap in gaps)
        assert sum(gap["recovered"] for gap in gaps if gap["dataset"] == "fills")


async def test_a_dropped_fill_is_found(sqlite_url, monkeypatch):
    """What only REST tells inside LIVE time is a finding, resolved by the sweep, with its history."""
    monkeypatch.setattr(doubts, "GRACE", timedelta(seconds=0.5))
    async with World(sqlite_url, server=ROOMY, STALE_AFTER="30s") as world:
        await world.trade(20)
        world.faults.inject("drop", p=1, seconds=0.7)
        await world.trade(30, rate=50)

        def found():
            missed = [one for one in world.rows(tables.findings) if one["kind"] == "stream_missed"]
            return [one for one in missed if one["subject"].startswith("fill:") and one["resolved_at"]]

        await world.until(found, 20)
        await world.agreed(20)
        late = {
            (fill["symbol"], fill["trade_id"])
            for fill in world.rows(tables.fills, tables.fills.c.source == "rest")
        }
        assert late
        history = world.rows(tables.finding_history)
        assert {row["what"] for row in history} >= {"opened", "resolved"}


async def test_a_conflict_is_over_when_the_venue_takes_it_back(database_url, tmp_path):
    """REST tells a fill otherwise than the stream: open, over a restart, until REST tells it as first."""
    async with World(database_url, server=ROOMY, SWEEP_INTERVAL="1h") as world:
        await world.trade(40)
        await world.agreed(20)
        books = world.exchange.accounts["main"].books.values()
        fills = next(book.fills for book in books if book.fills)
        told_first = fills[-1]
        name = f"fill:usdm:{told_first.symbol}:{told_first.trade_id}"

        async def swept():
            await world.daemon.runners[0].sweeper.sweep(Priority.SWEEP)
            found = world.rows(tables.findings, tables.findings.c.kind == "conflict")
            return [(one["subject"], one["resolved_at"] is None) for one in found]

        assert await swept() == []
        fills[-1] = replace(told_first, commission=told_first.commission + 1)
        assert await swept() == [(name, True)]
        await world.stop()
        await world.start()
        assert await swept() == [(name, True)]
        fills[-1] = told_first
        assert await swept() == [(name, False)]
        turns = world.rows(tables.finding_history)
        assert [row["what"] for row in turns if row["what"] != "changed"] == ["opened", "resolved"]
        assert not world.differences()
    work = Replay(database_url, f"sqlite:///{tmp_path / 'copy.db'}")
    try:
        (done,) = work.run()
        work.compare(done)
    finally:
        work.close()
    assert (done.notes, sum(done.different.values())) == ([], 0)
    copy = World.__new__(World)
    copy.url = work.target
    assert copy.rows(tables.findings) == world.rows(tables.findings)


async def test_an_old_wrong_proof_is_called_broken(sqlite_url):
    """What turns up inside what was proven is a finding about the proof."""
    async with World(sqlite_url, server=ROOMY, SWEEP_INTERVAL="1h") as world:
        await world.trade(20)
        runner = world.daemon.runners[0]
        await runner.sweeper.sweep(Priority.SWEEP)
        edge = runner.rest.clock.now()
        for name in ("fills", "orders", "transfers"):
            await runner.sweeper.submit(
                lambda tx, name=name: tx.prove("main", [Proven(name, "usdm", "", edge, edge + HOUR)], edge)
            )
        world.faults.inject("drop", p=1, seconds=0.5)
        await world.trade(10, rate=40)
        await asyncio.sleep(0.6)
        runner.sweeper.since = edge
        await runner.sweeper.sweep(Priority.SWEEP)
        kinds = {one["subject"].split(":")[0] for one in world.rows(tables.findings)
                 if one["kind"] == "proof_broken"}  # fmt: skip
        assert kinds >= {"transfer", "order"}


async def test_what_nothing_names_is_not_proven_before_it_was_read(sqlite_url, monkeypatch):
    """Where symbols are many, a conditional order cancelled in the dark keeps the gap open until its turn."""
    monkeypatch.setattr(rounds, "FEW", 2)
    monkeypatch.setattr(sweeper, "EXPLORE", 2)
    more = {"SWEEP_INTERVAL": "700ms", "SETTLE_AFTER": "200ms"}
    async with World(sqlite_url, server=ROOMY, **more) as world, Sampler(world) as sampler:
        await world.agreed(20)
        world.faults.inject("refuse", seconds=0.7)
        world.faults.inject("rst")
        await world.until(lambda: not world.live())
        main = world.exchange.account("main")
        made = world.exchange.algo(main, "DOGEUSDT", "BUY", "STOP_MARKET", Decimal(100), Decimal("0.2"))
        world.exchange.cancel_algo(main, made)
        await world.until(world.live)
        await world.agreed(20)
        assert not sampler.lies, sampler.lies[:3]
        kinds = {row["dataset"]: row for row in world.rows(tables.gaps)}
        assert kinds["algo_orders"]["recovered"] == 1
        assert kinds["algo_orders"]["closed_at"] > kinds["fills"]["closed_at"]


async def test_blind_time_is_recorded(sqlite_url):
    """The dark between two sessions is a window with its reason, seconds on the session that ended it."""
    async with World(sqlite_url) as world:
        world.faults.inject("refuse", seconds=0.7)
        world.faults.inject("rst")
        await world.until(lambda: not world.live())
        await world.until(world.live)
        first, dark = world.rows(tables.blind_windows)
        assert first["reason"] == "first start" and dark["reason"] == "connection lost"
        assert dark["session_id"] and dark["to_time"] - dark["from_time"] > timedelta(seconds=0.5)
        last = max(world.rows(tables.sessions), key=lambda one: one["opened_at"])
        assert last["blind_from"] == dark["from_time"]
        seconds = (dark["to_time"] - dark["from_time"]).total_seconds()
        assert last["blind_seconds"] == pytest.approx(seconds)
        assert world.health.accounts["main"].blind_seconds > 0
        proofs = world.rows(tables.evidence)
        assert {row["dataset"] for row in proofs} >= {"fills", "orders", "transfers", "balances"}
        assert all(row["calls"] and row["requests"] and row["asked_by"] for row in proofs)
