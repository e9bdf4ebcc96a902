"""Exact arithmetic where a database's or Python's own would round."""

from __future__ import annotations

from decimal import MAX_EMAX, MIN_EMIN, Context, Decimal, Inexact

from accountd.core.money import money_text

_EXACT = Context(prec=1000, Emax=MAX_EMAX, Emin=MIN_EMIN, traps=[Inexact])


class ExactSum:
    """The SQLite aggregate ``dsum``: the exact sum of decimal text, as text; NULL of nothing."""

    def __init__(self) -> None:
        self.total: Decimal | None = None

    def step(self, value: str | int | None) -> None:
        """Add one value; a REAL is refused because it is no longer exact."""
        if value is None:
            return
        if not isinstance(value, str | int):
            raise TypeError("dsum adds decimal text or integers")
        self.total = _EXACT.add(self.total or Decimal(0), Decimal(value))

    def finalize(self) -> str | None:
        """Return the sum."""
        return None if self.total is None else money_text(self.total)


def plus(*values: Decimal) -> Decimal:
    """Return the exact sum, which Decimal's own context would round to 28 digits."""
    total = Decimal(0)
    for value in values:
        total = _EXACT.add(total, value)
    return total


def exact_product(one: Decimal, other: Decimal) -> Decimal:
    """Return the exact product."""
    return _EXACT.multiply(one, other)


def product(one: str | int | None, other: str | int | None) -> str | None:
    """Return the exact product, the SQLite function ``dmul``; NULL of NULL, and a REAL is refused."""
    if one is None or other is None:
        return None
    if not isinstance(one, str | int) or not isinstance(other, str | int):
        raise TypeError("dmul multiplies decimal text or integers")
    return money_text(_EXACT.multiply(Decimal(one), Decimal(other)))
