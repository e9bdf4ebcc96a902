"""The cross and the isolated margin market of an account as their history is read.

Venue pages: docs/margin_trading trade and account REST. A question about orders or trades needs a symbol,
spans a day at most, and says whether it is about the isolated account of that symbol.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from datetime import datetime, timedelta

import msgspec

from accountd.core.told import BALANCES, FILLS, ORDERS, TRANSFERS, Order, Told
from accountd.errors import BadRequest
from accountd.venues.base import ANY, ExchangeInfo, Flow, Reply, Retention, Swept, SymbolInfo
from accountd.venues.binance import exchange_info_of, read, sapi_pool
from accountd.venues.binance_asking import Asked, Asking, Params
from accountd.venues.binance_margin_money import MarginMoney
from accountd.venues.binance_spot_section import ANY_WIDTH, SpotSection
from accountd.venues.binance_spot_section import TABLE as SPOT_TABLE
from accountd.venues.binance_spot_wallet import Wallet
from accountd.venues.paging import reply_to

ROOT = "/sapi/v1/margin"
OPEN_OF_ALL = 400  # without a symbol the venue counts the symbols that trade
KEPT = timedelta(days=90)
RETENTION = {
    ORDERS: Retention(keeps=ANY_WIDTH, window=ANY_WIDTH, keeps_unfilled=timedelta(days=90)),
    FILLS: Retention(keeps=ANY_WIDTH, window=ANY_WIDTH),
    TRANSFERS: Retention(keeps=KEPT, window=KEPT),
    BALANCES: Retention(keeps=ANY_WIDTH, window=ANY_WIDTH),
}


def _sapi(path: str, weight: int) -> Asked:
    return Asked(path=f"{ROOT}/{path}", weight=weight, pool=sapi_pool(f"{ROOT}/{path}"), base="sapi")


PATHS = {
    "open_orders": ("openOrders", 10),
    "orders": ("allOrders", 200),
    "order": ("order", 10),
    "fills": ("myTrades", 10),
    "order_lists": ("allOrderList", 200),
    "interest": ("interestHistory", 1),
    "loans": ("borrow-repay", 10),
    "repayments": ("borrow-repay", 10),
    "capital_flow": ("capital-flow", 100),
    "moves": ("transfer", 1),
}


def table(account: str) -> dict[str, Asked]:
    """Return where each kind of page is asked for; ``account`` is the path of the snapshot."""
    public = {kind: SPOT_TABLE[kind] for kind in ("time", "exchange_info")}
    return {**public, "account": _sapi(account, 10), **{kind: _sapi(*at) for kind, at in PATHS.items()}}


class _Tradable(msgspec.Struct, rename="camel"):
    symbol: str
    is_margin_trading_allowed: bool = True


class _Tradables(msgspec.Struct):
    symbols: list[_Tradable] = []


class _Pair(msgspec.Struct):
    symbol: str
    enabled: bool = True


class Pairs(msgspec.Struct):
    """The isolated accounts that there are."""

    assets: list[_Pair] = []


class MarginSection(SpotSection):
    """The cross margin market; interest, loans and transfers are its movements of money."""

    limits: Mapping[str, int] = {"orders": 500}

    def __init__(self, market: str, asking: Asking, routed: set[str]) -> None:
        super().__init__(market, asking, Wallet(asking, ()), routed, RETENTION)
        self.money = MarginMoney(asking)

    def exchange_info(self) -> Flow[ExchangeInfo]:
        """Return the declared weight limit and the symbols that trade on margin."""
        call = self.asking.call("exchange_info")
        reply = yield from reply_to(call)
        told = read(reply, _Tradables, "exchange_info").symbols
        closed = {row.symbol for row in told if not row.is_margin_trading_allowed}
        info = exchange_info_of(reply, call.pool)
        symbols = {name: one for name, one in info.symbols.items() if name not in closed}
        return ExchangeInfo(limits=info.limits, symbols=symbols)

    def rank(self, symbol: SymbolInfo, assets: Collection[str]) -> int | None:
        """Say how likely a symbol is: as on spot, of what is held or flowed."""
        return super().rank(symbol, self.money.moved.union(assets))

    def open_orders(self, lag: timedelta, only: Mapping[str, Collection[str]] = ANY) -> Flow[Swept]:
        """Tell all open orders as of ``lag`` ago."""
        page = yield from self.asking.page("open_orders", lag, weight=OPEN_OF_ALL)
        return _orders_of([page.told])

    def fills(self, symbol: str, start: datetime, end: datetime) -> Flow[Swept]:
        """Tell the trades of a symbol in a window."""
        return (yield from self._history("fills", symbol, start, end, "fromId"))

    def transfers(self, start: datetime, end: datetime, symbols: Iterable[str] = ()) -> Flow[Swept]:
        """Tell what was borrowed, repaid, charged, moved in and out, and liquidated in a window."""
        return (yield from self.money.transfers(start, end))

    def order(self, symbol: str, order_id: str) -> Flow[bool]:
        """Tell one order; return False when the venue does not know it any more."""
        params = (("symbol", symbol), *self.fixed(symbol), ("orderId", order_id))
        return (yield from self.asking.single("order", params))


class IsolatedSection(MarginSection):
    """The isolated accounts: one for each pair, which is its only symbol.

    ``pairs`` are those that the account has opened; they are found anew with every snapshot. ``closed``
    are those that have been disabled since: they keep their history and cannot be listened to.
    """

    def __init__(self, market: str, asking: Asking, routed: set[str]) -> None:
        super().__init__(market, asking, routed)
        self.pairs: set[str] = set()
        self.closed: set[str] = set()

    def exchange_info(self) -> Flow[ExchangeInfo]:
        """Return the declared weight limit and the symbols; find the pairs that are open."""
        info = yield from super().exchange_info()
        yield from self.open_pairs()
        return info

    def open_pairs(self, wanted: Iterable[str] = ()) -> Flow[tuple[str, ...]]:
        """Return the pairs that have an account, and of those ``wanted`` the ones that have one as well."""
        yield from self._named(())
        for pair in sorted(set(wanted) - self.pairs):
            try:
                yield from self._named((("symbols", pair),))
            except BadRequest:  # no such account: there is nothing to listen to
                continue
        return tuple(sorted(self.pairs - self.closed))

    def _named(self, params: Params) -> Flow[None]:
        self.take((yield from reply_to(self.asking.call("account", params))))

    def take(self, reply: Reply) -> int:
        """Note which pairs a snapshot shows, open or closed; return how many."""
        rows = read(reply, Pairs, "account").assets
        self.pairs.update(row.symbol for row in rows)
        self.closed = (self.closed | {row.symbol for row in rows if not row.enabled}) - {
            row.symbol for row in rows if row.enabled
        }
        return len(rows)

    def fixed(self, symbol: str) -> Params:
        """Return that a question is about the isolated account."""
        return (("isIsolated", "TRUE"),)

    def rank(self, symbol: SymbolInfo, assets: Collection[str]) -> int | None:
        """Return 0 for a pair that holds something, 1 for one that is empty, None for what has no account."""
        if symbol.symbol not in self.pairs:
            return None
        return 0 if any(asset.partition(":")[0] == symbol.symbol for asset in assets) else 1

    def open_orders(self, lag: timedelta, only: Mapping[str, Collection[str]] = ANY) -> Flow[Swept]:
        """Tell the open orders of every pair as of ``lag`` ago."""
        told: list[list[Told]] = []
        for pair in sorted(self.pairs - self.closed):  # a closed one has no open orders
            page = yield from self.asking.page("open_orders", lag, (("symbol", pair), *self.fixed(pair)))
            told.append(page.told)
        return _orders_of(told)

    def orders(self, symbol: str | None, start: datetime, end: datetime) -> Flow[Swept]:
        """Tell the orders of a pair in a window; nothing spans the pairs."""
        if symbol is None or symbol not in self.pairs:
            return Swept(supported=symbol is not None)
        return (yield from super().orders(symbol, start, end))

    def fills(self, symbol: str, start: datetime, end: datetime) -> Flow[Swept]:
        """Tell the trades of a pair in a window; a symbol without an account has none."""
        if symbol not in self.pairs:
            return Swept()
        return (yield from super().fills(symbol, start, end))

    def transfers(self, start: datetime, end: datetime, symbols: Iterable[str] = ()) -> Flow[Swept]:
        """Tell what was borrowed, repaid, charged, moved and liquidated, pair by pair."""
        swept = Swept()
        for pair in sorted(self.pairs):
            swept = swept.plus((yield from self.money.transfers(start, end, pair)))
        return swept


def _orders_of(pages: list[list[Told]]) -> Swept:
    found = [row for told in pages for row in told if isinstance(row, Order)]
    return Swept(rows=len(found), calls=len(pages), symbols={row.symbol for row in found})
