"""One futures market of Binance as its history is read, whichever product serves it.

Venue pages: derivatives/{usds-margined-futures,coin-margined-futures,portfolio-margin}, account and trade
REST: what they name alike they answer alike.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from datetime import datetime, timedelta

import msgspec

from accountd.core.told import ALGO_ORDERS, FILLS, ORDERS, TRANSFERS, Transfer
from accountd.errors import BadRequest
from accountd.venues import absent, binance
from accountd.venues.base import (
    ANY,
    Call,
    ExchangeInfo,
    Flow,
    Page,
    Retention,
    Swept,
    SymbolInfo,
    Window,
    to_ms,
)
from accountd.venues.binance_asking import NO_SUCH_PATH, Asking
from accountd.venues.paging import Question, by_time, fetch, places

WEEK = timedelta(days=7) - timedelta(seconds=1)
THREE_MONTHS = timedelta(days=89)  # the shortest three months, less a leap
UNFILLED = timedelta(days=3)  # how long an order that ended unfilled is still told of
MANDATORY_MISSING = -1102
INCOME_LIMIT = 1000


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """How many rows a page of each history holds."""

    orders: int = 1000
    algo_orders: int = 1000
    fills: int = 1000


class FuturesSection:
    """One market. ``prefix`` stands before the kinds of its pages where a venue has several markets.

    ``whole_orders`` is the weight of asking for the orders of all symbols at once, None where the venue
    does not take that question.
    """

    by_symbol = True
    explain = staticmethod(absent.explain)

    def __init__(
        self,
        market: str,
        asking: Asking,
        retention: Mapping[str, Retention],
        income_types: Iterable[str],
        *,
        prefix: str = "",
        limits: Limits = Limits(),  # noqa: B008  # frozen
        whole_orders: int | None = None,
        algo_id: str = "algoId",
    ) -> None:
        self.market = market
        self.asking = asking
        self.retention = retention
        self.income_types = tuple(income_types)
        self.prefix = prefix
        self.limits = limits
        self.whole_orders = whole_orders
        self.algo_id = algo_id

    def exchange_info(self) -> Flow[ExchangeInfo]:
        """Return the declared weight limit and the symbols."""
        call = self.asking.call(f"{self.prefix}exchange_info")
        return (yield from binance.exchange_info(call, call.pool))

    def rank(self, symbol: SymbolInfo, assets: Collection[str]) -> int | None:
        """Return 1: positions and income name what is traded, any other symbol is as likely as the next."""
        return 1

    def open_orders(self, lag: timedelta, only: Mapping[str, Collection[str]] = ANY) -> Flow[Swept]:
        """Tell all open plain and conditional orders as of ``lag`` ago; of some symbols one by one."""
        swept = yield from self.asking.listed((f"{self.prefix}open_orders",), lag, only.get(ORDERS))
        if ALGO_ORDERS not in self.retention:
            return swept
        try:
            more = yield from self.asking.listed(
                (f"{self.prefix}open_algo_orders",), lag, only.get(ALGO_ORDERS)
            )
        except BadRequest as refusal:
            more = self._without_algo(refusal)
        return swept.plus(more)

    def orders(self, symbol: str | None, start: datetime, end: datetime) -> Flow[Swept]:
        """Tell the plain orders created in a window; without a symbol where the venue allows it."""
        refused = Swept(
            supported=False, unproven=[Window(start=start, end=end, reason="a symbol is mandatory")]
        )
        if symbol is None and self.whole_orders is None:
            return refused
        weight = None if symbol else self.whole_orders
        question = self._history("orders", symbol, "orderId", self.limits.orders, weight)
        try:
            return (yield from by_time(question, to_ms(start), to_ms(end)))
        except BadRequest as refusal:
            if symbol is None and refusal.code == MANDATORY_MISSING:
                return refused
            raise

    def algo_orders(self, symbol: str, start: datetime, end: datetime) -> Flow[Swept]:
        """Tell the conditional orders of a symbol created in a window."""
        question = self._history("algo_orders", symbol, self.algo_id, self.limits.algo_orders)
        try:
            return (yield from by_time(question, to_ms(start), to_ms(end)))
        except BadRequest as refusal:
            return self._without_algo(refusal)

    def _without_algo(self, refusal: BadRequest) -> Swept:
        """Where the algo service does not exist there are no such orders: plain ones carry the conditions."""
        if refusal.status != NO_SUCH_PATH:
            raise refusal
        return Swept(absent=[f"{self.market} conditional orders"])

    def fills(self, symbol: str, start: datetime, end: datetime) -> Flow[Swept]:
        """Tell the trades of a symbol in a window."""
        question = self._history("fills", symbol, "fromId", self.limits.fills)
        return (yield from by_time(question, to_ms(start), to_ms(end)))

    def transfers(self, start: datetime, end: datetime, symbols: Iterable[str] = ()) -> Flow[Swept]:
        """Tell every income row in a window. ``symbols`` are those known, for an overfull millisecond."""
        known = frozenset(symbols)

        def dense(ms: int, page: Page, swept: Swept) -> Flow[bool]:
            told = {row.kind.upper() for row in page.told if isinstance(row, Transfer)}
            complete = True
            for word in sorted(told.union(self.income_types)):
                complete &= yield from self._income_type(ms, word, known, swept)
            return complete

        question = Question(
            ask=self._income, read=self.asking.read, limit=INCOME_LIMIT,
            max_window=self.retention[TRANSFERS].window, dense=dense,
        )  # fmt: skip
        try:
            return (yield from by_time(question, to_ms(start), to_ms(end)))
        except BadRequest as refusal:
            if refusal.status != NO_SUCH_PATH:
                raise
            hole = Window(start=start, end=end, reason="no such history here")
            return Swept(unproven=[hole], absent=[f"{self.market} income"])

    def order(self, symbol: str, order_id: str) -> Flow[bool]:
        """Tell one plain order; return False when the venue does not know it any more."""
        params = (("symbol", symbol), ("orderId", order_id))
        return (yield from self.asking.single(f"{self.prefix}order", params))

    def algo_order(self, algo_id: str) -> Flow[bool]:
        """Tell one conditional order; return False when the venue does not know it any more."""
        return (yield from self.asking.single(f"{self.prefix}algo_order", ((self.algo_id, algo_id),)))

    def _history(
        self, dataset: str, symbol: str | None, cursor: str, limit: int, weight: int | None = None
    ) -> Question:
        window = self.retention[DATASET[dataset]].window
        return self.asking.history(f"{self.prefix}{dataset}", symbol, cursor, limit, window, weight)

    def _income(self, start_ms: int, end_ms: int, *more: tuple[str, str]) -> Call:
        window = (("startTime", str(start_ms)), ("endTime", str(end_ms)), ("limit", str(INCOME_LIMIT)))
        return self.asking.call(f"{self.prefix}income", (*more, *window))

    def _income_type(self, ms: int, word: str, known: frozenset[str], swept: Swept) -> Flow[bool]:
        """Read one income type of one millisecond, by symbol if need be; return whether all was seen."""
        kind = ("incomeType", word)
        page = yield from fetch(self._income(ms, ms, kind), self.asking.read, swept)
        if len(page.told) < INCOME_LIMIT:
            return len(places(page)) == len(page.told)
        seen = {row.symbol for row in page.told if isinstance(row, Transfer)}
        complete = bool(known) and None not in seen
        for symbol in sorted(known.union(symbol for symbol in seen if symbol)):
            part = yield from fetch(self._income(ms, ms, kind, ("symbol", symbol)), self.asking.read, swept)
            complete &= len(part.told) < INCOME_LIMIT and len(places(part)) == len(part.told)
        return complete


DATASET = {"orders": ORDERS, "algo_orders": ALGO_ORDERS, "fills": FILLS}
