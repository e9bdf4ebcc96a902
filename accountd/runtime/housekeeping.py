"""What looks now and then at what people asked for about alerts, and at the summaries that are due."""

from __future__ import annotations

from datetime import datetime

import structlog

from accountd.core.alerts import OutboxRow
from accountd.core.mutes import Mute, Mutes
from accountd.errors import DatabaseError
from accountd.runtime.clock import Clock
from accountd.runtime.dispatcher import Dispatcher
from accountd.runtime.hook_reader import Database, patiently
from accountd.store import controls, summaries
from accountd.store.outbox import Connection

log = structlog.get_logger("accountd.alerts")

LOOK = 2.0  # seconds between looks; a mute or a replay is heard of within that


class Housekeeping:
    """Takes mutes, replays and enabled hooks over from the database, and folds what waits for a summary."""

    def __init__(self, dispatcher: Dispatcher, read: Database, submit: Database, clock: Clock) -> None:
        self.dispatcher = dispatcher
        self.clock = clock
        self._read = read
        self._submit = submit
        self._pokes: dict[str, datetime] | None = None

    async def run(self) -> None:
        """Look for ever."""
        while True:
            try:
                await self.look()
            except DatabaseError:
                raise
            except Exception:  # a bug here must not end the record: the next look may be well
                log.exception("alerts not looked after")
            await self.clock.sleep(LOOK)

    async def look(self) -> None:
        """Look once."""
        now = self.clock.now()

        def read(conn: Connection) -> tuple[list[Mute], dict[str, datetime], datetime | None]:
            return controls.muted(conn, now), controls.pokes(conn), summaries.next_due(conn)

        mutes, pokes, due = await patiently(self._read, read)
        self.dispatcher.mutes = Mutes(mutes)
        await self._follow(pokes)
        if due is not None and due <= now:
            await self._fold(now)

    async def _follow(self, pokes: dict[str, datetime]) -> None:
        """Look at the hooks that a command changed something for."""
        known, self._pokes = self._pokes, pokes
        fresh = [hook for hook, at in pokes.items() if known is not None and known.get(hook) != at]
        if not fresh:
            return
        off = await patiently(self._read, controls.disabled)
        for hook in fresh:
            if hook not in off:
                self.dispatcher.enable(hook)
            self.dispatcher.look_at(hook)

    async def _fold(self, now: datetime) -> None:
        rows: list[OutboxRow] = await patiently(self._submit, lambda conn: summaries.fold(conn, now))
        self.dispatcher.offer(rows)
        if rows:
            log.info("summaries", messages=len(rows))
