"""Binance COIN-M futures: where it lives, what may be asked of it, and how its record is read.

Venue pages: derivatives/coin-margined-futures (general-info, user-data-streams, account and trade REST) and
the COIN-M and USDⓈ-M integration notice of 2026-06-10. Quantities are in contracts, wallets in base coin.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from datetime import timedelta

import msgspec

from accountd.core.told import ALGO_ORDERS, BALANCES, FILLS, ORDERS, POSITIONS, TRANSFERS
from accountd.errors import BadRequest
from accountd.venues import binance_futures_rows as rows_of
from accountd.venues.base import AccountState, Flow, Retention, Urls
from accountd.venues.binance import read
from accountd.venues.binance_asking import Asked, Asking
from accountd.venues.binance_contracts import COINM
from accountd.venues.binance_frames import Frames
from accountd.venues.binance_futures import (
    INCOME_LIMIT,
    THREE_MONTHS,
    UNFILLED,
    WEEK,
    FuturesSection,
    Limits,
)
from accountd.venues.binance_futures_events import FuturesEvents
from accountd.venues.binance_pages import Pages
from accountd.venues.binance_product import RIGHTS, FuturesVenue
from accountd.venues.doors import StreamOptions
from accountd.venues.paging import reply_to

HOSTS = {
    "live": Urls(
        rest="https://dapi.binance.com", stream="wss://dstream.binance.com", sapi="https://api.binance.com"
    ),
    "testnet": Urls(
        rest="https://testnet.binancefuture.com",
        stream="wss://dstream.binancefuture.com",
        sapi="https://testnet.binancefuture.com",
    ),
    "demo": Urls(
        rest="https://demo-dapi.binance.com",
        stream="wss://demo-dstream.binance.com",
        sapi="https://demo-dapi.binance.com",
    ),
}
INCOME_TYPES = (
    "TRANSFER", "WELCOME_BONUS", "FUNDING_FEE", "REALIZED_PNL", "COMMISSION", "INSURANCE_CLEAR",
    "DELIVERED_SETTELMENT",
)  # fmt: skip
A_YEAR = timedelta(days=365) - timedelta(seconds=1)
NOTHING = timedelta(0)
# Paths and weights since the integration with USDⓈ-M; all-symbol weights where a symbol may be left out.
TABLE = {
    "account": Asked(path="/dapi/v1/account", weight=5),
    "account.totals": Asked(path="/dapi/v1/account", weight=5),
    "positions": Asked(path="/dapi/v1/positionRisk", weight=1),
    "position_mode": Asked(path="/dapi/v1/positionSide/dual", weight=30),
    "open_orders": Asked(path="/dapi/v1/openOrders", weight=40),
    "open_algo_orders": Asked(path="/dapi/v1/openAlgoOrders", weight=40),
    "orders": Asked(path="/dapi/v1/allOrders", weight=5),
    "algo_orders": Asked(path="/dapi/v1/allAlgoOrders", weight=5),
    "order": Asked(path="/dapi/v1/order", weight=1),
    "algo_order": Asked(path="/dapi/v1/algoOrder", weight=1),
    "fills": Asked(path="/dapi/v1/userTrades", weight=5),
    "income": Asked(path="/dapi/v1/income", weight=20),
    "time": Asked(path="/dapi/v1/time", weight=1, signed=False),
    "exchange_info": Asked(path="/dapi/v1/exchangeInfo", weight=1, signed=False),
    "rights": RIGHTS,
}
RETENTION = {
    ORDERS: Retention(keeps=timedelta(days=90), window=WEEK, keeps_unfilled=UNFILLED),
    ALGO_ORDERS: Retention(keeps=timedelta(days=90), window=WEEK, keeps_unfilled=UNFILLED),
    FILLS: Retention(keeps=THREE_MONTHS, window=WEEK),
    TRANSFERS: Retention(keeps=A_YEAR, window=A_YEAR, page=INCOME_LIMIT),
    BALANCES: Retention(keeps=NOTHING, window=NOTHING),
    POSITIONS: Retention(keeps=NOTHING, window=NOTHING),
}


class _Mode(msgspec.Struct, rename="camel"):
    dual_side_position: bool = False


class BinanceCoinm(FuturesVenue):
    """The venue file of Binance COIN-M futures; see `Venue` for what each verb promises."""

    name = "binance-coinm"
    hosts: Mapping[str, Urls] = HOSTS
    listen_key = "/dapi/v1/listenKey"
    table = TABLE
    frames = Frames(FuturesEvents(COINM).readers())
    pages = Pages(rows_of.account_pages(COINM) | rows_of.order_pages(COINM) | rows_of.algo_pages(COINM))

    def market_of(self, asking: Asking) -> FuturesSection:
        """Return the market; a page of orders holds 100 here."""
        return FuturesSection(COINM, asking, RETENTION, INCOME_TYPES, limits=Limits(orders=100))

    def stream_url(self, urls: Urls, key: str, options: StreamOptions) -> str:
        """Return the private stream's address; the venue knows one form."""
        return f"{urls.stream}/ws/{key}"

    def snapshot(self, lag: timedelta) -> Flow[AccountState]:
        """Tell balances and positions, with leverage and margin type, as of ``lag`` ago (36 weight)."""
        mode = _Mode()
        with contextlib.suppress(BadRequest):
            mode = read((yield from reply_to(self.asking.call("position_mode"))), _Mode, "position_mode")
        yield from self.asking.page("account", lag)
        yield from self.asking.page("positions", lag)
        return AccountState(hedge_mode=mode.dual_side_position)
