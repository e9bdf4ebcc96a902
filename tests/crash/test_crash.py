"""Killed at any moment and started again, the daemon holds everything once."""

import asyncio
import json
import os
import random
import shutil

from tests.crash.stage import staged

ROUNDS = int(os.environ.get("CRASH_ROUNDS", "6"))
COMMITS = (("before", 3), ("after", 5), ("before", 24), ("after", 40))
BACKFILL = ("backfill", "--since", "3d")
BACKFILL_COMMITS = (("before", 2), ("after", 4), ("during", 3), ("before", 5), ("after", 6))
SYNCS = (4, 11, 24, 45)
SEED = int(os.environ.get("CRASH_SEED", "20261101"))


async def assert_whole(stage, process):
    """Nothing missing, nothing twice, the chain sound, and each fill rung under one id with one body."""
    await stage.rest()
    await stage.quiet(process)
    code, seconds = await process.terminate(5.0)
    assert code == 0, process.said()
    assert seconds < 5.0
    assert stage.differences() == []
    assert stage.chain() > 0
    alerts, heard = stage.alerts(), stage.heard()
    told = [(body["symbol"], body["trade_id"]) for body in (json.loads(row.body)["data"] for row in alerts)]
    assert len(told) == len(set(told)), "a fill has two alerts"
    assert len({row.message_id for row in alerts}) == len(alerts) > 0
    assert {row.status for row in alerts} == {"delivered"}
    assert set(heard) == {row.message_id for row in alerts}
    assert {len(digests) for digests in heard.values()} == {1}, "one message had two bodies"
    assert set(told) == stage.owed()
    return set(told)


async def test_killed_at_random_moments_it_holds_everything_once(database_url, tmp_path):
    """Kill -9 at seeded random moments under trading loses nothing, doubles nothing, breaks no chain."""
    rng = random.Random(SEED)
    async with staged(database_url, tmp_path) as stage:
        born = await stage.start()
        await stage.live(born)
        stage.trade()
        await asyncio.sleep(0.5)
        await born.kill()
        for number in range(ROUNDS):
            process = await stage.start()
            if number % 2:  # else it may die before it has even started
                await stage.live(process)
            await asyncio.sleep(rng.uniform(0.0, 1.5))
            assert process.alive, process.said()
            await process.kill()
        rung = await assert_whole(stage, await stage.start())
        assert len(rung) > 20


async def test_killed_around_a_commit_it_holds_everything_once(database_url, tmp_path):
    """Dead just before, just after or within a commit, whichever it is, nothing is lost or doubled."""
    async with staged(database_url, tmp_path, seed=4) as stage:
        stage.trade()
        for where, number in COMMITS:
            process = await stage.start(module=("tests.crash.failpoint", where, str(number)))
            await process.dies()
        await assert_whole(stage, await stage.start())


async def test_killed_between_the_yes_and_the_mark_it_sends_the_same_again(database_url, tmp_path):
    """What a hook took and nobody wrote down goes out again, with the same id and the same bytes."""
    async with staged(database_url, tmp_path, seed=6) as stage:
        stage.trade()
        for number in (1, 4, 9):
            process = await stage.start(module=("tests.crash.failpoint", "sent", str(number)))
            await process.dies()
        await assert_whole(stage, await stage.start())
        heard = stage.heard()
        assert len(stage.hook.seen) > len(heard), "nothing was sent twice: the test has not hit its moment"
        assert all(len(bodies) == 1 for bodies in heard.values())


async def test_killed_at_a_sync_it_holds_everything_once(sqlite_url, tmp_path):
    """SIGKILL at the k-th time that SQLite flushes to the disk loses nothing.

    strace does it where there is one; elsewhere a timer kills while the k-th commit is under way.
    """
    strace = shutil.which("strace")
    async with staged(sqlite_url, tmp_path, seed=6) as stage:
        stage.trade()
        for number in SYNCS:
            if strace:
                inject = f"inject=fdatasync:signal=KILL:when={number}"
                process = await stage.start(
                    strace, "-f", "-qq", "-o", "/dev/null", "-e", "trace=fdatasync", "-e", inject
                )
            else:
                process = await stage.start(module=("tests.crash.failpoint", "during", str(number)))
            await process.dies()
        await assert_whole(stage, await stage.start())


async def test_asked_to_stop_it_writes_what_it_holds(database_url, tmp_path):
    """SIGTERM under trading ends it with 0 within 5 s, and every frame that it counted is in the journal."""
    async with staged(database_url, tmp_path) as stage:
        process = await stage.start()
        await stage.live(process)
        stage.trade()
        await asyncio.sleep(1.0)
        code, seconds = await process.terminate(5.0)
        assert (code, seconds < 5.0) == (0, True), process.said()
        reason, frames, journaled = stage.frames()
        assert (reason, frames) == ("stopped", journaled)
        assert frames > 20
        assert stage.chain() >= frames
        await assert_whole(stage, await stage.start())


async def test_a_backfill_killed_at_a_commit_goes_on_to_the_whole(database_url, tmp_path):
    """Kill -9 around commits of `backfill` loses and doubles nothing; the next one ends with everything."""
    async with staged(database_url, tmp_path, seed=8) as stage:
        for where, number in BACKFILL_COMMITS:
            process = await stage.start(module=("tests.crash.failpoint", where, str(number), *BACKFILL))
            await process.dies()
        assert any(line.startswith("fills: missing") for line in stage.differences()), "it died too late"
        process = await stage.start(module=("accountd", *BACKFILL))
        async with asyncio.timeout(60.0):
            assert await process.running.wait() == 0, process.said()
        history = ("twice", "fills", "orders", "transfers")  # what is now is not asked by it
        assert [line for line in stage.differences() if line.startswith(history)] == []
        assert stage.open_gaps() == []
        assert stage.chain() > 0


async def test_without_sweeps_the_comparison_says_what_is_missing(sqlite_url, tmp_path):
    """Control: a daemon that never reads history does not get back what happened while it was dead."""
    async with staged(sqlite_url, tmp_path) as stage:
        process = await stage.start()
        await stage.live(process)
        await process.kill()
        stage.trade()
        await asyncio.sleep(1.0)
        await stage.rest()
        process = await stage.start(module=("tests.crash.failpoint", "no-sweep"))
        await stage.live(process)
        await asyncio.sleep(1.5)
        assert any(line.startswith("fills: missing") for line in stage.differences())
        await process.kill()
        await assert_whole(stage, await stage.start())
