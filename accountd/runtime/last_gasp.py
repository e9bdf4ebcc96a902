"""The way out for one alert while the database is down: from memory straight to the hooks."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from datetime import datetime

import msgspec
import structlog

from accountd.core import alerts
from accountd.core.alerts import DEAD, DELIVERED, PENDING, Attempt, HookWish, OutboxRow
from accountd.core.changes import Alert
from accountd.core.conditions import alert_of
from accountd.core.schedule import retry_at
from accountd.errors import SinkError
from accountd.runtime.dispatcher import RetrySettings
from accountd.runtime.lines import HOUSE
from accountd.runtime.recorder import Recorder
from accountd.runtime.tasks import end
from accountd.sinks.base import Message, Sink
from accountd.store import outbox
from accountd.store.writer import Transaction

log = structlog.get_logger("accountd.conditions")


class LastGasp:
    """Tells `database.down` without the database, and writes down how that went once it is back.

    Id and body are fixed when it begins; what was not delivered goes on from the outbox, the same.
    """

    def __init__(self, hooks: Mapping[str, RetrySettings], wishes: Sequence[HookWish],
                 open_sink: Callable[[str], Sink], recorder: Recorder, now: Callable[[], datetime],
                 chance: Callable[[], float]) -> None:  # fmt: skip
        self._hooks = hooks
        self._wishes = wishes
        self._open_sink = open_sink
        self._sinks: dict[str, Sink] = {}  # its own: the dispatcher's close when the record is lost
        self._recorder = recorder
        self._now = now
        self._chance = chance
        self.alert: Alert | None = None
        self.rows: list[OutboxRow] = []
        self.attempts: list[Attempt] = []
        self._tasks: list[asyncio.Task[None]] = []
        self.wake: Callable[[str], None] = lambda hook: None  # lets the dispatcher look for what is left

    def start(self, now: datetime, reason: str) -> None:
        """Begin to tell that nothing can be written; once begun it goes on."""
        if self.alert is not None:
            return
        self.alert = alert_of("database.down", now, reason=reason)
        self.rows = alerts.batch([self.alert], "", "", self._wishes, now)
        log.error("condition fires", condition="database.down", hooks=len(self.rows))
        waiting = [row for row in self.rows if row.status == PENDING]
        self._sinks = {row.hook: self._open_sink(row.hook) for row in waiting}
        self._tasks = [
            asyncio.create_task(self._tell(row), name=f"last-gasp-{row.hook}")
            for row in waiting
        ]

    async def _tell(self, row: OutboxRow) -> None:
        """Try as the hook's schedule says, until it is delivered or given up."""
        while True:
            again = await self._attempt(row)
            if again is None:
                return
            await asyncio.sleep(max(0.0, (again - self._now()).total_seconds()))

    async def _attempt(self, row: OutboxRow) -> datetime | None:
        started, tick = self._now(), asyncio.get_running_loop().time()
        row.attempts += 1
        result = Attempt(
            message_id=row.message_id, hook=row.hook, attempt=row.attempts, status=DELIVERED,
            started_at=started, duration=0,
        )  # fmt: skip
        message = Message(
            id=row.message_id, type=row.type, body=row.body.encode(), attempted_at=started,
            attempt=row.attempts,
        )  # fmt: skip
        try:
            await self._sinks[row.hook].send(message)
            result.delivered_at = self._now()
        except SinkError as refusal:
            result.error, result.status_code = refusal.message, refusal.status
            waits = self._hooks[row.hook].retry
            again = None
            if not refusal.permanent:
                again = retry_at(row.attempts, waits, self._now(), self._chance(), refusal.retry_after)
            result.status = DEAD if again is None else PENDING
            result.next_attempt_at = again
        result.duration = round((asyncio.get_running_loop().time() - tick) * 1_000_000)
        row.status, row.next_attempt_at = result.status, result.next_attempt_at
        self.attempts.append(result)
        return result.next_attempt_at

    async def settle(self, now: datetime) -> None:
        """Write down what was told meanwhile, and tell that the database is back."""
        await self.close()
        begun, rows, attempts = self.alert, self.rows, self.attempts
        assert begun is not None
        fresh = [
            msgspec.structs.replace(row, status=PENDING, attempts=0, next_attempt_at=row.created_at)
            if row.attempts
            else row
            for row in rows
        ]

        def write(tx: Transaction) -> None:
            outbox.add(tx.connection, fresh)
            outbox.record(tx.connection, attempts)
            since = alerts.time_text(begun.at)
            self._recorder.ring(tx, "", [alert_of("database.up", now, since=since)])

        await self._recorder.submit(write, HOUSE)
        self.alert, self.rows, self.attempts = None, [], []
        for hook in {row.hook for row in rows if row.status == PENDING}:
            self.wake(hook)

    async def now_or_never(self, reason: str, seconds: float) -> None:
        """Tell it in the last seconds of this process: the database is lost for good."""
        self.start(self._now(), reason)
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.close()

    async def close(self) -> None:
        """Stop telling."""
        await end(*self._tasks)
        sinks, self._tasks, self._sinks = self._sinks, [], {}
        for sink in sinks.values():
            await sink.close()
