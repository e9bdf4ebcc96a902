"""What the venue files have in common that listen by one listen key and have one wallet of their own."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from types import MappingProxyType

from accountd.core.told import Told
from accountd.venues import binance
from accountd.venues.base import NO_LANES, Decoded, Flow, Pool, Rights, Section, Urls
from accountd.venues.binance_asking import Asked, Asking
from accountd.venues.binance_frames import Frames
from accountd.venues.binance_futures import FuturesSection
from accountd.venues.binance_listen_key import listen_key_door
from accountd.venues.binance_pages import Pages
from accountd.venues.doors import Door, StreamOptions

POOL = "binance-futures"  # USDⓈ-M and COIN-M count together
SAPI = binance.sapi_pool(binance.RIGHTS)
RIGHTS = Asked(path=binance.RIGHTS, weight=1, pool=SAPI, base="sapi")


class ListenKeyVenue:
    """A product of Binance that listens by a listen key; see `Venue` for what each verb promises."""

    name: str
    hosts: Mapping[str, Urls]
    pool: str
    pools: Mapping[str, Pool]
    income_follows_fills = True
    listen_key: str
    renew = "PUT"
    table: Mapping[str, Asked]
    frames: Frames
    pages: Pages

    def __init__(self) -> None:
        self.asking = Asking(self.table, self.pool, self.pages)
        self.allowed = self.asking.allowed(self.listen_key)

    def stream_url(self, urls: Urls, key: str, options: StreamOptions) -> str:
        """Return the private stream's address for a quoted key."""
        raise TypeError("a venue file names its stream")

    def doors(self, urls: Urls, options: StreamOptions) -> tuple[Door, ...]:
        """Return the one private stream, entered by a listen key."""

        def url(key: str) -> str:
            return self.stream_url(urls, key, options)

        return (listen_key_door(self.listen_key, self.pool, url, renew=self.renew),)

    def decode(
        self, frame: bytes | str, received_at: datetime, lanes: Mapping[int, str] = NO_LANES
    ) -> Decoded:
        """Return what a frame tells; never raises. ``received_at`` dates what does not date itself."""
        return self.frames.dated(frame, received_at)

    def decode_kept(self, kind: str, raw: bytes, received_at: datetime) -> list[Told]:
        """Return what a journaled frame told: frames explain themselves here."""
        return self.frames.dated(raw, received_at).told

    def decode_page(self, kind: str, body: bytes, as_of: datetime) -> list[Told]:
        """Return what a page of ``kind`` tells, the same today as when its journal row was written."""
        return self.pages.decode(kind, body, as_of)

    def redact(self, raw: bytes, keys: Iterable[str] = ()) -> bytes:
        """Return ``raw`` with every listen key replaced by ``<listenKey>``."""
        return binance.redact(raw, keys)

    def canary(self, lag: timedelta) -> Flow[None]:
        """Tell wallet totals and positions as of ``lag`` ago, cheaply (at most 10 weight)."""
        yield from self.asking.page("account.totals", lag)
        yield from self.asking.page("positions", lag)

    def server_time(self) -> Flow[datetime]:
        """Return the venue's clock."""
        return (yield from binance.server_time(self.asking.call("time")))

    def rights(self) -> Flow[Rights]:
        """Return the key's rights; all None where the venue does not tell (test networks)."""
        return (yield from binance.rights(self.asking.call("rights", once=True)))


class FuturesVenue(ListenKeyVenue):
    """A futures product: one market, whose requests count against a pool that all of them share."""

    pool = POOL
    pools: Mapping[str, Pool] = MappingProxyType(
        {POOL: Pool(limit=2400)} | binance.sapi_pools([binance.RIGHTS])
    )

    def __init__(self) -> None:
        super().__init__()
        self.section = self.market_of(self.asking)

    @property
    def sections(self) -> tuple[Section, ...]:
        """Return the one market that there is here."""
        return (self.section,)

    def market_of(self, asking: Asking) -> FuturesSection:
        """Return the market that is read through ``asking``."""
        raise TypeError("a venue file names its market")
