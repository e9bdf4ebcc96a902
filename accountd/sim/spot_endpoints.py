"""The answers of /api/v3 (and of the WebSocket API's twins) from the truth of a wallet."""

from typing import Any

from accountd.sim import refusals
from accountd.sim import spot_views as views
from accountd.sim.spot_events import eight
from accountd.sim.spot_model import SOR_SYMBOLS, OrderList, SpotFill, SpotOrder
from accountd.sim.spot_query import SpotQuery, archived

LARGEST = 1000
ARCHIVED = "Order was canceled or expired with no executed qty over 90 days ago and has been archived."
TRADE_COMBINATIONS: tuple[set[str], ...] = (
    set(),
    {"orderId"},
    {"startTime"},
    {"endTime"},
    {"fromId"},
    {"startTime", "endTime"},
    {"orderId", "fromId"},
)
ALLOCATION_COMBINATIONS: tuple[set[str], ...] = (
    set(),
    {"startTime"},
    {"endTime"},
    {"startTime", "endTime"},
    {"fromAllocationId"},
    {"orderId"},
    {"orderId", "fromAllocationId"},
)


def server_time(query: SpotQuery) -> Any:
    """Answer time."""
    return {"serverTime": query.now}


def ping(query: SpotQuery) -> Any:
    """Answer ping."""
    return {}


def rate_limits(weight: int = 6000) -> list[dict[str, Any]]:
    """Return the limits as exchangeInfo tells them."""
    rows = (
        ("REQUEST_WEIGHT", "MINUTE", 1, weight),
        ("ORDERS", "SECOND", 10, 100),
        ("ORDERS", "DAY", 1, 200_000),
        ("RAW_REQUESTS", "MINUTE", 5, 300_000),
    )
    return [
        {"rateLimitType": kind, "interval": interval, "intervalNum": number, "limit": limit}
        for kind, interval, number, limit in rows
    ]


def exchange_info(query: SpotQuery) -> Any:
    """Answer exchangeInfo, of all symbols, of one or of those listed in `symbols`."""
    one, wanted = query.symbol(), query.params.get("symbols", "")
    names = [name.strip('" ') for name in wanted.strip("[]").split(",") if name.strip('" ')]
    if any(name not in query.exchange.symbols for name in names):
        raise refusals.invalid_symbol()
    symbols = [one] if one else [query.exchange.symbols[n] for n in names or query.exchange.symbols]
    return {
        "timezone": "UTC",
        "serverTime": query.now,
        "rateLimits": rate_limits(),
        "exchangeFilters": [],
        "symbols": [views.symbol_row(symbol) for symbol in symbols],
        "sors": [{"baseAsset": "BTC", "symbols": list(SOR_SYMBOLS)}],
    }


def ticker_price(query: SpotQuery) -> Any:
    """Answer ticker/price."""
    one, prices = query.symbol(), query.exchange.prices
    if one:
        return {"symbol": one.name, "price": eight(prices[one.name])}
    return [{"symbol": name, "price": eight(price)} for name, price in prices.items()]


def account(query: SpotQuery) -> Any:
    """Answer account; `omitZeroBalances` leaves out what is zero."""
    omit = query.params.get("omitZeroBalances", "").lower() == "true"
    held = sorted(query.holdings(query.wallet).items())
    return {
        "makerCommission": 10,
        "takerCommission": 10,
        "buyerCommission": 0,
        "sellerCommission": 0,
        "commissionRates": {
            "maker": "0.00100000",
            "taker": "0.00100000",
            "buyer": "0.00000000",
            "seller": "0.00000000",
        },
        "canTrade": True,
        "canWithdraw": True,
        "canDeposit": True,
        "brokered": False,
        "requireSelfTradePrevention": False,
        "preventSor": False,
        "updateTime": query.wallet.updated_ms,
        "accountType": "SPOT",
        "balances": [
            {"asset": asset, "free": eight(one.free), "locked": eight(one.locked)}
            for asset, one in held
            if one.total or not omit
        ],
        "permissions": ["SPOT"],
        "uid": 354_937_868,
    }


def open_orders(query: SpotQuery) -> Any:
    """Answer openOrders, of one symbol or of all."""
    symbol = query.symbol()
    orders = query.orders(query.wallet, symbol.name if symbol else None)
    return [views.order_row(order) for order in orders if order.open]


def find_order(query: SpotQuery, orders: list[SpotOrder], all_orders: list[SpotOrder]) -> SpotOrder:
    """Return the order asked for by orderId or origClientOrderId; Refused -1102, -2013, -2026 or -2039."""
    number, client_id = query.number("orderId"), query.params.get("origClientOrderId")
    if number is None and not client_id:
        raise refusals.Refused(
            400, -1102, "Param 'origClientOrderId' or 'orderId' must be sent, but both were empty/null!"
        )
    for order in all_orders:
        if order.order_id == number or (number is None and order.client_order_id == client_id):
            if client_id and order.client_order_id != client_id:
                raise refusals.Refused(400, -2039, "clientOrderId and orderId don't match.")
            if archived(order, query.now):
                raise refusals.Refused(400, -2026, ARCHIVED)
            if order in orders:
                return order
    raise refusals.no_order()


def order(query: SpotQuery) -> Any:
    """Answer order."""
    symbol = query.the_symbol()
    held = [versions.now for (name, _), versions in query.wallet.orders.items() if name == symbol]
    return views.order_row(find_order(query, query.orders(query.wallet, symbol), held))


def select_orders(query: SpotQuery, orders: list[SpotOrder], limit: int) -> list[SpotOrder]:
    """Return a page of one symbol's orders: by time of their last change, else by number."""
    window = query.window()
    if window:
        chosen = [o for o in orders if window[0] <= o.updated_ms <= window[1]]
        return chosen[:limit] if query.given("startTime") else chosen[-limit:]
    start = query.number("orderId")
    return query.cut([o for o in orders if start is None or o.order_id >= start], limit)


def all_orders(query: SpotQuery) -> Any:
    """Answer allOrders: the symbol is mandatory, the window at most 24 hours."""
    symbol, limit = query.the_symbol(), query.limit(500, LARGEST)
    orders = query.orders(query.wallet, symbol)
    return [views.order_row(order) for order in select_orders(query, orders, limit)]


def select_fills(query: SpotQuery, fills: list[SpotFill], number: str, start: str) -> list[SpotFill]:
    """Return a page of one symbol's fills by orderId, `start` or time; `number` is the field of their id."""
    limit, order_id, first = query.limit(500, LARGEST), query.number("orderId"), query.number(start)
    low, high = query.window() or (0, query.now + 1)
    chosen = [
        fill
        for fill in fills
        if low <= fill.time_ms <= high
        and fill.time_ms <= query.seen
        and order_id in (None, fill.order_id)
        and (first is None or getattr(fill, number) >= first)
    ]
    return query.cut(chosen, limit)


def my_trades(query: SpotQuery) -> Any:
    """Answer myTrades; Refused -1128 for parameters that exclude each other."""
    symbol = query.the_symbol()
    if query.given("orderId", "startTime", "endTime", "fromId") not in TRADE_COMBINATIONS:
        raise refusals.bad_combination()
    fills = [f for f in query.wallet.fills if f.symbol == symbol and f.trade_id >= 0]
    return [views.trade_row(fill) for fill in select_fills(query, fills, "trade_id", "fromId")]


def my_allocations(query: SpotQuery) -> Any:
    """Answer myAllocations."""
    symbol = query.the_symbol()
    given = query.given("orderId", "startTime", "endTime", "fromAllocationId")
    if given not in ALLOCATION_COMBINATIONS:
        raise refusals.bad_combination()
    fills = [f for f in query.wallet.fills if f.symbol == symbol and f.allocation_id >= 0]
    return [views.allocation_row(f) for f in select_fills(query, fills, "allocation_id", "fromAllocationId")]


def prevented_matches(query: SpotQuery) -> Any:
    """Answer myPreventedMatches by preventedMatchId or by orderId."""
    symbol, limit = query.the_symbol(), query.limit(500, LARGEST)
    number, order_id = query.number("preventedMatchId"), query.number("orderId")
    if (number is None) == (order_id is None):
        raise refusals.bad_combination()
    first = query.number("fromPreventedMatchId") or 0
    rows = [m for m in query.wallet.prevented if m.symbol == symbol and m.time_ms <= query.seen]
    if number is not None:
        rows = [m for m in rows if m.match_id == number]
    else:
        rows = [m for m in rows if order_id in (m.taker_order_id, m.maker_order_id) and m.match_id >= first]
    return [views.prevented_row(match) for match in rows[:limit]]


def order_amendments(query: SpotQuery) -> Any:
    """Answer order/amendments of one order."""
    symbol, limit, number = query.the_symbol(), query.limit(500, LARGEST), query.number("orderId")
    if number is None:
        raise refusals.missing("orderId")
    first = query.number("fromExecutionId") or 0
    rows = [
        {**row, "origQty": eight(row["origQty"]), "newQty": eight(row["newQty"])}  # type: ignore[arg-type]
        for row in query.wallet.amendments
        if row["symbol"] == symbol and row["orderId"] == number and int(str(row["executionId"])) >= first
    ]
    return rows[:limit]


def list_view(query: SpotQuery, listed: OrderList) -> Any:
    """Print an order list with its orders."""
    return views.list_row(listed, list(query.exchange.list_orders(query.wallet, listed)))


def order_list(query: SpotQuery) -> Any:
    """Answer orderList by orderListId or origClientOrderId."""
    number, client_id = query.number("orderListId"), query.params.get("origClientOrderId")
    for listed in query.lists(query.wallet):
        if listed.list_id == number or (number is None and client_id and listed.client_id == client_id):
            return list_view(query, listed)
    raise refusals.Refused(400, -2018, "Order list does not exist.")


def open_order_lists(query: SpotQuery) -> Any:
    """Answer openOrderList."""
    rows = [one for one in query.lists(query.wallet) if one.order_status == "EXECUTING"]
    return [list_view(query, one) for one in rows]


def all_order_lists(query: SpotQuery) -> Any:
    """Answer allOrderList of all symbols: by fromId, or by time, or else the newest first."""
    limit, first = query.limit(500, LARGEST), query.number("fromId")
    window = query.window()
    if first is not None and window:
        raise refusals.bad_combination()
    rows = query.lists(query.wallet)
    if window:
        rows = [one for one in rows if window[0] <= one.created_ms <= window[1]]
    elif first is not None:
        rows = [one for one in rows if one.list_id >= first]
    else:
        rows = rows[::-1][:limit]
    return [list_view(query, one) for one in rows[:limit]]


def order_rate_limit(query: SpotQuery) -> Any:
    """Answer rateLimit/order: the account has sent no order through the API."""
    return [row | {"count": 0} for row in rate_limits() if row["rateLimitType"] == "ORDERS"]


def commission(query: SpotQuery) -> Any:
    """Answer account/commission."""
    rates = {"maker": "0.00100000", "taker": "0.00100000", "buyer": "0.00000000", "seller": "0.00000000"}
    none = dict.fromkeys(rates, "0.00000000")
    return {
        "symbol": query.the_symbol(),
        "standardCommission": rates,
        "specialCommission": none,
        "taxCommission": none,
        "discount": {
            "enabledForAccount": True,
            "enabledForSymbol": True,
            "discountAsset": "BNB",
            "discount": "0.75000000",
        },
    }
