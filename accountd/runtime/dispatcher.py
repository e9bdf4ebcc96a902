"""What brings alerts from the outbox to their hooks: at least once, in order, no hook delayed by another."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Protocol, TypeVar

import structlog

from accountd.core.alerts import DEAD, DELIVERED, PENDING, Attempt, OutboxRow
from accountd.core.schedule import retry_at
from accountd.errors import DatabaseError, SinkError
from accountd.runtime.hook_queue import Entry, HookQueue
from accountd.sinks.base import Message, Sink
from accountd.store import outbox
from accountd.store.outbox import Connection

T = TypeVar("T")
log = structlog.get_logger("accountd.dispatcher")

GONE = 410  # HTTP: the receiver wants no more, ever
FETCH = 2_000  # rows of one look at the database
LEISURE = 4  # a look that took a second is followed by four without, lest a backlog eat the machine
DATABASE_PAUSE = 1.0  # seconds between tries while the database does not answer


class Database(Protocol):
    """A way to run a function on a connection: a reader's, or the writer's next transaction."""

    def __call__(self, run: Callable[[Connection], T], /) -> Awaitable[T]:
        """Run it and return what it returns."""


class RetrySettings(Protocol):
    """The settings of a hook that decide when it is tried again."""

    @property
    def retry(self) -> Sequence[timedelta]:
        """Waits between attempts."""


class DeliveryObserver:
    """Hears how deliveries go; does nothing by itself."""

    def attempted(self, hook: str, result: str, seconds: float) -> None:
        """One attempt ended; ``result`` is the status that the message has now."""

    def first_attempt(self, hook: str, seconds: float) -> None:
        """A message is tried for the first time, ``seconds`` after it was committed."""

    def dead(self, row: OutboxRow, reason: str) -> None:
        """A message is given up."""

    def disabled(self, hook: str, reason: str) -> None:
        """A hook is not used any more."""


class Dispatcher:
    """Sends what the outbox holds and writes down how it went.

    Everything here runs in one event loop; ``offer`` and ``wake`` are called in it too. ``now`` returns
    aware UTC, ``chance`` a number in [0, 1) that spreads retries. A message is marked after the hook took
    it, so a crash in between sends it again with the same id and body.
    """

    def __init__(
        self,
        hooks: Mapping[str, RetrySettings],
        sinks: Mapping[str, Sink],
        *,
        read: Database,
        submit: Database,
        now: Callable[[], datetime],
        chance: Callable[[], float],
        observer: DeliveryObserver | None = None,
        concurrency: int = 4,
        limit: int = 5_000,
        look_every: float = 30.0,
    ) -> None:
        self._hooks = hooks
        self._sinks = sinks
        self._read = read
        self._submit = submit
        self._now = now
        self._chance = chance
        self._observer = observer or DeliveryObserver()
        self._concurrency = concurrency
        self._look_every = look_every
        self._queues = {name: HookQueue(name, limit) for name in hooks}
        self._results: list[Attempt] = []
        self._disabling: dict[str, str] = {}
        self._news = asyncio.Event()
        self._halt = asyncio.Event()
        self._running = False
        self._senders: list[asyncio.Task[None]] = []
        self._sent = asyncio.Event()
        self._ended = asyncio.Event()
        self._books: asyncio.Task[None] | None = None

    def offer(self, rows: Iterable[OutboxRow]) -> None:
        """Take rows that were just committed; no reading of the database stands before their attempt."""
        now = self._now()
        for row in rows:
            queue = self._queues.get(row.hook)
            if queue is not None:
                queue.offer(row, now)

    def wake(self) -> None:
        """Look at the database now: rows came in on another path, or the clock was moved."""
        for queue in self._queues.values():
            queue.look_again()

    async def run(self) -> None:
        """Deliver until told to stop, then close the sinks.

        Raises:
            DatabaseError: the database is lost for good.
        """
        self._running = True
        try:
            await self._recall()
            async with asyncio.TaskGroup() as group:
                self._books = group.create_task(self._keep_books(), name="dispatcher-books")
                async with asyncio.TaskGroup() as senders:
                    for name, queue in self._queues.items():
                        self._start(senders, name, queue)
                self._sent.set()
                self._news.set()
        except ExceptionGroup as failures:
            raise _first(failures) from failures
        finally:
            for sink in self._sinks.values():
                await sink.close()
            self._ended.set()

    def _start(self, group: asyncio.TaskGroup, name: str, queue: HookQueue) -> None:
        self._senders.append(group.create_task(self._look(queue), name=f"dispatcher-{name}-look"))
        for number in range(self._concurrency):
            self._senders.append(group.create_task(self._work(queue), name=f"dispatcher-{name}-{number}"))

    async def stop(self, deadline: float) -> None:
        """End within ``deadline`` seconds: finish what is in flight, leave the rest pending.

        An attempt that does not end in time is broken off and made again after the next start.
        """
        self._halt.set()
        for queue in self._queues.values():
            queue.close(self._concurrency)
        if not self._running:
            return
        if not await _in_time(self._sent, deadline * 0.8):
            for task in self._senders:
                task.cancel()
        if not await _in_time(self._ended, deadline * 0.2) and self._books is not None:
            self._books.cancel()

    async def _recall(self) -> None:
        """Take over which hooks the last run disabled, and say what waits for a hook that is gone."""
        for name, reason in (await self._patiently(self._read, outbox.disabled)).items():
            if name in self._queues:
                self._queues[name].disable(reason)
                log.warning("hook is disabled", hook=name, reason=reason)
        for name, number in (await self._patiently(self._read, outbox.waiting)).items():
            if name not in self._queues:
                log.warning("alerts wait for a hook that is not configured", hook=name, waiting=number)

    # -- out

    async def _work(self, queue: HookQueue) -> None:
        """Send one message after the other."""
        sink = self._sinks[queue.hook]
        while (entry := await queue.take()) is not None:
            started, tick = self._now(), _monotonic()
            if entry.row.attempts == 0:
                self._observer.first_attempt(queue.hook, (started - entry.since).total_seconds())
            refusal = await self._send(sink, entry.row, started)
            self._settle(queue, entry, refusal, started, _monotonic() - tick)

    async def _send(self, sink: Sink, row: OutboxRow, started: datetime) -> SinkError | None:
        """Make one attempt; return why the message was not taken."""
        message = Message(
            id=row.message_id,
            type=row.type,
            body=row.body.encode(),
            attempted_at=started,
            attempt=row.attempts + 1,
        )
        try:
            await sink.send(message)
        except SinkError as refusal:
            return refusal
        except Exception as error:  # a sink's own fault must not stop the other hooks: log it, try again
            log.exception("sink failed in a way that it should not", hook=row.hook)
            return SinkError(f"unexpected {type(error).__name__}")
        return None

    def _settle(
        self, queue: HookQueue, entry: Entry, refusal: SinkError | None, started: datetime, seconds: float
    ) -> None:
        """Decide what becomes of the message, let its lane go on, and put the result on the books."""
        row, ended = entry.row, self._now()
        attempt = Attempt(
            message_id=row.message_id,
            hook=row.hook,
            attempt=row.attempts + 1,
            status=DELIVERED,
            started_at=started,
            duration=round(seconds * 1_000_000),
        )
        if refusal is None:
            attempt.delivered_at = ended
        else:
            self._refused(attempt, refusal, ended)
        if attempt.status == PENDING:
            queue.later(entry)
        else:
            queue.passed(entry)
        if attempt.status == DEAD:
            log.error("alert is dead", hook=row.hook, message_id=row.message_id, reason=attempt.error)
            self._observer.dead(row, attempt.error or "")
        if attempt.status_code == GONE and queue.disabled is None:
            self._disable(queue, "the receiver answered 410 Gone")
        self._observer.attempted(row.hook, attempt.status, seconds)
        self._results.append(attempt)
        self._news.set()

    def _refused(self, attempt: Attempt, refusal: SinkError, now: datetime) -> None:
        """Fill in why the message was not taken, and when it is tried again if ever."""
        attempt.error, attempt.status_code = refusal.message, refusal.status
        again = None
        if not refusal.permanent:
            waits = self._hooks[attempt.hook].retry
            again = retry_at(attempt.attempt, waits, now, self._chance(), refusal.retry_after)
        attempt.status = DEAD if again is None else PENDING
        attempt.next_attempt_at = again

    def _disable(self, queue: HookQueue, reason: str) -> None:
        log.error("hook is disabled", hook=queue.hook, reason=reason)
        queue.disable(reason)
        self._disabling[queue.hook] = reason
        self._observer.disabled(queue.hook, reason)

    # -- books

    async def _keep_books(self) -> None:
        """Write down results, as many in one transaction as there are."""
        while True:
            await self._news.wait()
            self._news.clear()
            while self._results:
                await self._write_results()
            if self._sent.is_set():
                return

    async def _write_results(self) -> None:
        results, self._results = self._results, []
        disabling, self._disabling = self._disabling, {}
        now = self._now()

        def run(conn: Connection) -> None:
            outbox.record(conn, results)
            for hook, reason in disabling.items():
                outbox.disable(conn, hook, reason, now)

        await self._patiently(self._submit, run)
        done: dict[str, list[str]] = {}
        for result in results:
            done.setdefault(result.hook, []).append(result.message_id)
        for hook, ids in done.items():
            self._queues[hook].release(ids)

    # -- in

    async def _look(self, queue: HookQueue) -> None:
        """Fetch what the database holds for a hook: at the start, when a retry is due, when there is room."""
        while not self._halt.is_set():
            queue.stir.clear()
            if queue.disabled is not None and queue.missed:
                await self._suppress(queue, queue.disabled)
            elif queue.wants_look:
                await self._fetch(queue)
            else:
                await self._rest(queue)

    async def _rest(self, queue: HookQueue) -> None:
        seconds = self._look_every
        if queue.next_at is not None and not queue.missed:
            seconds = min(seconds, max(0.0, (queue.next_at - self._now()).total_seconds()))
        try:
            async with asyncio.timeout(seconds):
                await queue.stir.wait()
        except TimeoutError:
            queue.missed = queue.disabled is None

    async def _fetch(self, queue: HookQueue) -> None:
        exclude, now, most = queue.begin_look(), self._now(), min(FETCH, queue.room)
        tick = _monotonic()

        def run(conn: Connection) -> tuple[list[OutboxRow], datetime | None]:
            return outbox.due(conn, queue.hook, now, most, exclude), outbox.next_due(conn, queue.hook, now)

        try:
            rows, next_at = await self._patiently(self._read, run)
        except BaseException:
            queue.abandon_look()
            raise
        more = len(rows) == most
        queue.end_look(rows, more, next_at)
        if not more:
            await _in_time(self._halt, min(LEISURE * (_monotonic() - tick), self._look_every))

    async def _suppress(self, queue: HookQueue, reason: str) -> None:
        queue.missed = False
        await self._patiently(self._submit, lambda conn: outbox.suppress_disabled(conn, queue.hook, reason))

    async def _patiently(self, database: Database, run: Callable[[Connection], T]) -> T:
        """Run on the database, again and again while it does not answer."""
        while True:
            try:
                return await database(run)
            except DatabaseError as error:
                if error.permanent:
                    raise
                log.warning("outbox waits for the database", error=error.message)
            await asyncio.sleep(DATABASE_PAUSE)


def _monotonic() -> float:
    return asyncio.get_running_loop().time()


def _first(failures: ExceptionGroup[Exception]) -> Exception:
    """Return the failure that ended a group of tasks; the others are what it took down."""
    failure = failures.exceptions[0]
    return _first(failure) if isinstance(failure, ExceptionGroup) else failure


async def _in_time(event: asyncio.Event, seconds: float) -> bool:
    """Wait for an event; say whether it came within ``seconds``."""
    try:
        async with asyncio.timeout(seconds):
            await event.wait()
    except TimeoutError:
        return False
    return True
