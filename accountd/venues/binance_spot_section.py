"""The spot market of an account as its history is read: orders, trades, allocations, order lists.

Venue page: binance-spot-api-docs rest-api, "Account Endpoints". No question spans all symbols except open
orders and order lists, so symbols are found by what is held.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from datetime import UTC, datetime, timedelta

import msgspec

from accountd.core.beliefs import AMENDED, PREVENTED
from accountd.core.told import BALANCES, FILLS, ORDERS, TRANSFERS, Notice
from accountd.errors import BadRequest, VenueGone
from accountd.venues import absent
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
    from_ms,
    to_ms,
)
from accountd.venues.binance import exchange_info_of, read
from accountd.venues.binance_asking import Asked, Asking, Params
from accountd.venues.binance_spot_events import SOR
from accountd.venues.binance_spot_wallet import NOT_HERE, Wallet
from accountd.venues.paging import by_time, fetch, places, reply_to
from accountd.venues.wire import UNREADABLE

LIMIT = 1000
DAY = timedelta(days=1)
WINDOW = DAY - timedelta(milliseconds=1)
WIDE = timedelta(days=2)  # from here on it is worth a call to see whether there is much at all
FIRST = datetime(2017, 7, 1, tzinfo=UTC)  # the venue refuses times before 2017
PAGES = 50  # of all orders of a symbol, where a millisecond shows more of them than a page does
ARCHIVED = -2026  # ended unfilled more than 90 days ago
TOP = ("USDT", "USDC", "FDUSD", "BTC", "ETH", "BNB")
ANY_WIDTH = timedelta(0)
EXPLAINS = {AMENDED: "amendments", PREVENTED: "prevented"}
TABLE = {
    "account": Asked(path="/api/v3/account", weight=20),
    "open_orders": Asked(path="/api/v3/openOrders", weight=80),
    "orders": Asked(path="/api/v3/allOrders", weight=20),
    "order": Asked(path="/api/v3/order", weight=4),
    "fills": Asked(path="/api/v3/myTrades", weight=20),
    "allocations": Asked(path="/api/v3/myAllocations", weight=20),
    "order_lists": Asked(path="/api/v3/allOrderList", weight=20),
    "amendments": Asked(path="/api/v3/order/amendments", weight=4),
    "prevented": Asked(path="/api/v3/myPreventedMatches", weight=20),
    "time": Asked(path="/api/v3/time", weight=1, signed=False),
    "exchange_info": Asked(path="/api/v3/exchangeInfo", weight=20, signed=False),
}
RETENTION = {
    ORDERS: Retention(keeps=ANY_WIDTH, window=ANY_WIDTH, keeps_unfilled=timedelta(days=90)),
    FILLS: Retention(keeps=ANY_WIDTH, window=ANY_WIDTH),
    TRANSFERS: Retention(keeps=timedelta(days=180), window=timedelta(days=75)),
    BALANCES: Retention(keeps=ANY_WIDTH, window=ANY_WIDTH),
}


class RouteRow(msgspec.Struct, rename="camel", gc=False):
    """What a row of GET openOrders and allOrders says about where the order went."""

    symbol: str = ""
    used_sor: bool = False
    working_floor: str | None = None


class _Routed(msgspec.Struct):
    symbols: list[str] = []


class _Sors(msgspec.Struct):
    sors: list[_Routed] = []


_routes = msgspec.json.Decoder(list[RouteRow], strict=False)


def routed_symbols(body: bytes) -> set[str]:
    """Return the symbols of the orders on a page that the venue routed: their fills are allocations."""
    if b"SOR" not in body and b"usedSor" not in body:
        return set()
    try:
        rows = _routes.decode(body)
    except UNREADABLE:  # the page says so itself
        return set()
    return {row.symbol for row in rows if row.used_sor or row.working_floor == SOR}


def likelihood(symbol: SymbolInfo, assets: Collection[str]) -> int:
    """Say how likely a symbol is: its base is held and sold against what is usual or held; one of its
    assets is held; a usual quote; the rest."""
    usual = symbol.quote_asset in TOP
    base, quote = symbol.base_asset in assets, symbol.quote_asset in assets
    if base and (usual or quote):
        return 0
    if base or (quote and usual):
        return 1
    return 2 if usual else 3


class SpotSection:
    """One spot market. ``routed`` are the symbols whose orders may be filled by allocations.

    ``limits`` say how many rows a page shows at most, where that is not the usual number.
    """

    limits: Mapping[str, int] = {}
    by_symbol = False
    algo_orders = staticmethod(absent.algo_orders)
    algo_order = staticmethod(absent.algo_order)

    def __init__(self, market: str, asking: Asking, wallet: Wallet, routed: set[str],
                 retention: Mapping[str, Retention] = RETENTION) -> None:  # fmt: skip
        self.market = market
        self.asking = asking
        self.wallet = wallet
        self.routed = routed
        self.retention = retention
        self.allocations = True

    def exchange_info(self) -> Flow[ExchangeInfo]:
        """Return the declared weight limit and the symbols; note which of them the venue routes."""
        call = self.asking.call("exchange_info")
        reply = yield from reply_to(call)
        for one in read(reply, _Sors, "exchange_info").sors:
            self.routed.update(one.symbols)
        return exchange_info_of(reply, call.pool)

    def rank(self, symbol: SymbolInfo, assets: Collection[str]) -> int | None:
        """Say how likely a symbol is, by the assets held."""
        return likelihood(symbol, assets)

    def open_orders(self, lag: timedelta, only: Mapping[str, Collection[str]] = ANY) -> Flow[Swept]:
        """Tell all open orders as of ``lag`` ago (80 weight)."""
        return (yield from self.asking.listed(("open_orders",), lag))

    def orders(self, symbol: str | None, start: datetime, end: datetime) -> Flow[Swept]:
        """Tell the orders of a symbol that moved in a window. Without a symbol, name the symbols that
        order lists were placed in: the venue tells no more across symbols."""
        if symbol is None:
            return (yield from self._lists(start, end))
        return (yield from self._history("orders", symbol, start, end, "orderId"))

    def fills(self, symbol: str, start: datetime, end: datetime) -> Flow[Swept]:
        """Tell the trades of a symbol in a window, and its allocations where the venue routes orders."""
        swept = yield from self._history("fills", symbol, start, end, "fromId")
        if symbol not in self.routed or not self.allocations:
            return swept
        try:
            return swept.plus(
                (yield from self._history("allocations", symbol, start, end, "fromAllocationId"))
            )
        except (BadRequest, VenueGone) as refusal:
            if refusal.status not in NOT_HERE:
                raise
            self.allocations = False  # not every venue of this kind routes orders
            return swept

    def transfers(self, start: datetime, end: datetime, symbols: Iterable[str] = ()) -> Flow[Swept]:
        """Tell what came to the wallet and went from it in a window."""
        return (yield from self.wallet.transfers(max(start, FIRST), end))

    def order(self, symbol: str, order_id: str) -> Flow[bool]:
        """Tell one order; return False when the venue does not know it any more."""
        try:
            return (yield from self.asking.single("order", (("symbol", symbol), ("orderId", order_id))))
        except BadRequest as refusal:
            if refusal.code == ARCHIVED:
                return False
            raise

    def explain(self, symbol: str, order_id: str, what: str) -> Flow[None]:
        """Tell the amendments of an order, or what prevented its trades; where there is such a history.

        One page holds all: an order is amended ten times at most, and a match is prevented once.
        """
        kind = EXPLAINS.get(what, "")
        if kind in self.asking.table:
            params = (("symbol", symbol), ("orderId", order_id), ("limit", str(LIMIT)))
            yield from fetch(self.asking.call(kind, params), self.asking.read, Swept())

    def fixed(self, symbol: str) -> Params:
        """Return what a question about a symbol says beside the symbol."""
        return ()

    def read(self, call: Call, reply: Reply) -> Page:
        """Return a page; orders say too which symbols the venue routes: their fills are read apart."""
        self.routed.update(routed_symbols(reply.body))
        return self.asking.read(call, reply)

    def _history(self, kind: str, symbol: str, start: datetime, end: datetime, cursor: str) -> Flow[Swept]:
        """Read a history in windows of a day; a long stretch begins with the first rows there are.

        When those are all that there are, no window needs to be asked for.
        """
        first, start = Swept(), max(start, FIRST)
        limit, fixed = self.limits.get(kind, LIMIT), self.fixed(symbol)
        if end - start > WIDE:
            params = (("symbol", symbol), *fixed, (cursor, "0"), ("limit", str(limit)))
            page = yield from fetch(self.asking.call(kind, params), self.read, first)
            found = places(page)
            if page.size < limit and len(found) == page.size:
                return first
            if found and page.size >= limit:
                start = max(start, from_ms(min(at for at, _ in found)))
        # The numbers of orders do not stand in the order of their last change, those of trades do.
        most = PAGES if kind == "orders" else 0
        question = self.asking.history(kind, symbol, cursor, limit, WINDOW, params=fixed, most=most)
        question = msgspec.structs.replace(question, read=self.read)
        swept = yield from by_time(question, to_ms(start), to_ms(end))
        swept.rows += first.rows
        swept.calls += first.calls
        return swept

    def _lists(self, start: datetime, end: datetime) -> Flow[Swept]:
        swept = Swept(supported=False)
        begin = max(start, FIRST, end - WIDE)
        while begin < end:
            stop = min(end, begin + WINDOW)
            params = (("startTime", str(to_ms(begin))), ("endTime", str(to_ms(stop))), ("limit", str(LIMIT)))
            page = yield from fetch(self.asking.call("order_lists", params), self.asking.read, swept)
            swept.symbols.update(row.symbol for row in page.told if isinstance(row, Notice) and row.symbol)
            begin = stop + timedelta(milliseconds=1)
        return swept
