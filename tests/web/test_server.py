"""The listener in the daemon's loop."""

import asyncio
import signal

import pytest

from accountd.core.health import Health
from accountd.errors import SettingsError
from accountd.runtime.metrics import Metrics
from accountd.web import app, server


async def get(host, port, path):
    """Fetch a path over a socket of our own."""
    reader, writer = await asyncio.open_connection(host, port)
    writer.write(f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n".encode())
    text = (await reader.read()).decode()
    writer.close()
    await writer.wait_closed()
    return text


async def test_serves_in_this_loop_and_leaves_signals_alone():
    """The page is served without a thread, and the process keeps its own signal handlers."""
    before = signal.getsignal(signal.SIGTERM)
    built = app.build(Health(), Metrics().registry)
    async with server.serving(built, server.bind("127.0.0.1", 0)) as (host, port):
        assert "alive" in await get(host, port, "/healthz")
        assert signal.getsignal(signal.SIGTERM) is before
    with pytest.raises(OSError):
        await get(host, port, "/healthz")


def test_taken_address_is_a_setting_that_is_wrong():
    """A port in use is said with the setting's name."""
    held = server.bind("127.0.0.1", 0)
    held.listen()
    try:
        with pytest.raises(SettingsError, match="ACCOUNTD_WEB__LISTEN"):
            server.bind("127.0.0.1", held.getsockname()[1])
    finally:
        held.close()
