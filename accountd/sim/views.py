"""REST bodies of orders, conditional orders, fills and income exactly as the official samples show them."""

from typing import Any

from accountd.sim.accounting import (
    average_price,
    average_text,
    money,
    places,
    plain,
    price_text,
    quantity_text,
)
from accountd.sim.model import AlgoOrder, Fill, Income, Order, Symbol

Body = dict[str, Any]


def order_row(order: Order, symbol: Symbol) -> Body:
    """Build a row of order, openOrder and openOrders."""
    return {
        "avgPrice": average_text(average_price(order), symbol),
        "clientOrderId": order.client_order_id,
        "cumQuote": plain(order.quote),
        "executedQty": quantity_text(order.filled, symbol),
        "orderId": order.order_id,
        "origQty": quantity_text(order.quantity, symbol),
        "origType": order.type,
        "price": price_text(order.price, symbol),
        "reduceOnly": order.reduce_only,
        "side": order.side,
        "positionSide": order.position_side,
        "status": order.status,
        "stopPrice": "0",
        "closePosition": order.close_position,
        "symbol": order.symbol,
        "time": order.created_ms,
        "timeInForce": order.time_in_force,
        "type": order.type,
        "updateTime": order.updated_ms,
        "workingType": "CONTRACT_PRICE",
        "priceProtect": False,
        "priceMatch": "NONE",
        "selfTradePreventionMode": "EXPIRE_MAKER",
        "goodTillDate": 0,
    }


def all_orders_row(order: Order, symbol: Symbol) -> Body:
    """Build a row of allOrders, which names the pair and the base as well."""
    extra = {"cumBase": quantity_text(order.filled, symbol), "pair": order.symbol}
    return order_row(order, symbol) | extra


FORCE_ORDER_KEYS = [
    "orderId",
    "symbol",
    "pair",
    "status",
    "clientOrderId",
    "price",
    "avgPrice",
    "origQty",
    "executedQty",
    "cumQuote",
    "cumBase",
    "timeInForce",
    "type",
    "reduceOnly",
    "closePosition",
    "side",
    "positionSide",
    "stopPrice",
    "workingType",
    "origType",
    "time",
    "updateTime",
]


def force_order_row(order: Order, symbol: Symbol) -> Body:
    """Build a row of forceOrders."""
    row = all_orders_row(order, symbol)
    return {key: row[key] for key in FORCE_ORDER_KEYS}


def trade_row(fill: Fill, symbol: Symbol) -> Body:
    """Build a row of userTrades."""
    return {
        "buyer": fill.side == "BUY",
        "commission": money(fill.commission),
        "commissionAsset": fill.commission_asset,
        "id": fill.trade_id,
        "maker": fill.maker,
        "orderId": fill.order_id,
        "price": price_text(fill.price, symbol),
        "qty": quantity_text(fill.quantity, symbol),
        "quoteQty": plain(fill.quote),
        "baseQty": quantity_text(fill.quantity, symbol),
        "marginAsset": symbol.quote,
        "realizedPnl": money(fill.realized_pnl),
        "side": fill.side,
        "positionSide": fill.position_side,
        "symbol": fill.symbol,
        "pair": fill.symbol,
        "time": fill.time_ms,
    }


def income_row(income: Income) -> Body:
    """Build a row of income."""
    return {
        "symbol": income.symbol,
        "incomeType": income.type,
        "income": money(income.amount),
        "asset": income.asset,
        "info": income.type,
        "time": income.time_ms,
        "tranId": income.tran_id,
        "tradeId": income.trade_id,
    }


def _algo_head(algo: AlgoOrder, symbol: Symbol) -> Body:
    return {
        "algoId": algo.algo_id,
        "clientAlgoId": algo.client_algo_id,
        "algoType": "CONDITIONAL",
        "orderType": algo.type,
        "symbol": algo.symbol,
        "side": algo.side,
        "positionSide": algo.position_side,
        "timeInForce": algo.time_in_force,
        "quantity": quantity_text(algo.quantity, symbol),
        "algoStatus": algo.status,
        "actualOrderId": str(algo.order_id) if algo.order_id else "",
        "actualPrice": places(algo.executed_price, 5),
    }


def _algo_tail(algo: AlgoOrder) -> Body:
    return {
        "tpOrderType": "",
        "selfTradePreventionMode": "EXPIRE_MAKER",
        "workingType": "CONTRACT_PRICE",
        "priceMatch": "NONE",
        "closePosition": algo.close_position,
        "priceProtect": False,
        "reduceOnly": algo.reduce_only,
        "createTime": algo.created_ms,
        "updateTime": algo.updated_ms,
        "triggerTime": algo.trigger_ms,
        "goodTillDate": 0,
    }


def _algo_prices(algo: AlgoOrder, symbol: Symbol) -> Body:
    return {
        "triggerPrice": places(algo.trigger_price, symbol.price_places),
        "price": places(algo.price, symbol.price_places),
        "icebergQuantity": "None",
    }


def algo_row(algo: AlgoOrder, symbol: Symbol) -> Body:
    """Build the body of algoOrder, which tells the actual type and quantity."""
    actual = {
        "actualType": ("LIMIT" if algo.price else "MARKET") if algo.order_id else "",
        "actualQty": quantity_text(algo.executed, symbol),
    }
    return _algo_head(algo, symbol) | actual | _algo_prices(algo, symbol) | _algo_tail(algo)


def all_algo_row(algo: AlgoOrder, symbol: Symbol) -> Body:
    """Build a row of openAlgoOrders and allAlgoOrders."""
    brackets = dict.fromkeys(("tpTriggerPrice", "tpPrice", "slTriggerPrice", "slPrice"), "0.000")
    return _algo_head(algo, symbol) | _algo_prices(algo, symbol) | brackets | _algo_tail(algo)
