"""One WebSocket of a user-data stream: connects, reads every frame, knows when it is dead."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from datetime import datetime
from types import TracebackType
from typing import Any

import structlog
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus, WebSocketException
from websockets.frames import Frame, Opcode
from websockets.protocol import Event

from accountd.errors import BadRequest, KeyRefused, RateLimited, VenueError, VenueGone, VenueUnavailable
from accountd.runtime.allowance import TURN, Allowance
from accountd.runtime.clock import Clock
from accountd.runtime.tasks import end

log = structlog.get_logger("accountd.watcher")

MAX_FRAME = 2 * 1024 * 1024  # bytes, many times what a venue sends; a larger one closes with 1009
Now = Callable[[], datetime]  # the venue's time
# Bytes parsed at once: a read of the socket may bring thousands of frames, and each piece costs by itself.
LEAST, MOST = 512, 16_384
NONSENSE = 1_000  # in a second: what sends so much that means nothing is not worth listening to
TORN = 5  # ... of which a frame that cannot be read, or a ping, makes so much; one of an unknown event 1
FLOOD = "nothing that comes can be read"
QUEUE = 1_024  # frames read ahead; pausing the socket costs two system calls
REDACTED = "stream refused"


def refusal(status: int, retry_after: str | None) -> VenueError:
    """Say what a refused handshake means: wait, or give the key up, or try again."""
    wait = float(retry_after) if retry_after and retry_after.isdigit() else None
    if status in (418, 429):
        return RateLimited(f"{REDACTED}: HTTP {status}", status=status, retry_after=wait or 60.0)
    if status in (401,):
        return KeyRefused(f"{REDACTED}: HTTP {status}", status=status)
    if status == 410:
        return VenueGone(f"{REDACTED}: HTTP {status}", status=status)
    if 400 <= status < 500 and status not in (403, 408):
        return BadRequest(f"{REDACTED}: HTTP {status}", status=status)
    return VenueUnavailable(f"{REDACTED}: HTTP {status}", status=status, retry_after=wait)


class _Straight(connect):
    """Connects where it is told to and nowhere else: a redirect would take the listen key to a stranger."""

    def process_redirect(self, exc: Exception) -> Exception | str:
        """Take a redirect for the refusal that it is."""
        return exc


class _Paced(ClientConnection):
    """Parses what arrives piece by piece, within its allowance, and reads no further meanwhile.

    Every frame is parsed in Python: without this the flood on one connection is the silence of all.
    """

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.allowance = Allowance()
        self._rest = bytearray()  # read and not yet parsed
        self._piece = 4 * LEAST  # how much of it is parsed at once, as its frames turn out to cost
        self._held = False  # the queue of frames is full
        self._due: asyncio.TimerHandle | None = None
        self.on_ping: Callable[[], object] = lambda: None  # no reader gets to see one

    @property
    def behind(self) -> bool:
        """Say whether more has arrived than was taken."""
        return self._held or bool(self._rest)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self.recv_messages.pause, self.recv_messages.resume = self._hold, self._release

    def data_received(self, data: bytes) -> None:
        self._rest += data
        if self._due is None and not self._held:
            self._parse()

    def connection_lost(self, exc: Exception | None) -> None:
        if self._due is not None:
            self._due.cancel()
        rest, self._rest = bytes(self._rest), bytearray()
        if rest:
            super().data_received(rest)  # it had arrived
        super().connection_lost(exc)

    def process_event(self, event: Event) -> None:
        super().process_event(event)
        if isinstance(event, Frame) and event.opcode is Opcode.PING:
            self.on_ping()

    def drop(self) -> None:
        """Close at once; nothing that has arrived is worth reading."""
        self._rest.clear()
        self.transport.abort()

    def _parse(self) -> None:
        """Parse for one turn; what is left has to wait for the next."""
        self._due = None
        worked, wait = self.allowance.worked, self.allowance.wait()
        began = worked()
        spent = before = 0.0
        while self._rest and not self._held and wait <= 0 and spent <= TURN:
            size, before = self._piece, spent
            piece = bytes(self._rest[:size])
            del self._rest[:size]
            super().data_received(piece)
            spent = worked() - began
            if spent - before > TURN / 2:
                self._piece = max(LEAST, size // 2)
            elif spent - before < TURN / 8 and len(piece) == size:
                self._piece = min(MOST, size * 2)
        self.allowance.spend(spent)
        self._go_on()

    def _go_on(self) -> None:
        """Take the next turn when it is due, or read on when nothing is left."""
        if self._held:
            return
        if not self._rest:
            self.transport.resume_reading()
        elif self._due is None:
            self.transport.pause_reading()
            self._due = self.loop.call_later(self.allowance.wait(), self._parse)

    def _hold(self) -> None:
        self._held = True
        self.transport.pause_reading()

    def _release(self) -> None:
        self._held = False
        self._go_on()


class Watcher:
    """A connected socket. ``on_frame`` gets every frame's bytes and the time it was read; ``on_flood`` hears
    that it was given up for its nonsense.

    ``lost`` is set, with a reason, when the socket is closed or its peer is dead; sockets that stand and
    fall together share it. ``alive_at`` is the last moment (venue time) at which everything sent before it
    had certainly arrived.
    """

    def __init__(self, socket: _Paced, now: Now, clock: Clock, beat: float, answer: float,
                 on_frame: Callable[[bytes, datetime], None], lost: asyncio.Event | None = None,
                 on_flood: Callable[[], None] | None = None) -> None:  # fmt: skip
        self.now = now
        self.clock = clock
        self.alive_at = now()
        self.frames = 0
        self.last_frame = clock.monotonic()
        self.reason = ""
        self.lost = lost or asyncio.Event()
        self._socket = socket
        self._beat = beat
        self._answer = answer
        self._on_frame = on_frame
        self._on_flood = on_flood
        self._noise = 0  # how much meant nothing since ...
        self._noise_since = (float("-inf"), self.alive_at)
        socket.on_ping = self.bears
        self._tasks: list[asyncio.Task[None]] = []

    @classmethod
    async def open(cls, url: str, now: Now, clock: Clock, *, wait: float, beat: float,
                   on_frame: Callable[[bytes, datetime], None], lost: asyncio.Event | None = None,
                   answer: float | None = None, share: float = 1.0,
                   on_flood: Callable[[], None] | None = None) -> Watcher:  # fmt: skip
        """Connect and begin to read; a ping may go unanswered for ``answer`` seconds, or for a beat.

        ``share`` is how much of the event loop's time it may take.

        Raises:
            VenueError: the handshake was refused or nobody answered; its text never names the URL.
        """
        try:
            socket = await _Straight(
                url, open_timeout=wait, close_timeout=1, ping_interval=None, max_size=MAX_FRAME,
                max_queue=QUEUE, user_agent_header="accountd", create_connection=_Paced,
            )  # fmt: skip
            assert isinstance(socket, _Paced)
            socket.allowance = Allowance(share)
        except InvalidStatus as error:
            told = error.response
            raise refusal(told.status_code, told.headers.get("Retry-After")) from None
        except (OSError, TimeoutError, WebSocketException) as error:
            raise VenueUnavailable(f"stream does not connect: {type(error).__name__}") from None
        watcher = cls(socket, now, clock, beat, beat if answer is None else answer, on_frame, lost, on_flood)
        watcher._tasks = [
            asyncio.create_task(watcher._read(), name="accountd-read"),
            asyncio.create_task(watcher._ping(), name="accountd-ping"),
        ]
        return watcher

    async def send(self, frame: str) -> None:
        """Send a control frame; a closed socket is noticed by the reader."""
        with contextlib.suppress(ConnectionClosed):
            await self._socket.send(frame)

    async def close(self, reason: str = "closed by us") -> None:
        """Stop reading and close; a second call changes nothing."""
        self._lose(reason)
        await end(*self._tasks)
        if not self._socket.behind:  # or its answer would stand behind all that it has to say
            with contextlib.suppress(WebSocketException, OSError, TimeoutError):
                async with asyncio.timeout(2):
                    await self._socket.close()
        self._socket.drop()

    async def __aenter__(self) -> Watcher:
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None,
                        trace: TracebackType | None) -> None:  # fmt: skip
        await self.close()

    def give_up(self, reason: str, since: datetime) -> None:
        """Read no further; nothing that came after ``since`` counts as heard."""
        self.alive_at = min(self.alive_at, since)
        self._lose(reason)
        self._tasks[0].cancel()
        self._socket.drop()

    def bears(self, much: int = TORN) -> bool:
        """Count a frame that means nothing, and say whether it is worth keeping; too many end the connection.

        A flood of them would cost every other account its time, and tells nothing that a sweep does not.
        """
        now = self.clock.monotonic()
        if now - self._noise_since[0] > 1.0:
            self._noise, self._noise_since = 0, (now, self.now())
        self._noise += much
        if self._noise <= NONSENSE:
            return True
        if not self.lost.is_set():
            self.give_up(FLOOD, self._noise_since[1])
            if self._on_flood is not None:
                self._on_flood()
        return False

    def _lose(self, reason: str) -> None:
        if not self.lost.is_set():
            self.reason = reason
            self.lost.set()

    async def _read(self) -> None:
        socket, now, on_frame, allowance = self._socket, self.now, self._on_frame, self._socket.allowance
        worked, spent = allowance.worked, 0.0
        try:
            while True:
                frame = await socket.recv(decode=False)
                began = worked()
                self.frames += 1
                moment = now()
                if not socket.behind:
                    self.alive_at = moment
                self.last_frame = self.clock.monotonic()
                on_frame(frame, moment)
                spent += worked() - began
                if spent > TURN:  # one flood must not hold everybody up
                    allowance.spend(spent)
                    spent = 0.0
                    await asyncio.sleep(allowance.wait())
        except ConnectionClosed as error:
            close = error.rcvd
            self._lose(f"closed {close.code}" if close else "connection lost")
        except Exception as error:
            self._lose(f"reader failed: {type(error).__name__}")  # or what follows would be lost unseen
            raise

    async def _ping(self) -> None:
        """Ping on a beat; a peer that neither answers in time nor says anything else meanwhile is dead."""
        while not self.lost.is_set():
            await asyncio.sleep(self._beat)
            asked, since = self.now(), self.clock.monotonic()
            try:
                async with asyncio.timeout(self._answer):
                    await (await self._socket.ping())
            except ConnectionClosed:
                return  # the reader says why
            except TimeoutError:
                if self.last_frame > since:
                    continue  # it talks: the answer stands behind what it has to say
                self._lose("no answer to ping")
                return
            self.alive_at = max(self.alive_at, asked)
