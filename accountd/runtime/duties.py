"""What is done for an account while it is LIVE: seam, slow sweeps, hints, silence, age."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Coroutine, Mapping
from typing import Any

import structlog

from accountd.core.health import AccountHealth
from accountd.errors import VenueError, VenueUnavailable
from accountd.runtime.backoff import Backoff
from accountd.runtime.books import Books
from accountd.runtime.budget import Priority
from accountd.runtime.connector import Connector
from accountd.runtime.intake import Intake
from accountd.runtime.link import Link
from accountd.runtime.rest import RestClient
from accountd.runtime.sweeper import Sweeper
from accountd.settings_model import Settings
from accountd.venues.doors import ListenKeyDoor

log = structlog.get_logger("accountd.duties")

LOOK_AGAIN = 5.0  # seconds between two looks at balances that are asked for: orders and fills come first
MARGIN = 0.05  # seconds past the settling of replicas
LOOK = 1.0  # seconds between looks at a link
SAVE = 15.0  # seconds between writes of the last proof of life
INCOME_EVERY = 5.0  # seconds at least between two reads of the income: one costs 30 of weight
INCOME_SHARE = 10  # income is read this many times in a sweep interval while there is trading
RENEW_WAIT = 60.0  # seconds at most between attempts to renew a token
FAILURES = 2  # slow sweeps in a row that fail before what they leave unproven is called a gap
WISHES = 5.0  # seconds between looks at what a command asks for
SOONER = 0.2  # of a sweep interval: so soon the next may come when the stream is known to drop messages
GLANCES = 2  # what is spent on looks at open orders is this part of what might be: others come first
HINT_WAIT = 1.0  # seconds in which hints gather
SEAM_FIRST = 1800.0  # seconds that a rotation waits for a seam: half of what the venue leaves it

# Why a link must end.
ROTATION = "rotation"
SHUTTING = "server shutdown"
OVERFLOW = "ring overflow"
SILENT = "silent"


class Duties:
    """The duties of one LIVE link. ``turn`` is called with the reason when the link must end."""

    def __init__(self, name: str, settings: Settings, rest: RestClient, sweeper: Sweeper, books: Books,
                 intake: Intake, connector: Connector, turn: Callable[[str], None]) -> None:  # fmt: skip
        self.name = name
        self.settings = settings
        self.rest = rest
        self.clock = rest.clock.clock
        self.sweeper = sweeper
        self.books = books
        self.intake = intake
        self.connector = connector
        self.turn = turn
        self._whole = False  # what was missed before this link is read

    def all(self, link: Link) -> list[Coroutine[Any, Any, None]]:
        """Return every duty, to be run side by side until the link ends."""
        return [
            self.seam(link), self.slow(link), self.deepen(), self.follow_hints(), self.settle(),
            self.income(), self.look(link), self.resting(), self.age(link), self.tokens(link),
            *(self.aside(link, door) for door in self.connector.asides()),
        ]  # fmt: skip

    async def seam(self, link: Link) -> None:
        """Sweep once more when replicas have settled since the subscription; only then the gaps close."""
        assert link.subscribed_at is not None
        until, settle = link.subscribed_at, self.settings.settle_after.total_seconds()
        passed = (self.rest.clock.now() - until).total_seconds()
        pause = min(settle, max(0.0, settle - passed) + MARGIN)
        while True:
            await self.clock.sleep(pause)
            pause = settle
            try:
                done = await self.sweeper.sweep(Priority.SEAM, seam=True, sparing=True)
                await self.books.bridged(until, done.proven, done.now)
            except VenueError as error:
                self._tolerate("seam sweep failed", error)
                continue
            if done.proven >= until:
                break
        self._whole = True
        while done.postponed:  # what may rarely be asked is asked once, now that it proves something
            try:
                done = await self.sweeper.transfers(Priority.SEAM)
                await self.books.bridged(until, done.proven, done.now)
            except VenueError as error:
                self._tolerate("seam sweep failed", error)
            if done.postponed:
                await self.clock.sleep(INCOME_EVERY)
        await asyncio.Event().wait()

    async def slow(self, link: Link) -> None:
        """Sweep slowly for ever: a healthy stream may have dropped anything."""
        failures = 0
        since = link.proven_at or link.opened_at
        while True:
            await self._until_sweep(self.settings.sweep_interval.total_seconds())
            await self.rest.until_room(self.sweeper.cost, Priority.SWEEP)
            self.sweeper.doubted = False
            try:
                done = await self.sweeper.sweep(Priority.SWEEP)
                await self.books.bridged(since, done.proven, done.now)
                failures = 0
                await self.sweeper.explore()
            except VenueError as error:
                self._tolerate("sweep failed", error)
                failures += 1
                if failures >= FAILURES:
                    await self.books.failed(self.rest.clock.now(), str(error))

    async def _until_sweep(self, interval: float) -> None:
        """Wait an interval, or a part of it once the stream is known to have dropped something: an order
        that was placed and cancelled, both unheard, is found by nothing else."""
        await self.clock.sleep(interval * SOONER)
        left = await self._until(lambda: self.sweeper.doubted, interval * (1 - SOONER), WISHES)
        if left > 0:
            await self.clock.sleep(min(left, self.settings.settle_after.total_seconds()))

    async def deepen(self) -> None:
        """Read the history from before the first look; asks nothing once it is all there."""
        while True:
            await self.clock.sleep(2 * self.settings.settle_after.total_seconds())
            try:
                await self.sweeper.deepen()
            except VenueError as error:
                self._tolerate("backfill interrupted", error)
            await self._leisure()

    async def _leisure(self) -> None:
        """Wait a sweep interval, or until somebody asks for older history (`accountd backfill`)."""
        left = self.settings.sweep_interval.total_seconds()
        while left > 0:
            await self.clock.sleep(min(left, WISHES))
            left -= WISHES
            if await self.sweeper.submit(lambda tx: tx.is_backfill_due(self.name)):
                return

    async def follow_hints(self) -> None:
        """Sweep at once where the stream said that there is more to know."""
        hints = self.intake.hints
        while True:
            notices = [await hints.get()]
            await self.clock.sleep(HINT_WAIT)
            while not hints.empty():
                notices.append(hints.get_nowait())
            try:
                wanted = {(one.symbol, one.market or "") for one in notices if one.symbol}
                for symbol, market in sorted(wanted):
                    await self.sweeper.symbol(symbol, market)
                if any(one.symbol is None for one in notices):
                    self.sweeper.unsettled.set()
            except VenueError as error:
                self._tolerate("hinted sweep failed", error)

    async def settle(self) -> None:
        """Read what an execution that the stream left out made of balances and positions: it may have left
        that out as well. A snapshot counts as old as replicas may lag, so nothing is told by one before."""
        unsettled = self.sweeper.unsettled
        while True:
            await unsettled.wait()
            unsettled.clear()
            await self.clock.sleep(self.settings.settle_after.total_seconds() + MARGIN)
            try:
                await self.sweeper.look()
            except VenueError as error:
                unsettled.set()
                self._tolerate("hinted look failed", error)
            await self.clock.sleep(LOOK_AGAIN)

    async def income(self) -> None:
        """Read the income that executions leave: no stream tells it, and the slow sweep is far."""
        pause = max(INCOME_EVERY, (self.settings.sweep_interval / INCOME_SHARE).total_seconds())
        await self._until_transfer(pause)  # the sweep that led to LIVE has just read it
        wait = INCOME_EVERY
        while True:
            await self.intake.income_due.wait()
            await self.clock.sleep(HINT_WAIT)
            self.intake.income_due.clear()
            left, self.intake.money_left = self.intake.money_left, False
            priority = Priority.CANARY if left else Priority.SWEEP
            self.intake.transfer_due = False
            balances, self.intake.balances_due = self.intake.balances_due, False
            try:
                done = await self.sweeper.transfers(priority, balances=balances)
                again = done.postponed and left  # what waited for weight is asked for soon
                balances, wait = False, INCOME_EVERY
            except VenueError as error:
                self._tolerate("income sweep failed", error)
                again = True
            if not again:
                await self._until_transfer(pause)
                continue
            self.intake.money_left |= left
            self.intake.balances_due |= balances
            self.intake.income_due.set()
            await self.clock.sleep(wait)
            wait = min(2 * wait, pause)

    async def _until_transfer(self, seconds: float) -> None:
        """Wait so many seconds, or until the stream hints at a movement of money."""
        await self._until(lambda: self.intake.transfer_due, seconds, INCOME_EVERY)

    async def _until(self, due: Callable[[], bool], left: float, step: float) -> float:
        """Wait so many seconds, or until something is due, looking every ``step``; return what is left."""
        while left > 0 and not due():
            await self.clock.sleep(min(left, step))
            left -= step
        return left

    async def look(self, link: Link) -> None:
        """Watch for overflow, for executions that were only hinted at, and for silence."""
        stale = self.settings.stale_after.total_seconds()
        checked = written = self.clock.monotonic()
        while True:
            await self.clock.sleep(min(LOOK, stale / 4))
            now = self.clock.monotonic()
            if self.intake.find_omissions():
                self.sweeper.doubted = True
            if self.intake.overflowed is not None:
                self.turn(OVERFLOW)
                return
            if now - written >= min(SAVE, stale):
                written = now
                await self.books.seen(link.session_id, link.alive_at, link.frames)
            if now - max(checked, link.last_frame) >= stale:
                checked = now
                await self._canary(link)

    async def _canary(self, link: Link) -> None:
        """Nothing arrives: ask REST, cheaply, whether there was nothing to tell. It may have been told by
        REST already, which no look shows any more."""
        if not self.rest.has_room(self.sweeper.look_cost, Priority.CANARY):
            return  # hints come first; the next look is soon
        try:
            drifted = await self.sweeper.drift() or self.sweeper.differed > link.last_frame
        except VenueError as error:
            self._tolerate("canary failed", error)
            return
        if drifted:
            log.error("the stream is silent while the account moves", account=self.name)
            self.turn(SILENT)
        else:
            link.proven_at = self.rest.clock.now()

    async def resting(self) -> None:
        """Look at the open orders now and then: that one has ended may be all that a frame had to tell."""
        stale = self.settings.stale_after.total_seconds()
        cost: Mapping[str, int] = {}
        while True:
            await self.clock.sleep(max(stale, GLANCES * self.rest.pace(cost, Priority.CANARY)))
            await self.rest.until_room(cost, Priority.CANARY)
            try:
                cost = await self.sweeper.glance()
            except VenueError as error:
                self._tolerate("look at open orders failed", error)

    async def age(self, link: Link) -> None:
        """Ask for a rotation before the venue ends the connection, and where that can wait not before the
        seam is read: links that follow each other faster would leave their gaps open for ever."""
        left = self.settings.rotate_after.total_seconds() - (self.clock.monotonic() - link.since)
        await self.clock.sleep(max(0.0, left))
        await self._until(lambda: self._whole, SEAM_FIRST, LOOK / 4)
        self.turn(ROTATION)
        await asyncio.Event().wait()

    async def tokens(self, link: Link) -> None:
        """Renew what expires by itself, well before it does, on the same connection."""
        if not any(socket.ends for socket in link.sockets):
            await asyncio.Event().wait()
        wait = LOOK
        while True:
            soonest = min(end for socket in link.sockets for end in socket.ends.values())
            await self.clock.sleep(max(wait, soonest - self.clock.monotonic()))
            try:
                await self.connector.refresh(link)
            except VenueError as error:
                self._tolerate("token renewal failed", error)
                wait = min(2 * wait, RENEW_WAIT)
            else:
                wait = LOOK

    async def aside(self, link: Link, door: ListenKeyDoor) -> None:
        """Keep a stream open that the account can do without; while it is shut, say so and try again."""
        name, health = door.aside, self.intake.health
        backoff, lived = Backoff(self.settings.reconnect_max, random.Random()), 0.0
        while True:
            socket = link.beside(name)
            if socket is not None:
                _without(health, name, "")
                await self.books.hears(name, self.rest.clock.now())
                began = self.clock.monotonic()
                await socket.watcher.lost.wait()
                lived = self.clock.monotonic() - began
                link.sockets.remove(socket)
                link.shut[name] = VenueUnavailable(socket.watcher.reason)
                await socket.watcher.close()
            why = link.shut[name]
            log.warning("stream aside is shut", account=self.name, stream=name, error=str(why))
            _without(health, name, str(why))
            await self.books.deaf(name, str(why), self.rest.clock.now())
            pause = max(backoff.next(lived), why.retry_after or 0.0)
            if why.permanent:
                pause = max(pause, self.settings.recheck_after.total_seconds())
            await self.clock.sleep(pause)
            await self.connector.open_aside(link, door)

    def _tolerate(self, what: str, error: VenueError) -> None:
        """A REST failure while LIVE is tried again later, unless it can never get better."""
        if error.permanent:
            raise error
        log.warning(what, account=self.name, error=str(error), code=error.code)


def _without(health: AccountHealth, name: str, why: str) -> None:
    """Say in an account's health that a stream is missing, or that it is there again."""
    said = f"without its {name}"
    if why:
        health.detail = f"{said}: {why}"
    elif health.detail.startswith(said):
        health.detail = ""
