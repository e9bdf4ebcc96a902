"""User-data events exactly as the official samples show them."""

from decimal import Decimal
from typing import Any

from accountd.sim.accounting import (
    average_price,
    average_text,
    break_even,
    maintenance_margin,
    money,
    places,
    plain,
    price_text,
    quantity_text,
    unrealized,
)
from accountd.sim.model import ZERO, AlgoOrder, Fill, Order, Position, Symbol

Event = dict[str, Any]


def order_trade_update(
    order: Order,
    symbol: Symbol,
    execution: str,
    at_ms: int,
    fill: Fill | None = None,
    notionals: tuple[str, str] = ("0", "0"),
) -> Event:
    """Build ORDER_TRADE_UPDATE; N and n are sent only with a commission."""
    body: Event = {
        "s": order.symbol,
        "c": order.client_order_id,
        "S": order.side,
        "o": order.type,
        "f": order.time_in_force,
        "q": quantity_text(order.quantity, symbol),
        "p": price_text(order.price, symbol),
        "ap": plain(average_price(order).quantize(Decimal(1).scaleb(-max(5, symbol.price_places)))),
        "sp": "0",
        "x": execution,
        "X": order.status,
        "i": order.order_id,
        "l": quantity_text(fill.quantity, symbol) if fill else "0",
        "z": quantity_text(order.filled, symbol),
        "L": price_text(fill.price, symbol) if fill else "0",
    }
    if fill and fill.commission:
        body |= {"N": fill.commission_asset, "n": money(fill.commission)}
    return {
        "e": "ORDER_TRADE_UPDATE",
        "E": at_ms + 1,
        "T": at_ms,
        "o": body | _order_tail(order, at_ms, fill, notionals),
    }


def _order_tail(order: Order, at_ms: int, fill: Fill | None, notionals: tuple[str, str]) -> Event:
    return {
        "T": at_ms,
        "t": fill.trade_id if fill else 0,
        "b": notionals[0],
        "a": notionals[1],
        "m": fill.maker if fill else False,
        "R": order.reduce_only,
        "wt": "CONTRACT_PRICE",
        "ot": order.type,
        "ps": order.position_side,
        "cp": order.close_position,
        "pP": False,
        "si": 0,
        "ss": 0,
        "rp": money(fill.realized_pnl) if fill else "0",
        "V": "EXPIRE_MAKER",
        "pm": "NONE",
        "gtd": 0,
        "er": order.expiry_reason,
    }


def trade_lite(order: Order, fill: Fill, symbol: Symbol) -> Event:
    """Build TRADE_LITE, the early and thinner telling of a fill."""
    return {
        "e": "TRADE_LITE",
        "E": fill.time_ms,
        "T": fill.time_ms,
        "s": fill.symbol,
        "q": quantity_text(order.quantity, symbol),
        "p": price_text(order.price, symbol),
        "m": fill.maker,
        "c": fill.client_order_id,
        "S": fill.side,
        "L": price_text(fill.price, symbol),
        "l": quantity_text(fill.quantity, symbol),
        "t": fill.trade_id,
        "i": fill.order_id,
    }


def balance_row(asset: str, balance: Decimal, change: Decimal = ZERO) -> Event:
    """Build one row of ACCOUNT_UPDATE.a.B; `change` leaves profit and commission out."""
    return {"a": asset, "wb": money(balance), "cw": money(balance), "bc": money(change) if change else "0"}


def position_row(position: Position, symbol: Symbol, mark: Decimal) -> Event:
    """Build one row of ACCOUNT_UPDATE.a.P."""
    return {
        "s": position.symbol,
        "pa": quantity_text(position.quantity, symbol),
        "ep": average_text(position.entry, symbol),
        "bep": plain(break_even(position).quantize(Decimal("0.00000001"))),
        "cr": money(position.realized),
        "up": money(unrealized(position, mark)),
        "mt": "cross",
        "iw": "0",
        "ps": position.side,
    }


def account_update(
    reason: str, at_ms: int, balances: list[Event], positions: list[Event], symbol: str | None = None
) -> Event:
    """Build ACCOUNT_UPDATE; `S` is sent with FUNDING_FEE only."""
    body: Event = {"m": reason, "B": balances, "P": positions}
    if symbol is not None:
        body["S"] = symbol
    return {"e": "ACCOUNT_UPDATE", "E": at_ms + 2, "T": at_ms, "a": body}


def algo_update(algo: AlgoOrder, symbol: Symbol, at_ms: int) -> Event:
    """Build ALGO_UPDATE; `ia` is sent for trailing orders only."""
    body: Event = {
        "caid": algo.client_algo_id,
        "aid": algo.algo_id,
        "at": "CONDITIONAL",
        "o": algo.type,
        "s": algo.symbol,
        "S": algo.side,
        "ps": algo.position_side,
        "f": algo.time_in_force,
        "q": quantity_text(algo.quantity, symbol),
        "X": algo.status,
        "ai": str(algo.order_id) if algo.order_id else "",
        "ap": places(algo.executed_price, 5),
        "aq": places(algo.executed, 5),
        "act": ("LIMIT" if algo.price else "MARKET") if algo.order_id else "0",
        "tp": price_text(algo.trigger_price, symbol),
        "p": price_text(algo.price, symbol),
        "V": "EXPIRE_MAKER",
        "wt": "CONTRACT_PRICE",
        "pm": "NONE",
        "cp": algo.close_position,
        "pP": False,
        "R": algo.reduce_only,
        "tt": algo.trigger_ms,
        "gtd": 0,
        "rm": algo.reason,
    }
    if algo.type == "TRAILING_STOP_MARKET":
        body["ia"] = algo.active
    return {"e": "ALGO_UPDATE", "T": at_ms, "E": at_ms + 1, "o": body}


def leverage_update(symbol: str, leverage: int, at_ms: int) -> Event:
    """Build ACCOUNT_CONFIG_UPDATE for a new leverage."""
    return {"e": "ACCOUNT_CONFIG_UPDATE", "E": at_ms + 1, "T": at_ms, "ac": {"s": symbol, "l": leverage}}


def margin_call(
    position: Position, symbol: Symbol, mark: Decimal, cross_wallet: Decimal, at_ms: int
) -> Event:
    """Build MARGIN_CALL for one crossed position."""
    row = {
        "s": position.symbol,
        "ps": position.side,
        "pa": quantity_text(position.quantity, symbol),
        "mt": "CROSSED",
        "iw": "0",
        "mp": plain(mark),
        "up": money(unrealized(position, mark)),
        "mm": money(maintenance_margin(position.quantity * mark)),
    }
    return {"e": "MARGIN_CALL", "E": at_ms + 1, "cw": money(cross_wallet), "p": [row]}


def listen_key_expired(listen_key: str, at_ms: int) -> Event:
    """Build listenKeyExpired."""
    return {"e": "listenKeyExpired", "E": at_ms, "listenKey": listen_key}
