"""Which changes of belief are events that hooks may want, with the data that a webhook body carries."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, Protocol

from accountd.core.beliefs import Beliefs
from accountd.core.changes import Alert, Changes, Finding
from accountd.core.doubts import GRACE
from accountd.core.money import money_text
from accountd.core.told import REST, Balance, Fill, Notice, Order, Position, Telling, Transfer

# Notices that ring, and the type of their alert.
ALARMS = {"margin.call": "margin.call", "liquidation.level": "liquidation"}
FORCED = ("autoclose-", "adl_autoclose", "settlement_autoclose-")
_ORDER_TYPES = {
    "NEW": "order.new",
    "FILLED": "order.filled",
    "FINISHED": "order.filled",
    "CANCELED": "order.canceled",
    "REJECTED": "order.rejected",
    "EXPIRED": "order.expired",
    "EXPIRED_IN_MATCH": "order.expired",
}


class Ringer(Protocol):
    """What the functions here need of the fold."""

    beliefs: Beliefs
    changes: Changes
    telling: Telling
    born: datetime
    heard: frozenset[str] | None


def stream_should_have_told(telling: Telling, at: datetime) -> bool:
    """Say whether something of this time, first told by REST, is something that a LIVE stream missed."""
    since = telling.live_since
    return since is not None and since <= at < telling.received_at - GRACE


def text(value: Decimal | None) -> str | None:
    """Write a decimal for a body: plain notation, scale kept."""
    return None if value is None else money_text(value)


def stamp(moment: datetime | None) -> str | None:
    """Write a time for a body: ISO 8601 in UTC, milliseconds."""
    if moment is None:
        return None
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def heard(fold: Ringer, type_: str) -> bool:
    """Say whether anybody wants alerts of this type; the others are not worth being made."""
    return fold.heard is None or type_ in fold.heard


def ring(fold: Ringer, type_: str, at: datetime, identity: tuple[str, ...], data: dict[str, Any],
         order_key: str = "") -> None:  # fmt: skip
    """Put an alert among the changes; history from before the account's first start is marked so."""
    fold.changes.alerts.append(
        Alert(
            type=type_, identity=identity, at=at, data=data, order_key=order_key, backfill=at < fold.born,
            received_at=fold.telling.received_at,
        )
    )  # fmt: skip


def late_by(fold: Ringer, at: datetime, source: str) -> str | None:
    """Return how late a sweep told something, in seconds; None for what the stream told first."""
    if source != REST:
        return None
    lag = max(fold.telling.received_at - at, timedelta(0))
    return money_text(Decimal(lag // timedelta(milliseconds=1)).scaleb(-3))


def fill(fold: Ringer, told: Fill, order: Order | None) -> None:
    """Ring for an execution that was not known."""
    if not heard(fold, "fill"):
        return
    data = {
        "market": told.market, "symbol": told.symbol, "order_id": told.order_id,
        "client_order_id": told.client_order_id, "trade_id": told.trade_id, "side": told.side,
        "position_side": told.position_side, "price": text(told.price), "quantity": text(told.quantity),
        "quote_quantity": text(told.quote_quantity), "commission": text(told.commission),
        "commission_asset": told.commission_asset, "realized_pnl": text(told.realized_pnl),
        "is_maker": told.is_maker, "traded_at": stamp(told.traded_at), "source": told.source,
        "order_status": order.status if order else None,
        "filled_quantity": text(order.filled_quantity) if order else None,
        "order_quantity": text(order.quantity) if order else None, "late": told.source == REST,
        "late_by": late_by(fold, told.traded_at, told.source),
    }  # fmt: skip
    identity = (told.market, told.symbol, told.trade_id)
    ring(fold, "fill", told.traded_at, identity, data, f"{told.market}:{told.symbol}:{told.order_id}")


def order(fold: Ringer, held: Order) -> None:
    """Ring for an order that reached a new status."""
    type_ = "order.canceled" if _ended_unfilled(held) else _ORDER_TYPES.get(held.status)
    if type_ is None or not (heard(fold, type_) or heard(fold, "liquidation")):
        return
    data = {
        "market": held.market, "symbol": held.symbol, "kind": held.kind, "order_id": held.order_id,
        "client_order_id": held.client_order_id, "side": held.side, "position_side": held.position_side,
        "order_type": held.type, "time_in_force": held.time_in_force, "order_status": held.status,
        "price": text(held.price), "stop_price": text(held.stop_price), "order_quantity": text(held.quantity),
        "filled_quantity": text(held.filled_quantity), "average_price": text(held.average_price),
        "reduce_only": held.reduce_only, "reason": held.reason, "updated_at": stamp(held.updated_at),
        "source": held.source, "late": held.source == REST,
        "late_by": late_by(fold, held.updated_at, held.source),
    }  # fmt: skip
    identity = (held.market, held.symbol, held.kind, held.order_id, held.status)
    line = f"{held.market}:{held.symbol}:{held.order_id}"
    ring(fold, type_, held.updated_at, identity, data, line)
    forced = held.client_order_id or ""
    if held.kind == "order" and forced.startswith(FORCED):
        name = (held.market, held.symbol, held.order_id)
        if held.status == "NEW" or held.source == REST:
            ring(fold, "liquidation", held.updated_at, name, data, line)


def _ended_unfilled(held: Order) -> bool:
    """Say whether the order that a trigger placed ended without its whole quantity: FINISHED is any end."""
    filled = held.filled_quantity
    return held.status == "FINISHED" and filled is not None and (not filled or filled < (held.quantity or 0))


def balance(fold: Ringer, told: Balance, held: Balance | None) -> None:
    """Ring for a balance that moved; the first snapshot of an account is no change."""
    if (held is None and told.source == REST) or not heard(fold, "balance.changed"):
        return
    before = held.total if held else None
    data = {
        "market": told.market, "asset": told.asset, "total": text(told.total), "before": text(before),
        "free": text(told.free), "locked": text(told.locked), "reason": told.reason,
        "updated_at": stamp(told.updated_at), "source": told.source,
    }  # fmt: skip
    identity = (told.market, told.asset, str(told.as_of), str(told.total))
    ring(fold, "balance.changed", told.as_of, identity, data, f"balance:{told.market}:{told.asset}")


def position(fold: Ringer, told: Position, held: Position | None) -> None:
    """Ring for a position whose quantity moved."""
    before = held.quantity if held else None
    if not heard(fold, "position.changed"):
        return
    if (held is None and told.source == REST) or before == told.quantity or told.quantity is None:
        return
    data = {
        "market": told.market, "symbol": told.symbol, "position_side": told.position_side,
        "quantity": text(told.quantity), "before": text(before), "entry_price": text(told.entry_price),
        "break_even_price": text(told.break_even_price), "margin_type": told.margin_type,
        "leverage": text(told.leverage), "reason": told.reason, "updated_at": stamp(told.updated_at),
        "source": told.source,
    }  # fmt: skip
    identity = (told.market, told.symbol, told.position_side, str(told.as_of), str(told.quantity))
    ring(fold, "position.changed", told.as_of, identity, data, f"position:{told.symbol}:{told.position_side}")


def transfer(fold: Ringer, told: Transfer) -> None:
    """Ring for a movement of money."""
    data = {
        "market": told.market, "kind": told.kind, "transfer_id": told.transfer_id, "asset": told.asset,
        "amount": text(told.amount), "symbol": told.symbol, "occurred_at": stamp(told.occurred_at),
        "source": told.source,
    }  # fmt: skip
    identity = (told.market, told.kind, told.transfer_id, told.asset)
    ring(fold, "transfer", told.occurred_at, identity, data)


def notice(fold: Ringer, told: Notice) -> None:
    """Ring for a margin call or for a level of forced liquidation; ``told.detail`` is the venue's account.

    What is liquidated rings from its order, which REST tells too.
    """
    type_ = ALARMS[told.kind]
    at = told.at or fold.telling.received_at
    ring(fold, type_, at, (stamp(at) or "",), dict(told.detail or {}))


def finding(fold: Ringer, found: Finding) -> None:
    """Ring for a finding that opened."""
    data = {
        "finding_id": found.finding_id, "kind": found.kind, "severity": found.severity,
        "subject": found.subject, "detail": found.detail, "opened_at": stamp(found.opened_at),
    }  # fmt: skip
    ring(fold, "finding.opened", found.opened_at, (found.finding_id, stamp(found.opened_at) or ""), data)
