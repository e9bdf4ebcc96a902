"""One WebSocket on the simulated venue: handshake, frames, pings, and the faults that hit what it is sent."""

import asyncio
import json
import logging
from collections import deque
from typing import TYPE_CHECKING, Any

from websockets.exceptions import InvalidState
from websockets.extensions.permessage_deflate import ServerPerMessageDeflateFactory
from websockets.frames import Frame, Opcode
from websockets.http11 import Request
from websockets.protocol import State
from websockets.server import ServerProtocol

if TYPE_CHECKING:
    from accountd.sim.connection import Connection
    from accountd.sim.product import Product
    from accountd.sim.server import SimServer

LOG = logging.getLogger("accountd.sim.streams")
LOG.setLevel(logging.WARNING)


class Session:
    """A client's WebSocket; what is said on it is left to the classes that build on this one.

    `product` is None where no product knows the URL; the handshake is then refused with 404.
    `messages_per_second` is how many frames a client may send before it is cut off, None for no limit.
    """

    messages_per_second: int | None = 10

    def __init__(
        self, server: "SimServer", connection: "Connection", target: str, product: "Product | None" = None
    ) -> None:
        self.server, self.connection, self.target, self.product = server, connection, target, product
        factory = [ServerPerMessageDeflateFactory()] if server.compress else None
        self.protocol = ServerProtocol(extensions=factory, max_size=2**20, logger=LOG)
        self.known_path = product is not None
        self.ping_interval, self.pong_timeout = server.ping_interval, server.pong_timeout
        if product is not None:
            self.ping_interval = product.ping_interval or self.ping_interval
            self.pong_timeout = product.pong_timeout or self.pong_timeout
        self.opened = self.pinged = self.answered = asyncio.get_running_loop().time()
        self.frames = 0
        self._incoming: deque[float] = deque(maxlen=(self.messages_per_second or 0) + 1)
        self._held: bytes | None = None

    @property
    def open(self) -> bool:
        """Tell whether frames can be sent."""
        return self.protocol.state is State.OPEN

    def receive(self, data: bytes) -> None:
        """Take bytes from the client."""
        self.protocol.receive_data(data)
        for event in self.protocol.events_received():
            if isinstance(event, Request):
                self._handshake(event)
            else:
                self._frame(event)
        self.flush()

    def _handshake(self, request: Request) -> None:
        fault = self.server.faults.take("handshake_status")
        if fault:
            response = self.protocol.reject(int(fault.options.get("code", 503)), "refused\n")
            if "retry_after" in fault.options:
                response.headers["Retry-After"] = str(fault.options["retry_after"])
        elif not self.known_path:
            response = self.protocol.reject(404, "Not Found\n")
        else:
            response = self.protocol.accept(request)
        self.protocol.send_response(response)
        if response.status_code == 101:
            self.server.sessions.add(self)
            self.server.stirred.set()
            self.server.counts["sessions"] += 1
            self.greeted()
            if self.server.faults.take("accept_then_close"):
                self.close(1001)

    def greeted(self) -> None:
        """Begin: the handshake is done."""

    def _frame(self, frame: Any) -> None:
        if not isinstance(frame, Frame) or frame.opcode is Opcode.CLOSE:
            return
        now, most = asyncio.get_running_loop().time(), self.messages_per_second
        self._incoming.append(now)
        if most is not None and len(self._incoming) > most and now - self._incoming[0] < 1:
            self.close(1008, "Too many requests")
        elif frame.opcode is Opcode.PONG:
            self.answered = now
        elif frame.opcode is Opcode.TEXT and not self.server.faults.take("ack_never"):
            self.said(bytes(frame.data))
            self.server.stirred.set()

    def said(self, raw: bytes) -> None:
        """Take a text frame of the client."""

    def wants(self, key: str, event: str) -> bool:
        """Tell whether the client subscribed to an event of a listen key."""
        return False

    def deliver(self, key: str, event: str, raw: bytes) -> None:
        """Send an event of a listen key."""

    def reply(self, body: dict[str, Any]) -> None:
        """Answer a message of the client; answers are never dropped or reordered."""
        self.send(json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode())

    def tell(self, raw: bytes) -> None:
        """Send an event through the stream faults."""
        faults = self.server.faults
        if faults.take("drop"):
            return
        if faults.take("torn_frame"):
            raw = raw[: len(raw) // 2]
        copies = [raw, raw] if faults.take("duplicate") else [raw]
        held, self._held = self._held, None
        if held is None and faults.take("reorder"):
            self._held = raw
            asyncio.get_running_loop().call_later(0.05, self._release)
            copies = copies[1:]
        for frame in copies:
            self.send(frame)
        if held is not None:
            self.send(held)

    def _release(self) -> None:
        held, self._held = self._held, None
        if held is not None:
            self.send(held)

    def send(self, raw: bytes) -> None:
        """Send a text frame past the faults."""
        if self.open:
            self.frames += 1
            self.protocol.send_text(raw)
            self.flush()

    def announce(self, event: dict[str, Any]) -> None:
        """Send an event that concerns the connection itself."""
        self.reply(event)

    def send_garbage(self, raw: bytes, *, binary: bool = False) -> None:
        """Send bytes as they are, as text or binary."""
        if self.open:
            (self.protocol.send_binary if binary else self.protocol.send_text)(raw)
            self.flush()

    def ping(self) -> None:
        """Send a ping with the venue's time as payload."""
        if self.open:
            self.pinged = asyncio.get_running_loop().time()
            self.protocol.send_ping(str(self.server.exchange.clock.now()).encode())
            self.flush()

    def close(self, code: int = 1001, reason: str = "") -> None:
        """Close with a close frame."""
        if self.open:
            self.protocol.send_close(code, reason)
            self.flush()

    def end(self) -> None:
        """Forget the session after its connection is gone."""
        self.server.sessions.discard(self)
        try:
            self.protocol.receive_eof()
        except (EOFError, InvalidState):
            return

    def flush(self) -> None:
        """Hand what the protocol has to say to the connection."""
        for data in self.protocol.data_to_send():
            if data:
                self.connection.write(data, streamed=True)
            else:
                self.connection.finish()
