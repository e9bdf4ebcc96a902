"""The seam between accountd and a venue: calls that ask, pages that answer, frames that arrive.

Nothing here does I/O. A *flow* is a generator: it yields a `Call` and is sent the `Reply`, it yields a
`Page` to have it recorded and is sent None, and it returns a small result. Whoever drives it throws the
`VenueError` of a refused call into it, so a flow may know better than to fail.
"""

from __future__ import annotations

from collections.abc import Collection, Generator, Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

import msgspec

from accountd.core.told import Told
from accountd.errors import SettingsError

if TYPE_CHECKING:
    from accountd.venues.doors import Door, StreamOptions

T = TypeVar("T")

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MILLISECOND = timedelta(milliseconds=1)
MICROSECONDS = 10**14  # a time of more digits than that is in µs

# What a control frame is about: an answer to a request of ours; the listen key expired; the venue ends
# the connection soon; it ended one subscription.
ACK = "ack"
KEY_EXPIRED = "key_expired"
SHUTDOWN = "shutdown"
TERMINATED = "terminated"

UNDECODABLE = "undecodable"  # the kind of a frame that makes no sense

NO_LANES: Mapping[int, str] = {}
ANY: Mapping[str, Collection[str]] = {}  # no dataset is confined to some symbols


def from_ms(ms: int) -> datetime:
    """Return the aware UTC time of milliseconds since 1970.

    Raises:
        OverflowError: no calendar reaches that far.
    """
    return EPOCH + MILLISECOND * ms


def moment(number: int) -> datetime:
    """Return the aware UTC time of a venue's number: ms, or µs where a connection asked for them.

    Raises:
        ValueError: nothing happened before 1970.
    """
    if number <= 0:
        raise ValueError("a time that no event has")
    return EPOCH + MILLISECOND * number if number < MICROSECONDS else EPOCH + MILLISECOND * number / 1000


def to_ms(moment: datetime) -> int:
    """Return whole milliseconds since 1970, rounded down."""
    return (moment - EPOCH) // MILLISECOND


class Call(msgspec.Struct, frozen=True, kw_only=True):
    """One REST request. ``params`` are unencoded and in the order sent.

    ``weight`` counts against ``pool``, one of `Venue.pools`. ``keep`` is False for replies that may never
    be written down (listen keys, tokens). ``base`` names the entry of `Urls` it goes to.
    ``once`` forbids a retry, ``now`` to wait for weight. ``keyed`` sends the API key without a signature.
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
    now: bool = False
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
    ``rows`` is how many rows the page has where that is not how many things it tells.
    """

    kind: str
    as_of: datetime
    told: list[Told]
    call: Call
    reply: Reply
    rows: int | None = None

    @property
    def size(self) -> int:
        """Return how many rows the page has: as many as asked for means that there may be more."""
        return len(self.told) if self.rows is None else self.rows


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
    venue does not take the question (all symbols at once): nothing is proven then, but ``symbols`` may be
    named. ``absent`` are parts of a history that do not exist in this environment.
    """

    rows: int = 0
    calls: int = 0
    symbols: set[str] = msgspec.field(default_factory=set)
    unproven: list[Window] = []
    supported: bool = True
    absent: list[str] = []
    postponed: bool = False  # a part waits for weight: nothing is proven this time

    def plus(self, other: Swept) -> Swept:
        """Return what both saw together."""
        return Swept(
            rows=self.rows + other.rows,
            calls=self.calls + other.calls,
            symbols=self.symbols | other.symbols,
            unproven=[*self.unproven, *other.unproven],
            supported=self.supported and other.supported,
            absent=[*self.absent, *other.absent],
        )


class Ack(msgspec.Struct, frozen=True, kw_only=True):
    """The answer to a control frame. ``error`` is the venue's text when it said no.

    ``status`` is like HTTP's, ``code`` the venue's number, ``retry_at`` when it may be asked again.
    """

    id: int | None
    result: Any = None
    error: str | None = None
    status: int | None = None
    code: int | None = None
    retry_at: datetime | None = None

    def __repr__(self) -> str:  # a list of subscriptions names the listen key
        return f"Ack(id={self.id}, error={self.error!r})"


class Decoded(msgspec.Struct, kw_only=True):
    """One frame. ``kind`` names the event, with its lane behind an ``@`` where there is one.

    ``control`` is None or one of the control words; ``listen_key`` is the key that expired and
    ``subscription`` the number of the subscription that ended.
    """

    kind: str
    event_time: datetime | None
    told: list[Told]
    control: str | None = None
    ack: Ack | None = None
    listen_key: str | None = None
    subscription: int | None = None

    def __repr__(self) -> str:
        return f"Decoded(kind={self.kind!r}, control={self.control!r}, told={self.told!r})"


class Pool(msgspec.Struct, frozen=True, kw_only=True):
    """A request limit: weight per minute, and the header that tells what everybody on the address used.

    ``per_account`` pools count for one account (Binance: UID), the others for the address (IP).
    """

    limit: int
    header: str = "x-mbx-used-weight-1m"
    per_account: bool = False


class Urls(msgspec.Struct, frozen=True, kw_only=True):
    """Where a venue lives: scheme://host[:port] of each entry, without a path.

    ``others`` are further hosts by the name that `Call.base` or a door gives them.
    """

    rest: str
    stream: str = ""
    ws_api: str = ""
    sapi: str = ""
    others: Mapping[str, str] = {}

    def of(self, name: str) -> str:
        """Return the host called ``name``."""
        found: str = self.others[name] if name in self.others else getattr(self, name)
        return found


def urls_of(
    hosts: Mapping[str, Urls],
    environment: str,
    rest_url: str | None = None,
    stream_url: str | None = None,
    ws_api_url: str | None = None,
) -> Urls:
    """Return where to go: a table's entry, with the addresses that settings name in their place.

    A REST address takes every REST call, a stream address every stream.

    Raises:
        SettingsError: the venue has no such environment.
    """
    told = hosts.get(environment)
    if told is None:
        raise SettingsError(f"ENVIRONMENT: {environment} does not exist here; one of {', '.join(hosts)}")

    def instead(url: str) -> str:
        return (rest_url if url.startswith("http") else stream_url) or url

    return Urls(
        rest=instead(told.rest),
        stream=stream_url or told.stream,
        ws_api=ws_api_url or told.ws_api,
        sapi=rest_url or told.sapi,
        others={name: instead(url) for name, url in told.others.items()},
    )


class Rights(msgspec.Struct, frozen=True, kw_only=True):
    """What the key may do, as far as the venue tells; None = not told."""

    read: bool | None = None
    trade: bool | None = None
    withdraw: bool | None = None
    ip_restricted: bool | None = None
    expires_at: datetime | None = None  # when a right of it ends


class AccountState(msgspec.Struct, frozen=True, kw_only=True):
    """The account's own switches, as told with a snapshot; ``modes`` are words for people."""

    multi_assets: bool = False
    hedge_mode: bool = False
    can_trade: bool | None = None
    modes: tuple[str, ...] = ()


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
    """How long the venue keeps a dataset, and how wide one question may be.

    ``page`` is how many rows an answer holds, where fills (for transfers) and orders tell how many there are.
    """

    keeps: timedelta
    window: timedelta
    page: int | None = None
    keeps_unfilled: timedelta | None = None  # cancelled or expired without a fill


class Section(Protocol):
    """One market of an account, as its history is read.

    A dataset that ``retention`` does not name does not exist here and is not swept. Times given to the
    history flows are both included and cut to milliseconds. ``lag`` is how far a REST replica may be
    behind: a snapshot fetched at t is believed as of t - lag.
    """

    @property
    def market(self) -> str: ...

    @property
    def retention(self) -> Mapping[str, Retention]: ...

    def exchange_info(self) -> Flow[ExchangeInfo]: ...

    def rank(self, symbol: SymbolInfo, assets: Collection[str]) -> int | None:
        """Say how likely a symbol that nothing names is, for ``assets`` held or moved: 0 = swept with
        every slow sweep, 1 and more = explored in this order, None = never."""

    @property
    def by_symbol(self) -> bool:
        """Say whether the open orders of one symbol cost next to nothing."""

    def open_orders(self, lag: timedelta, only: Mapping[str, Collection[str]] = ANY) -> Flow[Swept]:
        """Tell all open orders. ``only`` names, by dataset, the symbols that alone are of interest."""

    def orders(self, symbol: str | None, start: datetime, end: datetime) -> Flow[Swept]: ...

    def algo_orders(self, symbol: str, start: datetime, end: datetime) -> Flow[Swept]: ...

    def fills(self, symbol: str, start: datetime, end: datetime) -> Flow[Swept]: ...

    def transfers(self, start: datetime, end: datetime, symbols: Iterable[str] = ()) -> Flow[Swept]: ...

    def order(self, symbol: str, order_id: str) -> Flow[bool]: ...

    def algo_order(self, algo_id: str) -> Flow[bool]: ...

    def explain(self, symbol: str, order_id: str, what: str) -> Flow[None]:
        """Tell what happened to an order that its state shows and no event told of."""


class Venue(Protocol):
    """One venue: pure translation between the wire and what accountd holds.

    ``income_follows_fills``: each fill leaves rows among the transfers (futures commission and profit).
    """

    name: str
    hosts: Mapping[str, Urls]
    allowed: frozenset[tuple[str, str]]
    pools: Mapping[str, Pool]
    income_follows_fills: bool

    @property
    def sections(self) -> tuple[Section, ...]: ...

    def doors(self, urls: Urls, options: StreamOptions) -> tuple[Door, ...]: ...

    def decode(
        self, frame: bytes | str, received_at: datetime, lanes: Mapping[int, str] = NO_LANES
    ) -> Decoded:
        """Return what a frame tells; never raises. ``lanes`` names the subscriptions by number."""

    def decode_kept(self, kind: str, raw: bytes, received_at: datetime) -> list[Told]:
        """Return what a journaled frame told, from its row alone."""

    def decode_page(self, kind: str, body: bytes, as_of: datetime) -> list[Told]: ...

    def redact(self, raw: bytes, keys: Iterable[str] = ()) -> bytes: ...

    def snapshot(self, lag: timedelta) -> Flow[AccountState]: ...

    def canary(self, lag: timedelta) -> Flow[None]: ...

    def server_time(self) -> Flow[datetime]: ...

    def rights(self) -> Flow[Rights]: ...
