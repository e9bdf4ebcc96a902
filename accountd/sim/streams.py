"""One WebSocket session: its URL, its subscriptions, the control messages, and the frames it is sent."""

import asyncio
import json
import logging
from collections import deque
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlsplit

from websockets.exceptions import InvalidState
from websockets.extensions.permessage_deflate import ServerPerMessageDeflateFactory
from websockets.frames import Frame, Opcode
from websockets.http11 import Request
from websockets.protocol import State
from websockets.server import ServerProtocol

from accountd.sim.controls import Controls

if TYPE_CHECKING:
    from accountd.sim.connection import Connection
    from accountd.sim.server import SimServer

MESSAGES_PER_SECOND = 10
LOG = logging.getLogger("accountd.sim.streams")
LOG.setLevel(logging.WARNING)
Subscriptions = dict[str, set[str] | None]


def parse_target(target: str) -> tuple[bool, bool, Subscriptions] | None:
    """Return (delivers, wrapped, subscriptions) of a stream URL, None if there is no such path.

    Only `/private` delivers; other routes and the legacy URL connect and stay silent.
    """
    parts = urlsplit(target)
    path = parts.path.strip("/").split("/")
    route = path.pop(0) if path and path[0] in ("private", "public", "market") else ""
    if not path or path[0] not in ("ws", "stream") or len(path) > 2:
        return None
    subscriptions: Subscriptions = {path[1]: None} if len(path) == 2 else {}
    key = ""
    for name, value in parse_qsl(parts.query):
        if name == "listenKey":
            key = value
            subscriptions[key] = None
        elif name == "events" and key:
            subscriptions[key] = {event for event in value.split("/") if event}
    return route == "private", path[0] == "stream", subscriptions


class StreamSession:
    """A client's WebSocket on the simulated venue."""

    def __init__(self, server: "SimServer", connection: "Connection", target: str) -> None:
        self.server, self.connection = server, connection
        factory = [ServerPerMessageDeflateFactory()] if server.compress else None
        self.protocol = ServerProtocol(extensions=factory, max_size=2**20, logger=LOG)
        parsed = parse_target(target)
        self.known_path = parsed is not None
        self.delivers, self.wrapped, self.subscriptions = parsed or (False, False, {})
        self.controls = Controls(self)
        self.opened = self.pinged = self.answered = asyncio.get_running_loop().time()
        self.frames = 0
        self._incoming: deque[float] = deque(maxlen=MESSAGES_PER_SECOND + 1)
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
            if self.server.faults.take("accept_then_close"):
                self.close(1001)

    def _frame(self, frame: Any) -> None:
        if not isinstance(frame, Frame) or frame.opcode is Opcode.CLOSE:
            return
        now = asyncio.get_running_loop().time()
        self._incoming.append(now)
        if len(self._incoming) > MESSAGES_PER_SECOND and now - self._incoming[0] < 1:
            self.close(1008, "Too many requests")
        elif frame.opcode is Opcode.PONG:
            self.answered = now
        elif frame.opcode is Opcode.TEXT and not self.server.faults.take("ack_never"):
            self.reply(self.controls.answer(bytes(frame.data)))
            self.server.stirred.set()

    def reply(self, body: dict[str, Any]) -> None:
        """Answer a control message; answers are never dropped or reordered."""
        self._send(json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode())

    def wants(self, key: str, event: str) -> bool:
        """Tell whether the client subscribed to an event of a listen key."""
        if not self.delivers or key not in self.subscriptions:
            return False
        events = self.subscriptions[key]
        return events is None or event in events

    def deliver(self, key: str, event: str, raw: bytes) -> None:
        """Send an event, wrapped if the session is combined, through the stream faults."""
        if self.wrapped:
            name = key if self.subscriptions[key] is None else f"{key}@{event}"
            raw = b'{"stream":"' + name.encode() + b'","data":' + raw + b"}"
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
            self._send(frame)
        if held is not None:
            self._send(held)

    def _release(self) -> None:
        held, self._held = self._held, None
        if held is not None:
            self._send(held)

    def _send(self, raw: bytes) -> None:
        if self.open:
            self.frames += 1
            self.protocol.send_text(raw)
            self.flush()

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
