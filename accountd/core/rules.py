"""Which alerts a hook wants by what they say: market, symbol, side, size, liquidity, origin, lateness."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from decimal import Decimal, InvalidOperation
from fnmatch import fnmatchcase
from typing import Any, Protocol

import msgspec

ANY = "any"
MAKER, TAKER = "maker", "taker"
MANUAL, BOT = "manual", "bot"
LATE, LIVE = "late", "live"

When = Callable[[Mapping[str, Any]], bool]


class RuleSettings(Protocol):
    """The settings of a hook that decide which alerts it wants; named as there."""

    @property
    def markets(self) -> Sequence[str]: ...
    @property
    def symbols(self) -> Sequence[str]: ...
    @property
    def sides(self) -> Sequence[str]: ...
    @property
    def min_notional(self) -> Decimal | None: ...
    @property
    def liquidity(self) -> str: ...
    @property
    def orders(self) -> str: ...
    @property
    def manual_ids(self) -> Sequence[str]: ...
    @property
    def late(self) -> str: ...
    @property
    def when(self) -> When | None: ...


class Rules(msgspec.Struct, frozen=True, gc=False):
    """What a hook wants to hear of. A rule about something that an alert does not have lets it pass.

    ``symbols`` and ``manual_ids`` are patterns with ``*`` and ``?``; a pattern that begins with ``!``
    excludes. ``least`` is in quote. ``when`` is the hook's own expression.
    """

    markets: frozenset[str] = frozenset()
    symbols: tuple[str, ...] = ()
    sides: frozenset[str] = frozenset()
    least: Decimal | None = None
    liquidity: str = ANY
    orders: str = ANY
    manual_ids: tuple[str, ...] = ()
    late: str = ANY
    when: When | None = None

    def want(self, kind: str, account: str, venue: str, data: Mapping[str, Any]) -> bool:
        """Say whether an alert of this kind with this data passes every rule."""
        if self.markets and data.get("market") and data["market"] not in self.markets:
            return False
        if self.symbols and data.get("symbol") and not matches(data["symbol"], self.symbols):
            return False
        if self.sides and data.get("side") and data["side"] not in self.sides:
            return False
        if self.least is not None and (worth := notional(data)) is not None and worth < self.least:
            return False
        if not self._right_kind(data):
            return False
        if self.when is None:
            return True
        return self.when({**data, "type": kind, "account": account, "venue": venue})

    def _right_kind(self, data: Mapping[str, Any]) -> bool:
        maker, late = data.get("is_maker"), data.get("late")
        if self.liquidity != ANY and maker is not None and maker is not (self.liquidity == MAKER):
            return False
        if self.late != ANY and late is not None and late is not (self.late == LATE):
            return False
        if self.orders != ANY and "client_order_id" in data:
            by_hand = matches(data["client_order_id"] or "", self.manual_ids)
            return by_hand is (self.orders == MANUAL)
        return True


NO_RULES = Rules()


def rules_of(hook: RuleSettings) -> Rules:
    """Return the rules of a hook; `NO_RULES` itself where it has none."""
    rules = Rules(
        frozenset(hook.markets), tuple(hook.symbols), frozenset(hook.sides), hook.min_notional,
        hook.liquidity, hook.orders, tuple(hook.manual_ids), hook.late, hook.when,
    )  # fmt: skip
    return NO_RULES if msgspec.structs.replace(rules, manual_ids=()) == NO_RULES else rules


def matches(word: str, patterns: Iterable[str]) -> bool:
    """Say whether a word fits one of the patterns, and none that begins with ``!``."""
    fits = False
    only_exclusions = True
    for pattern in patterns:
        if pattern.startswith("!"):
            if fnmatchcase(word, pattern[1:]):
                return False
        else:
            only_exclusions = False
            fits = fits or fnmatchcase(word, pattern)
    return fits or only_exclusions


def notional(data: Mapping[str, Any]) -> Decimal | None:
    """Return what an execution or an order is worth in quote; None where that is not said."""
    told = number(data.get("quote_quantity"))
    if told is not None:
        return abs(told)
    price = number(data.get("average_price")) or number(data.get("price")) or number(data.get("stop_price"))
    quantity = number(data.get("order_quantity"))
    return abs(price * quantity) if price and quantity else None


def number(value: Any) -> Decimal | None:
    """Read a number of a body, which is text; None where there is none."""
    if value is None or isinstance(value, Decimal):
        return value
    try:
        return Decimal(str(value))
    except InvalidOperation:
        return None
