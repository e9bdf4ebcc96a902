"""Frames folded while those before them are written, and every way in which those can fail."""

import asyncio
import threading
import time
from contextlib import asynccontextmanager, contextmanager

import pytest

from accountd.core.fold import Fold
from accountd.errors import DatabaseGone
from accountd.runtime import ahead, lines
from accountd.runtime.ledgers import Ledgers
from accountd.store import recall, rows, tables
from accountd.store.writer import Transaction, Writer
from tests.runtime.recording import POISON, fill, frame, order, page, poison, recording

BATCH = 40
ALL = range(1, 2 * BATCH + 21)  # the first on its own, then two whole batches and a part of one
SECOND, THIRD = 2, BATCH + 2  # the first frame of the batch that is written ..., and of the one behind it


class Writing:
    """Stops the writer thread where it is about to write, until what is behind it is folded."""

    def __init__(self):
        self.recorder = None
        self.hold = threading.Event()
        self.then = lambda: None  # called once, when the second batch is about to be written
        self.number = 0
        self.folders = []  # the thread, and how many tellings
        self.written = []  # how far the order is filled in its row, and the last frame of the same batch

    def before_put(self):
        """Let frames gather behind the first; from then on wait until all that was taken is folded."""
        if self.recorder is None or threading.current_thread().name != "accountd-writer":
            return
        self.number += 1
        if self.number == 1:
            assert self.hold.wait(20)
            return
        if self.number == 2:
            self.folded()
            self.then()

    def folded(self):
        """Wait until the batch behind this one is folded."""
        end = time.monotonic() + 20
        while (batch := self.recorder._ahead.batch) is None or batch.folded is None:
            assert time.monotonic() < end
            time.sleep(0.001)


@pytest.fixture
def writing(monkeypatch):
    """Watch the writer thread, and which thread folds."""
    watch, put, fold = Writing(), Transaction.put, Ledgers.fold

    def watched_put(self, ready, *more):
        watch.before_put()
        filled = rows.ORDERS.index("filled_quantity")
        watch.written += [(int(row[filled]), ready.moves[0].seq) for row in ready.work["orders"]]
        return put(self, ready, *more)

    def watched_fold(self, tellings, look):
        watch.folders.append((threading.current_thread().name, len(tellings)))
        return fold(self, tellings, look)

    monkeypatch.setattr(lines, "BATCH", BATCH)
    monkeypatch.setattr(ahead, "WORTH", 1)
    monkeypatch.setattr(Transaction, "put", watched_put)
    monkeypatch.setattr(Ledgers, "fold", watched_fold)
    return watch


@asynccontextmanager
async def busy(url, writing, frames=None):
    """Record so many frames that some are folded ahead; at the end all are written."""
    async with recording(url) as stage:
        writing.recorder = stage.recorder
        frames = frames or {}
        for number in ALL:
            assert stage.recorder.offer(frames.get(number) or frame(number))
            if number == 1:
                await stage.until(lambda: writing.number == 1)
        writing.hold.set()
        yield stage
        await stage.drained()
        assert stage.heard.deaths == []


async def test_frames_are_folded_while_others_are_written(database_url, writing):
    """On a thread of its own, in order: events, chain and alerts are whole, no row is ahead of its batch."""
    async with busy(database_url, writing) as stage:
        await stage.drained()
        stage.assert_whole(ALL)
        assert ("accountd-fold", BATCH) in writing.folders
        assert stage.column(tables.order_events.c.n) == list(ALL)
        assert writing.written == [(1, 1), (BATCH + 1, BATCH + 1), (2 * BATCH + 1, 2 * BATCH + 1),
                                   (len(ALL), len(ALL))]  # fmt: skip


async def test_a_commit_fails_under_what_is_folded(database_url, writing, monkeypatch):
    """The connection dies before the commit below a batch that is folded already: nothing lost or twice."""
    await cut("before", database_url, writing, monkeypatch)


async def test_a_commit_loses_its_answer_under_what_is_folded(pg_url, writing, monkeypatch):
    """... or right after it took effect; on SQLite the answer cannot get lost."""
    await cut("after", pg_url, writing, monkeypatch)


async def cut(when, url, writing, monkeypatch):
    """Let the connection die once, at the commit of the second batch."""
    plain, state = Writer.begin, {"cut": False}

    def die():
        if state["cut"]:
            state["cut"] = False
            raise DatabaseGone("cut")

    @contextmanager
    def begin(self):
        with plain(self) as tx:
            yield tx
            if when == "before":
                die()
        die()

    monkeypatch.setattr(Writer, "begin", begin)
    writing.then = lambda: state.update(cut=True)
    async with busy(url, writing) as stage:
        await stage.drained()
        assert isinstance(stage.heard.troubles[0], DatabaseGone)
        stage.assert_whole(ALL)


@pytest.mark.parametrize("bad", [SECOND + 7, THIRD + 7])
async def test_poison_beside_what_is_folded(database_url, writing, monkeypatch, bad):
    """What the record refuses is quarantined alone, be it in the batch that is written or the one behind."""
    poison(monkeypatch)
    frames = {bad: frame(bad, order(bad), fill(bad, price=POISON))}
    async with busy(database_url, writing, frames) as stage:
        await stage.drained()
        assert stage.fills() == [number for number in ALL if number != bad]
        assert stage.column(tables.findings.c.subject, tables.findings.c.kind == "refused") == [
            f"journal:{bad}"
        ]
        assert stage.chain() == len(ALL)


async def test_a_look_that_fails_is_made_by_the_writer(database_url, writing, monkeypatch):
    """Without its second connection the recorder folds as it did: later, and all of it."""
    looks, plain = [], recall.load

    def load(connection, account_id, wanted):
        if threading.current_thread().name == "accountd-fold":
            looks.append(account_id)
            raise DatabaseGone("no second connection")
        return plain(connection, account_id, wanted)

    monkeypatch.setattr(recall, "load", load)
    writing.folded = lambda: None
    async with busy(database_url, writing) as stage:
        await stage.drained()
        stage.assert_whole(ALL)
        assert looks
        assert stage.heard.troubles == []


async def test_a_fold_that_fails_halfway_leaves_nothing_behind(database_url, writing, monkeypatch):
    """Beliefs that were moved and then not used are loaded anew; the writer folds the batch again."""
    run = Fold.run

    def halfway(self, tellings):
        changes = run(self, tellings)
        if threading.current_thread().name == "accountd-fold":
            raise MemoryError
        return changes

    monkeypatch.setattr(Fold, "run", halfway)
    writing.folded = lambda: None
    async with busy(database_url, writing) as stage:
        await stage.drained()
        stage.assert_whole(ALL)


async def test_a_look_that_hangs_is_a_database_that_owes(sqlite_url, writing, monkeypatch):
    """The writer waits for it, and whoever watches sees that it waits for the database."""
    hangs, plain = threading.Event(), recall.load

    def load(connection, account_id, wanted):
        if threading.current_thread().name == "accountd-fold":
            assert hangs.wait(20)
        return plain(connection, account_id, wanted)

    monkeypatch.setattr(recall, "load", load)
    writing.folded = lambda: None
    async with busy(sqlite_url, writing) as stage:
        await stage.until(lambda: writing.written[-1:] == [(BATCH + 1, BATCH + 1)])
        await stage.until(lambda: stage.recorder.depth == len(ALL) - BATCH - 1)
        await stage.until(lambda: stage.recorder.busy_since is not None, 5)
        hangs.set()
        await stage.drained()
        stage.assert_whole(ALL)
        await stage.until(lambda: stage.recorder.busy_since is None)


async def test_what_is_known_of_an_order_is_found_beside_the_commit(database_url, writing, monkeypatch):
    """A fill that is told again, and forgotten in memory, is found on the second connection."""
    async with recording(database_url) as stage:
        for number in range(1, 41):
            stage.recorder.offer(frame(number))
        await stage.drained()
        stage.recorder.ledgers["main"].beliefs.fills.clear()
        stage.recorder.ledgers["main"].beliefs.orders.clear()
        writing.recorder = stage.recorder
        stage.recorder.offer(frame(41))
        await stage.until(lambda: writing.number == 1)
        for number in range(42, 42 + BATCH):
            stage.recorder.offer(frame(number))
        for number in range(1, 41):
            stage.recorder.offer(frame(number))  # again, in the batch behind
        writing.hold.set()
        await stage.drained()
        assert stage.fills() == list(range(1, 42 + BATCH))
        assert ("accountd-fold", 40) in writing.folders


async def test_bookkeeping_sees_what_was_committed_before_it(database_url, writing):
    """After its frames, and nothing is folded beneath it: beliefs and record are the same when it runs."""
    async with recording(database_url) as stage:
        writing.recorder = stage.recorder
        beliefs = stage.recorder.ledgers["main"].beliefs

        def seen(tx):
            stage.recorder._ahead.wait()
            return tx.connection.exec_driver_sql("SELECT count(*) FROM fills").scalar_one(), beliefs.seq

        stage.recorder.offer(frame(1))
        await stage.until(lambda: writing.number == 1)
        for number in range(2, BATCH + 2):
            stage.recorder.offer(frame(number))
        job = asyncio.create_task(stage.recorder.submit(seen, "main"))
        await asyncio.sleep(0)
        for number in range(BATCH + 2, BATCH + 12):
            stage.recorder.offer(frame(number))
        writing.then = writing.folded = lambda: None
        writing.hold.set()
        assert await job == (BATCH + 11, BATCH + 11)
        await stage.recorder.record(page(BATCH + 12))
        await stage.drained()
        assert stage.fills() == list(range(1, BATCH + 13))


async def test_a_stop_writes_what_is_folded(database_url, writing):
    """What is folded ahead when the stop comes is written before the end."""
    async with recording(database_url) as stage:
        writing.recorder = stage.recorder
        for number in ALL:
            stage.recorder.offer(frame(number))
            if number == 1:
                await stage.until(lambda: writing.number == 1)
        writing.hold.set()
        assert await stage.recorder.stop(20)
        stage.assert_whole(ALL)
        assert not [one for one in threading.enumerate() if one.name == "accountd-fold"]


async def test_nothing_is_folded_ahead_of_another_account(sqlite_url, writing):
    """A frame of a second account waits for what is being written, and not for a batch behind it too."""
    async with recording(sqlite_url) as stage:
        await stage.recorder.open_account("other", "binance-usdm", "live")
        writing.recorder = stage.recorder
        writing.then = writing.folded = lambda: None
        stage.recorder.offer(frame(1))
        await stage.until(lambda: writing.number == 1)
        for number in ALL[1:]:
            stage.recorder.offer(frame(number))
        stage.recorder.offer(frame(1, account_id="other"))
        writing.hold.set()
        await stage.drained()
        assert {name for name, _ in writing.folders} == {"accountd-writer"}


async def test_a_few_frames_are_not_worth_a_second_thread(sqlite_url, writing, monkeypatch):
    """They wait for the commit and are folded behind it: handing them over would take longer."""
    monkeypatch.setattr(ahead, "WORTH", len(ALL))
    writing.folded = lambda: None
    async with busy(sqlite_url, writing) as stage:
        await stage.drained()
        assert {name for name, _ in writing.folders} == {"accountd-writer"}
