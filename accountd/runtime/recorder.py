"""The only way anything gets written down: one thread, one transaction for everything that waits."""

from __future__ import annotations

import asyncio
import threading
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Sequence
from typing import Protocol, TypeVar

import msgspec
import structlog

from accountd.core.alerts import HookWish, OutboxRow
from accountd.core.beliefs import Recent
from accountd.core.changes import Alert
from accountd.core.told import Notice, Telling, Told
from accountd.errors import DatabaseFailed, DatabaseFull, DatabaseGone, Fenced, RecordRefused
from accountd.runtime import ahead
from accountd.runtime.ahead import Ahead
from accountd.runtime.batch import Batch, Doubt, Folded, Job, fail
from accountd.runtime.batch import Outcome as Outcome
from accountd.runtime.clock import Clock
from accountd.runtime.findings import open_finding
from accountd.runtime.ledgers import Ledger as Ledger
from accountd.runtime.ledgers import Ledgers
from accountd.runtime.lines import Lines
from accountd.runtime.raising import raise_alerts
from accountd.store.late import LATE, late
from accountd.store.writer import Transaction, Writer

T = TypeVar("T")
log = structlog.get_logger("accountd.recorder")

OFFERED = 50_000  # message ids remembered, so that no message goes on twice with two bodies
RETRY_FIRST, RETRY_MOST = 0.1, 5.0


class Observer(Protocol):
    """Who hears of commits; called in the event loop."""

    def committed(self, outcome: Outcome) -> None: ...

    def trouble(self, error: Exception | None) -> None: ...

    def died(self, error: Exception) -> None: ...


class _Rehearsed(Exception):
    """Rolls a transaction back that was only to be tried."""


class Recorder:
    """Takes tellings without ever making a socket wait, and commits them in groups.

    While one transaction commits, the next group gathers; where there is one account, what has gathered
    when it begins is folded ahead. ``offer`` is for frames: it returns False when the ring is full, and
    the caller opens a gap. ``record`` and ``submit`` wait for the commit.
    """

    def __init__(self, writer: Writer, hooks: Sequence[HookWish], clock: Clock, observer: Observer,
                 ring_size: int = 20_000) -> None:  # fmt: skip
        self.writer = writer
        self.clock = clock
        self.observer = observer
        self.ring_size = ring_size
        self.ledgers = Ledgers(hooks, clock)
        self.hooks = self.ledgers.hooks
        self._lines = Lines()
        self._ahead = Ahead(self._lines.take, self._fold_ahead, writer.look_away)
        self._frames = 0
        self._waiting: Counter[str] = Counter()  # ... of each account
        self._ready = threading.Event()
        self._stopping = False
        self._kill = threading.Event()
        self._loop = asyncio.get_running_loop()
        self._done = asyncio.Event()
        self._rung: list[OutboxRow] = []
        self._offered: Recent[str, None] = Recent(OFFERED)
        self._doubt: Doubt | None = None
        self.busy_since: float | None = None  # monotonic; since when the database owes an answer
        self._thread = threading.Thread(target=self._run, name="accountd-writer", daemon=True)
        self._thread.start()

    # -- called in the event loop

    @property
    def depth(self) -> int:
        """Return how many frames wait to be written."""
        return self._frames

    def offer(self, telling: Telling) -> bool:
        """Hand over a frame; False when the ring, or the half that one of several may fill, is full."""
        share = self.ring_size if len(self.ledgers) < 2 else self.ring_size // 2
        full = self._frames >= self.ring_size or self._waiting[telling.account_id] >= share
        if full or self._done.is_set():
            return False
        self._frames += 1
        self._waiting[telling.account_id] += 1
        self._lines.put(telling)
        if not self._ready.is_set():
            self._ready.set()
        return True

    async def record(self, telling: Telling) -> None:
        """Hand over a REST page and wait until it is durable."""
        await self._put(Job(self._loop.create_future(), telling.account_id, telling=telling))

    async def submit(self, run: Callable[[Transaction], T], line: str) -> T:
        """Run bookkeeping in a transaction of the writer and return what it returns.

        ``line`` is the account that it concerns, whose frames and pages so far are written before; or
        HOUSE, where it concerns none.
        """
        job = Job(self._loop.create_future(), line, run)
        await self._put(job)
        return job.future.result()  # type: ignore[no-any-return]

    async def _put(self, job: Job) -> None:
        if self._done.is_set():
            raise DatabaseFailed("the writer has stopped")
        self._lines.put(job)
        self._ready.set()
        await asyncio.shield(job.future)

    async def open_account(self, account_id: str, venue: str, environment: str) -> Ledger:
        """Make the account known to the record, take its head, and load what is believed of it."""
        now = self.clock.now()

        def run(tx: Transaction) -> Ledger:
            row = tx.open_account(account_id, account_id, venue, environment, now)
            ledger = Ledger(account_id, venue, environment, row.created_at, row.is_new)
            self.ledgers.load(tx, ledger, tx.take_head(account_id))
            return ledger

        # only once it is committed: what is known here is loaded anew after a lost connection
        ledger = self.ledgers[account_id] = await self.submit(run, account_id)
        return ledger

    async def stop(self, deadline: float) -> bool:
        """Drain the queue and end the thread; False when the deadline (seconds) passed first."""
        self._stopping = True
        self._ready.set()
        try:
            async with asyncio.timeout(deadline):
                await self._done.wait()
        except TimeoutError:
            self._kill.set()
            return False
        return True

    def ring(self, tx: Transaction, account_id: str, raised: Iterable[Alert],
             only: Collection[str] | None = None) -> None:  # fmt: skip
        """Write alerts of the runtime's own (stream down, gap opened) in the given transaction.

        ``account_id`` is empty for what concerns accountd as a whole; ``only`` names the hooks to tell.
        """
        venue = self.ledgers[account_id].venue if account_id else ""
        hooks = [wish for wish in self.hooks if only is None or wish.hook in only]
        rows = raise_alerts(tx, account_id, venue, raised, hooks, self.clock.now())
        tx.write([], rows)
        self._rung += rows

    # -- the writer thread

    def _run(self) -> None:
        wait = RETRY_FIRST
        batch: Batch | None = None
        try:
            while not self._kill.is_set():
                batch = batch or self._next()
                if batch is None:
                    break
                try:
                    self._commit(batch)
                except (DatabaseGone, DatabaseFull) as error:
                    self._forget()
                    self._call(self.observer.trouble, error)
                    if self._kill.wait(wait):
                        break
                    wait = min(wait * 2, RETRY_MOST)
                    continue
                if wait != RETRY_FIRST:
                    self._call(self.observer.trouble, None)
                batch, self.busy_since, wait = None, None, RETRY_FIRST
        except Exception as error:  # whatever it was, the record can no longer be trusted to move
            log.error("writer stopped", error=type(error).__name__, exc_info=not isinstance(error, Fenced))
            self._call(self.observer.died, error)
        finally:
            try:
                self._ahead.close()
                self.writer.close()
            finally:
                self._call(self._end, [one for one in (batch, self._ahead.batch) if one])

    def _call(self, what: Callable[..., object], *args: object) -> None:
        try:
            self._loop.call_soon_threadsafe(what, *args)
        except RuntimeError:  # the loop is closed: nobody is left to hear it
            self._kill.set()

    def _next(self) -> Batch | None:
        """Return what was folded ahead, or else take what waits."""
        if self._ahead.batch is not None:  # a look that hangs is the database's silence too
            self.busy_since = self.clock.monotonic()
        if not self._ahead.wait():
            self._forget()
        return self._ahead.get() or self._take()

    def _take(self) -> Batch | None:
        """Wait for something to do and take what is there; None when all is done and told to stop."""
        while not self._lines:
            if self._stopping or self._kill.is_set():
                return None
            self._ready.wait()
            self._ready.clear()
        return self._lines.take()

    def _commit(self, batch: Batch) -> None:
        if self._doubt is not None:
            self._settle(self._doubt, batch)
        folded, batch.folded = batch.folded, None
        try:
            self._transact(batch.tellings, batch.jobs, folded, may_lead=True)
        except (DatabaseGone, DatabaseFull, DatabaseFailed, Fenced):
            raise
        except Exception as error:  # one telling or job must not hold up the others: find it
            self._forget()
            name, number = type(error).__name__, len(batch.tellings)
            log.warning("batch refused, going one by one", error=name, tellings=number)
            self._one_by_one(batch)

    def _settle(self, doubt: Doubt, batch: Batch) -> None:
        """Ask whether a commit whose answer was lost took effect; what it wrote is then not written again."""
        if doubt.mark is not None and self.writer.took_effect(doubt.mark):
            log.warning("a commit whose answer was lost had taken effect", tellings=len(doubt.tellings))
            written = {id(telling) for telling in doubt.tellings}
            batch.tellings = [telling for telling in batch.tellings if id(telling) not in written]
            batch.jobs = [job for job in batch.jobs if not any(job is done for done in doubt.jobs)]
            self._say_done(doubt)
        self._doubt = None

    def _one_by_one(self, batch: Batch) -> None:
        """Write each telling and job alone; what still cannot be written is quarantined and said."""
        pages = {id(job.telling): job for job in batch.jobs if job.telling is not None}
        while batch.tellings:
            telling = batch.tellings[0]
            job = pages.get(id(telling))
            try:
                self._transact([telling], [job] if job else [])
            except (DatabaseGone, DatabaseFull, DatabaseFailed, Fenced):
                raise
            except Exception as error:  # poison: keep its bytes and what can be kept of it, say why, go on
                self._forget()
                ours = not isinstance(error, RecordRefused)
                log.error(
                    "telling quarantined", kind=telling.kind, account=telling.account_id, error=str(error),
                    exc_info=ours,
                )  # fmt: skip
                self._transact([self._quarantined(telling)], [job] if job else [])
            batch.tellings.pop(0)
        for job in [job for job in batch.jobs if job.run is not None]:
            try:
                self._transact([], [job])
            except (DatabaseGone, DatabaseFull, DatabaseFailed, Fenced):
                raise
            except Exception as error:  # the submitter hears of it
                self._forget()
                self._call(fail, job.future, error)
            batch.jobs.remove(job)

    def _quarantined(self, telling: Telling) -> Telling:
        """Return the telling without what the record refuses, which a finding names in its stead."""
        kept, refused = self._sift(telling, list(telling.told))
        return msgspec.structs.replace(telling, told=[*kept, *refused])

    def _sift(self, telling: Telling, told: list[Told]) -> tuple[list[Told], list[Told]]:
        """Find, by halves, what can be written and a notice for each thing that cannot."""
        if not told:
            return [], []
        try:
            self._rehearse(msgspec.structs.replace(telling, told=told))
            return told, []
        except (DatabaseGone, DatabaseFull, DatabaseFailed, Fenced):
            raise
        except Exception as error:  # whatever makes it unwritable is what we look for
            if len(told) == 1:
                what = {"reason": type(error).__name__, "kind": telling.kind, "told": type(told[0]).__name__}
                return [], [Notice(kind="refused", detail=what)]
        middle = len(told) // 2
        kept, refused = self._sift(telling, told[:middle])
        more, worse = self._sift(telling, told[middle:])
        return kept + more, refused + worse

    def _rehearse(self, telling: Telling) -> None:
        """Write a telling and roll it back; raise what the database says against it."""
        try:
            with self.writer.begin() as tx:
                self.ledgers.recall(tx)
                folded = self.ledgers.fold([telling], tx.load)
                tx.put(folded.ready, folded.outbox)
                raise _Rehearsed
        except _Rehearsed:
            return
        finally:
            self._forget()

    def _transact(self, tellings: list[Telling], jobs: Sequence[Job], folded: Folded | None = None,
                  may_lead: bool = False) -> None:  # fmt: skip
        started = self.clock.monotonic()
        self.busy_since = self.busy_since or started
        self._rung = []
        with self.writer.begin() as tx:
            self.ledgers.recall(tx)
            folded = folded or self.ledgers.fold(tellings, tx.load)
            if may_lead and not jobs and self._may_fold_ahead():
                self._ahead.start()
            committed_at = tx.put(folded.ready, folded.outbox)
            for one in folded.changes:
                for subject, at, detail in late(tx, one):
                    open_finding(self, tx, one.account_id, LATE, "warning", subject, detail,
                                 self.clock.now(), (at, at))  # fmt: skip
            for job in jobs:
                if job.run is not None:
                    job.result = job.run(tx)
            rows = folded.outbox + self._rung
            outcome = Outcome(folded.changes, rows, committed_at, 0.0, len(tellings))
            self._doubt = Doubt(tx.mark(), tellings, list(jobs), outcome)
        self.busy_since = None  # before anybody hears of it: who then looks finds no debt
        doubt, self._doubt = self._doubt, None
        outcome.seconds = self.clock.monotonic() - started
        self._say_done(doubt)

    def _say_done(self, doubt: Doubt) -> None:
        frames = Counter(telling.account_id for telling in doubt.tellings if telling.keep)
        self._call(self._finish, doubt.outcome, doubt.jobs, frames)

    def _may_fold_ahead(self) -> bool:
        """Say whether enough waits, and nobody else would have to stand behind it too."""
        return (
            self.writer.aside is not None and len(self.ledgers) < 2 and len(self._lines) >= ahead.WORTH
        )

    def _fold_ahead(self, batch: Batch) -> None:
        if self.ledgers.know(batch.tellings):
            batch.folded = self.ledgers.fold(batch.tellings, self.writer.look)

    def _forget(self) -> None:
        """Drop beliefs that a transaction moved and then did not commit, and what was folded upon them."""
        self._ahead.wait()
        if self._ahead.batch is not None:
            self._ahead.batch.folded = None
        self.ledgers.forget()

    def _finish(self, outcome: Outcome, jobs: list[Job], frames: Counter[str]) -> None:
        self._frames = max(0, self._frames - frames.total())
        self._waiting -= frames
        for job in jobs:
            if not job.future.done():
                job.future.set_result(job.result)
        outcome.outbox = [row for row in outcome.outbox if self._is_new(row.message_id)]
        self.observer.committed(outcome)

    def _is_new(self, message_id: str) -> bool:
        """Say whether a message was not handed on before: the body that was written first is the body."""
        if message_id in self._offered:
            return False
        self._offered[message_id] = None
        self._offered.trim()
        return True

    def _end(self, left: list[Batch]) -> None:
        """Nothing is written any more: say so to whoever waits, and to whoever comes."""
        self._done.set()
        for job in [*self._lines.jobs(), *(job for batch in left for job in batch.jobs)]:
            fail(job.future, DatabaseFailed("the writer has stopped"))
