"""A small HTTP/1.1 client for one target: it posts, reads the status, and little of what follows.

It is a protocol of the event loop, not a client library: a webhook goes out while the record is being
written, and what it costs is taken from that.
"""

from __future__ import annotations

import asyncio

import h11
import msgspec

from accountd.sinks._targets import Target

IDLE = 5.0  # seconds after which a kept connection is not trusted: the receiver may be about to close it
MOST_READ = 65_536  # bytes of a reply's head, and of its body so that the connection can be used again
LONGEST_READ = 1.0  # seconds spent on it

Headers = list[tuple[str, str]]


class Broken(Exception):
    """The peer broke the connection off, or does not speak HTTP."""


class Reply(msgspec.Struct, frozen=True):
    """The head of a reply, as far as it matters."""

    status: int
    retry_after: str | None = None


class Connection(asyncio.Protocol):
    """One connection: one request at a time, read as it comes in; what is too much ends it."""

    def __init__(self) -> None:
        self.lost = False
        self.idle_since = 0.0
        self._http = h11.Connection(h11.CLIENT, max_incomplete_event_size=MOST_READ)
        self._transport: asyncio.Transport | None = None
        self._reply: asyncio.Future[Reply] | None = None
        self._end: asyncio.Future[None] | None = None
        self._read = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def post(self, target: bytes, headers: Headers, body: bytes) -> asyncio.Future[Reply]:
        """Send a request; the future has the head of the reply, or raises `Broken`."""
        assert self._transport is not None
        loop = asyncio.get_running_loop()
        self._reply, self._end, self._read = loop.create_future(), loop.create_future(), 0
        told = self._http.send(h11.Request(method="POST", target=target, headers=headers)) or b""
        told += self._http.send(h11.Data(data=body)) or b""
        self._transport.write(told + (self._http.send(h11.EndOfMessage()) or b""))
        return self._reply

    async def finish(self) -> bool:
        """Wait a little for the end of the reply; say whether the connection can be used again."""
        assert self._end is not None
        try:
            async with asyncio.timeout(LONGEST_READ):
                await self._end
        except (TimeoutError, Broken):  # the status has been told; nothing takes it back
            return False
        done = self._http.our_state is h11.DONE and self._http.their_state is h11.DONE
        if self.lost or not done or self._http.trailing_data[0]:  # more than was asked for: not to be trusted
            return False
        self._http.start_next_cycle()
        return True

    def data_received(self, data: bytes) -> None:
        """Read what came; nobody has anything to say between two requests."""
        if self._end is None or self._end.done():
            self.close()
            return
        self._feed(data)

    def eof_received(self) -> None:
        """End what ends with the connection."""
        if self._end is not None and not self._end.done():
            self._feed(b"")
        self.close()

    def connection_lost(self, exc: Exception | None) -> None:
        """Note that it is gone."""
        self.lost = True
        self._break("ReadError")

    def close(self) -> None:
        """Let the connection go at once."""
        self.lost = True
        if self._transport is not None:
            self._transport.abort()
        self._break("ReadError")

    def _feed(self, data: bytes) -> None:
        try:
            self._http.receive_data(data)
            self._take()
        except h11.RemoteProtocolError:
            self._break("RemoteProtocolError")
            self.close()

    def _take(self) -> None:
        """Go through what is complete. The head of a reply is bounded by h11, its body here."""
        assert self._reply is not None
        assert self._end is not None
        while True:
            event = self._http.next_event()
            if event is h11.NEED_DATA:
                return
            if isinstance(event, h11.Response):
                wait = next((value for name, value in event.headers if name == b"retry-after"), None)
                text = None if wait is None else wait.decode("latin-1")
                if not self._reply.done():
                    self._reply.set_result(Reply(event.status_code, text))
            elif isinstance(event, h11.Data):
                self._read += len(event.data)
                if self._read > MOST_READ:
                    self.close()
                    return
            elif isinstance(event, h11.EndOfMessage):
                self._end.set_result(None)
                return
            elif not isinstance(event, h11.InformationalResponse):  # it wants to speak something else
                raise h11.RemoteProtocolError("not HTTP any more")

    def _break(self, why: str) -> None:
        for future in (self._reply, self._end):
            if future is not None and not future.done():
                future.set_exception(Broken(why))
                future.exception()  # whoever does not wait for it need not hear of it


class Http:
    """Posts to one target, over connections that are kept between requests."""

    def __init__(self, target: Target, path: bytes, timeout: float) -> None:
        self._target = target
        self._timeout = timeout
        self._path = path
        self._idle: list[Connection] = []

    async def post(self, headers: Headers, body: bytes) -> Reply:
        """Post once; return the reply when its head is there and its body need not be waited for.

        Raises:
            TimeoutError: no head of a reply in time.
            Broken: the connection broke off before it, or the reply is not HTTP.
            OSError: nobody takes the connection.
            SinkError: the target is not allowed.
        """
        connection, kept = None, False
        try:
            async with asyncio.timeout(self._timeout):
                connection = self._kept() or await self._target.connect(Connection)
                reply = await connection.post(self._path, headers, body)
            kept = await connection.finish()
        finally:
            if connection is not None:
                self._put_back(connection, kept)
        return reply

    def _kept(self) -> Connection | None:
        now = asyncio.get_running_loop().time()
        while self._idle:
            connection = self._idle.pop()
            if not connection.lost and now - connection.idle_since < IDLE:
                return connection
            connection.close()
        return None

    def _put_back(self, connection: Connection, good: bool) -> None:
        if not good:
            connection.close()
            return
        connection.idle_since = asyncio.get_running_loop().time()
        self._idle.append(connection)

    def close(self) -> None:
        """Close the connections that are kept."""
        while self._idle:
            self._idle.pop().close()
