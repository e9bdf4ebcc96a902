"""One connection to public market streams: subscribed while it runs, rotated before the venue ends it."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Iterable
from datetime import datetime
from urllib.parse import urlsplit

import structlog

from accountd.errors import VenueError, VenueUnavailable
from accountd.runtime.backoff import Backoff, ConnectBudget
from accountd.runtime.clock import Clock
from accountd.runtime.tasks import end
from accountd.runtime.watcher import Watcher
from accountd.settings_model import Settings
from accountd.venues.public_streams import AT_ONCE, MOST_STREAMS, SPACING, Heard, control, decode

log = structlog.get_logger("accountd.markets")

BEAT = 20.0  # seconds between pings
IN_FLIGHT = 0.5  # seconds that the old connection stays open beside the new one


class Feed:
    """Streams of one host and route; beyond what one connection takes, another feed goes on.

    ``streams`` is what is wanted. A frame goes to ``hear`` with what it told and when it was read.
    """

    def __init__(self, family: str, url: str, settings: Settings, connects: ConnectBudget, clock: Clock,
                 hear: Callable[[Heard, bytes, datetime], None]) -> None:  # fmt: skip
        self.family = family
        self.url = url
        self.settings = settings
        self.connects = connects
        self.clock = clock
        self.hear = hear
        self.rotate_after = settings.rotate_after.total_seconds()
        self.streams: set[str] = set()
        self.more: Feed | None = None
        self.connections = 0
        self.undecodable = 0
        self._changed = asyncio.Event()
        self._number = self._acked = 0  # control frames sent, and answered
        self._sent_at = float("-inf")
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to run in the background."""
        self._task = asyncio.create_task(self._run(), name=f"accountd-market-{self.family}")

    async def stop(self) -> None:
        """Close the connection."""
        if self.more is not None:
            await self.more.stop()
        if self._task is not None:
            await end(self._task)

    def follow(self, streams: Iterable[str]) -> None:
        """Follow more streams, from the next control frame on."""
        for stream in streams:
            if stream in self.streams or (self.more is not None and stream in self.more.streams):
                continue
            if len(self.streams) < MOST_STREAMS:
                self.streams.add(stream)
                self._changed.set()
                continue
            if self.more is None:
                self.more = Feed(self.family, self.url, self.settings, self.connects, self.clock, self.hear)
                self.more.start()
            self.more.follow({stream})

    def leave(self, streams: Iterable[str]) -> None:
        """Follow some streams no longer."""
        for stream in streams:
            if stream in self.streams:
                self.streams.discard(stream)
                self._changed.set()
            elif self.more is not None:
                self.more.leave({stream})

    async def _run(self) -> None:
        backoff = Backoff(self.settings.reconnect_max, random.Random())
        held: Watcher | None = None
        try:
            while True:
                while not self.streams:
                    self._changed.clear()
                    await self._changed.wait()
                started = self.clock.monotonic()
                try:
                    held = await self._live(held)
                except VenueError as error:
                    log.warning("market stream failed", family=self.family, error=str(error))
                except Exception:  # a bug, met once, must not silence the streams for good
                    log.exception("market stream broke", family=self.family)
                if held is None or self.clock.monotonic() - started < self.rotate_after:
                    await self.clock.sleep(backoff.next(self.clock.monotonic() - started))
        finally:
            if held is not None:
                await held.close("stopped")

    async def _live(self, old: Watcher | None) -> Watcher | None:
        """Stay connected until the connection is lost (None) or old: then it stays open until the next is.

        Raises:
            VenueError: no connection; an old one goes on as long as it can.
        """
        subscribed: set[str] = set()
        started = self.clock.monotonic()
        watcher = await self._open()
        self._acked = self._number
        try:
            await self._settle(watcher, subscribed)
            if old is not None:
                await self._overlap(watcher)
                await old.close("rotation")
            while not watcher.lost.is_set():
                left = self.rotate_after - (self.clock.monotonic() - started)
                if left <= 0:
                    kept, watcher = watcher, None  # type: ignore[assignment]
                    return kept
                await self._wait(watcher, left)
                await self._settle(watcher, subscribed)
            return None
        finally:
            if watcher is not None:
                await watcher.close(watcher.reason or "stopped")

    async def _overlap(self, watcher: Watcher) -> None:
        """Wait until the new connection is acknowledged and what the old one was sent has arrived.

        Raises:
            VenueUnavailable: the venue does not answer; the old connection goes on.
        """
        waits = self.settings.request_timeout.total_seconds()
        until = self.clock.monotonic() + waits
        while self._acked < self._number and not watcher.lost.is_set():
            if self.clock.monotonic() > until:
                raise VenueUnavailable("no answer to a subscription")
            await self.clock.sleep(min(0.02, waits / 10))
        await self.clock.sleep(min(IN_FLIGHT, waits))

    async def _wait(self, watcher: Watcher, seconds: float) -> None:
        """Wait until the connection is lost, other streams are wanted, or some seconds have passed."""
        lost = asyncio.create_task(watcher.lost.wait())
        changed = asyncio.create_task(self._changed.wait())
        try:
            await asyncio.wait({lost, changed}, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        finally:
            lost.cancel()
            changed.cancel()

    async def _open(self) -> Watcher:
        await self.connects.acquire(urlsplit(self.url).netloc)
        self.connections += 1
        beat = max(0.05, min(BEAT, self.settings.stale_after.total_seconds() / 3))
        return await Watcher.open(
            self.url, self.clock.now, self.clock, wait=self.settings.request_timeout.total_seconds(),
            beat=beat, on_frame=self._frame,
        )  # fmt: skip

    async def _settle(self, watcher: Watcher, subscribed: set[str]) -> None:
        """Make what is subscribed equal to what is wanted, within the venue's pace of control frames."""
        while not watcher.lost.is_set():
            self._changed.clear()
            gone, new = sorted(subscribed - self.streams), sorted(self.streams - subscribed)
            part = (gone or new)[:AT_ONCE]
            if not part:
                return
            await self.clock.sleep(max(0.0, self._sent_at + SPACING - self.clock.monotonic()))
            self._sent_at = self.clock.monotonic()
            self._number += 1
            await watcher.send(control("UNSUBSCRIBE" if gone else "SUBSCRIBE", part, self._number))
            if gone:
                subscribed.difference_update(part)
            else:
                subscribed.update(part)

    def _frame(self, frame: bytes, at: datetime) -> None:
        heard = decode(frame)
        if heard is None:
            self._acked += 1
            return
        if heard.event == "undecodable":
            self.undecodable += 1
            return
        self.hear(heard, frame, at)
