"""Binance cross margin: where it lives, how its two streams are entered and its record read.

Venue pages: docs/margin_trading (trade-data-stream with listen tokens, risk-data-stream, REST). There is
no test network. Queries are spot's under /sapi, each with a limit of its own.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from types import MappingProxyType
from urllib.parse import quote

import msgspec

from accountd.core.told import Told
from accountd.venues import binance
from accountd.venues.base import (
    NO_LANES,
    AccountState,
    Call,
    Decoded,
    Flow,
    Pool,
    Reply,
    Rights,
    Section,
    Urls,
    moment,
)
from accountd.venues.binance_asking import Asked, Asking
from accountd.venues.binance_listen_key import lists_key, parse, probe
from accountd.venues.binance_margin_events import margin_events
from accountd.venues.binance_margin_rows import CROSS, MarginPages
from accountd.venues.binance_margin_section import MarginSection, table
from accountd.venues.binance_spot import LISTING, POOL, RIGHTS, WS_API
from accountd.venues.binance_spot_frames import SpotFrames
from accountd.venues.doors import Door, ListenKeyDoor, Request, StreamOptions, Token, TokenDoor

TOKEN = "/sapi/v1/userListenToken"
RISK_KEY = "/sapi/v1/margin/listen-key"
HOSTS: Mapping[str, Urls] = {
    "live": Urls(
        rest="https://api.binance.com", sapi="https://api.binance.com",
        stream="wss://stream.binance.com:9443", ws_api="wss://ws-api.binance.com:443",
        others={"risk": "wss://margin-stream.binance.com"},
    ),
}  # fmt: skip


class _Token(msgspec.Struct, rename="camel"):
    token: str
    expiration_time: int


class _Account(msgspec.Struct, rename="camel"):
    account_type: str = ""
    trade_enabled: bool | None = None
    margin_level: str = ""


def keyed(method: str, path: str, kind: str, params: tuple[tuple[str, str], ...] = ()) -> Call:
    """Return a call that the API key alone opens, and whose reply is a secret."""
    return Call(
        method=method, path=path, kind=kind, pool=binance.sapi_pool(path), weight=1, params=params,
        keep=False, keyed=True, base="sapi",
    )  # fmt: skip


def token_of(reply: Reply) -> Token:
    """Return the token that a reply bears; its end is told in ms or in µs.

    Raises:
        VenueUnavailable: the reply makes no sense.
    """
    told = binance.read(reply, _Token, "listen_token")
    return Token(value=told.token, expires=moment(told.expiration_time))


def subscribe(token: str) -> Request:
    """Return the request that opens or lengthens a token's subscription."""
    return Request(method="userDataStream.subscribe.listenToken", params=(("listenToken", token),))


class MarginVenue:
    """What cross and isolated margin have in common; see `Venue` for what each verb promises."""

    name: str
    market: str
    hosts: Mapping[str, Urls] = HOSTS
    pools: Mapping[str, Pool]
    table: Mapping[str, Asked]
    income_follows_fills = False
    keys: tuple[str, ...]  # paths whose POST and PUT make and renew what opens a stream

    def __init__(self) -> None:
        self.pages = MarginPages(self.market)
        self.asking = Asking(self.table, POOL, self.pages)
        self.allowed = self.asking.allowed(*self.keys) - {("PUT", TOKEN)}
        self.events = margin_events(self.market)
        self.frames = SpotFrames(self.events.readers())
        self.section = self.market_of(self.asking)

    def market_of(self, asking: Asking) -> MarginSection:
        """Return the market that is read through ``asking``."""
        return MarginSection(self.market, asking, self.events.routed)

    @property
    def sections(self) -> tuple[Section, ...]:
        """Return the one market that there is here."""
        return (self.section,)

    def lanes(self, options: StreamOptions) -> Flow[tuple[str, ...]]:
        """Return the subscriptions that there must be."""
        raise TypeError("a venue file names its lanes")

    def token_call(self, lane: str) -> Call:
        """Return the call that makes the token of a lane."""
        raise TypeError("a venue file names its tokens")

    def token_door(self, urls: Urls, options: StreamOptions) -> TokenDoor:
        """Return the door of the trade events."""
        return TokenDoor(
            url=f"{urls.ws_api}{WS_API}", pool=POOL, lanes=lambda: self.lanes(options),
            token=self.token_call, parse=token_of, subscribe=subscribe, listing=LISTING,
        )  # fmt: skip

    def doors(self, urls: Urls, options: StreamOptions) -> tuple[Door, ...]:
        """Return the private streams."""
        return (self.token_door(urls, options),)

    def decode(
        self, frame: bytes | str, received_at: datetime, lanes: Mapping[int, str] = NO_LANES
    ) -> Decoded:
        """Return what a frame tells; never raises. ``received_at`` dates what does not date itself."""
        return self.frames.decode(frame, received_at, lanes)

    def decode_kept(self, kind: str, raw: bytes, received_at: datetime) -> list[Told]:
        """Return what a journaled frame told, from its row alone."""
        return self.frames.decode_kept(kind, raw, received_at)

    def decode_page(self, kind: str, body: bytes, as_of: datetime) -> list[Told]:
        """Return what a page of ``kind`` tells, the same today as when its journal row was written."""
        return self.pages.decode(kind, body, as_of)

    def redact(self, raw: bytes, keys: Iterable[str] = ()) -> bytes:
        """Return ``raw`` with every listen key, token and API key replaced by ``<listenKey>``."""
        return binance.redact(raw, keys)

    def snapshot(self, lag: timedelta) -> Flow[AccountState]:
        """Tell all balances as of ``lag`` ago (10 weight)."""
        page = yield from self.asking.page("account", lag)
        told = binance.read(page.reply, _Account, "account")
        words = [f"{self.market} account", *([f"level {told.margin_level}"] if told.margin_level else [])]
        return AccountState(can_trade=told.trade_enabled, modes=tuple(words))

    def canary(self, lag: timedelta) -> Flow[None]:
        """Tell all balances as of ``lag`` ago (10 weight)."""
        yield from self.asking.page("account", lag)

    def server_time(self) -> Flow[datetime]:
        """Return the venue's clock."""
        return (yield from binance.server_time(self.asking.call("time")))

    def rights(self) -> Flow[Rights]:
        """Return the key's rights."""
        return (yield from binance.rights(self.asking.call("rights", once=True)))


def pools_of(asked: Mapping[str, Asked], keys: Iterable[str]) -> Mapping[str, Pool]:
    """Return the pools of a table: spot's own for what is public, and one for each /sapi endpoint."""
    by_ip = [one.path for one in asked.values() if one.pool]
    return MappingProxyType({POOL: Pool(limit=6000)} | binance.sapi_pools(by_ip, keys))


class BinanceMargin(MarginVenue):
    """The venue file of Binance cross margin."""

    name = "binance-margin"
    market = CROSS
    keys = (TOKEN, RISK_KEY)
    table: Mapping[str, Asked] = MappingProxyType({**table("account"), "rights": RIGHTS})
    pools = pools_of(table, keys)

    def lanes(self, options: StreamOptions) -> Flow[tuple[str, ...]]:
        """Return the one subscription that there is."""
        yield from ()
        return ("",)

    def token_call(self, lane: str) -> Call:
        """Return the call that makes a token of the cross account."""
        return keyed("POST", TOKEN, "listen_token")

    def doors(self, urls: Urls, options: StreamOptions) -> tuple[Door, ...]:
        """Return the trade events, by token, and the risk of the account, by listen key."""
        risk = ListenKeyDoor(
            create=keyed("POST", RISK_KEY, "listen_key"),
            keepalive=lambda key: keyed("PUT", RISK_KEY, "listen_key", (("listenKey", key),)),
            parse=parse,
            url=lambda key: f"{urls.of('risk')}/ws/{quote(key, safe='')}",
            lists_key=lists_key,
            probe=probe,
            aside="risk stream",
        )
        return (self.token_door(urls, options), risk)
