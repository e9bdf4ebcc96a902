"""A record that faults and restarts shaped is rebuilt from its journal, row by row, on either database."""

import asyncio

from accountd.runtime.replay import Replay
from accountd.store import tables
from accountd.store.engine import writer_engine
from accountd.store.migrate import upgrade
from accountd.store.rebuild import DERIVED
from tests.journals import verdict, write
from tests.spot_world import SpotWorld
from tests.world import World

FAULTS = (("duplicate", {"p": 0.2}), ("drop", {"p": 0.1}), ("reorder", {"p": 0.2}), ("delay", {"ms": 30}))
TOLD = ("conflict", "stream_missed", "drift", "undecodable", "order_missing")


async def live(url):
    """Let an account live through faults, two lost connections and a restart."""
    async with World(url, seed=7) as world:
        for fault, options in FAULTS:
            world.faults.inject(fault, **options)
        world.faults.inject("garbage", kind="json")
        world.faults.inject("garbage", kind="event")
        await world.trade(40)
        world.faults.inject("rst")
        await world.trade(30)
        world.faults.clear()
        await world.stop()
        await world.trade(10)
        await world.start()
        await world.trade(20)
        await asyncio.sleep(1)  # a sweep or two


def replayed(source, target, batch):
    """Replay a record and return what differs."""
    work = Replay(source, target, batch=batch)
    try:
        (done,) = work.run()
        work.compare(done)
    finally:
        work.close()
    return done


def findings(url):
    """Return what tellings themselves opened, without what sweeps made of it later."""
    world = World.__new__(World)
    world.url = url
    c = tables.findings.c
    return {
        (row["finding_id"], row["kind"], row["severity"], row["subject"], row["detail"])
        for row in world.rows(tables.findings, c.kind.in_(TOLD))
    }


async def test_a_spot_record_is_rebuilt_too(sqlite_url, tmp_path):
    """Frames of several lanes are decoded from their journal rows as they were when they came."""
    async with SpotWorld(sqlite_url) as world:
        await world.trade(40)
        await world.agreed()
    done = replayed(sqlite_url, f"sqlite:///{tmp_path / 'copy.db'}", 50)
    assert (done.notes, sum(done.different.values())) == ([], 0)


async def test_a_replay_makes_the_same_record(sqlite_url, pg_url, tmp_path):
    """From SQLite to SQLite, to Postgres, and from there back: every derived row is the same."""
    await live(sqlite_url)
    assert verdict(sqlite_url, publics=()).ok
    back = f"sqlite:///{tmp_path / 'back.db'}"
    for source, target, batch in (
        (sqlite_url, f"sqlite:///{tmp_path / 'copy.db'}", 17),
        (sqlite_url, pg_url, 500),
        (pg_url, back, 3),
    ):
        done = replayed(source, target, batch)
        assert set(done.different) == set(DERIVED)
        assert done.notes == []
        assert sum(done.different.values()) == 0
        assert verdict(target, publics=()).ok
        assert findings(target) == findings(sqlite_url) != set()


def test_a_row_that_the_database_refuses_takes_no_other_with_it(tmp_path):
    """What cannot be written is a finding, as when a frame comes; every journal row is there all the same."""
    source, target = (f"sqlite:///{tmp_path / name}.db" for name in ("source", "target"))
    write(source, 30)
    upgrade(target)
    engine = writer_engine(target)
    with engine.begin() as conn:
        conn.exec_driver_sql(
            "CREATE TRIGGER no_seven BEFORE INSERT ON balance_history WHEN NEW.total = '7' "
            "BEGIN SELECT RAISE(ABORT, 'not seven'); END"
        )
    done = replayed(source, target, 10)
    with engine.begin() as conn:
        found = conn.exec_driver_sql("SELECT kind, subject FROM findings").all()
        totals = conn.exec_driver_sql("SELECT total FROM balance_history ORDER BY n").scalars().all()
    engine.dispose()
    assert (done.rows, found) == (30, [("refused", "journal:7")])
    assert totals == [str(n) for n in range(1, 31) if n != 7]
    assert verdict(target, publics=()).ok
    assert done.different["balance_history"] > 0
