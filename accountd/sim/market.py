"""REST endpoints about the market and the account's terms: exchange info, prices, rates, modes."""

from decimal import Decimal
from typing import Any

from accountd.sim.accounting import money, places
from accountd.sim.model import Symbol
from accountd.sim.query import Query

Body = Any
FUNDING_EVERY_MS = 8 * 3_600_000
ORDER_TYPES = [
    "LIMIT",
    "MARKET",
    "STOP",
    "STOP_MARKET",
    "TAKE_PROFIT",
    "TAKE_PROFIT_MARKET",
    "TRAILING_STOP_MARKET",
]


def rate_limits(weight: int) -> list[Body]:
    """Return the limits as exchangeInfo declares them."""
    declared = (
        ("REQUEST_WEIGHT", "MINUTE", 1, weight),
        ("ORDERS", "MINUTE", 1, 1200),
        ("ORDERS", "SECOND", 10, 300),
    )
    return [
        {"interval": interval, "intervalNum": number, "limit": limit, "rateLimitType": kind}
        for kind, interval, number, limit in declared
    ]


def exchange_info(q: Query, weight_limit: int) -> Body:
    """GET exchangeInfo."""
    assets = sorted({symbol.quote for symbol in q.exchange.symbols.values()} | {"BNB"})
    return {
        "exchangeFilters": [],
        "rateLimits": rate_limits(weight_limit),
        "serverTime": q.exchange.clock.now(),
        "assets": [{"asset": a, "marginAvailable": True, "autoAssetExchange": "-10000"} for a in assets],
        "symbols": [_symbol_info(symbol) for symbol in q.exchange.symbols.values()],
        "timezone": "UTC",
    }


def _symbol_info(symbol: Symbol) -> Body:
    return {
        "symbol": symbol.name,
        "pair": symbol.name,
        "contractType": "PERPETUAL",
        "deliveryDate": 4133404800000,
        "onboardDate": 1598252400000,
        "status": "TRADING",
        "maintMarginPercent": "2.5000",
        "requiredMarginPercent": "5.0000",
        "baseAsset": symbol.base,
        "quoteAsset": symbol.quote,
        "marginAsset": symbol.quote,
        "pricePrecision": symbol.price_places,
        "quantityPrecision": symbol.quantity_places,
        "baseAssetPrecision": 8,
        "quotePrecision": 8,
        "underlyingType": "COIN",
        "underlyingSubType": ["PoW"],
        "settlePlan": 0,
        "triggerProtect": "0.0500",
        "filters": _filters(symbol),
        "orderTypes": ORDER_TYPES,
        "timeInForce": ["GTC", "IOC", "FOK", "GTX", "GTD"],
        "liquidationFee": "0.012500",
        "marketTakeBound": "0.05",
    }


def _filters(symbol: Symbol) -> list[Body]:
    tick = f"{Decimal(1).scaleb(-symbol.price_places):f}"
    step = f"{Decimal(1).scaleb(-symbol.quantity_places):f}"
    lot = {"maxQty": "1000000", "minQty": step, "stepSize": step}
    return [
        {"filterType": "PRICE_FILTER", "maxPrice": "10000000", "minPrice": tick, "tickSize": tick},
        {"filterType": "LOT_SIZE"} | lot,
        {"filterType": "MARKET_LOT_SIZE"} | lot,
        {"filterType": "MAX_NUM_ORDERS", "limit": 200},
        {"filterType": "MIN_NOTIONAL", "notional": "5"},
        {
            "filterType": "PERCENT_PRICE",
            "multiplierUp": "1.0500",
            "multiplierDown": "0.9500",
            "multiplierDecimal": "4",
        },
    ]


def premium_index(q: Query) -> Body:
    """GET premiumIndex, of one symbol or all."""
    symbol, now = q.symbol(), q.exchange.clock.now()
    rows = [
        {
            "symbol": name,
            "markPrice": money(mark),
            "indexPrice": money(mark),
            "estimatedSettlePrice": money(mark),
            "lastFundingRate": "0.00010000",
            "interestRate": "0.00010000",
            "nextFundingTime": (now // FUNDING_EVERY_MS + 1) * FUNDING_EVERY_MS,
            "time": now,
        }
        for name, mark in q.exchange.marks.items()
        if symbol is None or name == symbol.name
    ]
    return rows[0] if symbol else rows


def ticker_price(q: Query) -> Body:
    """GET ticker/price, of one symbol or all."""
    symbol, now = q.symbol(), q.exchange.clock.now()
    rows = [
        {"symbol": s.name, "price": places(q.exchange.marks[s.name], s.price_places), "time": now}
        for s in q.exchange.symbols.values()
        if symbol in (None, s)
    ]
    return rows[0] if symbol else rows


def commission_rate(q: Query) -> Body:
    """GET commissionRate of one symbol."""
    return {
        "symbol": q.the_symbol().name,
        "makerCommissionRate": "0.0002",
        "takerCommissionRate": "0.0004",
        "rpiCommissionRate": "0.00005",
    }


def position_mode(q: Query) -> Body:
    """GET positionSide/dual."""
    return {"dualSidePosition": q.account.hedge}


def multi_assets_margin(q: Query) -> Body:
    """GET multiAssetsMargin."""
    return {"multiAssetsMargin": False}


def leverage_bracket(q: Query) -> Body:
    """GET leverageBracket, of one symbol or all."""
    symbol = q.symbol()
    names = [symbol.name] if symbol else list(q.exchange.symbols)
    bracket = {
        "bracket": 1,
        "initialLeverage": 125,
        "notionalCap": 100000000,
        "notionalFloor": 0,
        "maintMarginRatio": 0.0065,
        "cum": 0,
    }
    return [{"symbol": name, "notionalCoef": 1.5, "brackets": [bracket]} for name in names]


def order_rate_limit(q: Query) -> Body:
    """GET rateLimit/order."""
    keys = ("rateLimitType", "interval", "intervalNum", "limit")
    rows = [row for row in rate_limits(0) if row["rateLimitType"] == "ORDERS"]
    return [{key: row[key] for key in keys} for row in rows]
