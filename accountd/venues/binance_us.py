"""Binance.US, and any venue that speaks Binance's spot API with the classic listen key.

Venue page: binance-us-api-docs (rest-api, user-data-stream). Another such venue is named by REST_URL and
STREAM_URL. Binance.com closed this door on 2026-02-20 and answers 410: there it is binance-spot.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from accountd.venues import binance
from accountd.venues.base import Call, Pool, Urls
from accountd.venues.binance_asking import Asked
from accountd.venues.binance_listen_key import listen_key_door
from accountd.venues.binance_spot import POOL, RIGHTS, SpotVenue
from accountd.venues.binance_spot_section import TABLE
from accountd.venues.binance_spot_wallet import DEPOSITS, WITHDRAWALS
from accountd.venues.binance_spot_wallet import TABLE as WALLET_TABLE
from accountd.venues.doors import Door, ListenKeyDoor, StreamOptions

LISTEN_KEY = "/api/v3/userDataStream"
INSTEAD = "this venue has closed its listen keys; use VENUE=binance-spot, which signs its subscription"
HOSTS: Mapping[str, Urls] = {
    "live": Urls(
        rest="https://api.binance.us", stream="wss://stream.binance.us:9443", sapi="https://api.binance.us",
        ws_api="wss://ws-api.binance.us:443",
    ),
}  # fmt: skip


class BinanceUs(SpotVenue):
    """The venue file of Binance.US and its like."""

    name = "binance-us"
    hosts: Mapping[str, Urls] = HOSTS
    pools: Mapping[str, Pool] = MappingProxyType(
        {POOL: Pool(limit=1200)} | binance.sapi_pools([DEPOSITS, binance.RIGHTS], [WITHDRAWALS])
    )
    table: Mapping[str, Asked] = MappingProxyType(
        {
            **TABLE,
            "rights": RIGHTS,
            "deposits": WALLET_TABLE["deposits"],
            "withdrawals": WALLET_TABLE["withdrawals"],
        }
    )
    parts = ("deposits", "withdrawals")

    def __init__(self) -> None:
        super().__init__()
        self.allowed = self.asking.allowed(LISTEN_KEY)

    def doors(self, urls: Urls, options: StreamOptions) -> tuple[Door, ...]:
        """Return the one private stream, whose address bears the listen key."""
        door = listen_key_door(LISTEN_KEY, POOL, lambda key: f"{urls.stream}/ws/{key}")
        return (with_named_key(door),)


def with_named_key(door: ListenKeyDoor) -> ListenKeyDoor:
    """Return a door whose key is named when it is renewed: here a key is the caller's to know."""
    renewal = door.keepalive("")

    def keepalive(key: str) -> Call:
        return Call(
            method=renewal.method, path=renewal.path, kind=renewal.kind, pool=renewal.pool,
            weight=renewal.weight, params=(("listenKey", key),), keep=False, keyed=True, base=renewal.base,
        )  # fmt: skip

    return ListenKeyDoor(
        create=door.create, keepalive=keepalive, parse=door.parse, url=door.url, lists_key=door.lists_key,
        probe=door.probe, instead=INSTEAD,
    )  # fmt: skip
