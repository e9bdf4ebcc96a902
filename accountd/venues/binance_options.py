"""Binance Options: where it lives, what may be asked of it, and how its record is read.

Venue pages: derivatives/options-trading (general-info, user-data-streams, account and trade REST). The
stream's host and the names of its events are those of USDⓈ-M; key and meanings are its own.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from datetime import datetime, timedelta

import msgspec

from accountd.core.told import BALANCES, FILLS, ORDERS, POSITIONS, TRANSFERS
from accountd.venues import absent
from accountd.venues.base import (
    ANY,
    AccountState,
    Call,
    ExchangeInfo,
    Flow,
    Pool,
    Retention,
    Section,
    Swept,
    SymbolInfo,
    Urls,
    Window,
    to_ms,
)
from accountd.venues.binance import read, sapi_pools
from accountd.venues.binance_asking import Asked, Asking
from accountd.venues.binance_frames import Frames
from accountd.venues.binance_futures import THREE_MONTHS, WEEK
from accountd.venues.binance_options_events import MARKET, SETTLED_IN, OptionsEvents
from accountd.venues.binance_options_rows import PAGES
from accountd.venues.binance_product import RIGHTS, ListenKeyVenue
from accountd.venues.doors import StreamOptions
from accountd.venues.paging import Question, by_id, by_time, reply_to

POOL = "binance-options"
ROWS = 1000
HOSTS = {
    "live": Urls(
        rest="https://eapi.binance.com", stream="wss://fstream.binance.com", sapi="https://api.binance.com"
    ),
    "testnet": Urls(
        rest="https://testnet.binancefuture.com",
        stream="wss://fstream.binancefuture.com",
        sapi="https://testnet.binancefuture.com",
    ),
    # No document names a demo of its own; the demo of USDⓈ-M shares its back end with the test network.
    "demo": Urls(
        rest="https://testnet.binancefuture.com",
        stream="wss://fstream.binancefuture.com",
        sapi="https://testnet.binancefuture.com",
    ),
}
TABLE = {
    "account": Asked(path="/eapi/v1/marginAccount", weight=3),
    "account.totals": Asked(path="/eapi/v1/marginAccount", weight=3),
    "positions": Asked(path="/eapi/v1/position", weight=5),
    "open_orders": Asked(path="/eapi/v1/openOrders", weight=40),
    "orders": Asked(path="/eapi/v1/historyOrders", weight=3),
    "order": Asked(path="/eapi/v1/order", weight=1),
    "fills": Asked(path="/eapi/v1/userTrades", weight=5),
    "bill": Asked(path="/eapi/v1/bill", weight=1),
    "exercises": Asked(path="/eapi/v1/exerciseRecord", weight=5),
    "time": Asked(path="/eapi/v1/time", weight=1, signed=False),
    "exchange_info": Asked(path="/eapi/v1/exchangeInfo", weight=1, signed=False),
    "rights": RIGHTS,
}
NOTHING = timedelta(0)
FIVE_DAYS = timedelta(days=5)
RETENTION = {
    # Longer ago than five days nobody is told of an order: what was not read by then is a gap for ever.
    ORDERS: Retention(keeps=FIVE_DAYS, window=FIVE_DAYS, keeps_unfilled=timedelta(days=3)),
    FILLS: Retention(keeps=THREE_MONTHS, window=WEEK),
    TRANSFERS: Retention(keeps=THREE_MONTHS, window=WEEK),
    BALANCES: Retention(keeps=NOTHING, window=NOTHING),
    POSITIONS: Retention(keeps=NOTHING, window=NOTHING),
}


class _Contract(msgspec.Struct, rename="camel"):
    symbol: str
    underlying: str = ""
    quote_asset: str = ""
    status: str = "TRADING"


class _Limit(msgspec.Struct, rename="camel"):
    rate_limit_type: str = ""
    interval: str = ""
    interval_num: int = 0
    limit: int = 0


class _Info(msgspec.Struct, rename="camel"):
    option_symbols: list[_Contract] = []
    rate_limits: list[_Limit] = []


class _Account(msgspec.Struct, rename="camel"):
    can_trade: bool | None = None


class OptionsMarket:
    """The one market of options."""

    market = MARKET
    retention: Mapping[str, Retention] = RETENTION
    by_symbol = False
    algo_orders = staticmethod(absent.algo_orders)
    algo_order = staticmethod(absent.algo_order)
    explain = staticmethod(absent.explain)

    def __init__(self, asking: Asking) -> None:
        self.asking = asking

    def exchange_info(self) -> Flow[ExchangeInfo]:
        """Return the declared weight limit and the contracts that have not expired."""
        reply = yield from reply_to(self.asking.call("exchange_info"))
        info = read(reply, _Info, "exchange_info")
        a_minute = ("REQUEST_WEIGHT", "MINUTE", 1)
        declared = [
            row.limit
            for row in info.rate_limits
            if (row.rate_limit_type, row.interval, row.interval_num) == a_minute
        ]
        symbols = {
            row.symbol: SymbolInfo(
                symbol=row.symbol,
                status=row.status,
                base_asset=row.symbol.partition("-")[0],
                quote_asset=row.quote_asset,
                margin_asset=row.quote_asset,
            )
            for row in info.option_symbols
        }
        return ExchangeInfo(limits={POOL: declared[0]} if declared else {}, symbols=symbols)

    def rank(self, symbol: SymbolInfo, assets: Collection[str]) -> int | None:
        """Return 1: nothing but orders, positions and exercises names a contract."""
        return 1

    def open_orders(self, lag: timedelta, only: Mapping[str, Collection[str]] = ANY) -> Flow[Swept]:
        """Tell all open orders as of ``lag`` ago."""
        return (yield from self.asking.listed(("open_orders",), lag))

    def orders(self, symbol: str | None, start: datetime, end: datetime) -> Flow[Swept]:
        """Tell the finished orders of a contract in a window; those that are open stand in `open_orders`."""
        if symbol is None:
            hole = Window(start=start, end=end, reason="a symbol is mandatory")
            return Swept(supported=False, unproven=[hole])
        question = self.asking.history("orders", symbol, "orderId", ROWS, FIVE_DAYS)
        return (yield from by_time(question, to_ms(start), to_ms(end)))

    def fills(self, symbol: str, start: datetime, end: datetime) -> Flow[Swept]:
        """Tell the trades of a contract in a window."""
        question = self.asking.history("fills", symbol, None, ROWS, WEEK)
        return (yield from by_time(question, to_ms(start), to_ms(end)))

    def transfers(self, start: datetime, end: datetime, symbols: Iterable[str] = ()) -> Flow[Swept]:
        """Tell every row of the bill, and every exercise, in a window."""
        currency = ("currency", SETTLED_IN)
        limit = ("limit", str(ROWS))

        def ask(start_ms: int, end_ms: int) -> Call:
            window = (("startTime", str(start_ms)), ("endTime", str(end_ms)))
            return self.asking.call("bill", (currency, *window, limit))

        def ask_from(number: int) -> Call:
            return self.asking.call("bill", (currency, ("recordId", str(number)), limit))

        reading = self.asking.read
        bill = Question(
            ask=ask, read=reading, limit=ROWS, max_window=WEEK, dense=by_id(ask_from, reading, ROWS)
        )
        swept = yield from by_time(bill, to_ms(start), to_ms(end))
        exercises = self.asking.history("exercises", None, None, ROWS, WEEK)
        return swept.plus((yield from by_time(exercises, to_ms(start), to_ms(end))))

    def order(self, symbol: str, order_id: str) -> Flow[bool]:
        """Tell one order; return False when the venue does not know it any more."""
        return (yield from self.asking.single("order", (("symbol", symbol), ("orderId", order_id))))


class BinanceOptions(ListenKeyVenue):
    """The venue file of Binance Options; see `Venue` for what each verb promises."""

    name = "binance-options"
    hosts: Mapping[str, Urls] = HOSTS
    pool = POOL
    pools: Mapping[str, Pool] = {POOL: Pool(limit=400)} | sapi_pools([RIGHTS.path])
    renew = "POST"  # PUT answers {}
    listen_key = "/eapi/v1/listenKey"
    table = TABLE
    frames = Frames(OptionsEvents().readers())
    pages = PAGES

    def __init__(self) -> None:
        super().__init__()
        self._sections: tuple[Section, ...] = (OptionsMarket(self.asking),)

    @property
    def sections(self) -> tuple[Section, ...]:
        """Return the one market that there is here."""
        return self._sections

    def stream_url(self, urls: Urls, key: str, options: StreamOptions) -> str:
        """Return the private stream's address; the venue knows one form."""
        return f"{urls.stream}/private/ws/{key}"

    def snapshot(self, lag: timedelta) -> Flow[AccountState]:
        """Tell balances and positions as of ``lag`` ago (8 weight)."""
        page = yield from self.asking.page("account", lag)
        yield from self.asking.page("positions", lag)
        return AccountState(can_trade=read(page.reply, _Account, "account").can_trade)
