"""Alerts as messages on a NATS JetStream."""

from __future__ import annotations

import asyncio
import logging
import re
from contextlib import suppress
from pathlib import Path

from nats.aio.client import Client
from nats.errors import Error as NatsError
from nats.errors import MaxPayloadError
from nats.js.errors import APIError, NoStreamResponseError

from accountd.config import Hook
from accountd.errors import SinkError
from accountd.sinks.base import Message

# It prints whole tracebacks of lost connections, with the address and what is in it; refusals say it.
logging.getLogger("nats").setLevel(logging.CRITICAL)
EVERYBODY = "_"  # stands for the account where an alert is about accountd as a whole
_UNFIT = re.compile(r"[^A-Za-z0-9_-]")


class NatsSink:
    """Publishes to ``<prefix>.<account>.<type>`` and waits until the stream has stored the message.

    ``Nats-Msg-Id`` is the message's id, so that the stream itself drops what comes twice within its
    window. A stream for ``<prefix>.>`` is made if there is none and the server allows it.
    """

    def __init__(self, url: str, prefix: str, timeout: float, credentials: Path | None = None) -> None:
        self._url = url
        self._prefix = prefix
        self._timeout = timeout
        self._credentials = credentials
        self._client: Client | None = None
        self._connecting = asyncio.Lock()

    async def send(self, message: Message) -> None:
        """Publish once.

        Raises:
            SinkError: the server or the stream has not taken it. The text never holds the address.
        """
        try:
            async with asyncio.timeout(self._timeout):
                await self._publish(message)
        except TimeoutError:
            raise SinkError(f"no acknowledgement within {self._timeout:g} s") from None
        except MaxPayloadError:
            raise SinkError("the message is larger than the server takes", permanent=True) from None
        except APIError as refusal:
            raise SinkError(f"the stream refuses: {refusal.err_code}", status=refusal.code) from None
        except (NatsError, OSError) as refusal:
            raise SinkError(f"not published: {type(refusal).__name__}") from None

    async def _publish(self, message: Message) -> None:
        stream = (await self._connected()).jetstream(timeout=self._timeout)
        headers = {"Nats-Msg-Id": message.id, "Accountd-Type": message.type}
        if message.replayed:
            headers["Accountd-Replayed"] = "true"
        subject = self.subject(message)
        try:
            await stream.publish(subject, message.body, headers=headers)
        except NoStreamResponseError:
            await stream.add_stream(name=_UNFIT.sub("_", self._prefix), subjects=[f"{self._prefix}.>"])
            await stream.publish(subject, message.body, headers=headers)

    def subject(self, message: Message) -> str:
        """Return where the message goes."""
        return f"{self._prefix}.{_UNFIT.sub('_', message.account) or EVERYBODY}.{message.type}"

    async def _connected(self) -> Client:
        async with self._connecting:
            if self._client is None or self._client.is_closed:
                self._client = await self._connect()
            return self._client

    async def _connect(self) -> Client:
        client, options = Client(), {}
        if self._credentials is not None:
            options["user_credentials"] = str(self._credentials.expanduser())
        try:
            await client.connect(
                self._url,
                name="accountd",
                allow_reconnect=False,  # the next attempt connects anew
                reconnect_time_wait=0,
                connect_timeout=max(1, int(self._timeout)),
                error_cb=_nothing,
                **options,  # type: ignore[arg-type]
            )
        except BaseException:
            await _let_go(client)
            raise
        return client

    async def close(self) -> None:
        """Close the connection."""
        client, self._client = self._client, None
        if client is not None:
            await _let_go(client)


async def _let_go(client: Client) -> None:
    """Close a connection that may be gone already."""
    with suppress(NatsError, OSError):
        await client.close()


async def _nothing(error: Exception) -> None:
    """Leave it to the attempt that fails to say so."""


def make(hook: Hook) -> NatsSink:
    """Return the sink for a hook with the address of a server.

    Raises:
        ValueError: the hook has no address.
    """
    if hook.url is None:
        raise ValueError("a NATS hook needs an address")
    return NatsSink(hook.url, hook.subject, hook.timeout.total_seconds(), hook.credentials_file)
