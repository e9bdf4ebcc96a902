"""One TCP connection: HTTP until it is upgraded, and every way in which it can be cut, slowed or frozen."""

import asyncio
import socket
import struct
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import h11

from accountd.sim.rest import HttpRequest
from accountd.sim.socket import Session

if TYPE_CHECKING:
    from accountd.sim.server import SimServer

LARGEST_BUFFER = 64 * 2**20
DRIP_EVERY = 0.05


@dataclass
class Reply:
    """An HTTP reply; `delay` in seconds, `torn` sends half of the body and hangs up."""

    status: int
    body: bytes
    headers: dict[str, str] = field(default_factory=dict)
    delay: float = 0.0
    torn: bool = False


class Connection(asyncio.Protocol):
    """A client's TCP connection to the simulated venue."""

    def __init__(self, server: "SimServer") -> None:
        self.server = server
        self.session: Session | None = None
        self.frozen = self.muted = False
        self._http = h11.Connection(h11.SERVER)
        self._raw = b""
        self._request: h11.Request | None = None
        self._body = b""
        self._out: deque[tuple[float, bytes]] = deque()
        self._timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Register a new connection."""
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self.server.connections.add(self)
        self.server.counts["connects"] += 1

    def connection_lost(self, error: Exception | None) -> None:
        """Forget the connection."""
        self.server.connections.discard(self)
        if self._timer:
            self._timer.cancel()
        if self.session:
            self.session.end()

    def data_received(self, data: bytes) -> None:
        """Take bytes from the client."""
        if self.frozen or self.muted:
            return
        if self.session:
            self.session.receive(data)
            return
        self._raw += data
        try:
            self._http.receive_data(data)
            self._read_http()
        except h11.RemoteProtocolError:
            self.transport.abort()

    def _read_http(self) -> None:
        while self.session is None and not self.frozen:
            event = self._http.next_event()
            if isinstance(event, h11.Request):
                self._request, self._body = event, b""
                if _headers(event).get("upgrade", "").lower() == "websocket":
                    self._upgrade(event)
            elif isinstance(event, h11.Data):
                self._body += bytes(event.data)
            elif isinstance(event, h11.EndOfMessage):
                self._answer()
            else:
                return

    def _upgrade(self, request: h11.Request) -> None:
        if self.server.blackholed("stream"):
            self.freeze()
            return
        self.session = self.server.session(self, request.target.decode())
        self.session.receive(self._raw)
        self._raw = b""

    def _answer(self) -> None:
        request = self._request
        if request is None or self.server.blackholed("rest"):
            self.freeze()
            return
        self._raw = b""
        path, _, query = request.target.decode().partition("?")
        method = request.method.decode()
        asked = HttpRequest(method, path, query, _headers(request), self._body.decode(errors="replace"))
        reply = self.server.answer(asked)
        if reply.delay:
            loop = asyncio.get_running_loop()
            self._timer = loop.call_later(reply.delay, self._send_reply, reply)
        else:
            self._send_reply(reply)

    def _send_reply(self, reply: Reply) -> None:
        self._timer = None
        self._arm()
        headers = {"Content-Type": "application/json;charset=UTF-8"} | reply.headers
        headers["Content-Length"] = str(len(reply.body))
        head = self._http.send(
            h11.Response(status_code=reply.status, headers=list(headers.items()), reason=b"")
        )
        if reply.torn:
            self.write((head or b"") + reply.body[: len(reply.body) // 2])
            self.transport.close()
            return
        body = self._http.send(h11.Data(data=reply.body)) or b""
        end = self._http.send(h11.EndOfMessage()) or b""
        self.write((head or b"") + body + end)
        if self._http.our_state is h11.MUST_CLOSE:
            self.finish()
        else:
            self._http.start_next_cycle()
            self._read_http()

    def write(self, data: bytes, *, streamed: bool = False) -> None:
        """Send bytes, late or slowly if a fault says so; frozen connections swallow them."""
        if self.frozen or self.muted or self.transport.is_closing():
            return
        faults, loop = self.server.faults, asyncio.get_running_loop()
        delay = faults.active("delay") if streamed else None
        slow = faults.active("slow")
        if not (delay or slow or self._out):
            self.transport.write(data)
            if self.transport.get_write_buffer_size() > LARGEST_BUFFER:
                self.transport.abort()
            return
        due = loop.time() + (delay.amount if delay else 0.0)
        if slow:
            step = max(1, int(float(slow.options.get("rate", 1000)) * DRIP_EVERY))
            pieces = [data[i : i + step] for i in range(0, len(data), step)]
            start = max(due, self._out[-1][0] if self._out else due)
            self._out.extend((start + n * DRIP_EVERY, piece) for n, piece in enumerate(pieces, 1))
        else:
            self._out.append((max(due, self._out[-1][0] if self._out else due), data))
        self._arm()

    def _arm(self) -> None:
        if self._timer is None and self._out:
            self._timer = asyncio.get_running_loop().call_at(self._out[0][0], self._pump)

    def _pump(self) -> None:
        self._timer = None
        now = asyncio.get_running_loop().time()
        while self._out and self._out[0][0] <= now + 0.001:
            data = self._out.popleft()[1]
            if self.frozen or self.muted or self.transport.is_closing():
                self._out.clear()
            elif data:
                self.transport.write(data)
            else:
                self.transport.close()
        self._arm()

    def finish(self) -> None:
        """Send FIN after what is still on its way."""
        if self._out:
            self._out.append((self._out[-1][0], b""))
        elif not self.frozen and not self.muted:
            self.transport.close()

    def freeze(self) -> None:
        """Stop reading and writing for ever while TCP stays open."""
        self.frozen = True
        self.transport.pause_reading()

    def mute(self) -> None:
        """Go on reading but answer nothing, as a peer that has forgotten the connection."""
        self.muted = True

    def reset(self) -> None:
        """Cut the connection with RST."""
        raw = self.transport.get_extra_info("socket")
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.transport.abort()

    def cut(self) -> None:
        """End the connection with FIN and no close frame."""
        self.transport.close()


def _headers(request: h11.Request) -> dict[str, str]:
    return {name.decode(): value.decode("latin-1") for name, value in request.headers}
