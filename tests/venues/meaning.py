"""The contract in tables: which field of Binance USDⓈ-M carries which meaning, and how it reads."""

from decimal import Decimal as D

from accountd.venues.base import from_ms


def same(value):
    """Return the value itself."""
    return value


def absent(value):
    """Return None for what the venue writes when there is nothing."""
    return None if value in ("", "0", 0) else str(value)


def margin(value):
    """Return the one spelling of a margin type."""
    return {"isolated": "ISOLATED", "cross": "CROSS", "CROSSED": "CROSS"}[value]


# The venue's field -> the attribute that carries its meaning, and how it reads. What is not named here
# carries no meaning for the record: book notional, working type, price protection, self-trade and price
# match modes, strategy ids, trailing parameters, wallet parts and change amounts (all kept in the raw bytes).
ORDER_UPDATE = {
    "s": ("symbol", same),
    "c": ("client_order_id", same),
    "S": ("side", same),
    "o": ("type", same),
    "f": ("time_in_force", same),
    "q": ("quantity", D),
    "p": ("price", D),
    "ap": ("average_price", D),
    "sp": ("stop_price", D),
    "x": ("execution_type", same),
    "X": ("status", same),
    "i": ("order_id", str),
    "l": ("last_quantity", D),
    "z": ("filled_quantity", D),
    "T": ("updated_at", from_ms),
    "R": ("reduce_only", same),
    "ps": ("position_side", same),
    "er": ("reason", absent),
}
FILL_UPDATE = {
    "s": ("symbol", same),
    "t": ("trade_id", str),
    "i": ("order_id", str),
    "S": ("side", same),
    "L": ("price", D),
    "l": ("quantity", D),
    "T": ("traded_at", from_ms),
    "c": ("client_order_id", same),
    "ps": ("position_side", same),
    "n": ("commission", D),
    "N": ("commission_asset", same),
    "rp": ("realized_pnl", D),
    "m": ("is_maker", same),
}
ALGO_UPDATE = {
    "caid": ("client_order_id", same),
    "aid": ("order_id", str),
    "o": ("type", same),
    "s": ("symbol", same),
    "S": ("side", same),
    "ps": ("position_side", same),
    "f": ("time_in_force", same),
    "q": ("quantity", D),
    "X": ("status", same),
    "ai": ("actual_order_id", absent),
    "tp": ("stop_price", D),
    "p": ("price", D),
    "R": ("reduce_only", same),
    "rm": ("reason", same),
}
BALANCE_UPDATE = {"a": ("asset", same), "wb": ("total", D)}
POSITION_UPDATE = {
    "s": ("symbol", same),
    "pa": ("quantity", D),
    "ep": ("entry_price", D),
    "bep": ("break_even_price", D),
    "up": ("unrealized_pnl", D),
    "mt": ("margin_type", margin),
    "ps": ("position_side", same),
}
ORDER_ROW = {
    "avgPrice": ("average_price", D),
    "clientOrderId": ("client_order_id", same),
    "cumQuote": ("filled_quote", D),
    "executedQty": ("filled_quantity", D),
    "orderId": ("order_id", str),
    "origQty": ("quantity", D),
    "price": ("price", D),
    "reduceOnly": ("reduce_only", same),
    "side": ("side", same),
    "positionSide": ("position_side", same),
    "status": ("status", same),
    "stopPrice": ("stop_price", D),
    "symbol": ("symbol", same),
    "time": ("created_at", from_ms),
    "timeInForce": ("time_in_force", same),
    "type": ("type", same),
    "updateTime": ("updated_at", from_ms),
}
ALGO_ROW = {
    "algoId": ("order_id", str),
    "clientAlgoId": ("client_order_id", same),
    "orderType": ("type", same),
    "symbol": ("symbol", same),
    "side": ("side", same),
    "positionSide": ("position_side", same),
    "timeInForce": ("time_in_force", same),
    "quantity": ("quantity", D),
    "algoStatus": ("status", same),
    "actualOrderId": ("actual_order_id", absent),
    "triggerPrice": ("stop_price", D),
    "price": ("price", D),
    "reduceOnly": ("reduce_only", same),
    "createTime": ("created_at", from_ms),
    "updateTime": ("updated_at", from_ms),
}
TRADE_ROW = {
    "commission": ("commission", D),
    "commissionAsset": ("commission_asset", same),
    "id": ("trade_id", str),
    "maker": ("is_maker", same),
    "orderId": ("order_id", str),
    "price": ("price", D),
    "qty": ("quantity", D),
    "quoteQty": ("quote_quantity", D),
    "realizedPnl": ("realized_pnl", D),
    "side": ("side", same),
    "positionSide": ("position_side", same),
    "symbol": ("symbol", same),
    "time": ("traded_at", from_ms),
}
INCOME_ROW = {
    "symbol": ("symbol", absent),
    "incomeType": ("kind", str.lower),
    "income": ("amount", D),
    "asset": ("asset", same),
    "info": ("info", same),
    "time": ("occurred_at", from_ms),
    "tranId": ("transfer_id", str),
    "tradeId": ("trade_id", absent),
}
POSITION_ROW = {
    "symbol": ("symbol", same),
    "positionSide": ("position_side", same),
    "positionAmt": ("quantity", D),
    "entryPrice": ("entry_price", D),
    "breakEvenPrice": ("break_even_price", D),
    "unRealizedProfit": ("unrealized_pnl", D),
}
ASSET_ROW = {"asset": ("asset", same), "walletBalance": ("total", D), "availableBalance": ("free", D)}
CONFIG_ROW = {"symbol": ("symbol", same), "marginType": ("margin_type", margin), "leverage": ("leverage", D)}
PAGES = [
    ("GET_fapi_v1_allOrders", "orders", ORDER_ROW),
    ("GET_fapi_v1_openOrders", "open_orders", ORDER_ROW),
    ("GET_fapi_v1_order", "order", ORDER_ROW),
    ("GET_fapi_v1_allAlgoOrders", "algo_orders", ALGO_ROW),
    ("GET_fapi_v1_openAlgoOrders", "open_algo_orders", ALGO_ROW),
    ("GET_fapi_v1_algoOrder", "algo_order", ALGO_ROW),
    ("GET_fapi_v1_userTrades", "fills", TRADE_ROW),
    ("GET_fapi_v1_income", "income", INCOME_ROW),
    ("GET_fapi_v3_positionRisk", "positions", POSITION_ROW),
    ("GET_fapi_v3_account", "account", ASSET_ROW),
    ("GET_fapi_v3_account.docs", "account", ASSET_ROW),
    ("GET_fapi_v1_symbolConfig", "symbol_config", CONFIG_ROW),
]


def agrees(told, row, table):
    """Check that every field of meaning in ``row`` stands in ``told``; a missing one is None there."""
    for field, (attribute, read) in table.items():
        expected = read(row[field]) if field in row else None
        assert getattr(told, attribute) == expected, (field, attribute)
