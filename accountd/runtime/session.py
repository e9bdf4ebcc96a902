"""One account's life: connect, sweep, LIVE, rotate make-before-break, lose, back off, and again."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Coroutine
from datetime import datetime, timedelta
from typing import Any

import structlog

from accountd.core.health import AccountHealth
from accountd.core.states import Event, State
from accountd.errors import (
    DatabaseError,
    Fenced,
    KeyRefused,
    SettingsError,
    VenueError,
    VenueGone,
    VenueUnavailable,
)
from accountd.runtime.auditor import Auditor
from accountd.runtime.backoff import Backoff, ConnectBudget
from accountd.runtime.books import Books
from accountd.runtime.budget import Priority
from accountd.runtime.connector import Connector
from accountd.runtime.duties import OVERFLOW, ROTATION, SHUTTING, SILENT, Duties
from accountd.runtime.intake import Intake
from accountd.runtime.keepalive import KeepAlive
from accountd.runtime.key_rights import KeyRights
from accountd.runtime.link import Link, Socket
from accountd.runtime.metrics import Metrics
from accountd.runtime.outage import Outage
from accountd.runtime.recorder import Ledger, Recorder
from accountd.runtime.rest import RestClient
from accountd.runtime.retry import Retry
from accountd.runtime.rounds import Ground, Step
from accountd.runtime.sweeper import Sweeper
from accountd.runtime.tasks import end
from accountd.settings_model import Account, Settings
from accountd.venues.base import KEY_EXPIRED, SHUTDOWN, TERMINATED, Decoded, Venue

log = structlog.get_logger("accountd.session")

CLOSE_WITHIN = 1.5  # seconds that a stop waits for the session row
LONGEST_PAUSE = 600.0  # seconds that a venue's own request to wait is honoured in one go
CLEAN = (ROTATION, SHUTTING)  # reasons to change sockets while the old one still delivers
ENDED = "subscription ended"


class AccountRunner:
    """Runs one account until cancelled, or until it can never work again."""

    def __init__(self, name: str, account: Account, settings: Settings, venue: Venue, rest: RestClient,
                 recorder: Recorder, keepalive: KeepAlive, connects: ConnectBudget, outage: Outage,
                 health: AccountHealth, metrics: Metrics, rng: random.Random,
                 progress: Step | None = None) -> None:  # fmt: skip
        self.name = name
        self.account = account
        self.settings = settings
        self.venue = venue
        self.rest = rest
        self.clock = rest.clock.clock
        self.recorder = recorder
        self.keepalive = keepalive
        self.health = health
        self.metrics = metrics
        self.progress = progress
        self.retry = Retry(name, Backoff(settings.reconnect_max, rng), outage, self.clock)
        self.books = Books(recorder, name, {one.market: one.retention for one in venue.sections})
        self.connector = Connector(
            name, account, settings, venue, rest, connects, self.books, self._frame, self.retry.flooded
        )
        self.intake = Intake(
            name, venue, recorder, health, metrics, self.clock, self.connector.keys, self._control
        )
        self.rights = KeyRights(name, rest, recorder, health)
        self.link: Link | None = None
        self.pools: list[str] = []  # the weight pools that its requests count against
        self.sweeper: Sweeper
        self.ledger: Ledger
        self.auditor: Auditor
        self._turn = asyncio.Event()
        self._ended: datetime | None = None  # when the venue ended a subscription
        self._reason = ""

    async def run(self) -> None:
        """Keep the account watched. Returns only when it can never work again."""
        started = False
        while True:
            lived, outside = 0.0, False
            try:
                if not started:
                    await self.start()
                    started = True
                lived = await self._life()
            except (VenueGone, SettingsError) as error:  # the second: the record holds it for another venue
                self._say(State.CLOSED, str(error))
                log.error("account given up", account=self.name, error=str(error))
                return
            except KeyRefused as error:
                self._say(State.CLOSED, f"key refused: {error}")
                log.error("key refused", account=self.name, code=error.code, error=str(error))
                await asyncio.sleep(self.settings.recheck_after.total_seconds())
                continue
            except VenueError as error:
                self._say(State.CLOSED, str(error))
                self.health.unreachable = outside = isinstance(error, VenueUnavailable)
                log.warning("session failed", account=self.name, error=str(error), code=error.code)
                await asyncio.sleep(min(error.retry_after or 0.0, LONGEST_PAUSE))
            except (DatabaseError, Fenced):
                raise
            except Exception as error:  # a bug met by one account must not end the others
                self._say(State.CLOSED, f"broke: {type(error).__name__}")
                log.exception("session broke", account=self.name)
            self.metrics.reconnects.labels(self.name, self._reason or "failed").inc()
            await self.retry.pause(lived, outside)

    async def start(self) -> None:
        """Measure the clock, learn the venue's limits, load what is believed, own up to the last crash."""
        offset = await self.rest.measure_offset()
        grounds = []
        for section in self.venue.sections:
            info = await self.rest.run(section.exchange_info(), Priority.KEEPALIVE, None)
            self.rest.take_limits(info)
            self.pools += [pool for name in info.limits if (pool := self.rest.pool(name)) not in self.pools]
            grounds.append(Ground(section, info.symbols))
        self.ledger = await self.recorder.open_account(self.name, self.venue.name, self.account.environment)
        # What happens now must not be before our first start, by a venue's clock that is behind: it rings.
        if self.ledger.is_new and (offset < timedelta(0) or offset > timedelta(seconds=1)):
            self.ledger.born += offset
            await self.recorder.submit(lambda tx: tx.set_created_at(self.name, self.ledger.born), self.name)
        self.sweeper = Sweeper(
            self.venue, grounds, self.rest, self.recorder, self.ledger, settle=self.settings.settle_after,
            backfill=self.account.backfill, symbols=self.account.symbols, live_since=self._live_since,
        )  # fmt: skip
        self.sweeper.swept = self._swept
        self.auditor = Auditor(
            self.settings.database_url, self.recorder, self.name, self.settings.settle_after,
            {(ground.market, name): (one.base_asset, one.quote_asset)
             for ground in grounds for name, one in ground.symbols.items()},
        )  # fmt: skip
        await self.books.crashed(self.rest.clock.now())

    # -- a chain of links

    async def _life(self) -> float:
        """Live from one connection to the loss of the last in its chain; return the seconds of LIVE."""
        link = await self.connector.connect()
        self.retry.connected()
        born = self.clock.monotonic()
        try:
            await self._to_live(link)
            while True:
                reason = await self._stay(link)
                if link.lost.is_set():
                    raise VenueUnavailable(f"stream lost: {reason}")
                link = await self._replace(link, reason)
        except Exception as error:
            if self.link is not None:  # whatever ended it: from here on nothing is certain
                await self._mourn(self.link)
            if not isinstance(error, VenueUnavailable):
                raise
            return self.clock.monotonic() - born if link.live_at else 0.0
        finally:
            await self._close_down()

    async def _to_live(self, link: Link) -> None:
        self.link = link
        self.sweeper.session_id = link.session_id
        self._turn.clear()
        self._reason = ""
        self.keepalive.remove(self.name)
        self.keepalive.add(self.name, self._renew)
        self._say(State.SYNCING, "")
        await self._while_connected(link, self._sync())
        link.advance(Event.SWEPT)
        link.live_at = self.rest.clock.now()
        await self.books.live(link.session_id, link.live_at)
        self._say(State.LIVE, "")
        log.info("live", account=self.name, session=link.session_id)

    async def _sync(self) -> None:
        """Sweep until it succeeds: a ban or a 5xx is no reason to give up a socket that delivers."""
        while True:
            try:
                await self.sweeper.sweep(Priority.SEAM, self.progress, sparing=True)
            except VenueError as error:
                if error.permanent:
                    raise
                log.warning("sweep failed", account=self.name, error=str(error), code=error.code)
                self._say(State.SYNCING, str(error))
                await asyncio.sleep(max(error.retry_after or 0.0, self.retry.soon()))
            else:
                return

    async def _while_connected(self, link: Link, work: Coroutine[Any, Any, object]) -> None:
        """Do REST work, but give it up when the socket dies meanwhile: the next session sweeps anew."""
        task = asyncio.create_task(work)
        lost = asyncio.create_task(link.lost.wait())
        turn = asyncio.create_task(self._turn.wait())
        try:
            await asyncio.wait({task, lost, turn}, return_when=asyncio.FIRST_COMPLETED)
            if not task.done():
                reason = link.reason if lost.done() else self._reason
                raise VenueUnavailable(f"stream lost: {reason}")
            task.result()
        finally:
            await end(task, lost, turn)

    async def _stay(self, link: Link) -> str:
        """Stay LIVE until the link must end; return why."""
        duties = Duties(
            self.name, self.settings, self.rest, self.sweeper, self.books, self.intake, self.connector,
            self._ask_turn,
        )  # fmt: skip
        work = [*duties.all(link), self.auditor.run(), self.rights.run()]
        tasks = [asyncio.create_task(duty, name=f"accountd-{self.name}-duty") for duty in work]
        lost = asyncio.create_task(link.lost.wait())
        turn = asyncio.create_task(self._turn.wait())
        try:
            await asyncio.wait({lost, turn, *tasks}, return_when=asyncio.FIRST_COMPLETED)
            for task in tasks:
                if task.done() and not self._turn.is_set():
                    task.result()
            self._reason = link.reason if lost.done() else self._reason
            return self._reason
        finally:
            await end(*tasks, lost, turn)

    async def _replace(self, link: Link, reason: str) -> Link:
        """Rotate; a rotation by the clock that fails leaves the healthy socket in place for now."""
        try:
            return await self._rotate(link, reason)
        except VenueError as error:
            if reason not in CLEAN or error.permanent or self.link is not link:
                raise
            log.warning("rotation failed", account=self.name, error=str(error))
            self._turn.clear()
            pause = max(1.0, self.retry.soon())
            link.since = self.clock.monotonic() - self.settings.rotate_after.total_seconds() + pause
            return link

    async def _rotate(self, old: Link, reason: str) -> Link:
        """Make before break: the new socket is proven before the old one closes."""
        log.info("rotating", account=self.name, reason=reason)
        fresh = await self.connector.connect()
        now, frames = self.rest.clock.now(), old.frames
        if reason in CLEAN:
            await self.books.closed(old.session_id, now, reason, frames)
        else:
            await self.books.lost(old.session_id, self._blind_since(old, reason), now, reason, frames)
            await self.books.sees(fresh.session_id, fresh.proven_at or now)
        self.intake.overflowed = None
        await old.close(reason)
        self.link = fresh
        await self._to_live(fresh)
        return fresh

    def _blind_since(self, link: Link, reason: str) -> datetime:
        """Return since when nothing is certain: a dead key keeps the socket alive, so only data counts."""
        if reason == ENDED and self._ended is not None:
            return self._ended
        if reason == OVERFLOW and self.intake.overflowed is not None:
            return self.intake.overflowed
        if reason == SILENT or link.proven_at is not None:
            return link.proven_at or link.opened_at
        return link.opened_at

    # -- loss

    async def _mourn(self, link: Link) -> None:
        """The stream is lost: say since when nothing can be relied on."""
        self.link = None
        self.retry.lost()
        reason = link.reason or self._reason or "lost"
        self._say(State.CLOSED, reason)
        now = self.rest.clock.now()
        lost = link.lost.is_set()
        since = min(link.alive_at, now) if lost else self._blind_since(link, reason)
        log.warning("stream lost", account=self.name, reason=reason)
        await link.close(reason)
        await self.books.lost(link.session_id, since, now, reason, link.frames)
        self.intake.overflowed = None

    async def _close_down(self) -> None:
        """End in order when the daemon stops: the session row says that nothing was missed until here."""
        self.keepalive.remove(self.name)
        link, self.link = self.link, None
        if link is not None:
            await link.close("stopped")
            closing = self.books.closed(link.session_id, link.alive_at, "stopped", link.frames)
            try:
                async with asyncio.timeout(CLOSE_WITHIN):
                    await closing
            except TimeoutError:
                log.warning("the database is too slow to close the session", account=self.name)

    # -- what others call

    def _frame(self, link: Link, socket: Socket, frame: bytes, at: datetime) -> None:
        self.intake.take(link, socket, frame, at)

    def _control(self, link: Link, socket: Socket, decoded: Decoded) -> None:
        """The venue says that a key, a subscription or the connection ends; it may say so of what is gone."""
        if link is not self.link:
            return
        if decoded.control == KEY_EXPIRED:
            if decoded.listen_key not in (None, socket.key):
                return
            if socket.aside:
                socket.watcher.give_up("key expired", self.rest.clock.now())
            else:
                self._ask_turn("key expired")
        elif decoded.control == SHUTDOWN:
            self._ask_turn(SHUTTING)
        elif decoded.control == TERMINATED and socket.listens_by(decoded.subscription):
            self._ended = decoded.event_time
            self._ask_turn(ENDED)

    async def _renew(self) -> None:
        """Keep the subscriptions alive; one that is gone, or changed, means new sockets."""
        link = self.link
        if link is not None and (reason := await self.connector.renew(link)) is not None:
            self._ask_turn(reason)

    def _swept(self, why: Priority) -> None:
        self.metrics.sweeps.labels(self.name, why.name.lower()).inc()
        self.metrics.last_sweep.labels(self.name).set(self.rest.clock.now().timestamp())
        self.auditor.due.set()

    def _ask_turn(self, reason: str) -> None:
        self._reason = reason
        self._turn.set()

    def _live_since(self) -> datetime | None:
        link = self.link
        return link.live_at if link is not None and link.state is State.LIVE else None

    def _say(self, state: State, detail: str) -> None:
        if state is not State.CLOSED:
            self.health.unreachable = False
        self.health.state = state
        self.health.since = self.rest.clock.now()
        self.health.detail = detail
