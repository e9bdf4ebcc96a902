"""Binance spot: where it lives, what may be asked of it, how its stream is entered and its record read.

Venue pages: binance-spot-api-docs (rest-api, web-socket-api, user-data-stream) and docs/wallet. Listen keys
are gone here since 2026-02-20; the private stream is a subscription on the WebSocket API.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from types import MappingProxyType

import msgspec

from accountd.core.told import Told
from accountd.venues import binance
from accountd.venues.base import (
    NO_LANES,
    AccountState,
    Decoded,
    Flow,
    Pool,
    Rights,
    Section,
    Urls,
)
from accountd.venues.binance_asking import Asked, Asking
from accountd.venues.binance_pages import Pages
from accountd.venues.binance_spot_events import SpotEvents
from accountd.venues.binance_spot_frames import SpotFrames
from accountd.venues.binance_spot_lives import life_pages
from accountd.venues.binance_spot_rows import spot_pages, wallet_pages
from accountd.venues.binance_spot_section import TABLE, SpotSection
from accountd.venues.binance_spot_wallet import POOLS as WALLET_POOLS
from accountd.venues.binance_spot_wallet import TABLE as WALLET_TABLE
from accountd.venues.binance_spot_wallet import Wallet
from accountd.venues.doors import Door, Request, SignedDoor, StreamOptions

MARKET = "spot"
POOL = "binance-spot"
WS_API = "/ws-api/v3"
HOSTS: Mapping[str, Urls] = {
    "live": Urls(
        rest="https://api.binance.com", stream="wss://stream.binance.com:9443",
        ws_api="wss://ws-api.binance.com:443", sapi="https://api.binance.com",
    ),
    "testnet": Urls(
        rest="https://testnet.binance.vision", stream="wss://stream.testnet.binance.vision",
        ws_api="wss://ws-api.testnet.binance.vision",
    ),
    "demo": Urls(
        rest="https://demo-api.binance.com", stream="wss://demo-stream.binance.com",
        ws_api="wss://demo-ws-api.binance.com",
    ),
}  # fmt: skip
RIGHTS = Asked(path=binance.RIGHTS, weight=1, pool=binance.sapi_pool(binance.RIGHTS), base="sapi")
NO_ZEROS = (("omitZeroBalances", "true"),)
SIGN_IN = Request(method="userDataStream.subscribe.signature", signed=True)
LOG_ON = Request(method="session.logon", signed=True)
SUBSCRIBE = Request(method="userDataStream.subscribe")
LISTING = Request(method="session.subscriptions")


class _Account(msgspec.Struct, rename="camel"):
    can_trade: bool | None = None
    account_type: str = ""


class SpotVenue:
    """What the venues have in common that speak the API of Binance spot; see `Venue` for the verbs.

    ``parts`` are the histories of money that the venue has; ``table`` says where each page is asked for.
    """

    name: str
    hosts: Mapping[str, Urls]
    pools: Mapping[str, Pool]
    table: Mapping[str, Asked]
    parts: tuple[str, ...]
    income_follows_fills = False
    account_params: tuple[tuple[str, str], ...] = ()

    def __init__(self) -> None:
        self.pages = Pages(spot_pages(MARKET) | wallet_pages(MARKET) | life_pages(MARKET))
        self.asking = Asking(self.table, POOL, self.pages)
        self.allowed = self.asking.allowed()
        events = SpotEvents(MARKET)
        self.frames = SpotFrames(events.readers())
        self.section = SpotSection(MARKET, self.asking, Wallet(self.asking, self.parts), events.routed)

    @property
    def sections(self) -> tuple[Section, ...]:
        """Return the one market that there is here."""
        return (self.section,)

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
        """Return ``raw`` with every listen key and API key replaced by ``<listenKey>``."""
        return binance.redact(raw, keys)

    def snapshot(self, lag: timedelta) -> Flow[AccountState]:
        """Tell all balances as of ``lag`` ago (20 weight)."""
        page = yield from self.asking.page("account", lag, self.account_params)
        told = binance.read(page.reply, _Account, "account")
        words = tuple(word for word in (told.account_type.lower() or MARKET, "account") if word)
        return AccountState(can_trade=told.can_trade, modes=(" ".join(words),))

    def canary(self, lag: timedelta) -> Flow[None]:
        """Tell all balances as of ``lag`` ago (20 weight)."""
        yield from self.asking.page("account", lag, self.account_params)

    def server_time(self) -> Flow[datetime]:
        """Return the venue's clock."""
        return (yield from binance.server_time(self.asking.call("time")))

    def rights(self) -> Flow[Rights]:
        """Return the key's rights; all None where the venue does not tell (test networks)."""
        return (yield from binance.rights(self.asking.call("rights", once=True)))


class BinanceSpot(SpotVenue):
    """The venue file of Binance spot."""

    name = "binance-spot"
    hosts: Mapping[str, Urls] = HOSTS
    pools: Mapping[str, Pool] = MappingProxyType(
        {POOL: Pool(limit=6000)} | dict(WALLET_POOLS) | binance.sapi_pools([binance.RIGHTS])
    )
    table: Mapping[str, Asked] = MappingProxyType({**TABLE, **WALLET_TABLE, "rights": RIGHTS})
    account_params = NO_ZEROS
    parts = ("deposits", "moves", "dust", "dividends", "withdrawals")  # the last may have to wait for weight

    def doors(self, urls: Urls, options: StreamOptions) -> tuple[Door, ...]:
        """Return the one private stream: a signed subscription, or a logged-on session's."""
        enter = (LOG_ON, SUBSCRIBE) if options.logon else (SIGN_IN,)
        return (SignedDoor(url=f"{urls.ws_api}{WS_API}", pool=POOL, enter=enter, listing=LISTING),)
