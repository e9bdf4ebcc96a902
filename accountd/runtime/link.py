"""One socket of one account: how it is opened on a key, and proven to be subscribed."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from urllib.parse import urlsplit

from accountd.core.states import Event, State, step
from accountd.errors import VenueUnavailable
from accountd.runtime.backoff import ConnectBudget
from accountd.runtime.books import Books
from accountd.runtime.budget import Priority
from accountd.runtime.rest import RestClient
from accountd.runtime.watcher import Watcher
from accountd.settings_model import Account, Settings
from accountd.venues.base import Decoded, Venue

PROOF_WAIT = 1.5  # seconds for the answer to LIST_SUBSCRIPTIONS; without one the key over REST must do
BEAT = 20.0  # seconds between pings


@dataclass(slots=True)
class Link:
    """One socket and the session row that stands for it. ``since`` is monotonic seconds."""

    session_id: str
    key: str
    opened_at: datetime
    since: float
    state: State = State.CONNECTING
    proven_at: datetime | None = None  # last proof that the subscription delivers
    live_at: datetime | None = None
    replies: dict[int, asyncio.Future[Decoded]] = field(default_factory=dict)
    connected: Watcher | None = None

    @property
    def watcher(self) -> Watcher:
        """Return the socket; a link is handed out only when it has one."""
        assert self.connected is not None
        return self.connected

    def advance(self, event: Event) -> None:
        """Move to the next state of the session."""
        self.state = step(self.state, event)


class Connector:
    """Opens links for one account. ``keys`` are all listen keys seen, which no row or log may name."""

    def __init__(self, name: str, account: Account, settings: Settings, venue: Venue, rest: RestClient,
                 connects: ConnectBudget, books: Books,
                 on_frame: Callable[[Link, bytes, datetime], None]) -> None:  # fmt: skip
        self.name = name
        self.account = account
        self.settings = settings
        self.venue = venue
        self.rest = rest
        self.connects = connects
        self.books = books
        self.on_frame = on_frame
        self.keys: set[str] = set()
        self._requests = 0

    async def connect(self) -> Link:
        """Get a key, open a socket on it and prove that the key is alive and subscribed.

        Raises:
            VenueError: no key, no socket or no proof.
        """
        reply = await self.rest.send(self.venue.listen_key_create(), Priority.KEEPALIVE)
        key = self.venue.parse_listen_key(reply)
        if key is None:
            raise VenueUnavailable("the venue's answer names no listen key")
        self.keys.add(key)
        url = self.venue.stream_url(self.rest.urls, key, self.account.stream_form, self.account.events)
        await self.connects.acquire(urlsplit(url).netloc)
        link = Link(uuid.uuid4().hex, key, self.rest.clock.now(), self.rest.clock.clock.monotonic())
        await self.books.opened(link.session_id, link.opened_at)
        try:
            clock = self.rest.clock
            link.connected = await Watcher.open(
                url, clock.now, clock.clock, wait=self.settings.request_timeout.total_seconds(),
                beat=max(0.05, min(BEAT, self.settings.stale_after.total_seconds() / 3)),
                on_frame=lambda frame, at: self.on_frame(link, frame, at),
            )  # fmt: skip
            await self._prove(link)
        except BaseException as error:
            await self._discard(link, error)
            raise
        return link

    async def _prove(self, link: Link) -> None:
        """A handshake proves nothing: the key must be alive over REST, and listed on the socket."""
        reply = await self.rest.send(self.venue.listen_key_keepalive(), Priority.KEEPALIVE)
        alive = self.venue.parse_listen_key(reply)
        if alive is not None and alive != link.key:
            self.keys.add(alive)
            raise VenueUnavailable("the listen key changed while connecting")
        answer = await self._ask(link)
        said = None if answer is None else answer.ack
        if said is not None and said.error is None and not self.venue.lists_key(said, link.key):
            raise VenueUnavailable("the socket is not subscribed to the listen key")
        if link.watcher.lost.is_set():
            raise VenueUnavailable(f"stream lost: {link.watcher.reason}")
        link.proven_at = self.rest.clock.now()
        link.advance(Event.PROVEN)
        await self.books.subscribed(link.session_id, link.proven_at)

    async def _ask(self, link: Link) -> Decoded | None:
        """Ask the socket for its subscriptions; None when it does not answer in time."""
        self._requests += 1
        request = self._requests
        link.replies[request] = answer = asyncio.get_running_loop().create_future()
        await link.watcher.send(self.venue.probe(request))
        lost = asyncio.create_task(link.watcher.lost.wait())
        wait = min(PROOF_WAIT, self.settings.request_timeout.total_seconds())
        try:
            await asyncio.wait({answer, lost}, timeout=wait, return_when=asyncio.FIRST_COMPLETED)
        finally:
            lost.cancel()
            link.replies.pop(request, None)
        return answer.result() if answer.done() else None

    async def _discard(self, link: Link, error: BaseException) -> None:
        if link.connected is not None:
            await link.connected.close(type(error).__name__)
        if not isinstance(error, asyncio.CancelledError):
            reason = str(error) or type(error).__name__
            await self.books.closed(link.session_id, self.rest.clock.now(), reason, 0)
