"""Alerts as HTTP requests that follow the Standard Webhooks specification."""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Sequence
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

import httpx

import accountd
from accountd.config import Hook
from accountd.errors import SinkError
from accountd.sinks._http import Broken, Http
from accountd.sinks._targets import Resolve, Target, resolve
from accountd.sinks.base import Message

GONE = 410
_ASKS_TO_WAIT = (429, 503)


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
        # No client library around it: nothing follows redirects, keeps cookies, or goes through a proxy of
        # the environment, which would connect to what was not checked.
        try:
            place = httpx.URL(url)
        except httpx.InvalidURL:
            raise ValueError("a webhook needs an address that can be") from None
        target = Target(place, allow_private=allow_private, connect_timeout=timeout, resolve=resolve)
        self._keys = tuple(keys)
        self._timeout = timeout
        self._host = place.netloc.decode("ascii")
        self._http = Http(target, place.raw_path, timeout)

    async def send(self, message: Message) -> None:
        """Post the message once.

        Raises:
            SinkError: no 2xx came within the time-out, or the target is not allowed. The message of the
                error never holds the URL.
        """
        try:
            reply = await self._http.post(self._headers(message), message.body)
        except TimeoutError:
            raise SinkError(f"no reply within {self._timeout:g} s") from None
        except OSError:
            raise SinkError("no reply: ConnectError") from None
        except Broken as error:
            raise SinkError(f"no reply: {error}") from None
        status, wait = reply.status, None
        if 200 <= status < 300:
            return
        if status in _ASKS_TO_WAIT:
            wait = read_retry_after(reply.retry_after, message.attempted_at)
        raise SinkError(f"HTTP {status}", permanent=status == GONE, retry_after=wait, status=status)

    def _headers(self, message: Message) -> list[tuple[str, str]]:
        timestamp = int(message.attempted_at.timestamp())
        headers = [
            ("host", self._host),
            ("content-type", "application/json"),
            ("content-length", str(len(message.body))),
            ("accept", "*/*"),
            ("accept-encoding", "identity"),
            ("user-agent", f"accountd/{accountd.__version__}"),
            ("webhook-id", message.id),
            ("webhook-timestamp", str(timestamp)),
        ]
        if message.replayed:
            headers.append(("accountd-replayed", "true"))
        if self._keys:
            headers.append(("webhook-signature", sign(self._keys, message.id, timestamp, message.body)))
        return headers

    async def close(self) -> None:
        """Close the connections that are kept for the next message."""
        self._http.close()


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
