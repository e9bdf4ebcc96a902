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
WHOLE = (Opcode.TEXT, Opcode.BINARY)
DATA = (Opcode.CONT, *WHOLE)
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
    A message is handed over where it is parsed: no queue, and no task to wake, stands between.
    """

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.allowance = Allowance()
        self.behind = bytearray()  # read and not yet parsed
        self._piece = 4 * LEAST  # how much of it is parsed at once, as its messages turn out to cost
        self._due: asyncio.TimerHandle | None = None
        self._part = bytearray()  # of a message in several frames
        self._begun = False
        self._early: list[bytes] = []  # came in one piece with the end of the handshake
        self._over: tuple[Exception | None] | None = None  # lost, and of what
        self.on_message: Callable[[bytes], object] = self._early.append
        self.on_noise: Callable[[], object] = lambda: None  # a ping, or a piece of nothing
        self.on_close: Callable[[], object] = lambda: None

    def begin(self, on_message: Callable[[bytes], object]) -> None:
        """Hand messages to ``on_message``; behind the handshake nothing more is parsed before this."""
        self.on_message, self._begun = on_message, True
        for message in self._early:
            on_message(message)
        if self.protocol.close_rcvd is not None:
            self.on_close()
        self._parse()

    def data_received(self, data: bytes) -> None:
        self.behind += data
        if self._due is None and self._ready:
            self._parse()

    @property
    def _ready(self) -> bool:
        return self._begun or self.response is None

    def connection_lost(self, exc: Exception | None) -> None:
        if self._due is None:
            self.behind.clear()
            super().connection_lost(exc)
        else:  # what had arrived comes first
            self._over = (exc,)

    def process_event(self, event: Event) -> None:
        if not isinstance(event, Frame):
            super().process_event(event)
        elif event.fin and event.opcode in WHOLE:
            self.on_message(bytes(event.data))
        elif event.opcode in DATA:
            self._gather(event)
        else:
            super().process_event(event)
            if event.opcode is Opcode.PING:
                self.on_noise()
            elif event.opcode is Opcode.CLOSE:
                self.on_close()

    def _gather(self, frame: Frame) -> None:
        """Put a message together that comes in several frames."""
        self._part += frame.data
        if frame.fin:
            message, self._part = bytes(self._part), bytearray()
            self.on_message(message)
        elif not frame.data:
            self.on_noise()

    def drop(self) -> None:
        """Close at once; nothing that has arrived is worth reading."""
        self.behind.clear()
        self.transport.abort()
        if self._due is not None:
            self._due.cancel()
            self._parse()

    def _parse(self) -> None:
        """Parse for one turn; what is left has to wait for the next."""
        self._due = None
        worked, wait = self.allowance.worked, self.allowance.wait()
        began = worked()
        spent = before = 0.0
        while self.behind and wait <= 0 and spent <= TURN and self._ready:
            size, before = self._piece, spent
            piece = bytes(self.behind[:size])
            del self.behind[:size]
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
        if self.behind:
            self.transport.pause_reading()
            if self._ready:
                self._due = self.loop.call_later(self.allowance.wait(), self._parse)
        elif self._over is not None:
            super().connection_lost(*self._over)
        else:
            self.transport.resume_reading()


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
        self._deaf = False  # what still comes counts for nothing
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
                user_agent_header="accountd", create_connection=_Paced,
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
            asyncio.create_task(watcher._end(), name="accountd-end"),
            asyncio.create_task(watcher._ping(), name="accountd-ping"),
        ]
        socket.on_noise, socket.on_close = watcher.bears, watcher._closed
        socket.begin(watcher._take)
        return watcher

    async def send(self, frame: str) -> None:
        """Send a control frame; a closed socket is noticed by the reader."""
        with contextlib.suppress(ConnectionClosed):
            await self._socket.send(frame)

    async def close(self, reason: str = "closed by us") -> None:
        """Stop reading and close; a second call changes nothing."""
        self._lose(reason)
        self._deaf = True
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
        self._deaf = True
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

    def _take(self, frame: bytes) -> None:
        if self._deaf:
            return
        self.frames += 1
        moment = self.now()
        if not self._socket.behind:
            self.alive_at = moment
        self.last_frame = self.clock.monotonic()
        try:
            self._on_frame(frame, moment)
        except Exception as error:  # what it told is lost, and what follows would be: nobody must believe it
            log.exception("reader failed")
            self.give_up(f"reader failed: {type(error).__name__}", self.alive_at)

    def _closed(self) -> None:
        """The venue says that it closes; it may leave the connection standing."""
        close = self._socket.protocol.close_rcvd
        self._lose(f"closed {close.code}" if close else "connection lost")

    async def _end(self) -> None:
        await self._socket.wait_closed()
        self._closed()

    async def _ping(self) -> None:
        """Ping on a beat; a peer that neither answers in time nor says anything else meanwhile is dead."""
        while not self.lost.is_set():
            await asyncio.sleep(self._beat)
            asked, since = self.now(), self.clock.monotonic()
            try:
                async with asyncio.timeout(self._answer):
                    await (await self._socket.ping())
            except ConnectionClosed:
                return  # whoever minds the end says why
            except TimeoutError:
                if self.last_frame > since:
                    continue  # it talks: the answer stands behind what it has to say
                self._lose("no answer to ping")
                return
            self.alive_at = max(self.alive_at, asked)
