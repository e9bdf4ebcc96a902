"""Alerts as HTTP requests that follow the Standard Webhooks specification."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
from collections.abc import Sequence
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

import aiohttp
import httpx

import accountd
from accountd.config import Hook
from accountd.errors import SinkError
from accountd.sinks._targets import Resolve, Target, resolve
from accountd.sinks.base import Message

GONE = 410
_ASKS_TO_WAIT = (429, 503)
_MOST_READ = 65_536  # bytes of a reply that are read so that the connection can be used again
_LONGEST_READ = 1.0  # seconds spent on it


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
            self._target = Target(
                url, allow_private=allow_private, connect_timeout=timeout, resolve=resolve
            )
        except httpx.InvalidURL:
            raise ValueError("a webhook needs an address that can be") from None
        self._keys = tuple(keys)
        self._timeout = timeout

    async def send(self, message: Message) -> None:
        """Post the message once.

        Raises:
            SinkError: no 2xx came within the time-out, or the target is not allowed. The message of the
                error never holds the URL.
        """
        try:
            async with asyncio.timeout(self._timeout):
                response = await self._target.post(self._headers(message), message.body)
        except TimeoutError:
            raise SinkError(f"no reply within {self._timeout:g} s") from None
        except aiohttp.ClientError as error:
            raise SinkError(f"no reply: {type(error).__name__}") from None
        await _discard(response)
        status = response.status
        if 200 <= status < 300:
            return
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
        await self._target.close()


async def _discard(response: aiohttp.ClientResponse) -> None:
    """Read a little of the reply, so that the connection can be kept; what it says does not matter."""
    content, read = response.content, 0
    try:
        if not content.at_eof():
            async with asyncio.timeout(_LONGEST_READ):
                while read <= _MOST_READ and (chunk := await content.readany()):
                    read += len(chunk)
    except (TimeoutError, aiohttp.ClientError):
        read = 0  # the status has been told; a reply that breaks off later takes nothing back
    finally:
        response.close()  # of one that was read to its end the connection is kept


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
