"""Starts the sender and talks with it."""

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

ROOT = Path(__file__).parents[1]
WAIT = 120.0  # seconds for the frames of a long run to be made


class Peer:
    """The sender's process; ``url`` is where it serves."""

    def __init__(self, process: asyncio.subprocess.Process, port: int) -> None:
        self.process = process
        self.url = f"ws://127.0.0.1:{port}/private/ws?listenKey=bench"

    async def said(self, word: str) -> str:
        """Return what follows ``word`` on the next line.

        Raises:
            RuntimeError: the line says something else, or there is none.
        """
        assert self.process.stdout is not None
        line = (await asyncio.wait_for(self.process.stdout.readline(), WAIT)).decode().split()
        if len(line) != 2 or line[0] != word:
            raise RuntimeError(f"the sender said {line}, not {word}")
        return line[1]

    def ack(self, committed: int) -> None:
        """Tell how many frames are durable."""
        assert self.process.stdin is not None
        self.process.stdin.write(b"%d\n" % committed)


@asynccontextmanager
async def sender(count: int, rate: int = 0) -> AsyncIterator[Peer]:
    """Start a sender of ``count`` frames and end it afterwards."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "benchmarks.sender", str(count), "--rate", str(rate), cwd=ROOT,
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    peer = Peer(process, 0)
    try:
        peer = Peer(process, int(await peer.said("port")))
        yield peer
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()
