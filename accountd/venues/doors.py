"""How a private stream is entered: by listen key, by signature, or by token.

A venue file says what must be asked and what must be signed; it never signs.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

import msgspec

from accountd.venues.base import Ack, Call, Flow, Reply


class StreamOptions(msgspec.Struct, frozen=True, kw_only=True):
    """What settings say about the private stream. ``symbols`` are those to be listened to in any case.

    ``form`` and ``events`` shape a listen key's address. ``logon``: log the connection on (Ed25519 keys
    only) instead of signing the subscription. ``portfolio_pro``: listen to the account's risk as well.
    """

    form: str = "query"
    events: tuple[str, ...] = ()
    logon: bool = False
    portfolio_pro: bool = False
    symbols: tuple[str, ...] = ()


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """One request on a WebSocket API. ``signed`` adds apiKey, timestamp and signature; ``params`` may be
    secret (a token)."""

    method: str
    params: tuple[tuple[str, str], ...] = ()
    signed: bool = False

    def __repr__(self) -> str:
        return f"Request({self.method})"


class Token(msgspec.Struct, frozen=True, kw_only=True):
    """A secret that opens a subscription until ``expires``."""

    value: str
    expires: datetime

    def __repr__(self) -> str:
        return f"Token(expires={self.expires})"


class ListenKeyDoor(msgspec.Struct, frozen=True, kw_only=True):
    """A stream whose address bears a listen key. ``probe`` asks what the socket is subscribed to.

    ``instead`` says what to use when the venue has closed this door for good. ``aside`` names a stream that
    the account can do without: shut, it leaves the others open.
    """

    create: Call
    keepalive: Callable[[str], Call]
    parse: Callable[[Reply], str | None]
    url: Callable[[str], str]
    lists_key: Callable[[Ack, str], bool]
    probe: Callable[[int], str] | None = None
    instead: str = ""
    aside: str = ""


class SignedDoor(msgspec.Struct, frozen=True, kw_only=True):
    """A WebSocket API: ``enter`` are the requests in order, of which the last answers with the number of
    the subscription. ``listing`` asks for the subscriptions that are active."""

    url: str
    pool: str
    enter: tuple[Request, ...]
    listing: Request | None = None
    connect_weight: int = 2
    weight: int = 2


class TokenDoor(msgspec.Struct, frozen=True, kw_only=True):
    """A WebSocket API with one subscription for each lane, opened by a token fetched over REST.

    ``lanes`` are "" or the isolated pairs; a token is renewed on the same connection before it expires.
    """

    url: str
    pool: str
    lanes: Callable[[], Flow[tuple[str, ...]]]
    token: Callable[[str], Call]
    parse: Callable[[Reply], Token]
    subscribe: Callable[[str], Request]
    listing: Request | None = None
    connect_weight: int = 2
    weight: int = 2


Door = ListenKeyDoor | SignedDoor | TokenDoor
