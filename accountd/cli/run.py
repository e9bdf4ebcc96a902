"""The command that follows the accounts until it is told to stop."""

import asyncio
import contextlib
import os
import signal
import socket
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator

import structlog
import typer

from accountd import __version__, config
from accountd.cli.progress import Bars
from accountd.config import Settings
from accountd.core.health import Health
from accountd.errors import AccountdError, SettingsError
from accountd.runtime import daemon, interpreter, logs, metrics, notify
from accountd.web import app as web
from accountd.web import server

log = structlog.get_logger(__name__)

PATIENCE = 4.5  # seconds that an orderly stop may take
INTERRUPTED = 130
USAGE = 2


def run() -> None:
    """Follow every account: record what happens, fill every gap, ring the hooks."""
    settings = config.load()
    logs.hide_settings(settings)
    logs.setup(settings.log_level, settings.log_format)
    listener = server.bind(*settings.web.listen) if settings.web.listen else None
    try:
        interpreter.settle()
        code = asyncio.run(follow(settings, listener))
    finally:
        if listener is not None:
            listener.close()
    raise typer.Exit(code)


async def follow(settings: Settings, listener: socket.socket | None) -> int:
    """Run the daemon and the web in this loop until a signal; return the exit code."""
    stop = asyncio.Event()
    health = Health()
    measured = metrics.Metrics()
    log.info(
        "starting", version=__version__, database=settings.database_shown, accounts=sorted(settings.accounts)
    )
    with signals(stop), Bars() as bars:
        async with contextlib.AsyncExitStack() as stack:
            if listener is not None:
                application = web.build(
                    health, measured.registry, before_scrape=measured.observe,
                    database_url=settings.database_url,
                    token=settings.web.token.get_secret_value() if settings.web.token else None,
                )  # fmt: skip
                host, port = await stack.enter_async_context(server.serving(application, listener))
                log.info("web", listen=f"{host}:{port}")
            notifier = notify.Notifier.from_environ(os.environ)
            await stack.enter_async_context(beside(notifier.run(health)))
            follower = daemon.Daemon(settings, health=health, metrics=measured)
            return await patiently(follower, stop, bars, notifier)


@contextlib.asynccontextmanager
async def beside(work: Coroutine[object, object, None]) -> AsyncIterator[None]:
    """Let something run while the block does."""
    task = asyncio.create_task(work, name="notify")
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait({task})


async def patiently(
    follower: "daemon.Daemon", stop: asyncio.Event, bars: Bars, notifier: notify.Notifier | None = None
) -> int:
    """Let the daemon run; after `stop` it has a few seconds to write what it holds, then it is cancelled."""
    work = asyncio.create_task(follower.run(stop, progress=bars), name="daemon")
    asked = asyncio.create_task(stop.wait(), name="stop")
    try:
        await asyncio.wait({work, asked}, return_when=asyncio.FIRST_COMPLETED)
        if not work.done():
            if notifier is not None:
                notifier.stopping()
            await asyncio.wait({work}, timeout=PATIENCE)
        if not work.done():
            log.error("stop.forced", after_seconds=PATIENCE)
            work.cancel()
            await asyncio.wait({work})
            return 1
        return _result(work)
    finally:
        asked.cancel()


def _result(work: "asyncio.Task[int]") -> int:
    """Return the daemon's exit code; an error of its own that ended it is one line, not a traceback."""
    error = work.exception()
    if error is None:
        log.info("stopped", code=work.result())
        return work.result()
    reasons = list(_leaves(error))
    if not all(isinstance(reason, AccountdError) for reason in reasons):
        raise error
    for reason in reasons:
        log.error("stopped", reason=str(reason))
    return USAGE if any(isinstance(reason, SettingsError) for reason in reasons) else 1


def _leaves(error: BaseException) -> Iterator[BaseException]:
    """Yield the errors that a task group bundled."""
    if isinstance(error, BaseExceptionGroup):
        for inner in error.exceptions:
            yield from _leaves(inner)
    else:
        yield error


@contextlib.contextmanager
def signals(stop: asyncio.Event, exit_now: Callable[[int], object] = os._exit) -> Iterator[None]:
    """Let SIGTERM and SIGINT set `stop`; the second one ends the process at once."""
    loop = asyncio.get_running_loop()

    def asked(name: str) -> None:
        if stop.is_set():
            log.warning("stopping at once", signal=name)
            exit_now(INTERRUPTED)
        log.info("stopping", signal=name)
        stop.set()

    watched = (signal.SIGTERM, signal.SIGINT)
    for number in watched:
        loop.add_signal_handler(number, asked, number.name)
    try:
        yield
    finally:
        for number in watched:
            loop.remove_signal_handler(number)
