"""Alerts as HTTP requests that follow the Standard Webhooks specification."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import logging
from collections.abc import Sequence
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

import httpx

import accountd
from accountd.config import Hook
from accountd.errors import SinkError
from accountd.sinks._targets import PinnedTransport, Resolve, resolve
from accountd.sinks.base import Message

GONE = 410
_ASKS_TO_WAIT = (429, 503)
_MOST_READ = 65_536  # bytes of a reply that are read so that the connection can be used again
_LONGEST_READ = 1.0  # seconds spent on it

# These loggers print the whole URL of each request, and people put tokens into webhook URLs.
logging.getLogger("httpx").setLevel(logging.WARNING)
logging.getLogger("httpcore").setLevel(logging.WARNING)


def sign(keys: Sequence[bytes], message_id: str, timestamp: int, body: bytes) -> str:
    """Return the ``webhook-signature`` header: one ``v1`` signature for each key."""
    told = f"{message_id}.{timestamp}.".encode() + body
    digests = [hmac.new(key, told, hashlib.sha256).digest() for key in keys]
    return " ".join("v1," + base64.b64encode(digest).decode() for digest in digests)


def read_retry_after(text: str | None, now: datetime) -> float | None:
    """Read ``Retry-After``, seconds or an HTTP date; return seconds from ``now``, None if it says nothing."""
    if text is None:
        return None
    if text.strip().isdecimal():
        return float(min(int(text.strip()[:12]), 10**9))
    try:
        moment = parsedate_to_datetime(text)
    except (ValueError, OverflowError, TypeError, IndexError):  # it fails in all these ways on nonsense
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return max(0.0, (moment - now).total_seconds())


class WebhookSink:
    """Posts the body with its id, the time of the attempt and a signature for each secret.

    Any 2xx is delivered. Redirects are not followed. 410 means that the receiver wants no more, ever.
    """

    def __init__(
        self,
        url: str,
        keys: Sequence[bytes],
        timeout: float,
        *,
        allow_private: bool = False,
        resolve: Resolve = resolve,
    ) -> None:
        try:
            self._url = httpx.URL(url)  # parsed once: it costs more than the signature
        except httpx.InvalidURL:
            raise ValueError("a webhook needs an address that can be") from None
        self._keys = tuple(keys)
        self._timeout = timeout
        # The transport alone, without a client around it: nothing follows redirects, keeps cookies, or goes
        # through a proxy of the environment, which would connect to what was not checked.
        self._transport = PinnedTransport(
            allow_private=allow_private, connect_timeout=timeout, resolve=resolve
        )
        self._extensions = {"timeout": httpx.Timeout(timeout).as_dict()}

    async def send(self, message: Message) -> None:
        """Post the message once.

        Raises:
            SinkError: no 2xx came within the time-out, or the target is not allowed. The message of the
                error never holds the URL.
        """
        request = httpx.Request(
            "POST", self._url, content=message.body, headers=self._headers(message),
            extensions=self._extensions,
        )  # fmt: skip
        try:
            async with asyncio.timeout(self._timeout):
                response = await self._transport.handle_async_request(request)
        except (TimeoutError, httpx.TimeoutException):
            raise SinkError(f"no reply within {self._timeout:g} s") from None
        except httpx.TransportError as error:
            raise SinkError(f"no reply: {type(error).__name__}") from None
        await _discard(response)
        if response.is_success:
            return
        status = response.status_code
        wait = None
        if status in _ASKS_TO_WAIT:
            wait = read_retry_after(response.headers.get("retry-after"), message.attempted_at)
        raise SinkError(f"HTTP {status}", permanent=status == GONE, retry_after=wait, status=status)

    def _headers(self, message: Message) -> dict[str, str]:
        timestamp = int(message.attempted_at.timestamp())
        headers = {
            "content-type": "application/json",
            "accept-encoding": "identity",
            "user-agent": f"accountd/{accountd.__version__}",
            "webhook-id": message.id,
            "webhook-timestamp": str(timestamp),
        }
        if message.replayed:
            headers["accountd-replayed"] = "true"
        if self._keys:
            headers["webhook-signature"] = sign(self._keys, message.id, timestamp, message.body)
        return headers

    async def close(self) -> None:
        """Close the connections that are kept for the next message."""
        await self._transport.aclose()


async def _discard(response: httpx.Response) -> None:
    """Read a little of the reply, so that the connection can be kept; what it says does not matter."""
    read = 0
    try:
        async with asyncio.timeout(_LONGEST_READ):
            async for chunk in response.aiter_raw():
                read += len(chunk)
                if read > _MOST_READ:
                    break
    except (TimeoutError, httpx.TransportError):
        read = 0  # the status has been told; a reply that breaks off later takes nothing back
    finally:
        await response.aclose()


def make(hook: Hook) -> WebhookSink:
    """Return the sink for a hook with a URL.

    Raises:
        ValueError: the hook has no URL.
    """
    if hook.url is None:
        raise ValueError("a webhook needs a URL")
    secrets = (secret.get_secret_value() for secret in (*hook.secret, *hook.secret_next))
    keys = [base64.b64decode(secret.removeprefix("whsec_")) for secret in secrets]
    return WebhookSink(
        hook.url, keys, hook.timeout.total_seconds(), allow_private=hook.allow_private
    )
