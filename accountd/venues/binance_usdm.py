"""Binance USDⓈ-M futures: where it lives, what may be asked of it, and how its record is read.

Venue pages: derivatives/usds-margined-futures (general-info, user-data-streams, account and trade REST).
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from datetime import timedelta
from urllib.parse import quote

import msgspec

from accountd.core.told import ALGO_ORDERS, BALANCES, FILLS, ORDERS, POSITIONS, TRANSFERS
from accountd.errors import BadRequest
from accountd.venues import binance_futures_rows as rows_of
from accountd.venues.base import AccountState, Flow, Retention, Urls
from accountd.venues.binance import read
from accountd.venues.binance_asking import Asked, Asking
from accountd.venues.binance_contracts import USDM
from accountd.venues.binance_frames import Frames
from accountd.venues.binance_futures import INCOME_LIMIT, THREE_MONTHS, UNFILLED, WEEK, FuturesSection
from accountd.venues.binance_futures_events import FuturesEvents
from accountd.venues.binance_listen_key import listen_key_door
from accountd.venues.binance_pages import Pages
from accountd.venues.binance_product import RIGHTS, FuturesVenue
from accountd.venues.binance_risk import risk_readers
from accountd.venues.doors import Door, StreamOptions
from accountd.venues.paging import reply_to

HOSTS = {
    "live": Urls(
        rest="https://fapi.binance.com", stream="wss://fstream.binance.com", sapi="https://api.binance.com"
    ),
    "testnet": Urls(
        rest="https://testnet.binancefuture.com",
        stream="wss://fstream.binancefuture.com",
        sapi="https://testnet.binancefuture.com",
    ),
    "demo": Urls(
        rest="https://demo-fapi.binance.com",
        stream="wss://demo-fstream.binance.com",
        sapi="https://demo-fapi.binance.com",
    ),
}
INCOME_TYPES = (
    "TRANSFER", "WELCOME_BONUS", "REALIZED_PNL", "FUNDING_FEE", "COMMISSION", "INSURANCE_CLEAR",
    "REFERRAL_KICKBACK", "COMMISSION_REBATE", "API_REBATE", "CONTEST_REWARD", "CROSS_COLLATERAL_TRANSFER",
    "OPTIONS_PREMIUM_FEE", "OPTIONS_SETTLE_PROFIT", "INTERNAL_TRANSFER", "AUTO_EXCHANGE",
    "DELIVERED_SETTELMENT", "COIN_SWAP_DEPOSIT", "COIN_SWAP_WITHDRAW", "POSITION_LIMIT_INCREASE_FEE",
    "STRATEGY_UMFUTURES_TRANSFER", "FEE_RETURN", "BFUSD_REWARD",
)  # fmt: skip
# All-symbol weights where a symbol may be left out.
TABLE = {
    "account": Asked(path="/fapi/v3/account", weight=5),
    "account.multi_assets": Asked(path="/fapi/v3/account", weight=5),
    "account.totals": Asked(path="/fapi/v3/account", weight=5),
    "positions": Asked(path="/fapi/v3/positionRisk", weight=5),
    "symbol_config": Asked(path="/fapi/v1/symbolConfig", weight=5),
    "account_config": Asked(path="/fapi/v1/accountConfig", weight=5),
    "open_orders": Asked(path="/fapi/v1/openOrders", weight=40),
    "open_algo_orders": Asked(path="/fapi/v1/openAlgoOrders", weight=40),
    "orders": Asked(path="/fapi/v1/allOrders", weight=5),
    "algo_orders": Asked(path="/fapi/v1/allAlgoOrders", weight=5),
    "order": Asked(path="/fapi/v1/order", weight=1),
    "algo_order": Asked(path="/fapi/v1/algoOrder", weight=1),
    "fills": Asked(path="/fapi/v1/userTrades", weight=5),
    "income": Asked(path="/fapi/v1/income", weight=30),
    "time": Asked(path="/fapi/v1/time", weight=1, signed=False),
    "exchange_info": Asked(path="/fapi/v1/exchangeInfo", weight=1, signed=False),
    "rights": RIGHTS,
}
NOTHING = timedelta(0)
RETENTION = {
    ORDERS: Retention(keeps=timedelta(days=90), window=WEEK, keeps_unfilled=UNFILLED, page=1000),
    ALGO_ORDERS: Retention(keeps=timedelta(days=90), window=WEEK, keeps_unfilled=UNFILLED),
    FILLS: Retention(keeps=THREE_MONTHS, window=WEEK),
    TRANSFERS: Retention(keeps=THREE_MONTHS, window=WEEK, page=INCOME_LIMIT),
    BALANCES: Retention(keeps=NOTHING, window=NOTHING),
    POSITIONS: Retention(keeps=NOTHING, window=NOTHING),
}


class AccountConfig(msgspec.Struct, rename="camel"):
    """GET accountConfig."""

    multi_assets_margin: bool = False
    dual_side_position: bool = False
    can_trade: bool | None = None


class BinanceUsdm(FuturesVenue):
    """The venue file of Binance USDⓈ-M futures; see `Venue` for what each verb promises."""

    name = "binance-usdm"
    hosts: Mapping[str, Urls] = HOSTS
    listen_key = "/fapi/v1/listenKey"
    table = TABLE
    frames = Frames(FuturesEvents(USDM).readers() | risk_readers())
    pages = Pages(
        rows_of.account_pages(USDM)
        | rows_of.order_pages(USDM)
        | rows_of.algo_pages(USDM)
        | rows_of.config_pages(USDM)
    )

    def market_of(self, asking: Asking) -> FuturesSection:
        """Return the market; since 2026-08-25 it may be asked for the orders of all symbols at once."""
        return FuturesSection(USDM, asking, RETENTION, INCOME_TYPES, whole_orders=40)

    def stream_url(self, urls: Urls, key: str, options: StreamOptions) -> str:
        """Return the private stream's address in one of its forms: query, path or combined."""
        if options.form == "path":
            return f"{urls.stream}/private/ws/{key}"
        path = "stream" if options.form == "combined" else "ws"
        words = "/".join(quote(word, safe="") for word in options.events)
        return f"{urls.stream}/private/{path}?listenKey={key}{f'&events={words}' if words else ''}"

    def doors(self, urls: Urls, options: StreamOptions) -> tuple[Door, ...]:
        """Return the private stream and, for a Portfolio Margin Pro account, that of its risk."""
        plain = super().doors(urls, options)
        if not options.portfolio_pro:
            return plain
        risk = listen_key_door(
            self.listen_key, self.pool, lambda key: f"{urls.stream}/pm-classic/ws/{key}", aside="risk stream"
        )
        return (*plain, risk)

    def snapshot(self, lag: timedelta) -> Flow[AccountState]:
        """Tell balances, positions, leverage and margin types as of ``lag`` ago (20 weight).

        The two configurations may be refused (some environments lack them): money does not wait for them.
        """
        asking, config = self.asking, AccountConfig()
        with contextlib.suppress(BadRequest):
            reply = yield from reply_to(asking.call("account_config"))
            config = read(reply, AccountConfig, "account_config")
        yield from asking.page("account.multi_assets" if config.multi_assets_margin else "account", lag)
        yield from asking.page("positions", lag)
        with contextlib.suppress(BadRequest):
            yield from asking.page("symbol_config", lag)  # after positions: it speaks about those held
        return AccountState(
            multi_assets=config.multi_assets_margin,
            hedge_mode=config.dual_side_position,
            can_trade=config.can_trade,
        )
