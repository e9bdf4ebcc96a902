"""Alerts as readable text in chats, mails and a hundred other services, through Apprise."""

from __future__ import annotations

import asyncio
import logging
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import apprise

from accountd.config import Hook
from accountd.errors import SinkError
from accountd.sinks._text import BAD, GOOD, INFO, WARN, readable
from accountd.sinks.base import Message

# It logs addresses, and those hold tokens.
logging.getLogger("apprise").setLevel(logging.CRITICAL)
TONES = {
    BAD: apprise.NotifyType.FAILURE,
    WARN: apprise.NotifyType.WARNING,
    GOOD: apprise.NotifyType.SUCCESS,
    INFO: apprise.NotifyType.INFO,
}


class AppriseSink:
    """Sends one message at a time; it runs in a thread because Apprise blocks.

    Apprise says only whether it worked. A thread that is still busy after the time-out cannot be stopped:
    what it does then may arrive beside the next attempt.
    """

    def __init__(self, url: str, timeout: float, threads: int = 4) -> None:
        self._service = apprise.Apprise()
        if not self._service.add(_timed(url, timeout)):
            raise ValueError("no service has an address like this")
        self._timeout = timeout
        # Threads of its own: a service that hangs must not use up those that read the database.
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="accountd-apprise")

    async def send(self, message: Message) -> None:
        """Send the alert as text.

        Raises:
            SinkError: the service has not taken it.
        """
        title, text, tone = readable(message.body)
        call = partial(
            self._service.notify, body=text, title=title, notify_type=TONES[tone],
            body_format=apprise.NotifyFormat.MARKDOWN,
        )  # fmt: skip
        try:
            async with asyncio.timeout(self._timeout):
                done = await asyncio.get_running_loop().run_in_executor(self._threads, call)
        except TimeoutError:
            raise SinkError(f"no answer within {self._timeout:g} s") from None
        except Exception as error:  # a plug-in of Apprise may raise anything, with the address in its text
            raise SinkError(f"the service failed: {type(error).__name__}") from None
        if not done:
            raise SinkError("the service has not taken it")

    async def close(self) -> None:
        """Let the threads go."""
        self._threads.shutdown(wait=False, cancel_futures=True)


def _timed(url: str, timeout: float) -> str:
    """Tell the service to give up before we do, so that no thread is left behind."""
    if "cto=" in url or "rto=" in url:
        return url
    half = max(0.1, timeout / 2)
    return f"{url}{'&' if '?' in url else '?'}cto={half:g}&rto={half:g}"


def make(hook: Hook) -> AppriseSink:
    """Return the sink for a hook with an Apprise address.

    Raises:
        ValueError: there is no address, or no service for it.
    """
    if hook.url is None:
        raise ValueError("an Apprise hook needs an address")
    return AppriseSink(hook.url, hook.timeout.total_seconds(), hook.concurrency)
