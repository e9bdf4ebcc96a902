"""Spot and margin user-data events exactly as the official samples show them, before any envelope."""

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from accountd.sim.spot_model import Holding, OrderList, PreventedMatch, SpotFill, SpotOrder

Event = dict[str, Any]


def eight(value: Decimal) -> str:
    """Print a decimal with eight places, as the venue does."""
    return f"{value:.8f}"


@dataclass(frozen=True, slots=True)
class Prevention:
    """What an order's event says about a prevented match."""

    match: PreventedMatch
    last: Decimal
    counter_order_id: int
    executed: Decimal


def execution_report(
    order: SpotOrder,
    execution: str,
    at_ms: int,
    execution_id: int,
    *,
    fill: SpotFill | None = None,
    client_id: str | None = None,
    original_id: str = "",
    reject: str = "NONE",
    prevention: Prevention | None = None,
) -> Event:
    """Build executionReport; conditional fields appear only under their condition."""
    working = order.open and order.working_ms is not None
    event: Event = {
        "e": "executionReport",
        "E": at_ms,
        "s": order.symbol,
        "c": order.client_order_id if client_id is None else client_id,
        "S": order.side,
        "o": order.type,
        "f": order.time_in_force,
        "q": eight(order.quantity),
        "p": eight(order.price),
        "P": eight(order.stop_price),
        "F": eight(order.iceberg),
        "g": order.list_id,
        "C": original_id,
        "x": execution,
        "X": order.status,
        "r": reject,
        "i": order.order_id,
        "l": eight(fill.quantity if fill else Decimal(0)),
        "z": eight(order.filled),
        "L": eight(fill.price if fill else Decimal(0)),
        "n": eight(fill.commission) if fill else "0",
        "N": fill.commission_asset if fill else None,
        "T": at_ms,
        "t": fill.trade_id if fill else -1,
        "I": execution_id,
        "w": working,
        "m": bool(fill and fill.maker),
        "M": bool(fill and fill.allocation_id < 0),
        "O": order.created_ms,
        "Z": eight(order.quote),
        "Y": eight(fill.quote if fill else Decimal(0)),
        "Q": eight(order.quote_order_quantity),
        "V": order.stp_mode,
    }
    return event | _conditional(order, fill, prevention)


def _conditional(order: SpotOrder, fill: SpotFill | None, prevention: Prevention | None) -> Event:
    event: Event = {}
    if order.working_ms is not None:
        event["W"] = order.working_ms
    if order.trailing_delta:
        event["d"] = order.trailing_delta
    if order.strategy:
        event["j"], event["J"] = order.strategy
    if order.used_sor:
        event |= {"k": "SOR", "uS": True}
    if fill and fill.allocation_id >= 0:
        event |= {"b": "ONE_PARTY_TRADE_REPORT", "a": fill.allocation_id}
    if order.prevented_match_id >= 0:
        event |= {"v": order.prevented_match_id, "A": eight(order.prevented)}
    if prevention:
        event |= {
            "v": prevention.match.match_id,
            "A": eight(order.prevented),
            "B": eight(prevention.last),
            "u": 1,
            "U": prevention.counter_order_id,
            "Cs": order.symbol,
            "pl": eight(prevention.executed),
            "pL": eight(prevention.match.price),
            "pY": eight(prevention.executed * prevention.match.price),
        }
    if order.expiry_reason:
        event["eR"] = order.expiry_reason
    return event


def account_position(holdings: Iterable[tuple[str, Holding]], at_ms: int, updated_ms: int) -> Event:
    """Build outboundAccountPosition of some assets."""
    rows = [{"a": asset, "f": eight(held.free), "l": eight(held.locked)} for asset, held in holdings]
    return {"e": "outboundAccountPosition", "E": at_ms, "u": updated_ms, "B": rows}


def balance_update(asset: str, delta: Decimal, at_ms: int) -> Event:
    """Build balanceUpdate."""
    return {"e": "balanceUpdate", "E": at_ms, "a": asset, "d": eight(delta), "T": at_ms}


def external_lock_update(asset: str, delta: Decimal, at_ms: int) -> Event:
    """Build externalLockUpdate."""
    return {"e": "externalLockUpdate", "E": at_ms, "a": asset, "d": eight(delta), "T": at_ms}


def list_status(listed: OrderList, orders: Iterable[SpotOrder], at_ms: int) -> Event:
    """Build listStatus."""
    return {
        "e": "listStatus",
        "E": at_ms,
        "s": listed.symbol,
        "g": listed.list_id,
        "c": listed.contingency,
        "l": listed.list_status,
        "L": listed.order_status,
        "r": "NONE",
        "C": listed.client_id,
        "T": at_ms,
        "O": [{"s": o.symbol, "i": o.order_id, "c": o.client_order_id} for o in orders],
    }


def stream_terminated(at_ms: int) -> Event:
    """Build eventStreamTerminated."""
    return {"e": "eventStreamTerminated", "E": at_ms}


def server_shutdown(at_ms: int) -> Event:
    """Build serverShutdown."""
    return {"e": "serverShutdown", "E": at_ms}
