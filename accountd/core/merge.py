"""How two tellings of one thing become one belief: every merge is a maximum, so order does not matter."""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Context, Decimal
from hashlib import sha256
from operator import attrgetter
from typing import TypeVar

import msgspec

from accountd.core.changes import FillKey, other_side
from accountd.core.lifecycle import supersedes
from accountd.core.money import money_text
from accountd.core.told import STREAM, Balance, Fill, Order, Position, Said, Telling

T = TypeVar("T", bound=msgspec.Struct)
_ZERO = Decimal(0)
MOST_PAST = 64  # events of one instant that are remembered
_EXACT = Context(prec=500)  # far more digits than any two prices have between them
# What the winning telling of an order decides, where it says anything about it.
_DECIDED = (
    "client_order_id", "side", "position_side", "type", "time_in_force", "price", "stop_price", "quantity",
    "average_price", "reduce_only", "actual_order_id", "reason",
)  # fmt: skip
_decided = attrgetter(*_DECIDED)
_MONEY_OF_FILL = ("price", "quantity", "quote_quantity", "commission", "realized_pnl")
_WORDS_OF_FILL = ("order_id", "side", "position_side", "commission_asset", "is_maker")


def frozen(thing: T) -> T:
    """Return a copy, for history rows: the belief itself goes on changing."""
    return msgspec.structs.replace(thing)


def order(held: Order, told: Order) -> Order | None:
    """Return the order that both tellings make together, or None when the new one adds nothing.

    Where neither is later than the other (stream and REST tell one moment) and they differ (a liquidation's
    type is LIQUIDATION to the one and LIMIT to the other), the greater is kept: zero and "" say little.
    """
    wins = supersedes(told, held)
    first, second = (told, held) if wins else (held, told)
    merged = msgspec.structs.replace(first)
    changed = wins
    tied = not wins and not supersedes(held, told)
    for name, mine in zip(_DECIDED, _decided(first), strict=True):
        if mine is not None and not tied:
            continue
        if (value := getattr(second, name)) is not None and (mine is None or value > mine):
            setattr(merged, name, value)
            changed = changed or not wins
    changed |= _join(merged, held, told)
    if not changed:
        return None
    merged.events = held.events
    merged.missing_since = None
    merged.execution_type = merged.last_quantity = None
    return merged


def _join(merged: Order, held: Order, told: Order) -> bool:
    """Set what only grows (filled amounts, times) to the furthest told; say whether held moved."""
    merged.filled_quantity = _most(held.filled_quantity, told.filled_quantity)
    merged.filled_quote = _quote(held, told)
    merged.prevented = _most(held.prevented, told.prevented)
    merged.updated_at = max(held.updated_at, told.updated_at)
    if held.created_at is None or told.created_at is None:
        merged.created_at = held.created_at or told.created_at
    else:
        merged.created_at = min(held.created_at, told.created_at)
    return (merged.filled_quantity, merged.filled_quote, merged.created_at) != (
        held.filled_quantity,
        held.filled_quote,
        held.created_at,
    )


def _quote(held: Order, told: Order) -> Decimal | None:
    """Return the quote amount that goes with the furthest filled quantity; the stream does not tell it."""
    mine, theirs = held.filled_quantity or _ZERO, told.filled_quantity or _ZERO
    if mine == theirs:
        return _most(held.filled_quote, told.filled_quote)
    return held.filled_quote if mine > theirs else told.filled_quote


def _most(a: Decimal | None, b: Decimal | None) -> Decimal | None:
    if a is None or b is None:
        return b if a is None else a
    return b if b > a else a


def conflict(held: Fill, told: Fill) -> dict[str, object]:
    """Return the fields in which two tellings of one fill differ, as text; empty when they agree."""
    found: dict[str, object] = {}
    for name in (*_MONEY_OF_FILL, *_WORDS_OF_FILL):
        mine, theirs = getattr(held, name), getattr(told, name)
        if mine is None or theirs is None or mine == theirs:
            continue
        found[name] = {"held": str(mine), "told": str(theirs)}
    if abs(held.traded_at - told.traded_at) >= timedelta(seconds=1):
        found["traded_at"] = {"held": held.traded_at.isoformat(), "told": told.traded_at.isoformat()}
    return found


def opposed(held: Fill, told: Fill) -> bool:
    """Say whether two tellings of one number are the two sides of a trade with oneself."""
    return held.order_id != told.order_id and {held.side, told.side} == {"BUY", "SELL"}


def second_side(told: Fill) -> tuple[Fill, FillKey]:
    """Return the side told second of a trade with oneself, under a name of its own."""
    side = msgspec.structs.replace(told, trade_id=other_side(told.trade_id, told.side))
    return side, (side.market, side.symbol, side.trade_id)


def adds(held: Fill, told: Fill) -> bool:
    """Say whether a telling says an amount that the first one left open."""
    return any(getattr(held, name) is None and getattr(told, name) for name in _MONEY_OF_FILL)


def told_name(told: Fill) -> str:
    """Return a name of what a telling says of a fill: the same saying has the same name."""
    said = [getattr(told, name) for name in (*_MONEY_OF_FILL, *_WORDS_OF_FILL)]
    words = [money_text(one) if isinstance(one, Decimal) else str(one) for one in said]
    return sha256("\x00".join((*words, told.traded_at.isoformat())).encode()).hexdigest()[:16]


def newer(told: Balance | Position, held: Balance | Position, said: Said) -> bool:
    """Say whether a telling of a balance or position is later than what is held, by venue time.

    Two stream events may share every millisecond that they carry; a connection delivers them in order,
    so the one that comes second is the later one, unless another connection told it before (two overlap
    while one takes over from the other). ``said`` tells them apart: the session and all amounts of the
    event, or nothing where it is no event. A sweep corrects what was reordered or told twice on its way.
    """
    if told.as_of != held.as_of:
        return told.as_of > held.as_of
    if told.seen_at is None:
        return False
    if held.seen_at is None or told.seen_at != held.seen_at:
        return held.seen_at is None or told.seen_at > held.seen_at
    if not said or not any(held.past):
        return False
    return not any(one[:1] != said[:1] and one[1:] == said[1:] for one in held.past)


def said(telling: Telling) -> Said:
    """Return who tells an event, and all its amounts: by them it is known again. A page is no event."""
    amounts = (one for one in telling.told if isinstance(one, (Balance, Position)))
    return (telling.session_id, *amounts) if telling.source == STREAM else ()


def succeed(told: Balance | Position, held: Balance | Position | None, said: Said) -> None:
    """Let a telling remember what else was told of its own instant."""
    told.past = (said,) if held is None else _past(held, told, said)


def settle(held: Balance | Position, told: Balance | Position, said: Said) -> None:
    """Let a balance or position that was told again be as of the later telling."""
    held.past = _past(held, told, said)
    held.as_of, held.seen_at = told.as_of, told.seen_at
    if isinstance(held, Position) and isinstance(told, Position) and told.unrealized_pnl is not None:
        held.unrealized_pnl = told.unrealized_pnl  # moves with the mark price: no change of belief


def _past(held: Balance | Position, told: Balance | Position, said: Said) -> tuple[Said, ...]:
    if (held.as_of, held.seen_at) != (told.as_of, told.seen_at):
        return (said,)
    return held.past if said in held.past else (*held.past[-MOST_PAST:], said)


def same_balance(held: Balance, told: Balance) -> bool:
    """Say whether the amounts agree; what a telling does not say cannot disagree."""
    return held.total == told.total


def learn_balance(held: Balance, told: Balance) -> bool:
    """Take free and locked from a telling that agrees on the total; say whether they moved."""
    if told.free is None or (held.free, held.locked) == (told.free, told.locked):
        return False
    held.free, held.locked = told.free, told.locked
    return True


def position(held: Position, told: Position) -> Position:
    """Return the position as told, with what the telling does not say kept from before."""
    merged = msgspec.structs.replace(told)
    for name in ("quantity", "entry_price", "break_even_price", "unrealized_pnl", "margin_type", "leverage"):
        if getattr(merged, name) is None:
            setattr(merged, name, getattr(held, name))
    return merged


def same_position(held: Position, told: Position) -> bool:
    """Say whether two tellings agree; prices are equal when they are equal at the coarser scale."""
    return (
        held.quantity == told.quantity
        and held.margin_type == told.margin_type
        and held.leverage == told.leverage
        and same_price(held.entry_price, told.entry_price)
        and same_price(held.break_even_price, told.break_even_price)
    )


def same_price(a: Decimal | None, b: Decimal | None) -> bool:
    """Compare prices that the venue prints at different scales: equal at the coarser one is equal."""
    if a is None or b is None or a == b:
        return a == b
    coarse = max(a.as_tuple().exponent, b.as_tuple().exponent)
    if not isinstance(coarse, int):
        return False
    return _EXACT.subtract(a, b).copy_abs() < Decimal(1).scaleb(coarse)


def empty(held: Balance, as_of: datetime) -> Balance:
    """Return the telling "nothing is left of this", for a balance that a full snapshot does not show."""
    return Balance(
        market=held.market, asset=held.asset, total=_ZERO, free=_ZERO, locked=_ZERO, as_of=as_of,
        seen_at=as_of, reason="SNAPSHOT",
    )  # fmt: skip


def flat(held: Position, as_of: datetime) -> Position:
    """Return the telling "this position is closed", for one that a full snapshot does not show."""
    return Position(
        market=held.market, symbol=held.symbol, position_side=held.position_side, as_of=as_of, seen_at=as_of,
        quantity=_ZERO, entry_price=_ZERO, break_even_price=_ZERO, unrealized_pnl=_ZERO, reason="SNAPSHOT",
    )  # fmt: skip


def moved(held: Order | None, order: Order) -> bool:
    """Say whether an order went on: its status, its quantities or its price."""
    if held is None:
        return True
    return (held.status, held.filled_quantity, held.price, held.quantity) != (
        order.status,
        order.filled_quantity,
        order.price,
        order.quantity,
    )
