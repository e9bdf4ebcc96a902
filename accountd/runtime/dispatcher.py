"""What brings alerts from the outbox to their hooks: at least once, in order, no hook delayed by another."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from functools import partial
from typing import Protocol

import structlog

from accountd.core.alerts import DEAD, DELIVERED, PENDING, Attempt, OutboxRow
from accountd.core.mutes import Mutes
from accountd.core.schedule import retry_at
from accountd.errors import SinkError
from accountd.runtime.hook_queue import Entry, HookQueue
from accountd.runtime.hook_reader import Database as Database
from accountd.runtime.hook_reader import HookReader, in_time, patiently
from accountd.sinks.base import Message, Sink
from accountd.store import outbox
from accountd.store.outbox import Connection

log = structlog.get_logger("accountd.dispatcher")

NOT_CONFIGURED = "the hook is not in the settings"
GATHER = 0.25  # seconds in which results gather: their commits must not stand in the way of events
SLICE = 250  # results in one transaction at most, for the same reason
SOON = 0.02  # ... when one of them is no delivery: it is tried again from the database
GONE = 410  # HTTP: the receiver wants no more, ever
LONGEST_HOLD = timedelta(days=1)  # a receiver that asks for a longer pause is asked again after this


class RetrySettings(Protocol):
    """The settings of a hook that decide when it is tried again."""

    @property
    def retry(self) -> Sequence[timedelta]:
        """Waits between attempts."""

    @property
    def concurrency(self) -> int:
        """How many messages are under way at once."""


class DeliveryObserver:
    """Hears how deliveries go; does nothing by itself."""

    def attempted(self, hook: str, result: str, seconds: float) -> None:
        """One attempt ended; ``result`` is the status that the message has now."""

    def first_attempt(self, hook: str, seconds: float) -> None:
        """A message is tried for the first time, ``seconds`` after it was committed."""

    def delivered(self, row: OutboxRow, at: datetime) -> None:
        """A hook has taken a message."""

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
        concurrency: int | None = None,
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
        self._quiet: list[tuple[str, str, str]] = []  # hook, message and why it is not told
        self.mutes = Mutes()
        self._disabling: dict[str, str] = {}
        self._news = asyncio.Event()
        self._hurry = asyncio.Event()
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
            if queue is not None and row.status == PENDING:
                queue.offer(row, now)

    def wake(self) -> None:
        """Look at the database now: rows came in on another path, or the clock was moved."""
        for queue in self._queues.values():
            queue.look_again()
            queue.tick.set()

    def look_at(self, hook: str) -> None:
        """Look at the database for one hook, if it is one of ours."""
        if hook in self._queues:
            self._queues[hook].look_again()

    def enable(self, hook: str) -> None:
        """Use a hook again that was disabled."""
        queue = self._queues.get(hook)
        if queue is not None and queue.disabled is not None and hook not in self._disabling:
            log.info("hook is enabled", hook=hook)
            queue.enable()

    @property
    def disabled(self) -> dict[str, str]:
        """Return the hooks that are not used, each with the reason."""
        return {name: queue.disabled for name, queue in self._queues.items() if queue.disabled is not None}

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
                self._hurry.set()
                self._news.set()
        except ExceptionGroup as failures:
            raise _first(failures) from failures
        finally:
            for sink in self._sinks.values():
                await sink.close()
            self._ended.set()

    def _start(self, group: asyncio.TaskGroup, name: str, queue: HookQueue) -> None:
        reader = HookReader(queue, self._read, self._submit, self._now, self._halt, self._look_every)
        self._senders.append(group.create_task(reader.run(), name=f"dispatcher-{name}-look"))
        for number in range(self._workers(name)):
            self._senders.append(group.create_task(self._work(queue), name=f"dispatcher-{name}-{number}"))

    def _workers(self, name: str) -> int:
        return self._concurrency or self._hooks[name].concurrency

    async def stop(self, deadline: float) -> None:
        """End within ``deadline`` seconds: finish what is in flight, leave the rest pending.

        An attempt that does not end in time is broken off and made again after the next start.
        """
        self._halt.set()
        for name, queue in self._queues.items():
            queue.close(self._workers(name))
        if not self._running:
            return
        if not await in_time(self._sent, deadline * 0.8):
            for task in self._senders:
                task.cancel()
        if not await in_time(self._ended, deadline * 0.2) and self._books is not None:
            self._books.cancel()

    async def _recall(self) -> None:
        """Take over which hooks the last run disabled, and let go of what waits for a hook that is gone."""
        for name, reason in (await patiently(self._read, outbox.disabled)).items():
            if name in self._queues:
                self._queues[name].disable(reason)
                log.warning("hook is disabled", hook=name, reason=reason)
        gone = [name for name in await patiently(self._read, outbox.waiting) if name not in self._queues]

        def let_go(conn: Connection, name: str) -> int:
            return outbox.suppress(conn, name, NOT_CONFIGURED)

        for name in gone:
            number = await patiently(self._submit, partial(let_go, name=name))
            log.warning("alerts for a hook that is not configured are suppressed", hook=name, alerts=number)

    # -- out

    async def _work(self, queue: HookQueue) -> None:
        """Send one message after the other."""
        sink = self._sinks[queue.hook]
        while (entry := await queue.take()) is not None:
            if not await self._may_send(queue, entry):
                continue
            started, tick = self._now(), _monotonic()
            if entry.row.attempts == 0:
                self._observer.first_attempt(queue.hook, (started - entry.since).total_seconds())
            refusal = await self._send(sink, entry.row, started)
            self._settle(queue, entry, refusal, started, _monotonic() - tick)

    async def _may_send(self, queue: HookQueue, entry: Entry) -> bool:
        """Wait while the receiver asked for a pause; say whether the message is to be sent then."""
        while queue.held_until is not None and not self._halt.is_set():
            left = (queue.held_until - self._now()).total_seconds()
            if left <= 0:
                queue.held_until = None
                break
            queue.tick.clear()
            await in_time(queue.tick, left)
        if self._halt.is_set():
            return False
        if queue.disabled is not None:
            queue.passed(entry)
            return False
        if (why := self.mutes.why(entry.row, self._now())) is not None:
            self._quiet.append((queue.hook, entry.row.message_id, why))
            queue.passed(entry)
            self._news.set()
            return False
        return True

    async def _send(self, sink: Sink, row: OutboxRow, started: datetime) -> SinkError | None:
        """Make one attempt; return why the message was not taken."""
        message = Message(
            id=row.message_id,
            type=row.type,
            body=row.body.encode(),
            attempted_at=started,
            attempt=row.attempts + 1,
            account=row.account_id,
            replayed=row.replayed_at is not None,
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
            self._observer.delivered(row, ended)
        else:
            self._refused(attempt, refusal, ended, row.replayed_after or 0)
            if refusal.retry_after:
                queue.hold(ended + min(timedelta(seconds=refusal.retry_after), LONGEST_HOLD))
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
        if attempt.status != DELIVERED:
            self._hurry.set()
        self._news.set()

    def _refused(self, attempt: Attempt, refusal: SinkError, now: datetime, before: int) -> None:
        """Fill in why the message was not taken, and when it is tried again if ever.

        ``before`` attempts belong to an earlier life of the message: a replay starts the schedule anew.
        """
        attempt.error, attempt.status_code = refusal.message, refusal.status
        again = None
        if not refusal.permanent:
            waits = self._hooks[attempt.hook].retry
            again = retry_at(attempt.attempt - before, waits, now, self._chance(), refusal.retry_after)
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
            if await in_time(self._hurry, GATHER):
                await in_time(self._sent, SOON)
            self._hurry.clear()
            self._news.clear()
            left = max(1, len(self._results))
            while left > 0:
                left -= SLICE
                await self._write_results()
            if self._sent.is_set() and not self._results and not self._quiet:
                return

    async def _write_results(self) -> None:
        results, self._results = self._results[:SLICE], self._results[SLICE:]
        quiet, self._quiet = self._quiet, []
        disabling = dict(self._disabling)
        now = self._now()

        def run(conn: Connection) -> None:
            outbox.record(conn, results)
            outbox.suppress_these(conn, [(message, why) for _, message, why in quiet])
            for hook, reason in disabling.items():
                outbox.disable(conn, hook, reason, now)

        await patiently(self._submit, run)
        for hook in disabling:
            del self._disabling[hook]
        done: dict[str, list[str]] = {}
        for result in results:
            done.setdefault(result.hook, []).append(result.message_id)
        for hook, message, _ in quiet:
            done.setdefault(hook, []).append(message)
        for hook, ids in done.items():
            self._queues[hook].release(ids)


def _monotonic() -> float:
    return asyncio.get_running_loop().time()


def _first(failures: ExceptionGroup[Exception]) -> Exception:
    """Return the failure that ended a group of tasks; the others are what it took down."""
    failure = failures.exceptions[0]
    return _first(failure) if isinstance(failure, ExceptionGroup) else failure
