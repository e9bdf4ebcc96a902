"""What fetches the alerts of one hook from the outbox: at the start, when one is due, when there is room."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Protocol, TypeVar

import structlog

from accountd.core.alerts import OutboxRow
from accountd.errors import DatabaseError
from accountd.runtime.hook_queue import HookQueue
from accountd.store import outbox
from accountd.store.outbox import Connection

T = TypeVar("T")
log = structlog.get_logger("accountd.dispatcher")

FETCH = 2_000  # rows of one look at the database
LEISURE = 4  # a look that took a second is followed by four without, lest a backlog eat the machine
DATABASE_PAUSE = 1.0  # seconds between tries while the database does not answer


class Database(Protocol):
    """A way to run a function on a connection: a reader's, or the writer's next transaction."""

    def __call__(self, run: Callable[[Connection], T], /) -> Awaitable[T]:
        """Run it and return what it returns."""


async def patiently(database: Database, run: Callable[[Connection], T]) -> T:
    """Run on the database, again and again while it does not answer.

    Raises:
        DatabaseError: it is lost for good.
    """
    while True:
        try:
            return await database(run)
        except DatabaseError as error:
            if error.permanent:
                raise
            log.warning("outbox waits for the database", error=error.message)
        await asyncio.sleep(DATABASE_PAUSE)


async def in_time(event: asyncio.Event, seconds: float) -> bool:
    """Wait for an event; say whether it came within ``seconds``."""
    try:
        async with asyncio.timeout(seconds):
            await event.wait()
    except TimeoutError:
        return False
    return True


class HookReader:
    """Keeps one queue filled from the outbox until ``halt``."""

    def __init__(self, queue: HookQueue, read: Database, submit: Database, now: Callable[[], datetime],
                 halt: asyncio.Event, look_every: float) -> None:  # fmt: skip
        self.queue = queue
        self._read = read
        self._submit = submit
        self._now = now
        self._halt = halt
        self._look_every = look_every

    async def run(self) -> None:
        """Fetch what the database holds for the hook, whenever it should be looked at."""
        queue = self.queue
        while not self._halt.is_set():
            queue.stir.clear()
            if queue.disabled is not None and queue.missed:
                await self._suppress(queue.disabled)
            elif queue.wants_look:
                await self._fetch()
            else:
                await self._rest()

    async def _rest(self) -> None:
        queue, seconds = self.queue, self._look_every
        if queue.next_at is not None and not queue.missed:
            seconds = min(seconds, max(0.0, (queue.next_at - self._now()).total_seconds()))
        if not await in_time(queue.stir, seconds):
            queue.missed = queue.disabled is None

    async def _fetch(self) -> None:
        queue = self.queue
        exclude, now, most = queue.begin_look(), self._now(), min(FETCH, queue.room)
        tick = asyncio.get_running_loop().time()

        def run(conn: Connection) -> tuple[list[OutboxRow], datetime | None, frozenset[str] | None]:
            rows = outbox.due(conn, queue.hook, now, most, exclude)
            next_at = outbox.next_due(conn, queue.hook, now)
            waiting = outbox.waiting_lanes(conn, queue.hook, now) if next_at else frozenset()
            return rows, next_at, waiting

        try:
            rows, next_at, waiting = await patiently(self._read, run)
        except BaseException:
            queue.abandon_look()
            raise
        more = len(rows) == most
        queue.end_look(rows, more, next_at, waiting)
        if not more:
            took = asyncio.get_running_loop().time() - tick
            await in_time(self._halt, min(LEISURE * took, self._look_every))

    async def _suppress(self, reason: str) -> None:
        hook = self.queue.hook
        self.queue.missed = False
        await patiently(self._submit, lambda conn: outbox.suppress_disabled(conn, hook, reason))
