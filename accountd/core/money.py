"""How money is written down: one form, in rows, bodies and tables alike."""

from __future__ import annotations

from decimal import Decimal

_DIGITS = frozenset("0123456789")


def money_text(value: Decimal) -> str:
    """Write a decimal in plain positional notation, scale kept, never ``-0`` and never an exponent.

    Raises:
        ValueError: the value is infinite or not a number.
    """
    text = str(value)
    if text[0] in _DIGITS and "E" not in text:
        return text
    if not value.is_finite():
        raise ValueError(f"not a finite decimal: {text}")
    return format(value if value else abs(value), "f")
