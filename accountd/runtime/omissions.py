"""What a stream shows to have left out, or to be of no certain order: executions that do not add up, halves
without the other half, amounts that come back within one instant."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import TypeVar

from accountd.core.beliefs import Recent
from accountd.core.told import Balance, Fill, Order, Position

WAIT = 3.0  # seconds that the two halves of one execution may be apart
MOST = 10_000
_ZERO = Decimal(0)
Key = tuple[str, str, datetime]  # market, symbol, when it traded
Place = tuple[str, str]  # market, symbol
Held = tuple[str, str, str]  # market, asset or symbol, side of a position
Instant = tuple[datetime, datetime | None]  # as of, and when the venue made the message
Amounts = tuple[Decimal | None, ...]
K = TypeVar("K")


@dataclass(slots=True)
class _Last:
    """The last instant that something was told of: the last amounts, and all of them."""

    instant: Instant
    amounts: Amounts
    seen: set[Amounts]


class Omissions:
    """Listens to one account's frames. A hint costs a small sweep, so what does not pair here is not paired.

    An order that is told to have filled more than its executions add up to kept one back. A futures
    execution is told twice, as a fill and as the position that it made, both of one time: one without the
    other means that a frame was dropped. Venues that date the two differently are noticed: nothing matches.
    """

    def __init__(self) -> None:
        self._filled: Recent[tuple[str, str, str], Decimal] = Recent(MOST)
        self._fills: dict[Key, float] = {}  # heard at, without the position so far
        self._positions: dict[Key, float] = {}  # ... without the fill
        self._paired: Recent[Key, None] = Recent(MOST)
        self._short: set[Place] = set()
        self._amounts: dict[Held, _Last] = {}
        self._again: dict[Held, float] = {}  # heard at: an amount that its instant, the last so far, had had
        self.matched = self.missed = 0

    def hear(self, told: object, now: float) -> None:
        """Take something that the stream told at ``now`` (monotonic seconds)."""
        if isinstance(told, Order):
            if told.execution_type is not None and told.kind == "order":
                self._order(told)
        elif isinstance(told, Fill):
            self._half((told.market, told.symbol, told.traded_at), self._fills, self._positions, now)
        elif isinstance(told, Balance):
            self._amount((told.market, told.asset, ""), told, (told.total, told.free, told.locked), now)
        elif isinstance(told, Position):
            self._amount((told.market, told.symbol, told.position_side), told, (told.quantity,), now)
            if told.reason == "ORDER":
                self._half((told.market, told.symbol, told.as_of), self._positions, self._fills, now)

    def due(self, now: float) -> tuple[set[Place], bool]:
        """Take out the symbols to be swept, and say whether balances and positions are to be read."""
        short, self._short = self._short, set()
        lone_positions = {key[:2] for key in self._late(self._positions, now)}
        lone_fills = list(self._late(self._fills, now))
        self.missed += len(lone_positions) + len(lone_fills)
        again = list(self._late(self._again, now))
        if self.matched <= self.missed:
            return short, bool(again)
        return short | lone_positions, bool(lone_fills or again)

    def _order(self, told: Order) -> None:
        key, filled = (told.market, told.symbol, told.order_id), told.filled_quantity
        if filled is None:
            return
        known = self._filled.get(key)
        if known is not None and filled - (told.last_quantity or _ZERO) > known:
            self._short.add(key[:2])
        if known is None or filled > known:
            self._filled[key] = filled
            self._filled.trim()

    def _amount(self, key: Held, told: Balance | Position, amounts: Amounts, now: float) -> None:
        instant, last = (told.as_of, told.seen_at), self._amounts.get(key)
        if last is None or last.instant != instant:
            if last is None or last.instant[0] <= told.as_of:
                self._amounts[key] = _Last(instant, amounts, {amounts})
                self._again.pop(key, None)
            return
        if amounts != last.amounts and amounts in last.seen:
            self._again[key] = now
        last.amounts = amounts
        if len(last.seen) < MOST:
            last.seen.add(amounts)

    def _half(self, key: Key, mine: dict[Key, float], others: dict[Key, float], now: float) -> None:
        if others.pop(key, None) is not None:
            self.matched += 1
            self._paired[key] = None
            self._paired.trim()
        elif key not in self._paired and len(mine) < MOST:
            mine.setdefault(key, now)

    def _late(self, waiting: dict[K, float], now: float) -> Iterator[K]:
        for key in [key for key, heard in waiting.items() if now - heard > WAIT]:
            del waiting[key]
            yield key
