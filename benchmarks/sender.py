"""The other end of the socket, in a process of its own: sends frames that it has made before."""

import argparse
import asyncio
import sys
import time
from collections import deque
from collections.abc import Iterator
from itertools import islice

from websockets.asyncio.server import ServerConnection, serve
from websockets.frames import Frame, Opcode

from benchmarks.frames import frames

CHUNK = 100  # frames in one write while flooding
EARLY = 200_000  # frames that are made before the first is sent; more would fill the memory
LOOK = 0.001  # seconds between looks at what is due, open loop


def wire(count: int) -> Iterator[bytes]:
    """Yield the frames as they go over the wire; a server does not mask, so they can be made early."""
    for one in frames(count, int(time.time() * 1000)):
        yield Frame(Opcode.TEXT, one).serialize(mask=False, extensions=[])


async def flood(
    connection: ServerConnection, ready: Iterator[bytes], window: int, acks: asyncio.StreamReader
) -> None:
    """Send as fast as the receiver takes it, at most ``window`` frames ahead of its commits."""
    sent = committed = 0
    while part := list(islice(ready, CHUNK)):
        while sent - committed > window:
            committed = int(await acks.readline())
        sent += len(part)
        connection.transport.write(b"".join(part))
        await connection.drain()


async def paced(connection: ServerConnection, ready: deque[bytes], rate: int) -> None:
    """Send each frame when it is due, whether or not the receiver keeps up."""
    begin, sent = time.monotonic() + 0.2, 0
    print(f"begin {begin!r}", flush=True)
    while ready:
        due = min(int((time.monotonic() - begin) * rate) - sent, len(ready))
        if due > 0:
            sent += due
            connection.transport.write(b"".join([ready.popleft() for _ in range(due)]))
            await connection.drain()
        await asyncio.sleep(LOOK)


async def main(count: int, rate: int, window: int) -> None:
    """Serve one connection and end when it is closed."""
    reader = asyncio.StreamReader()
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    over = asyncio.Event()
    ready = deque(wire(count)) if count <= EARLY else deque[bytes]()

    async def send(connection: ServerConnection) -> None:
        if rate:
            await paced(connection, ready, rate)
        else:
            await flood(connection, iter(ready or wire(count)), window, reader)
        await connection.wait_closed()
        over.set()

    async with serve(send, "127.0.0.1", 0, compression=None, ping_interval=None) as server:
        print(f"port {server.sockets[0].getsockname()[1]}", flush=True)
        await over.wait()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("count", type=int)
    parser.add_argument("--rate", type=int, default=0, help="frames a second; 0: as fast as they are taken")
    parser.add_argument("--window", type=int, default=8_000, help="frames sent ahead of commits")
    told = parser.parse_args()
    asyncio.run(main(told.count, told.rate, told.window))
