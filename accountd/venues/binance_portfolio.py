"""Binance portfolio margin: three markets in one account, where they live and how their record is read.

Venue pages: derivatives/portfolio-margin (general-info, user-data-streams, account and trade REST). There
is no test network. What is public (clocks, symbols) is asked of USDⓈ-M, COIN-M and spot.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from datetime import datetime, timedelta

from accountd.core.told import ALGO_ORDERS, BALANCES, FILLS, ORDERS, POSITIONS, TRANSFERS, Order
from accountd.errors import BadRequest
from accountd.venues import binance_coinm as coinm
from accountd.venues import binance_usdm as usdm
from accountd.venues.base import (
    AccountState,
    Flow,
    Pool,
    Retention,
    Section,
    Swept,
    Urls,
    to_ms,
)
from accountd.venues.binance import read, sapi_pool, sapi_pools
from accountd.venues.binance_asking import Asked
from accountd.venues.binance_contracts import COINM, USDM
from accountd.venues.binance_futures import (
    INCOME_LIMIT,
    THREE_MONTHS,
    UNFILLED,
    WEEK,
    FuturesSection,
    Limits,
)
from accountd.venues.binance_portfolio_events import portfolio_frames
from accountd.venues.binance_portfolio_margin import PortfolioMargin
from accountd.venues.binance_portfolio_rows import PAGES
from accountd.venues.binance_product import POOL as FUTURES_POOL
from accountd.venues.binance_product import RIGHTS, ListenKeyVenue
from accountd.venues.doors import StreamOptions
from accountd.venues.paging import by_time, reply_to

POOL = "binance-portfolio"
SPOT_POOL = "binance-spot"
MOVES = "/sapi/v1/asset/transfer"
HOSTS = {
    "live": Urls(
        rest="https://papi.binance.com",
        stream="wss://fstream.binance.com",
        sapi="https://api.binance.com",
        others={
            "usdm": "https://fapi.binance.com",
            "coinm": "https://dapi.binance.com",
            "spot": "https://api.binance.com",
        },
    ),
}


def _public(path: str, weight: int, base: str, pool: str) -> Asked:
    return Asked(path=path, weight=weight, base=base, pool=pool, signed=False)


TABLE = {
    "balances": Asked(path="/papi/v1/balance", weight=20),
    "account_config": Asked(path="/papi/v1/um/accountConfig", weight=5),
    "um.symbol_config": Asked(path="/papi/v1/um/symbolConfig", weight=5),
    "um.positions": Asked(path="/papi/v1/um/positionRisk", weight=5),
    "um.open_orders": Asked(path="/papi/v1/um/openOrders", weight=40),
    "um.open_algo_orders": Asked(path="/papi/v1/um/algo/openAlgoOrders", weight=40),
    "um.orders": Asked(path="/papi/v1/um/allOrders", weight=5),
    "um.algo_orders": Asked(path="/papi/v1/um/algo/allAlgoOrders", weight=5),
    "um.order": Asked(path="/papi/v1/um/order", weight=1),
    "um.algo_order": Asked(path="/papi/v1/um/algo/algoOrder", weight=1),
    "um.fills": Asked(path="/papi/v1/um/userTrades", weight=5),
    "um.income": Asked(path="/papi/v1/um/income", weight=30),
    "cm.positions": Asked(path="/papi/v1/cm/positionRisk", weight=1),
    "cm.open_orders": Asked(path="/papi/v1/cm/openOrders", weight=40),
    "cm.open_algo_orders": Asked(path="/papi/v1/cm/conditional/openOrders", weight=40),
    "cm.orders": Asked(path="/papi/v1/cm/allOrders", weight=20),
    "cm.algo_orders": Asked(path="/papi/v1/cm/conditional/allOrders", weight=1),
    "cm.order": Asked(path="/papi/v1/cm/order", weight=1),
    "cm.fills": Asked(path="/papi/v1/cm/userTrades", weight=20),
    "cm.income": Asked(path="/papi/v1/cm/income", weight=30),
    "margin.open_orders": Asked(path="/papi/v1/margin/openOrders", weight=5),
    "margin.orders": Asked(path="/papi/v1/margin/allOrders", weight=100),
    "margin.order": Asked(path="/papi/v1/margin/order", weight=10),
    "margin.fills": Asked(path="/papi/v1/margin/myTrades", weight=5),
    "margin.interest": Asked(path="/papi/v1/margin/marginInterestHistory", weight=1),
    "margin.loans": Asked(path="/papi/v1/margin/marginLoan", weight=10),
    "margin.repayments": Asked(path="/papi/v1/margin/repayLoan", weight=10),
    "margin.moves": Asked(path=MOVES, weight=1, pool=sapi_pool(MOVES), base="sapi"),
    "portfolio.interest": Asked(path="/papi/v1/portfolio/interest-history", weight=50),
    "time": _public("/fapi/v1/time", 1, "usdm", FUTURES_POOL),
    "um.exchange_info": _public("/fapi/v1/exchangeInfo", 1, "usdm", FUTURES_POOL),
    "cm.exchange_info": _public("/dapi/v1/exchangeInfo", 1, "coinm", FUTURES_POOL),
    "margin.exchange_info": _public("/api/v3/exchangeInfo", 20, "spot", SPOT_POOL),
    "rights": RIGHTS,
}
A_DAY = timedelta(days=1) - timedelta(seconds=1)
DAYS_200 = timedelta(days=200) - timedelta(seconds=1)
NOTHING = timedelta(0)
ENDED = Retention(keeps=timedelta(days=90), window=WEEK, keeps_unfilled=UNFILLED)
NOW = Retention(keeps=NOTHING, window=NOTHING)
USDM_RETENTION = {
    ORDERS: ENDED,
    ALGO_ORDERS: ENDED,
    FILLS: Retention(keeps=THREE_MONTHS, window=WEEK),
    TRANSFERS: Retention(keeps=THREE_MONTHS, window=WEEK, page=INCOME_LIMIT),
    BALANCES: NOW,
    POSITIONS: NOW,
}
COINM_RETENTION = {
    ORDERS: ENDED,
    ALGO_ORDERS: Retention(keeps=timedelta(days=90), window=WEEK, keeps_unfilled=timedelta(days=7)),
    FILLS: Retention(keeps=THREE_MONTHS, window=A_DAY),
    TRANSFERS: Retention(keeps=DAYS_200, window=DAYS_200, page=INCOME_LIMIT),
    BALANCES: NOW,
    POSITIONS: NOW,
}


class PortfolioCoinm(FuturesSection):
    """COIN-M's market, whose conditional orders are those of the older service."""

    def algo_orders(self, symbol: str, start: datetime, end: datetime) -> Flow[Swept]:
        """Tell the conditional orders of a symbol created in a window."""
        question = self.asking.history("cm.algo_orders", symbol, None, self.limits.algo_orders, WEEK)
        return (yield from by_time(question, to_ms(start), to_ms(end)))

    def algo_order(self, algo_id: str) -> Flow[bool]:
        """Tell one conditional order; return False when the venue does not know it any more."""
        params = (("strategyId", algo_id), ("limit", "1"))
        page = yield from self.asking.page("cm.algo_orders", NOTHING, params, weight=40)
        return any(isinstance(row, Order) and row.order_id == algo_id for row in page.told)


class BinancePortfolio(ListenKeyVenue):
    """The venue file of Binance portfolio margin; see `Venue` for what each verb promises."""

    name = "binance-portfolio"
    hosts: Mapping[str, Urls] = HOSTS
    pool = POOL
    pools: Mapping[str, Pool] = {
        POOL: Pool(limit=6000),
        FUTURES_POOL: Pool(limit=2400),
        SPOT_POOL: Pool(limit=6000),
    } | sapi_pools([RIGHTS.path, MOVES])
    renew = "POST"  # PUT answers {}
    listen_key = "/papi/v1/listenKey"
    table = TABLE
    frames = portfolio_frames()
    pages = PAGES

    def __init__(self) -> None:
        super().__init__()
        self._sections: tuple[Section, ...] = (
            FuturesSection(USDM, self.asking, USDM_RETENTION, usdm.INCOME_TYPES, prefix="um."),
            PortfolioCoinm(
                COINM, self.asking, COINM_RETENTION, coinm.INCOME_TYPES, prefix="cm.",
                limits=Limits(orders=100),
            ),
            PortfolioMargin(self.asking),
        )  # fmt: skip

    @property
    def sections(self) -> tuple[Section, ...]:
        """Return the three markets."""
        return self._sections

    def stream_url(self, urls: Urls, key: str, options: StreamOptions) -> str:
        """Return the private stream's address; the venue knows one form."""
        return f"{urls.stream}/pm/ws/{key}"

    def snapshot(self, lag: timedelta) -> Flow[AccountState]:
        """Tell balances and positions of all markets, and configuration, as of ``lag`` ago (36 weight)."""
        asking, config = self.asking, usdm.AccountConfig()
        with contextlib.suppress(BadRequest):
            reply = yield from reply_to(asking.call("account_config"))
            config = read(reply, usdm.AccountConfig, "account_config")
        yield from self.canary(lag)
        with contextlib.suppress(BadRequest):
            yield from asking.page("um.symbol_config", lag)
        sides = "hedge mode" if config.dual_side_position else "one-way mode"
        return AccountState(
            hedge_mode=config.dual_side_position,
            can_trade=config.can_trade,
            modes=("portfolio margin", sides),
        )

    def canary(self, lag: timedelta) -> Flow[None]:
        """Tell balances and positions of all markets as of ``lag`` ago (26 weight)."""
        for kind in ("balances", "um.positions", "cm.positions"):
            yield from self.asking.page(kind, lag)
