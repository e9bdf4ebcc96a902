"""The margin wallet of a portfolio margin account, as its history is read.

Venue pages: derivatives/portfolio-margin trade and account REST, /papi/v1/margin. A question about orders
or trades spans 24 hours at most and needs a symbol.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from datetime import datetime, timedelta

from accountd.core.told import BALANCES, FILLS, ORDERS, TRANSFERS, Balance, Transfer
from accountd.errors import BadRequest
from accountd.venues import absent, binance
from accountd.venues.base import (
    ANY,
    Call,
    ExchangeInfo,
    Flow,
    Page,
    Reply,
    Retention,
    Swept,
    SymbolInfo,
    Window,
    to_ms,
)
from accountd.venues.binance_asking import NO_LAG, Asking
from accountd.venues.binance_futures import MANDATORY_MISSING
from accountd.venues.binance_portfolio_events import MARGIN
from accountd.venues.binance_spot_section import likelihood
from accountd.venues.paging import Question, by_time

DAY = timedelta(days=1) - timedelta(seconds=1)
MONTH = timedelta(days=30) - timedelta(seconds=1)
NOTHING = timedelta(0)
ORDER_ROWS = 500
TRADE_ROWS = 1000
DEBT_ROWS = 100
DIRECTIONS = ("MAIN_PORTFOLIO_MARGIN", "PORTFOLIO_MARGIN_MAIN")
RETENTION = {
    ORDERS: Retention(keeps=timedelta(days=90), window=DAY),
    FILLS: Retention(keeps=timedelta(days=90), window=DAY),
    TRANSFERS: Retention(keeps=timedelta(days=180), window=MONTH),
    BALANCES: Retention(keeps=NOTHING, window=NOTHING),
}


class PortfolioMargin:
    """The market of margin orders; interest, loans, repayments and moves are its transfers."""

    market = MARGIN
    retention: Mapping[str, Retention] = RETENTION
    by_symbol = False
    algo_orders = staticmethod(absent.algo_orders)
    algo_order = staticmethod(absent.algo_order)
    explain = staticmethod(absent.explain)

    def __init__(self, asking: Asking) -> None:
        self.asking = asking

    def exchange_info(self) -> Flow[ExchangeInfo]:
        """Return the symbols of spot and margin."""
        call = self.asking.call("margin.exchange_info")
        return (yield from binance.exchange_info(call, call.pool))

    def rank(self, symbol: SymbolInfo, assets: Collection[str]) -> int | None:
        """Say how likely a symbol is: as on spot, of what is held."""
        return likelihood(symbol, assets)

    def open_orders(self, lag: timedelta, only: Mapping[str, Collection[str]] = ANY) -> Flow[Swept]:
        """Tell all open orders as of ``lag`` ago, where the venue lists them without a symbol."""
        try:
            return (yield from self.asking.listed(("margin.open_orders",), lag))
        except BadRequest as refusal:
            if refusal.code != MANDATORY_MISSING:
                raise
            return Swept()

    def orders(self, symbol: str | None, start: datetime, end: datetime) -> Flow[Swept]:
        """Tell the orders of a symbol in a window."""
        if symbol is None:
            hole = Window(start=start, end=end, reason="a symbol is mandatory")
            return Swept(supported=False, unproven=[hole])
        question = self.asking.history("margin.orders", symbol, "orderId", ORDER_ROWS, DAY)
        return (yield from by_time(question, to_ms(start), to_ms(end)))

    def fills(self, symbol: str, start: datetime, end: datetime) -> Flow[Swept]:
        """Tell the trades of a symbol in a window."""
        question = self.asking.history("margin.fills", symbol, "fromId", TRADE_ROWS, DAY)
        return (yield from by_time(question, to_ms(start), to_ms(end)))

    def transfers(self, start: datetime, end: datetime, symbols: Iterable[str] = ()) -> Flow[Swept]:
        """Tell interest, transfers from and to spot, loans and repayments in a window.

        Loans and repayments are asked for by asset: for those that are owed, held, or bore interest.
        """
        first, last = to_ms(start), to_ms(end)
        assets: set[str] = set()
        swept = yield from by_time(self._debt("margin.interest", assets), first, last)
        swept = swept.plus((yield from by_time(self._debt("portfolio.interest", assets), first, last)))
        page = yield from self.asking.page("balances", NO_LAG)
        assets |= {row.asset for row in page.told if isinstance(row, Balance) and row.total}
        for direction in DIRECTIONS:
            question = self._debt("margin.moves", assets, ("type", direction))
            swept = swept.plus((yield from by_time(question, first, last)))
        for asset in sorted(assets):
            for kind in ("margin.loans", "margin.repayments"):
                question = self._debt(kind, set(), ("asset", asset))
                swept = swept.plus((yield from by_time(question, first, last)))
        return swept

    def order(self, symbol: str, order_id: str) -> Flow[bool]:
        """Tell one order; return False when the venue does not know it any more."""
        params = (("symbol", symbol), ("orderId", order_id))
        return (yield from self.asking.single("margin.order", params))

    def _debt(self, kind: str, assets: set[str], *of: tuple[str, str]) -> Question:
        """Return the question about a history of debts; ``assets`` collects those that its rows name."""

        def ask(start_ms: int, end_ms: int) -> Call:
            window = (("startTime", str(start_ms)), ("endTime", str(end_ms)), ("size", str(DEBT_ROWS)))
            return self.asking.call(kind, (*of, *window))

        def read(call: Call, reply: Reply) -> Page:
            page = self.asking.read(call, reply)
            page.rows = self.asking.pages.count(kind, reply.body)
            assets.update(row.asset for row in page.told if isinstance(row, Transfer))
            return page

        return Question(ask=ask, read=read, limit=DEBT_ROWS, max_window=MONTH)
