"""What every venue file needs to read wire values exactly."""

from __future__ import annotations

import re
from collections.abc import Callable
from decimal import Context, Decimal, InvalidOperation, Overflow
from operator import attrgetter
from typing import Any, TypeVar

import msgspec

from accountd.core.told import Balance, Fill, Order, Position, SymbolConfig, Told, Transfer

T = TypeVar("T")
_STEP = re.compile(r"\.(\w+)|\[(\d+)\]")
GAPS = 16  # members in one text that say nothing, before nobody goes on reading

# Everything that reading a hostile or torn message can raise; ValueError covers bad UTF-8 and bad dates.
UNREADABLE = (msgspec.MsgspecError, ValueError, ArithmeticError, TypeError, RecursionError)

# Wide enough that no product of two told numbers is ever rounded (each has at most 2 x LIMIT digits).
LIMIT = 60
EXACT = Context(prec=8 * LIMIT, traps=[InvalidOperation, Overflow])

# Plain values of a JSON text with its numbers' digits kept, for details that are shown and not counted.
plain: msgspec.json.Decoder[Any] = msgspec.json.Decoder(float_hook=str)

# What names a row in the record: without it the row would be another's, or nobody's.
_NAMES = {
    Order: attrgetter("symbol", "order_id", "status"),
    Fill: attrgetter("symbol", "trade_id", "order_id", "side"),
    Balance: attrgetter("market", "asset"),
    Position: attrgetter("symbol", "position_side"),
    SymbolConfig: attrgetter("market", "symbol"),
    Transfer: attrgetter("kind", "transfer_id", "asset"),
}


def named(row: Told) -> Told:
    """Return a row that can be kept under its name.

    Raises:
        ValueError: a part of its name is empty.
    """
    names = _NAMES.get(type(row))
    if names is not None and not all(names(row)):
        raise ValueError("a row without a name")
    return row


def product(price: Decimal, quantity: Decimal) -> Decimal:
    """Return price × quantity without rounding."""
    return EXACT.multiply(price, quantity)


def negated(number: Decimal | None) -> Decimal | None:
    """Return a number with the other sign, exactly; nothing stays nothing and zero has no sign."""
    return number.copy_negate() if number else number


def taken(amount: Decimal) -> Decimal:
    """Return what went as its wallet sees it, exactly."""
    return negated(amount) or amount


def check(*numbers: Decimal | None) -> None:
    """Refuse what JSON can carry and no money can be: NaN, infinity, 1E+999999.

    Raises:
        ValueError: one of the numbers is such.
    """
    for number in numbers:
        if number is not None and not (number.is_finite() and -LIMIT < number.adjusted() < LIMIT):
            raise ValueError("a number that no amount can be")


def need(*words: str) -> None:
    """Refuse a row that leaves empty what it cannot do without.

    Raises:
        ValueError: one of the words is empty.
    """
    if not all(words):
        raise ValueError("an empty field that must say something")


def text(identifier: int | str) -> str | None:
    """Return an id as text; 0 and "" say that there is none."""
    return str(identifier) if identifier not in (0, "", "0") else None


def margin(word: str | None) -> str | None:
    """Return CROSS or ISOLATED for the venue's several spellings; other words as told."""
    if not word:
        return None
    upper = word.upper()
    return "CROSS" if upper == "CROSSED" else upper


def patiently(decode: Callable[[Any], T], text: bytes | str | msgspec.Raw) -> T:
    """Decode a JSON text; a member that is null or "" where something else is expected is as if left out.

    Raises:
        MsgspecError: it is no such text, or lacks what it cannot do without.
    """
    for _ in range(GAPS):
        try:
            return decode(text)
        except msgspec.ValidationError as refusal:
            fuller = _without(text, str(refusal))
            if fuller is None:
                raise
            text = fuller
    return decode(text)


def _without(text: bytes | str | msgspec.Raw, refusal: str) -> bytes | None:
    """Return a JSON text without the member that a refusal names; None where that says something."""
    _, _, place = refusal.rpartition("`$")
    steps = [name or int(index) for name, index in _STEP.findall(place)]
    whole = inside = plain.decode(text)
    if not steps or not isinstance(steps[-1], str):
        return None
    for step in steps[:-1]:
        inside = inside[step]
    if inside.get(steps[-1], 0) not in (None, ""):
        return None
    del inside[steps[-1]]
    return msgspec.json.encode(whole)
