"""The recorder on real databases that stall, die, fill up, lie and are taken over."""

import asyncio
import threading
import time
from contextlib import contextmanager
from decimal import Decimal

import psycopg
import pytest
from sqlalchemy import event, select, text

from accountd.core.told import Notice
from accountd.errors import DatabaseFailed, DatabaseFull, DatabaseGone, Fenced, RecordRefused
from accountd.store import tables
from accountd.store.engine import reading, writer_engine
from accountd.store.writer import Writer
from tests.postgres import Postgres
from tests.runtime.recording import POISON, fill, frame, order, page, poison, recording


@contextmanager
def held(url):
    """Hold the write lock of the database on a connection of our own."""
    engine = writer_engine(url)
    try:
        with engine.connect() as connection, connection.begin():
            if engine.dialect.name == "postgresql":
                connection.execute(text("LOCK TABLE heads IN EXCLUSIVE MODE"))
            yield
    finally:
        engine.dispose()


def impatient(stage):
    """Let the writer's statements give up soon when they wait for a lock."""

    def configure(connection, *_):
        if stage.engine.dialect.name == "postgresql":
            connection.execute("SET lock_timeout = '50ms'")
            connection.commit()
        else:
            connection.execute("PRAGMA busy_timeout = 50")

    event.listen(stage.engine, "connect", configure)
    stage.engine.dispose()


@pytest.fixture
def poisoned(monkeypatch):
    """Make the database refuse every fill at one price."""
    poison(monkeypatch)


async def test_what_waits_is_committed_together(database_url):
    """Frames that gather during one commit are one transaction, and each is recorded once."""
    async with recording(database_url) as stage:
        first = len(stage.heard.outcomes)
        for number in range(1, 201):
            assert stage.recorder.offer(frame(number))
        await stage.drained()
        sizes = [outcome.tellings for outcome in stage.heard.outcomes[first:]]
        assert sum(sizes) == 200
        assert len(sizes) < 10
        stage.assert_whole(range(1, 201))


async def test_a_full_ring_takes_nothing_and_never_blocks(database_url):
    """While the database stalls, offers beyond the ring are refused at once; what was taken is written."""
    async with recording(database_url, ring_size=50) as stage:
        impatient(stage)
        with held(database_url):
            started = time.perf_counter()
            taken = [stage.recorder.offer(frame(number)) for number in range(1, 101)]
            assert time.perf_counter() - started < 0.2
            await stage.until(lambda: stage.heard.troubles)
        assert taken == [True] * 50 + [False] * 50
        await stage.drained()
        stage.assert_whole(range(1, 51))
        assert stage.recorder.offer(frame(101))


async def test_one_account_fills_half_of_the_ring_at_most(sqlite_url):
    """While the database stalls, an account that floods leaves the other half of the ring to the others."""
    async with recording(sqlite_url, ring_size=50) as stage:
        await stage.recorder.open_account("other", "binance-usdm", "live")
        impatient(stage)
        with held(sqlite_url):
            flood = [stage.recorder.offer(frame(number)) for number in range(1, 41)]
            assert flood == [True] * 25 + [False] * 15
            assert all(stage.recorder.offer(frame(number, account_id="other")) for number in range(1, 11))
            await stage.until(lambda: stage.heard.troubles)
        await stage.drained()
        assert stage.recorder.offer(frame(101))


async def test_a_stalled_database_is_tried_again(database_url):
    """With the write lock held by another, everything waits; trouble is said, then that it is over."""
    async with recording(database_url) as stage:
        stage.recorder.offer(frame(1))
        await stage.drained()
        impatient(stage)
        with held(database_url):
            for number in range(2, 30):
                stage.recorder.offer(frame(number))
            waiting = asyncio.create_task(stage.recorder.submit(lambda tx: 7, "main"))
            await stage.until(lambda: len(stage.heard.troubles) >= 2)
            assert isinstance(stage.heard.troubles[0], DatabaseGone)
            assert not waiting.done()
        assert await waiting == 7
        await stage.drained()
        await stage.until(lambda: stage.heard.troubles[-1] is None)
        stage.assert_whole(range(1, 30))


async def test_a_killed_server_is_waited_for():
    """Postgres killed under load and started again: nothing lost, nothing twice, beliefs loaded anew."""
    server = Postgres(durable=True)
    try:
        async with recording(server.new_database()) as stage:
            for number in range(1, 60):
                stage.recorder.offer(frame(number))
                await asyncio.sleep(0.002)
                if number == 20:
                    before = stage.recorder.ledgers["main"].beliefs
                    server.kill()
            await stage.until(lambda: stage.heard.troubles)
            await asyncio.to_thread(server.restart)
            await stage.drained()
            assert stage.recorder.ledgers["main"].beliefs is not before
            assert stage.heard.troubles[-1] is None
            stage.recorder.offer(frame(60))
            await stage.drained()
            stage.assert_whole(range(1, 61))
    finally:
        server.close()


@pytest.fixture
def cut(monkeypatch):
    """Make the connection die once, either just before the commit or just after it took effect."""
    plain, state = Writer.begin, {"when": None}

    @contextmanager
    def begin(self):
        with plain(self) as tx:
            yield tx
            if state["when"] == "before" and threading.current_thread().name == "accountd-writer":
                state["when"] = None
                raise DatabaseGone("cut before the commit")
        if state["when"] == "after" and threading.current_thread().name == "accountd-writer":
            state["when"] = None
            raise DatabaseGone("cut after the commit")

    monkeypatch.setattr(Writer, "begin", begin)
    return state


@pytest.mark.parametrize("when", ["before", "after"])
async def test_a_commit_whose_answer_is_lost_is_not_made_twice(pg_url, cut, when):
    """Whether it took effect is asked of the server: frames and bookkeeping are there once, either way."""
    async with recording(pg_url) as stage:
        cut["when"] = when
        for number in range(1, 20):
            stage.recorder.offer(frame(number))
        now = stage.recorder.clock.now()
        opened = stage.recorder.submit(lambda tx: tx.open_session("s1", "main", now), "main")
        recorded = stage.recorder.record(page(20))
        await asyncio.gather(opened, recorded)
        await stage.drained()
        stage.recorder.offer(frame(21))
        await stage.drained()
        await stage.until(lambda: stage.heard.troubles[-1] is None)
        assert stage.column(tables.sessions.c.session_id) == ["s1"]
        stage.assert_whole(range(1, 22))
        told = [row.message_id for outcome in stage.heard.outcomes for row in outcome.outbox]
        assert sorted(told) == stage.column(tables.outbox.c.message_id)


async def test_without_asking_the_frames_would_be_there_twice(pg_url, cut, monkeypatch):
    """Control: a recorder that believes every lost commit undone journals its frames a second time."""
    monkeypatch.setattr(Writer, "took_effect", lambda self, mark: False)
    async with recording(pg_url) as stage:
        cut["when"] = "after"
        stage.recorder.offer(frame(1))
        await stage.drained()
        assert stage.frames() == [b'{"frame":1}', b'{"frame":1}']


async def test_a_lost_commit_that_is_not_over_is_waited_for(pg_url):
    """While the server still works on it, the answer is neither yes nor no."""
    async with recording(pg_url) as stage:
        with psycopg.connect(pg_url) as other:
            mark = str(other.execute("SELECT pg_current_xact_id()").fetchone()[0])
            with pytest.raises(DatabaseGone):
                stage.writer.took_effect(mark)
            other.commit()
            assert stage.writer.took_effect(mark)
        assert not stage.writer.took_effect("999999999999")


async def test_poison_is_quarantined_alone(database_url, poisoned):
    """What the record refuses is journaled raw and becomes a finding; its neighbours are written."""
    async with recording(database_url) as stage:
        stage.recorder.offer(frame(1))
        stage.recorder.offer(frame(2, order(2), fill(2, price=POISON)))
        stage.recorder.offer(frame(3))
        await stage.drained()
        assert stage.fills() == [1, 3]
        assert stage.frames() == [b'{"frame":1}', b'{"frame":2}', b'{"frame":3}']
        assert stage.column(tables.findings.c.subject, tables.findings.c.kind == "refused") == ["journal:2"]
        assert stage.column(tables.findings.c.severity) == ["error"]
        assert stage.column(tables.order_events.c.filled_quantity) == [1, 2, 3]
        assert stage.heard.deaths == []
        stage.recorder.offer(frame(4))
        await stage.drained()
        assert stage.fills() == [1, 3, 4]
        assert stage.chain() == 4


async def test_poison_in_a_page_takes_no_other_row_with_it(database_url, poisoned):
    """Of a page of a hundred fills, two of which are refused, ninety-eight are recorded and two are named."""
    rows = [fill(number, price=POISON if number in (17, 80) else Decimal(1)) for number in range(1, 101)]
    async with recording(database_url) as stage:
        await stage.recorder.record(page(1, *rows))
        assert stage.fills() == [number for number in range(1, 101) if number not in (17, 80)]
        assert stage.frames() == [b'{"frame":1}']
        assert stage.count(tables.findings) == 1


async def test_a_jobs_error_is_its_submitters(database_url):
    """A job that fails tells whoever submitted it, and nobody else."""
    async with recording(database_url) as stage:

        def wrong(tx):
            raise ValueError("mine")

        def refused(tx):
            tx.open_session("twice", "main", stage.recorder.clock.now())
            tx.open_session("twice", "main", stage.recorder.clock.now())

        for number in range(1, 6):
            stage.recorder.offer(frame(number))
        jobs = [stage.recorder.submit(run, "main") for run in (wrong, lambda tx: "fine", refused)]
        first, second, third = await asyncio.gather(*jobs, return_exceptions=True)
        assert str(first) == "mine"
        assert second == "fine"
        assert isinstance(third, RecordRefused)
        await stage.drained()
        assert stage.column(tables.sessions.c.session_id) == []
        stage.assert_whole(range(1, 6))


async def test_a_submitter_that_goes_away_leaves_its_job(database_url):
    """Cancelling the wait for a job does not undo the job, and harms no other."""
    async with recording(database_url) as stage:
        impatient(stage)
        with held(database_url):
            waiting = asyncio.create_task(stage.recorder.record(page(1)))
            await stage.until(lambda: stage.heard.troubles)
            waiting.cancel()
            await asyncio.gather(waiting, return_exceptions=True)
        await stage.recorder.submit(lambda tx: None, "main")
        assert stage.fills() == [1]


async def test_stop_writes_what_is_queued(database_url):
    """Everything offered before the stop is written by its end; afterwards nothing is taken."""
    async with recording(database_url) as stage:
        for number in range(1, 2_501):
            assert stage.recorder.offer(frame(number))
        assert await stage.recorder.stop(20)
        stage.assert_whole(range(1, 2_501))
        assert not stage.recorder.offer(frame(9_999))
        with pytest.raises(DatabaseFailed):
            await stage.recorder.submit(lambda tx: None, "main")


async def test_a_stop_that_takes_too_long_says_so(database_url):
    """With the database stalled for longer than the deadline, stop returns False in time."""
    async with recording(database_url) as stage:
        impatient(stage)
        with held(database_url):
            stage.recorder.offer(frame(1))
            waiting = asyncio.create_task(stage.recorder.submit(lambda tx: None, "main"))
            await stage.until(lambda: stage.heard.troubles)
            started = time.monotonic()
            assert not await stage.recorder.stop(0.2)
            assert time.monotonic() - started < 1
            with pytest.raises(DatabaseFailed):
                await waiting


async def test_whoever_waits_when_the_writer_dies_is_told(database_url):
    """A job put down while the writer ends gets an answer, whichever of the two is first."""
    async with recording(database_url) as stage:
        gone = threading.Event()
        close = stage.writer.close

        def slow_close():
            close()
            gone.wait(5)

        def die(tx):
            raise DatabaseFailed("disk")

        stage.writer.close = slow_close
        dying = asyncio.create_task(stage.recorder.submit(die, "main"))
        await stage.until(lambda: stage.heard.deaths)
        late = asyncio.create_task(stage.recorder.submit(lambda tx: None, "main"))
        await asyncio.sleep(0)
        gone.set()
        async with asyncio.timeout(10):
            answers = await asyncio.gather(dying, late, return_exceptions=True)
        assert [type(answer) for answer in answers] == [DatabaseFailed, DatabaseFailed]


async def test_another_process_that_takes_the_head_ends_this_one(database_url):
    """A writer whose account was taken over writes nothing more and says that it is fenced."""
    async with recording(database_url) as stage:
        stage.recorder.offer(frame(1))
        await stage.drained()
        other = Writer(writer_engine(database_url), stage.recorder.clock.now)
        try:
            other.take_head("main")
        finally:
            other.close()
        stage.recorder.offer(frame(2))
        await stage.until(lambda: stage.heard.deaths)
        assert isinstance(stage.heard.deaths[0], Fenced)
        stage.assert_whole([1])


async def test_who_was_away_does_not_take_the_head_back(database_url, cut):
    """Taken over while its database was gone, a writer is fenced when it comes back, not the new one."""
    async with recording(database_url) as stage:
        stage.recorder.offer(frame(1))
        await stage.drained()
        other = Writer(writer_engine(database_url), stage.recorder.clock.now)
        try:
            held_by_other = other.take_head("main")
            cut["when"] = "before"
            stage.recorder.offer(frame(2))
            await stage.until(lambda: stage.heard.deaths)
            assert isinstance(stage.heard.deaths[0], Fenced)
            with other.begin() as tx:
                assert tx.read_head("main") == held_by_other
        finally:
            other.close()
        stage.assert_whole([1])


async def test_a_full_disk_is_waited_out(sqlite_url):
    """With no page left nothing is lost: trouble is said, and when there is space again all is written."""
    async with recording(sqlite_url) as stage:
        limits = {"max": 0}

        def configure(connection, *_):
            connection.execute(f"PRAGMA max_page_count = {limits['max'] or 4_294_967_294}")

        event.listen(stage.engine, "checkout", configure)
        with stage.engine.connect() as connection:
            limits["max"] = connection.exec_driver_sql("PRAGMA page_count").scalar_one() + 2
        for number in range(1, 400):
            stage.recorder.offer(frame(number))
        await stage.until(lambda: any(isinstance(error, DatabaseFull) for error in stage.heard.troubles))
        limits["max"] = 0
        await stage.drained()
        await stage.until(lambda: stage.heard.troubles[-1] is None)
        stage.assert_whole(range(1, 400))


async def test_the_chain_check_finds_a_changed_byte(sqlite_url):
    """Control: one byte changed behind the recorder's back breaks the chain that these tests verify."""
    async with recording(sqlite_url) as stage:
        for number in range(1, 10):
            stage.recorder.offer(frame(number, Notice(kind="config")))
        await stage.drained()
        assert stage.chain() == 9
        await stage.recorder.submit(lambda tx: forge(tx.connection), "main")
        with pytest.raises(AssertionError, match="bad digest at 5"):
            stage.chain()


def forge(connection):
    """Change a journaled frame as somebody with the database's password could."""
    for (name,) in connection.execute(text("SELECT name FROM sqlite_master WHERE type = 'trigger'")).all():
        connection.execute(text(f"DROP TRIGGER {name}"))
    connection.execute(text("UPDATE journal SET raw = :raw WHERE seq = 5"), {"raw": b'{"frame":55}'})


async def test_both_sides_of_a_trade_with_oneself_are_kept_once(database_url):
    """The venue numbers them alike; told again after a restart, in whatever order, they are known."""
    bought, sold = fill(7, order_id="1"), fill(7, order_id="2", side="SELL")
    async with recording(database_url) as stage:
        stage.recorder.offer(frame(1, bought))
        stage.recorder.offer(frame(2, sold))
        await stage.drained()
    async with recording(database_url) as stage:
        stage.recorder.offer(frame(3, sold))
        stage.recorder.offer(frame(4, bought))
        await stage.recorder.record(page(5, sold, bought))
        await stage.drained()
        with reading(stage.engine) as connection:
            found = connection.execute(select(tables.fills.c.trade_id, tables.fills.c.order_id)).all()
            findings = connection.execute(select(tables.findings.c.kind)).all()
        assert sorted(map(tuple, found)) == [("7", "1"), ("7-SELL", "2")]
        assert findings == []
