"""What an API key of Binance can see: one cheap read of each product, and the kind of its account.

Venue pages: the account endpoint of each product; portfolio-margin-pro, "Classic Portfolio Margin Account".
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

import msgspec

from accountd.errors import BadRequest, KeyRefused, VenueGone, VenueUnavailable
from accountd.venues import binance
from accountd.venues.base import Flow, Pool, Urls
from accountd.venues.binance_asking import Asked
from accountd.venues.binance_spot import HOSTS as SPOT
from accountd.venues.binance_spot import POOL, BinanceSpot
from accountd.venues.paging import reply_to

FUTURES = "binance-futures"
PORTFOLIO = "binance-papi"
OPTIONS = "binance-eapi"
KIND = "/sapi/v1/portfolio/account"
MARGIN = "/sapi/v1/margin/account"
ISOLATED = "/sapi/v1/margin/isolated/account"
OTHERS = {
    "live": {
        "fapi": "https://fapi.binance.com", "dapi": "https://dapi.binance.com",
        "papi": "https://papi.binance.com", "eapi": "https://eapi.binance.com",
    },
    "testnet": {
        "fapi": "https://testnet.binancefuture.com", "dapi": "https://testnet.binancefuture.com",
        "papi": "", "eapi": "",
    },
    "demo": {
        "fapi": "https://demo-fapi.binance.com", "dapi": "https://demo-dapi.binance.com", "papi": "",
        "eapi": "",
    },
}  # fmt: skip
PRODUCTS: Mapping[str, Asked] = {
    "binance-spot": Asked(path="/api/v3/account", weight=20),
    "binance-margin": Asked(path=MARGIN, weight=10, pool=binance.sapi_pool(MARGIN), base="sapi"),
    "binance-isolated-margin": Asked(path=ISOLATED, weight=10, pool=binance.sapi_pool(ISOLATED), base="sapi"),
    "binance-usdm": Asked(path="/fapi/v3/account", weight=5, pool=FUTURES, base="fapi"),
    "binance-coinm": Asked(path="/dapi/v1/account", weight=5, pool=FUTURES, base="dapi"),
    "binance-portfolio": Asked(path="/papi/v1/account", weight=20, pool=PORTFOLIO, base="papi"),
    "binance-options": Asked(path="/eapi/v1/marginAccount", weight=3, pool=OPTIONS, base="eapi"),
}
KINDS = {"PM_1": "Portfolio Margin Pro", "PM_2": "Portfolio Margin", "PM_3": "Portfolio Margin (SPAN)"}


class Sight(msgspec.Struct, frozen=True, kw_only=True):
    """Which products a key reads, which do not answer, and the kind of Portfolio Margin, if any is told."""

    sees: tuple[str, ...]
    silent: tuple[str, ...] = ()
    kind: str = ""


class _Kind(msgspec.Struct, rename="camel"):
    account_type: str = ""


class BinanceKey(BinanceSpot):
    """Asks every product about one key."""

    hosts: Mapping[str, Urls] = MappingProxyType(
        {name: Urls(rest=told.rest, sapi=told.sapi, others=OTHERS[name]) for name, told in SPOT.items()}
    )
    pools: Mapping[str, Pool] = MappingProxyType(
        {
            POOL: Pool(limit=6000), FUTURES: Pool(limit=2400), PORTFOLIO: Pool(limit=6000),
            OPTIONS: Pool(limit=400),
        }
        | binance.sapi_pools([MARGIN, ISOLATED], [KIND])
    )  # fmt: skip
    table: Mapping[str, Asked] = MappingProxyType(
        {
            **BinanceSpot.table, **PRODUCTS,
            "kind": Asked(path=KIND, weight=5, pool=binance.sapi_pool(KIND), base="sapi"),
        }
    )  # fmt: skip

    def sight(self) -> Flow[Sight]:
        """Ask each product for its account; what is refused is not seen."""
        sees, silent = [], []
        for name in PRODUCTS:
            try:
                yield from reply_to(self.asking.call(name, once=True))
            except (BadRequest, KeyRefused, VenueGone):
                continue
            except VenueUnavailable:
                silent.append(name)
            else:
                sees.append(name)
        return Sight(sees=tuple(sees), silent=tuple(silent), kind=(yield from self._kind()))

    def _kind(self) -> Flow[str]:
        try:
            reply = yield from reply_to(self.asking.call("kind", once=True))
            return binance.read(reply, _Kind, "kind").account_type
        except (BadRequest, KeyRefused, VenueGone, VenueUnavailable):
            return ""
