"""The seam between accountd and a venue: calls that ask, pages that answer, frames that arrive.

Nothing here does I/O. A *flow* is a generator: it yields a `Call` and is sent the `Reply`, it yields a
`Page` to have it recorded and is sent None, and it returns a small result. Whoever drives it throws the
`VenueError` of a refused call into it, so a flow may know better than to fail.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol, TypeVar

import msgspec

from accountd.core.told import Told

T = TypeVar("T")

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MILLISECOND = timedelta(milliseconds=1)

# What a control frame is about.
ACK = "ack"
KEY_EXPIRED = "key_expired"


def from_ms(ms: int) -> datetime:
    """Return the aware UTC time of milliseconds since 1970.

    Raises:
        OverflowError: no calendar reaches that far.
    """
    return EPOCH + MILLISECOND * ms


def to_ms(moment: datetime) -> int:
    """Return whole milliseconds since 1970, rounded down."""
    return (moment - EPOCH) // MILLISECOND


class Call(msgspec.Struct, frozen=True, kw_only=True):
    """One REST request. ``params`` are unencoded and in the order sent.

    ``weight`` counts against ``pool``, which all accounts on an address share. ``keep`` is False for
    replies that may never be written down (listen keys). ``base`` names the entry of `Urls` it goes to.
    ``once`` forbids a retry. ``keyed`` sends the API key without a signature.
    """

    method: str
    path: str
    kind: str
    pool: str
    weight: int
    params: tuple[tuple[str, str], ...] = ()
    signed: bool = False
    keep: bool = True
    base: str = "rest"
    once: bool = False
    keyed: bool = False


class Reply(msgspec.Struct, frozen=True, kw_only=True):
    """The body as received. ``fetched_at`` is the venue's time when the request was sent."""

    body: bytes
    fetched_at: datetime
    status: int = 200

    def __repr__(self) -> str:
        return f"Reply(status={self.status}, {len(self.body)} bytes)"


class Page(msgspec.Struct, kw_only=True):
    """One reply that tells something. ``as_of`` is the venue time that its snapshots speak of.

    `Venue.decode_page(kind, reply.body, as_of)` gives ``told`` again: that is how a journal is replayed.
    """

    kind: str
    as_of: datetime
    told: list[Told]
    call: Call
    reply: Reply


Flow = Generator[Call | Page, Reply | None, T]


class Window(msgspec.Struct, frozen=True, kw_only=True):
    """A stretch of history, both ends included, that could not be read completely, and why."""

    start: datetime
    end: datetime
    symbol: str | None = None
    reason: str = ""


class Swept(msgspec.Struct, kw_only=True):
    """What a history flow saw.

    Everything inside the window asked for is proven except ``unproven``. ``supported`` is False when the
    venue does not take the question (all symbols at once): nothing is proven then.
    """

    rows: int = 0
    calls: int = 0
    symbols: set[str] = msgspec.field(default_factory=set)
    unproven: list[Window] = []
    supported: bool = True


class Ack(msgspec.Struct, frozen=True, kw_only=True):
    """The answer to a control frame. ``error`` is the venue's text when it said no."""

    id: int | None
    result: Any = None
    error: str | None = None

    def __repr__(self) -> str:  # a list of subscriptions names the listen key
        return f"Ack(id={self.id}, error={self.error!r})"


class Decoded(msgspec.Struct, kw_only=True):
    """One frame. ``control`` is None, ``ack`` or ``key_expired``; ``listen_key`` is the key that expired."""

    kind: str
    event_time: datetime | None
    told: list[Told]
    control: str | None = None
    ack: Ack | None = None
    listen_key: str | None = None

    def __repr__(self) -> str:
        return f"Decoded(kind={self.kind!r}, control={self.control!r}, told={self.told!r})"


class Urls(msgspec.Struct, frozen=True, kw_only=True):
    """Where a venue lives: scheme://host[:port] of each entry, without a path."""

    rest: str
    stream: str
    sapi: str


class Rights(msgspec.Struct, frozen=True, kw_only=True):
    """What the key may do, as far as the venue tells; None = not told."""

    read: bool | None = None
    trade: bool | None = None
    withdraw: bool | None = None
    ip_restricted: bool | None = None


class AccountState(msgspec.Struct, frozen=True, kw_only=True):
    """The account's own switches, as told with a snapshot."""

    multi_assets: bool
    hedge_mode: bool
    can_trade: bool | None = None


class SymbolInfo(msgspec.Struct, frozen=True, kw_only=True):
    """One symbol of the venue's exchange info."""

    symbol: str
    status: str
    base_asset: str
    quote_asset: str
    margin_asset: str | None = None


class ExchangeInfo(msgspec.Struct, frozen=True, kw_only=True):
    """What the venue declares: request weight per minute by pool, and its symbols by name."""

    limits: dict[str, int]
    symbols: dict[str, SymbolInfo]


class Retention(msgspec.Struct, frozen=True, kw_only=True):
    """How long the venue keeps a dataset, and how wide one question may be."""

    keeps: timedelta
    window: timedelta
    keeps_unfilled: timedelta | None = None  # cancelled or expired without a fill


class Venue(Protocol):
    """One venue and market: pure translation between the wire and what accountd holds.

    Times given to the history flows are both included and cut to milliseconds. ``lag`` is how far a
    REST replica may be behind: a snapshot fetched at t is believed as of t - lag.
    """

    name: str
    market: str
    allowed: frozenset[tuple[str, str]]
    limits: Mapping[str, int]
    retention: Mapping[str, Retention]
    used_weight_header: str

    def urls(self, environment: str, rest_url: str | None, stream_url: str | None) -> Urls: ...

    def decode(self, frame: bytes | str, received_at: datetime) -> Decoded: ...

    def decode_page(self, kind: str, body: bytes, as_of: datetime) -> list[Told]: ...

    def redact(self, raw: bytes, keys: Iterable[str] = ()) -> bytes: ...

    def listen_key_create(self) -> Call: ...

    def listen_key_keepalive(self) -> Call: ...

    def parse_listen_key(self, reply: Reply) -> str | None: ...

    def stream_url(self, urls: Urls, key: str, form: str, events: tuple[str, ...]) -> str: ...

    def probe(self, request_id: int) -> str: ...

    def lists_key(self, ack: Ack, key: str) -> bool: ...

    def snapshot(self, lag: timedelta) -> Flow[AccountState]: ...

    def canary(self, lag: timedelta) -> Flow[None]: ...

    def open_orders(self, lag: timedelta) -> Flow[Swept]: ...

    def orders(self, symbol: str | None, start: datetime, end: datetime) -> Flow[Swept]: ...

    def algo_orders(self, symbol: str, start: datetime, end: datetime) -> Flow[Swept]: ...

    def fills(self, symbol: str, start: datetime, end: datetime) -> Flow[Swept]: ...

    def transfers(self, start: datetime, end: datetime, symbols: Iterable[str] = ()) -> Flow[Swept]: ...

    def order(self, symbol: str, order_id: str) -> Flow[bool]: ...

    def algo_order(self, algo_id: str) -> Flow[bool]: ...

    def server_time(self) -> Flow[datetime]: ...

    def exchange_info(self) -> Flow[ExchangeInfo]: ...

    def rights(self) -> Flow[Rights]: ...
