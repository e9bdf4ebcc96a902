"""The only way anything gets written down: one thread, one transaction for everything that waits."""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol, TypeVar

import structlog

from accountd.core import alerts
from accountd.core.alerts import HookWish, OutboxRow
from accountd.core.beliefs import Beliefs
from accountd.core.changes import Alert, Changes
from accountd.core.fold import Fold
from accountd.core.told import Notice, Telling
from accountd.errors import DatabaseFailed, DatabaseFull, DatabaseGone, Fenced
from accountd.runtime.clock import Clock
from accountd.store.writer import Transaction, Writer

T = TypeVar("T")
log = structlog.get_logger("accountd.recorder")

BATCH = 1_000  # tellings in one transaction at most
RETRY_FIRST, RETRY_MOST = 0.1, 5.0


class Observer(Protocol):
    """Who hears of commits; called in the event loop."""

    def committed(self, outcome: Outcome) -> None: ...

    def trouble(self, error: Exception | None) -> None: ...

    def died(self, error: Exception) -> None: ...


@dataclass(slots=True)
class Outcome:
    """What one transaction did."""

    changes: list[Changes]
    outbox: list[OutboxRow]
    committed_at: datetime
    seconds: float
    tellings: int


@dataclass(slots=True)
class Ledger:
    """One account as the writer thread knows it."""

    account_id: str
    venue: str
    environment: str
    born: datetime
    is_new: bool
    beliefs: Beliefs | None = None


@dataclass(slots=True)
class Job:
    """Bookkeeping to run in the next transaction, or a REST page whose sender waits for the commit."""

    future: asyncio.Future[Any]
    run: Callable[[Transaction], Any] | None = None
    telling: Telling | None = None
    result: Any = None


@dataclass(slots=True)
class Batch:
    """What one transaction takes from the queue, in order."""

    tellings: list[Telling] = field(default_factory=list)
    jobs: list[Job] = field(default_factory=list)


class Recorder:
    """Takes tellings without ever making a socket wait, and commits them in groups.

    While one transaction commits, the next group gathers. ``offer`` is for frames: it returns False
    when the ring is full, and the caller opens a gap. ``record`` and ``submit`` wait for the commit.
    """

    def __init__(self, writer: Writer, hooks: Sequence[HookWish], clock: Clock, observer: Observer,
                 ring_size: int = 20_000) -> None:  # fmt: skip
        self.writer = writer
        self.hooks = tuple(hooks)
        self._heard = alerts.heard(self.hooks)
        self.clock = clock
        self.observer = observer
        self.ring_size = ring_size
        self.ledgers: dict[str, Ledger] = {}
        self._queue: deque[Telling | Job] = deque()
        self._frames = 0
        self._ready = threading.Event()
        self._stopping = False
        self._kill = threading.Event()
        self._loop = asyncio.get_running_loop()
        self._done = asyncio.Event()
        self._rung: list[OutboxRow] = []
        self._thread = threading.Thread(target=self._run, name="accountd-writer", daemon=True)
        self._thread.start()

    # -- called in the event loop

    @property
    def depth(self) -> int:
        """Return how many frames wait to be written."""
        return self._frames

    def offer(self, telling: Telling) -> bool:
        """Hand over a frame; False when the ring is full and the frame is not taken."""
        if self._frames >= self.ring_size:
            return False
        self._frames += 1
        self._queue.append(telling)
        self._ready.set()
        return True

    async def record(self, telling: Telling) -> None:
        """Hand over a REST page and wait until it is durable."""
        await self._put(Job(self._loop.create_future(), telling=telling))

    async def submit(self, run: Callable[[Transaction], T]) -> T:
        """Run bookkeeping in the writer's next transaction and return what it returns."""
        job = Job(self._loop.create_future(), run=run)
        await self._put(job)
        return job.future.result()  # type: ignore[no-any-return]

    async def _put(self, job: Job) -> None:
        if self._done.is_set():
            raise DatabaseFailed("the writer has stopped")
        self._queue.append(job)
        self._ready.set()
        await asyncio.shield(job.future)

    async def open_account(self, account_id: str, venue: str, environment: str) -> Ledger:
        """Make the account known to the record, take its head, and load what is believed of it."""
        now = self.clock.now()

        def run(tx: Transaction) -> Ledger:
            row = tx.open_account(account_id, account_id, venue, environment, now)
            ledger = Ledger(account_id, venue, environment, row.created_at, row.is_new)
            self._load(tx, ledger)
            self.ledgers[account_id] = ledger
            return ledger

        return await self.submit(run)

    async def stop(self, deadline: float) -> bool:
        """Drain the queue and end the thread; False when the deadline (seconds) passed first."""
        self._stopping = True
        self._ready.set()
        try:
            await asyncio.wait_for(self._done.wait(), deadline)
        except TimeoutError:
            self._kill.set()
            return False
        return True

    def ring(self, tx: Transaction, account_id: str, raised: Iterable[Alert]) -> None:
        """Write alerts of the runtime's own (stream down, gap opened) in the given transaction."""
        rows = self._rows(account_id, raised)
        tx.write([], rows)
        self._rung += rows

    # -- the writer thread

    def _run(self) -> None:
        wait = RETRY_FIRST
        batch: Batch | None = None
        try:
            while not self._kill.is_set():
                batch = batch or self._take()
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
                    wait = RETRY_FIRST
                    self._call(self.observer.trouble, None)
                batch = None
        except Exception as error:  # noqa: BLE001  # whatever it was, the record can no longer be trusted to move
            log.error("writer stopped", error=type(error).__name__, exc_info=not isinstance(error, Fenced))
            self._call(self.observer.died, error)
        finally:
            self._fail_waiting(batch)
            self.writer.close()
            self._call(self._done.set)

    def _call(self, what: Callable[..., object], *args: object) -> None:
        try:
            self._loop.call_soon_threadsafe(what, *args)
        except RuntimeError:  # the loop is closed: nobody is left to hear it
            self._kill.set()

    def _take(self) -> Batch | None:
        """Wait for something to do and take what is there; None when all is done and told to stop."""
        while not self._queue:
            if self._stopping or self._kill.is_set():
                return None
            self._ready.wait()
            self._ready.clear()
        batch = Batch()
        queue = self._queue
        while queue and len(batch.tellings) < BATCH:
            item = queue.popleft()
            if isinstance(item, Telling):
                batch.tellings.append(item)
                continue
            batch.jobs.append(item)
            if item.telling is not None:
                batch.tellings.append(item.telling)
        return batch

    def _commit(self, batch: Batch) -> None:
        try:
            self._transact(batch.tellings, batch.jobs)
        except (DatabaseGone, DatabaseFull, DatabaseFailed, Fenced):
            raise
        except Exception as error:  # noqa: BLE001  # one telling or job must not hold up the others: find it
            self._forget()
            log.warning("batch refused, going one by one", error=type(error).__name__, tellings=len(batch.tellings))
            self._one_by_one(batch)

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
            except Exception as error:  # noqa: BLE001  # poison: keep its bytes, say why, go on
                self._forget()
                log.error("telling quarantined", kind=telling.kind, account=telling.account_id, exc_info=True)
                self._transact([_quarantined(telling, error)], [job] if job else [])
            batch.tellings.pop(0)
        for job in [job for job in batch.jobs if job.run is not None]:
            try:
                self._transact([], [job])
            except (DatabaseGone, DatabaseFull, DatabaseFailed, Fenced):
                raise
            except Exception as error:  # noqa: BLE001  # the submitter hears of it
                self._forget()
                self._call(_set_exception, job.future, error)
            batch.jobs.remove(job)

    def _transact(self, tellings: list[Telling], jobs: Sequence[Job]) -> None:
        started = self.clock.monotonic()
        frames = sum(1 for telling in tellings if telling.keep)
        changes: list[Changes] = []
        self._rung = []
        with self.writer.begin() as tx:
            for account_id, told in _by_account(tellings).items():
                changes.append(self._fold(tx, self.ledgers[account_id], told))
            rows = [row for one in changes for row in self._rows(one.account_id, one.alerts)]
            committed_at = tx.write(changes, rows)
            for job in jobs:
                if job.run is not None:
                    job.result = job.run(tx)
            rows += self._rung
        seconds = self.clock.monotonic() - started
        self._call(self._finish, Outcome(changes, rows, committed_at, seconds, len(tellings)), list(jobs), frames)

    def _fold(self, tx: Transaction, ledger: Ledger, tellings: list[Telling]) -> Changes:
        if ledger.beliefs is None:
            self._load(tx, ledger)
        beliefs = ledger.beliefs
        assert beliefs is not None
        wanted = beliefs.wanted(tellings)
        if wanted.orders or wanted.fills or wanted.transfers:
            beliefs.remember(tx.load(ledger.account_id, wanted))
        return Fold(beliefs, ledger.born, heard=self._heard).run(tellings)

    def _load(self, tx: Transaction, ledger: Ledger) -> None:
        head = tx.take_head(ledger.account_id)
        beliefs = Beliefs(ledger.account_id, head.seq, head.head)
        balances, positions, orders = tx.load_small(ledger.account_id)
        beliefs.balances = {(one.market, one.asset): one for one in balances}
        beliefs.positions = {(one.market, one.symbol, one.position_side): one for one in positions}
        beliefs.open = {(one.market, one.symbol, one.kind, one.order_id): one for one in orders}
        ledger.beliefs = beliefs

    def _rows(self, account_id: str, raised: Iterable[Alert]) -> list[OutboxRow]:
        ledger, now = self.ledgers[account_id], self.clock.now()
        return alerts.batch(raised, ledger.venue, account_id, self.hooks, now)

    def _forget(self) -> None:
        """Drop beliefs that a transaction moved and then did not commit; they are loaded anew."""
        for ledger in self.ledgers.values():
            ledger.beliefs = None

    def _finish(self, outcome: Outcome, jobs: list[Job], frames: int) -> None:
        self._frames = max(0, self._frames - frames)
        for job in jobs:
            if not job.future.done():
                job.future.set_result(job.result)
        self.observer.committed(outcome)

    def _fail_waiting(self, batch: Batch | None) -> None:
        left = list(self._queue) + (list(batch.jobs) if batch else [])
        for job in left:
            if isinstance(job, Job):
                self._call(_set_exception, job.future, DatabaseFailed("the writer has stopped"))


def _set_exception(future: asyncio.Future[Any], error: Exception) -> None:
    if not future.done():
        future.set_exception(error)
        future.exception()  # retrieved here: a waiter that was cancelled must not cause a warning


def _by_account(tellings: list[Telling]) -> dict[str, list[Telling]]:
    groups: dict[str, list[Telling]] = {}
    for telling in tellings:
        groups.setdefault(telling.account_id, []).append(telling)
    return groups


def _quarantined(telling: Telling, error: Exception) -> Telling:
    notice = Notice(kind="undecodable", detail={"reason": f"refused: {type(error).__name__}", "kind": telling.kind})
    return Telling(
        account_id=telling.account_id, source=telling.source, kind=telling.kind, raw=telling.raw,
        received_at=telling.received_at, told=[notice], event_time=telling.event_time,
        session_id=telling.session_id, keep=True,
    )  # fmt: skip


