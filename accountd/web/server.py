"""The listener that serves the web in the daemon's own loop."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Iterator

import uvicorn
from starlette.types import ASGIApp

from accountd.errors import SettingsError


class QuietServer(uvicorn.Server):
    """A server that leaves the process's signals to the process."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Capture none."""
        yield


def bind(host: str, port: int) -> socket.socket:
    """Take the address before anything else starts; port 0 lets the system choose.

    Raises:
        SettingsError: the address is taken, or is not one of this machine's.
    """
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        listener = socket.socket(family, socket.SOCK_STREAM)
    except OSError as refusal:
        raise SettingsError(_refused(host, port, refusal)) from None
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen()
        listener.setblocking(False)
    except OSError as refusal:
        listener.close()
        raise SettingsError(_refused(host, port, refusal)) from None
    return listener


def _refused(host: str, port: int, refusal: OSError) -> str:
    reason = (refusal.strerror or str(refusal)).lower()
    return f"ACCOUNTD_WEB__LISTEN: '{host}:{port}' is not usable: {reason}; another, or empty for no web"


@contextlib.asynccontextmanager
async def serving(app: ASGIApp, listener: socket.socket) -> AsyncIterator[tuple[str, int]]:
    """Serve `app` on a bound socket until the block ends; yields the host and port.

    An application whose state has `leave` and `close` is asked to end its streams first and its reads last.
    """
    server = QuietServer(
        uvicorn.Config(
            app, log_config=None, access_log=False, lifespan="off", ws="none", proxy_headers=False,
            server_header=False, timeout_graceful_shutdown=1, limit_concurrency=100,
        )
    )  # fmt: skip
    host, port = listener.getsockname()[:2]
    task = asyncio.create_task(server.serve(sockets=[listener]), name="web")
    try:
        yield host, port
    finally:
        _call(app, "leave")
        server.should_exit = True
        await asyncio.wait({task})
        listener.close()
        await asyncio.to_thread(_call, app, "close")
        task.result()


def _call(app: ASGIApp, name: str) -> None:
    getattr(getattr(app, "state", None), name, lambda: None)()
