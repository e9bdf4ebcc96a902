"""What a sink is: something that takes one message, or says why not."""

from __future__ import annotations

from datetime import datetime
from typing import Protocol

import msgspec


class Message(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One alert on its way out: id and body are the same in every attempt, ``attempted_at`` (UTC) is not."""

    id: str
    type: str
    body: bytes
    attempted_at: datetime
    attempt: int = 1
    account: str = ""  # empty where it is about accountd as a whole
    replayed: bool = False  # somebody asked for it to be sent again


class Sink(Protocol):
    """One way out."""

    async def send(self, message: Message) -> None:
        """Deliver the message; to return is to have delivered.

        Raises:
            SinkError: it was not taken; ``permanent`` means that trying again is of no use.
        """

    async def close(self) -> None:
        """Let go of connections."""
