"""Whether two amounts of different times are explained by what was told to have moved between them.

An amount is known as of a moment, a movement bears a time, and the two clocks need not agree to the
millisecond: a snapshot is as old as its replica, funding is booked at the full hour and told a second
later. So the ends of the window are not points but margins: the amounts tie when there is a cut inside
each margin between which the movements add up to the difference exactly. Amounts are never tolerated to
differ, only cuts to move.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from itertools import accumulate, groupby
from operator import itemgetter

import msgspec

from accountd.core.told import BALANCES, FILLS, ORDERS, POSITIONS, TRANSFERS

Move = tuple[datetime, Decimal]
Stretch = tuple[datetime, datetime]
_ZERO = Decimal(0)

# The kinds of finding that ties open; docs/reference/findings.md says what each means.
ORDER_FILLS = "order_fills"
BALANCE = "balance_unexplained"
POSITION = "position_unexplained"
ORDER_UNSEEN = "order_unseen"
# What must be proven over the window before a tie may be judged.
NEEDS = {
    ORDER_FILLS: (ORDERS, FILLS),
    ORDER_UNSEEN: (ORDERS, FILLS, POSITIONS),
    POSITION: (POSITIONS, FILLS),
}
NEEDS_OF_BALANCE = {
    "income": (BALANCES, TRANSFERS),  # every change of the wallet is an income row
    "legs": (BALANCES, FILLS, TRANSFERS),  # fills move base, quote and commission themselves
}
# How the balances of a market are explained; a market that is not listed here is not judged.
BOOKS = {"usdm": "income", "coinm": "income", "spot": "legs"}
# Venues that move money between the wallets of one account without a row of its own (portfolio margin).
ENTANGLED = ("binance-portfolio",)


class Window(msgspec.Struct, frozen=True, kw_only=True):
    """A window to be explained: known amounts at its two ends, and how uncertain their times are."""

    start: datetime
    end: datetime
    slack: timedelta
    before: Decimal
    after: Decimal


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """Whether a window ties. ``moved`` is the sum of the movements between its ends as they are dated."""

    tied: bool
    difference: Decimal  # after - before
    moved: Decimal

    @property
    def unexplained(self) -> Decimal:
        """Return what the movements do not explain."""
        return self.difference - self.moved


def judge(window: Window, early: Sequence[Move], middle: Decimal, late: Sequence[Move]) -> Verdict:
    """Judge a window. ``early`` and ``late`` are the movements within the slack of its ends.

    ``middle`` is the sum of those between the margins. Movements of one instant stay together: a balance
    told of an instant is the one after everything that happened in it.
    """
    wanted = window.after - window.before
    # What the margin at the start adds when its first k instants were in the amount already.
    opening = set(_sums(_instants(early)[::-1]))
    nominal = sum((amount for at, amount in early if at > window.start), _ZERO)
    nominal += middle + sum((amount for at, amount in late if at <= window.end), _ZERO)
    tied = any(wanted - middle - part in opening for part in _sums(_instants(late)))
    return Verdict(tied=tied, difference=wanted, moved=nominal)


def _instants(moves: Iterable[Move]) -> list[Decimal]:
    """Return the sum of the movements of each instant, in the order of time."""
    ordered = groupby(sorted(moves, key=itemgetter(0)), key=itemgetter(0))
    return [sum((amount for _, amount in group), _ZERO) for _, group in ordered]


def _sums(amounts: Iterable[Decimal]) -> Iterator[Decimal]:
    """Yield the sum of the first none, one, two ... amounts."""
    return accumulate(amounts, initial=_ZERO)


def common(stretches: Iterable[Stretch | None]) -> Stretch | None:
    """Return the stretch of time that all of these contain, or None."""
    start: datetime | None = None
    end: datetime | None = None
    for one in stretches:
        if one is None:
            return None
        start = one[0] if start is None else max(start, one[0])
        end = one[1] if end is None else min(end, one[1])
    return (start, end) if start is not None and end is not None and start < end else None


def signed(side: str, quantity: Decimal) -> Decimal:
    """Return how a fill moves its position, in base units: a sale is negative."""
    return quantity if side == "BUY" else -quantity
