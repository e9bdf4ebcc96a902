"""How an account's sockets are opened, proven to be subscribed, and kept so."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Callable
from datetime import datetime
from urllib.parse import urlsplit

import msgspec
import structlog

from accountd.core.states import Event
from accountd.errors import (
    BadRequest,
    ClockSkew,
    KeyRefused,
    ListenKeyGone,
    VenueError,
    VenueGone,
    VenueUnavailable,
)
from accountd.runtime.backoff import ConnectBudget
from accountd.runtime.books import Books
from accountd.runtime.budget import Priority
from accountd.runtime.link import Link, Socket, subscription
from accountd.runtime.refusal import refusal_of_ack
from accountd.runtime.rest import RestClient
from accountd.runtime.watcher import Watcher
from accountd.settings_model import Account, Settings
from accountd.venues.base import Ack, Venue
from accountd.venues.doors import Door, ListenKeyDoor, Request, SignedDoor, StreamOptions, TokenDoor

log = structlog.get_logger("accountd.connector")

PROOF_WAIT = 1.5  # seconds for the answer to LIST_SUBSCRIPTIONS; without one the key over REST must do
BEAT = 20.0  # seconds between pings
BEAT_LEAST = 0.3  # ... since a venue takes ten messages a second
ANSWER_LEAST = 2.0  # seconds for the answer: a venue that is busy is not dead
ALREADY = -2035  # this subscription is active
RENEW_AT = 0.5  # a token is renewed when this part of its life is over

SKEWS = 2  # times that a request is signed anew because its timestamp was refused
SHARE = 0.1  # of the event loop's time: as much as one of several accounts may take with a stream

KEY_GONE = "key gone"
KEY_CHANGED = "key changed"
UNSUBSCRIBED = "unsubscribed"


class Connector:
    """Opens links for one account. ``keys`` are all listen keys and tokens seen, which no row or log may
    name. Without ``books`` nothing is written down: that is how a check connects."""

    def __init__(self, name: str, account: Account, settings: Settings, venue: Venue, rest: RestClient,
                 connects: ConnectBudget, books: Books | None,
                 on_frame: Callable[[Link, Socket, bytes, datetime], None],
                 on_flood: Callable[[], None] = lambda: None) -> None:  # fmt: skip
        self.name = name
        self.settings = settings
        self.venue = venue
        self.rest = rest
        self.connects = connects
        self.books = books
        self.on_frame = on_frame
        self.on_flood = on_flood
        self.options = StreamOptions(
            form=account.stream_form, events=account.events, logon=account.logon, symbols=account.symbols,
            portfolio_pro=account.portfolio_pro,
        )  # fmt: skip
        self.keys: set[str] = set()
        self._wait = settings.request_timeout.total_seconds()
        self._requests = 0

    def doors(self) -> tuple[Door, ...]:
        """Return the doors that the account must listen at."""
        return tuple(one for one in self._all_doors() if not (isinstance(one, ListenKeyDoor) and one.aside))

    def asides(self) -> tuple[ListenKeyDoor, ...]:
        """Return the doors that the account can do without."""
        return tuple(one for one in self._all_doors() if isinstance(one, ListenKeyDoor) and one.aside)

    def _all_doors(self) -> tuple[Door, ...]:
        return self.venue.doors(self.rest.urls, self.options)

    async def connect(self) -> Link:
        """Open a socket in every door that is needed and prove that each is subscribed; try the others.

        Raises:
            VenueError: no key, no socket or no proof.
        """
        clock = self.rest.clock
        link = Link(uuid.uuid4().hex, clock.now(), clock.clock.monotonic())
        begun = False
        try:
            for door in self.doors():
                socket = Socket(door)
                url = await self._address(socket)
                await self.connects.acquire(urlsplit(url).netloc, self.name)
                if not begun:
                    link.opened_at, link.since = clock.now(), clock.clock.monotonic()
                    if self.books is not None:
                        await self.books.opened(link.session_id, link.opened_at)
                    begun = True
                link.sockets.append(socket)
                await self._open(link, socket, url)
                await self._enter(socket)
            if link.lost.is_set():
                raise VenueUnavailable(f"stream lost: {link.reason}")
            link.proven_at = link.subscribed_at = clock.now()
            link.advance(Event.PROVEN)
            if self.books is not None:
                await self.books.subscribed(link.session_id, link.proven_at)
            for aside in self.asides():
                await self.open_aside(link, aside)
        except BaseException as error:
            await link.close(type(error).__name__)
            if begun and self.books is not None and not isinstance(error, asyncio.CancelledError):
                reason = str(error) or type(error).__name__
                await self.books.closed(link.session_id, clock.now(), reason, 0)
            raise
        return link

    async def open_aside(self, link: Link, door: ListenKeyDoor) -> None:
        """Try a door that the account can do without; ``link.shut`` says why it is not open afterwards."""
        socket = Socket(door)
        try:
            async with asyncio.timeout(self._wait):
                url = await self._address(socket)
                await self.connects.acquire(urlsplit(url).netloc, self.name)
                await self._open(link, socket, url, lost=asyncio.Event())
                await self._enter(socket)
        except BaseException as error:
            if socket.connected is not None:
                await socket.connected.close(type(error).__name__)
            if not isinstance(error, VenueError | TimeoutError):
                raise
            shut = error if isinstance(error, VenueError) else VenueUnavailable("no answer in time")
            link.shut[door.aside] = shut
            return
        link.shut.pop(door.aside, None)
        link.sockets.append(socket)

    async def renew(self, link: Link) -> str | None:
        """Keep every subscription alive and see that it is; return why the link must end, or None.

        Raises:
            VenueError: it could not be done now; the link may go on for a while.
        """
        for socket in list(link.sockets):
            reason = await (self._renew_aside(socket) if socket.aside else self._renew(socket))
            if reason is not None:
                return reason
        link.proven_at = self.rest.clock.now()
        return None

    async def refresh(self, link: Link) -> None:
        """Fetch a new token for each lane whose token's time is half over, on the same connection.

        Raises:
            VenueError: it could not be done now.
        """
        for socket in link.sockets:
            if isinstance(socket.door, TokenDoor):
                now = self.rest.clock.clock.monotonic()
                for lane in [lane for lane, end in socket.ends.items() if end <= now]:
                    await self._token(socket, socket.door, lane)

    # -- steps

    async def _address(self, socket: Socket) -> str:
        """Return where a door is; a listen key is fetched for it."""
        door = socket.door
        if not isinstance(door, ListenKeyDoor):
            await self.rest.spend(door.pool, door.connect_weight, Priority.KEEPALIVE)
            return door.url
        try:
            reply = await self.rest.send(door.create, Priority.KEEPALIVE)
        except VenueGone as gone:
            raise VenueGone(f"{gone}; {door.instead}" if door.instead else str(gone), status=410) from None
        key = door.parse(reply)
        if key is None:
            raise VenueUnavailable("the venue's answer names no listen key")
        self.keys.add(key)
        socket.key = key
        return door.url(key)

    async def _open(self, link: Link, socket: Socket, url: str, lost: asyncio.Event | None = None) -> None:
        clock = self.rest.clock
        beat = max(BEAT_LEAST, min(BEAT, self.settings.stale_after.total_seconds() / 3))
        socket.connected = await Watcher.open(
            url, clock.now, clock.clock, wait=self._wait, beat=beat, answer=max(beat, ANSWER_LEAST),
            on_frame=lambda frame, at: self.on_frame(link, socket, frame, at), lost=lost or link.lost,
            on_flood=lambda: self._flooded(socket), share=1.0 if len(self.settings.accounts) < 2 else SHARE,
        )  # fmt: skip

    def _flooded(self, socket: Socket) -> None:
        if not socket.aside:  # the account can do without it
            self.on_flood()

    async def _enter(self, socket: Socket) -> None:
        """A handshake proves nothing: the subscription must be confirmed on the socket."""
        match socket.door:
            case ListenKeyDoor() as door:
                await self._prove_key(socket, door)
            case SignedDoor() as door:
                await self._sign_in(socket, door)
            case TokenDoor() as door:
                await self._take_lanes(socket, door)

    async def _prove_key(self, socket: Socket, door: ListenKeyDoor) -> None:
        """The key must be alive over REST, and listed on the socket where that can be asked.

        An answer that lists nothing proves nothing: some list only what was subscribed to by message.
        """
        reply = await self.rest.send(door.keepalive(socket.key), Priority.KEEPALIVE)
        alive = door.parse(reply)
        if alive is not None and alive != socket.key:
            self.keys.add(alive)
            raise VenueUnavailable("the listen key changed while connecting")
        if door.probe is None:
            return
        number = self._number()
        said = await socket.ask(number, door.probe(number), min(PROOF_WAIT, self._wait))
        if said is not None and said.result and not door.lists_key(said, socket.key):
            raise VenueUnavailable("the socket is not subscribed to the listen key")

    async def _sign_in(self, socket: Socket, door: SignedDoor) -> None:
        for request in door.enter:
            last = request is door.enter[-1]
            ack = await self._request(socket, door, request, lane="" if last else None)
            if last and subscription(ack) is None:
                raise VenueUnavailable("the venue's answer names no subscription")

    async def _take_lanes(self, socket: Socket, door: TokenDoor) -> None:
        lanes = await self.rest.run(door.lanes(), Priority.KEEPALIVE, None)
        for lane in lanes:
            if lane in socket.ends:
                continue
            try:
                await self._token(socket, door, lane)
            except BadRequest as refusal:  # one pair that is closed must not keep the others unheard
                if len(lanes) == 1:
                    raise
                log.warning("not listened to", account=self.name, lane=lane, code=refusal.code)

    async def _token(self, socket: Socket, door: TokenDoor, lane: str) -> None:
        reply = await self.rest.send(door.token(lane), Priority.KEEPALIVE)
        token = door.parse(reply)
        self.keys.add(token.value)
        life = (token.expires - self.rest.clock.now()).total_seconds()
        if life <= 0:
            raise VenueUnavailable("the venue's token has expired already")
        ack = await self._request(socket, door, door.subscribe(token.value), lane=lane)
        if subscription(ack) is None and lane not in socket.ends:
            raise VenueUnavailable("the venue's answer names no subscription")
        socket.ends[lane] = self.rest.clock.clock.monotonic() + life * RENEW_AT

    async def _renew(self, socket: Socket) -> str | None:
        door = socket.door
        if isinstance(door, ListenKeyDoor):
            try:
                reply = await self.rest.send(door.keepalive(socket.key), Priority.KEEPALIVE)
            except ListenKeyGone:
                return KEY_GONE
            key = door.parse(reply)
            if key is None or key == socket.key:
                return None
            self.keys.add(key)
            return KEY_CHANGED
        if isinstance(door, TokenDoor):
            await self._take_lanes(socket, door)
        if door.listing is None:
            return None
        try:
            ack = await self._request(socket, door, door.listing)
        except BadRequest as refusal:  # not every environment answers this; the canary stays
            log.info("subscriptions are not listed here", account=self.name, code=refusal.code)
            return None
        return None if _lists(ack, socket) else UNSUBSCRIBED

    async def _renew_aside(self, socket: Socket) -> None:
        """Keep a stream aside alive; one that cannot be is given up, and tried anew by whoever minds it."""
        try:
            reason = await self._renew(socket)
        except (BadRequest, KeyRefused, VenueGone) as refusal:
            reason = str(refusal)
        if reason is not None:
            socket.watcher.give_up(reason, self.rest.clock.now())

    async def _request(
        self, socket: Socket, door: SignedDoor | TokenDoor, request: Request, lane: str | None = None
    ) -> Ack:
        """Ask on a WebSocket API and return the answer; a timestamp that is refused is corrected.

        Raises:
            VenueError: refused, or no answer in time.
        """
        for _ in range(SKEWS):
            try:
                return await self._ask(socket, door, request, lane)
            except ClockSkew as skew:
                log.warning("timestamp refused", account=self.name, error=str(skew))
                await self.rest.measure_offset(Priority.KEEPALIVE)
        return await self._ask(socket, door, request, lane)

    async def _ask(
        self, socket: Socket, door: SignedDoor | TokenDoor, request: Request, lane: str | None
    ) -> Ack:
        await self.rest.spend(door.pool, door.weight, Priority.KEEPALIVE)
        if request.signed and not self.rest.clock.measured:
            await self.rest.measure_offset(Priority.KEEPALIVE)
        number = self._number()
        frame = {"id": number, "method": request.method, "params": self.rest.ws_params(request)}
        ack = await socket.ask(number, msgspec.json.encode(frame).decode(), self._wait, lane)
        if ack is None:
            raise VenueUnavailable(f"{request.method}: no answer")
        if ack.error is not None and ack.code != ALREADY:
            refusal = refusal_of_ack(request.method, ack, self.rest.clock.now())
            self.rest.heed(door.pool, refusal)
            raise refusal
        return ack

    def _number(self) -> int:
        self._requests += 1
        return self._requests


def _lists(ack: Ack, socket: Socket) -> bool:
    """Say whether every subscription of ours is among those that the venue lists."""
    rows = ack.result if isinstance(ack.result, list) else None
    if rows is None:
        return True
    active = {row.get("subscriptionId") for row in rows if isinstance(row, dict)}
    named = set(socket.lanes.values())
    return named <= {lane for number, lane in socket.lanes.items() if number in active}
