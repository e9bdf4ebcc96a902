"""Receivers on the loopback interface that behave as badly as receivers do."""

import asyncio
import struct
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from socket import SO_LINGER, SOL_SOCKET


@dataclass
class Received:
    """One request as it came in."""

    path: str
    headers: dict[str, str]
    body: bytes


@dataclass
class Receiver:
    """An HTTP server whose answers are functions of (writer, request)."""

    answers: list = field(default_factory=list)
    seen: list[Received] = field(default_factory=list)
    connections: int = 0
    url: str = ""

    async def serve(self, reader, writer):
        """Answer requests until the peer goes."""
        self.connections += 1
        try:
            while line := await reader.readline():
                await self._one(line.decode(), reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            return
        finally:
            writer.close()

    async def _one(self, line, reader, writer):
        headers = {}
        while (header := (await reader.readline()).decode().strip()):
            name, _, value = header.partition(":")
            headers[name.lower()] = value.strip()
        body = await reader.readexactly(int(headers.get("content-length", 0)))
        self.seen.append(Received(line.split()[1], headers, body))
        answer = self.answers[min(len(self.seen), len(self.answers)) - 1] if self.answers else status(204)
        await answer(writer)


def status(code, *headers, body=b""):
    """Answer with a status."""

    async def answer(writer):
        lines = [f"HTTP/1.1 {code} -", f"Content-Length: {len(body)}", *headers, "", ""]
        writer.write("\r\n".join(lines).encode() + body)
        await writer.drain()

    return answer


async def hang(writer):
    """Never answer."""
    await asyncio.Event().wait()


async def reset(writer):
    """Break the connection off."""
    linger = struct.pack("ii", 1, 0)
    writer.get_extra_info("socket").setsockopt(SOL_SOCKET, SO_LINGER, linger)
    writer.transport.abort()
    raise ConnectionResetError


def endless(code):
    """Answer with a body that never ends."""

    async def answer(writer):
        writer.write(f"HTTP/1.1 {code} -\r\nContent-Length: 10000000000\r\n\r\n".encode())
        for _ in range(100_000):
            writer.write(b"x" * 65_536)
            await writer.drain()

    return answer


def stalled(code):
    """Answer with a status and then with half of a body."""

    async def answer(writer):
        writer.write(f"HTTP/1.1 {code} -\r\nContent-Length: 10\r\n\r\nabc".encode())
        await asyncio.Event().wait()

    return answer


@asynccontextmanager
async def receiver(*answers, ssl=None, tasks=None):
    """Run a receiver; the last answer is given for ever."""
    told = Receiver(list(answers))
    running = set()

    async def serve(reader, writer):
        running.add(asyncio.current_task())
        try:
            await told.serve(reader, writer)
        except asyncio.CancelledError:
            writer.transport.abort()

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=ssl)
    port = server.sockets[0].getsockname()[1]
    told.url = f"{'https' if ssl else 'http'}://127.0.0.1:{port}/hook"
    try:
        yield told
    finally:
        server.close()
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
        await asyncio.sleep(0)


def said(*parts, then="hang", pause=0.0):
    """Answer with these bytes, whatever they are; then hang, or close."""

    async def answer(writer):
        for part in parts:
            writer.write(part)
            await writer.drain()
            await asyncio.sleep(pause)
        if then == "close":
            raise ConnectionResetError
        await asyncio.Event().wait()

    return answer


def for_ever(head, part, pause=0.0):
    """Answer with a head, and then with the same part again and again."""

    async def answer(writer):
        writer.write(head)
        while True:
            writer.write(part)
            await writer.drain()
            await asyncio.sleep(pause)

    return answer
