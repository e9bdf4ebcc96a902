"""Margin rows exactly as the official REST samples show them."""

from decimal import Decimal
from typing import Any

from accountd.sim import spot_views
from accountd.sim.spot_events import eight
from accountd.sim.spot_model import Flow, Holding, Move, OrderList, SpotFill, SpotOrder, Wallet

Row = dict[str, Any]


def order_row(order: SpotOrder, wallet: Wallet) -> Row:
    """Print an order of order, openOrders and allOrders."""
    return {
        "clientOrderId": order.client_order_id,
        "cummulativeQuoteQty": eight(order.quote),
        "executedQty": eight(order.filled),
        "icebergQty": eight(order.iceberg),
        "isWorking": order.working_ms is not None,
        "orderId": order.order_id,
        "origQty": eight(order.quantity),
        "price": eight(order.price),
        "side": order.side,
        "status": order.status,
        "stopPrice": eight(order.stop_price),
        "symbol": order.symbol,
        "isIsolated": wallet.market == "isolated",
        "time": order.created_ms,
        "timeInForce": order.time_in_force,
        "type": order.type,
        "selfTradePreventionMode": order.stp_mode,
        "updateTime": order.updated_ms,
    }


def trade_row(fill: SpotFill, wallet: Wallet) -> Row:
    """Print a row of myTrades; there is no quote quantity."""
    return {
        "commission": eight(fill.commission),
        "commissionAsset": fill.commission_asset,
        "id": fill.trade_id,
        "isBestMatch": True,
        "isBuyer": fill.side == "BUY",
        "isMaker": fill.maker,
        "orderId": fill.order_id,
        "price": eight(fill.price),
        "qty": eight(fill.quantity),
        "symbol": fill.symbol,
        "isIsolated": wallet.market == "isolated",
        "time": fill.time_ms,
    }


def list_row(listed: OrderList, orders: list[SpotOrder], wallet: Wallet) -> Row:
    """Print an order list."""
    return spot_views.list_row(listed, orders) | {"isIsolated": wallet.market == "isolated"}


def cross_asset(asset: str, held: Holding) -> Row:
    """Print an asset of the cross account."""
    return {
        "asset": asset,
        "borrowed": eight(held.borrowed),
        "free": eight(held.free),
        "interest": eight(held.interest),
        "locked": eight(held.locked),
        "netAsset": eight(held.total - held.borrowed - held.interest),
    }


def isolated_asset(asset: str, held: Holding, in_btc: Decimal) -> Row:
    """Print one side of an isolated account; `in_btc` is the asset's price in BTC."""
    net = held.total - held.borrowed - held.interest
    return {
        "asset": asset,
        "borrowEnabled": True,
        "borrowed": eight(held.borrowed),
        "free": eight(held.free),
        "interest": eight(held.interest),
        "locked": eight(held.locked),
        "netAsset": eight(net),
        "netAssetOfBtc": eight(net * in_btc),
        "repayEnabled": True,
        "totalAsset": eight(held.total),
    }


def interest_row(row: Move, wallet: Wallet) -> Row:
    """Print a row of interestHistory; the venue spells interestAccuredTime so."""
    told = {
        "txId": row.number,
        "interestAccuredTime": row.time_ms,
        "asset": row.asset,
        "rawAsset": row.asset,
        "principal": f"{row.detail['principal']}",
        "interest": f"{-row.amount:f}",
        "interestRate": "0.00013233",
        "type": row.detail["type"],
    }
    return told | ({"isolatedSymbol": wallet.pair} if wallet.pair else {})


def loan_row(row: Move, wallet: Wallet) -> Row:
    """Print a row of borrow-repay."""
    told = {
        "type": row.detail["type"],
        "amount": eight(abs(row.amount)),
        "asset": row.asset,
        "interest": eight(Decimal(str(row.detail["interest"]))),
        "principal": eight(Decimal(str(row.detail["principal"]))),
        "status": "CONFIRMED",
        "timestamp": row.time_ms,
        "txId": row.number,
    }
    return told | ({"isolatedSymbol": wallet.pair} if wallet.pair else {})


def flow_row(row: Flow, wallet: Wallet) -> Row:
    """Print a row of capital-flow; loans and repayments are told without a sign."""
    told = {
        "id": row.flow_id,
        "tranId": row.number,
        "timestamp": row.time_ms,
        "asset": row.asset,
        "type": row.kind,
        "amount": f"{row.amount:f}",
    }
    return told | ({"symbol": wallet.pair} if wallet.pair else {})


def transfer_row(row: Move, wallet: Wallet, *, seconds: bool) -> Row:
    """Print a row of margin/transfer; the official sample counts seconds."""
    told = {
        "amount": eight(abs(row.amount)),
        "asset": row.asset,
        "status": "CONFIRMED",
        "timestamp": row.time_ms // 1000 if seconds else row.time_ms,
        "txId": row.number,
        "type": row.detail["type"],
        "transFrom": row.detail["transFrom"],
        "transTo": row.detail["transTo"],
    }
    side = "toSymbol" if row.amount > 0 else "fromSymbol"
    return told | ({side: wallet.pair} if wallet.pair else {})


def liquidation_row(order: SpotOrder, wallet: Wallet) -> Row:
    """Print a row of forceLiquidationRec."""
    return {
        "avgPrice": eight(order.quote / order.filled),
        "executedQty": eight(order.filled),
        "orderId": order.order_id,
        "price": eight(order.price),
        "qty": eight(order.quantity),
        "side": order.side,
        "symbol": order.symbol,
        "timeInForce": order.time_in_force,
        "isIsolated": wallet.market == "isolated",
        "updatedTime": order.updated_ms,
    }
