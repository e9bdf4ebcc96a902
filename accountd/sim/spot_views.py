"""Spot and margin rows exactly as the official REST samples show them."""

from typing import Any

from accountd.sim.spot_events import eight
from accountd.sim.spot_model import OrderList, PreventedMatch, SpotFill, SpotOrder, SpotSymbol

Row = dict[str, Any]
ORDER_TYPES = (
    "LIMIT",
    "LIMIT_MAKER",
    "MARKET",
    "STOP_LOSS",
    "STOP_LOSS_LIMIT",
    "TAKE_PROFIT",
    "TAKE_PROFIT_LIMIT",
)


def order_row(order: SpotOrder) -> Row:
    """Print an order of order, openOrders and allOrders; conditional fields under their condition."""
    row: Row = {
        "symbol": order.symbol,
        "orderId": order.order_id,
        "orderListId": order.list_id,
        "clientOrderId": order.client_order_id,
        "price": eight(order.price),
        "origQty": eight(order.quantity),
        "executedQty": eight(order.filled),
        "cummulativeQuoteQty": eight(order.quote),
        "status": order.status,
        "timeInForce": order.time_in_force,
        "type": order.type,
        "side": order.side,
        "stopPrice": eight(order.stop_price),
        "icebergQty": eight(order.iceberg),
        "time": order.created_ms,
        "updateTime": order.updated_ms,
        "isWorking": order.working_ms is not None,
        "workingTime": -1 if order.working_ms is None else order.working_ms,
        "origQuoteOrderQty": eight(order.quote_order_quantity),
        "selfTradePreventionMode": order.stp_mode,
    }
    if order.prevented_match_id >= 0:
        row |= {"preventedMatchId": order.prevented_match_id, "preventedQuantity": eight(order.prevented)}
    if order.used_sor:
        row |= {"usedSor": True, "workingFloor": "SOR"}
    if order.strategy:
        row["strategyId"], row["strategyType"] = order.strategy
    if order.trailing_delta:
        row["trailingDelta"] = order.trailing_delta
    if order.expiry_reason:
        row["expiryReason"] = order.expiry_reason
    return row


def _execution(fill: SpotFill) -> Row:
    """Print what a trade and an allocation have in common."""
    return {
        "orderId": fill.order_id,
        "orderListId": fill.list_id,
        "price": eight(fill.price),
        "qty": eight(fill.quantity),
        "quoteQty": eight(fill.quote),
        "commission": eight(fill.commission),
        "commissionAsset": fill.commission_asset,
        "time": fill.time_ms,
        "isBuyer": fill.side == "BUY",
        "isMaker": fill.maker,
    }


def trade_row(fill: SpotFill) -> Row:
    """Print a row of myTrades."""
    return {
        "symbol": fill.symbol,
        "id": fill.trade_id,
        **_execution(fill),
        "isBestMatch": True,
    }


def allocation_row(fill: SpotFill) -> Row:
    """Print a row of myAllocations."""
    return {
        "symbol": fill.symbol,
        "allocationId": fill.allocation_id,
        "allocationType": "SOR",
        **_execution(fill),
        "isAllocator": False,
    }


def prevented_row(match: PreventedMatch) -> Row:
    """Print a row of myPreventedMatches."""
    return {
        "symbol": match.symbol,
        "preventedMatchId": match.match_id,
        "takerOrderId": match.taker_order_id,
        "makerSymbol": match.symbol,
        "makerOrderId": match.maker_order_id,
        "tradeGroupId": 1,
        "selfTradePreventionMode": match.mode,
        "price": eight(match.price),
        "makerPreventedQuantity": eight(match.maker_prevented),
        "transactTime": match.time_ms,
    }


def list_row(listed: OrderList, orders: list[SpotOrder]) -> Row:
    """Print an order list."""
    return {
        "orderListId": listed.list_id,
        "contingencyType": listed.contingency,
        "listStatusType": listed.list_status,
        "listOrderStatus": listed.order_status,
        "listClientOrderId": listed.client_id,
        "transactionTime": listed.created_ms,
        "symbol": listed.symbol,
        "orders": [
            {"symbol": o.symbol, "orderId": o.order_id, "clientOrderId": o.client_order_id} for o in orders
        ],
    }


def symbol_row(symbol: SpotSymbol) -> Row:
    """Print a symbol of exchangeInfo."""
    tick, step = (f"{10**-places:.8f}" for places in (symbol.price_places, symbol.quantity_places))
    return {
        "symbol": symbol.name,
        "status": "TRADING",
        "baseAsset": symbol.base,
        "baseAssetPrecision": 8,
        "quoteAsset": symbol.quote,
        "quotePrecision": 8,
        "quoteAssetPrecision": 8,
        "baseCommissionPrecision": 8,
        "quoteCommissionPrecision": 8,
        "orderTypes": list(ORDER_TYPES),
        "icebergAllowed": True,
        "ocoAllowed": True,
        "otoAllowed": True,
        "opoAllowed": True,
        "quoteOrderQtyMarketAllowed": True,
        "allowTrailingStop": False,
        "cancelReplaceAllowed": True,
        "amendAllowed": True,
        "pegInstructionsAllowed": True,
        "isSpotTradingAllowed": True,
        "isMarginTradingAllowed": symbol.margin,
        "filters": [
            {
                "filterType": "PRICE_FILTER",
                "minPrice": tick,
                "maxPrice": "1000000.00000000",
                "tickSize": tick,
            },
            {"filterType": "LOT_SIZE", "minQty": step, "maxQty": "9000.00000000", "stepSize": step},
        ],
        "permissions": [],
        "permissionSets": [["SPOT", "MARGIN"] if symbol.margin else ["SPOT"]],
        "defaultSelfTradePreventionMode": "NONE",
        "allowedSelfTradePreventionModes": [
            "NONE",
            "EXPIRE_TAKER",
            "EXPIRE_MAKER",
            "EXPIRE_BOTH",
            "DECREMENT",
        ],
    }
