"""The words in which a hook's rules are written: patterns, quiet hours, rates, sizes, and expressions."""

import re
from collections.abc import Mapping
from datetime import time, timedelta
from decimal import Decimal, InvalidOperation
from typing import Annotated, Any
from zoneinfo import ZoneInfo

from pydantic import PlainValidator

from accountd.settings_values import read_budget, read_words

# How the venue's own apps and pages begin the client order ids of what a person places by hand.
MANUAL_IDS = ("web_*", "ios_*", "and_*", "android_*", "electron_*", "mac_*", "pc_*")
MARKETS = ("spot", "margin", "isolated", "usdm", "coinm", "options")
SIDES = ("BUY", "SELL")
QUIET = "hours such as 22:00-07:00"
SIZES = {"KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12}
FLAG, NUMBER, TEXT = "BOOLEAN", "FLOAT", "STRING"  # as the library calls them; its FLOAT is a decimal
# What an expression may name: the fields of the bodies of event alerts, and what every alert has.
FIELDS: dict[str, str] = {
    **dict.fromkeys(
        (
            "type", "account", "venue", "market", "symbol", "order_id", "client_order_id", "trade_id", "side",
            "position_side", "commission_asset", "source", "order_status", "kind", "order_type",
            "time_in_force", "reason", "asset", "margin_type", "transfer_id", "severity", "subject",
            "dataset", "traded_at", "updated_at", "occurred_at",
        ),
        TEXT,
    ),
    **dict.fromkeys(
        (
            "price", "quantity", "quote_quantity", "commission", "realized_pnl", "filled_quantity",
            "order_quantity", "stop_price", "average_price", "total", "before", "free", "locked",
            "entry_price", "break_even_price", "leverage", "amount", "late_by",
        ),
        NUMBER,
    ),
    **dict.fromkeys(("is_maker", "late", "reduce_only", "replayed"), FLAG),
}  # fmt: skip


class Expression:
    """A compiled expression over the fields of an alert; numbers are exact decimals.

    An alert that lacks a field that the expression names is let through, and so is one about which it
    cannot be answered (a field is null): an alert too many is better than one too few.
    """

    def __init__(self, text: str) -> None:
        import rule_engine  # it builds its parser when it is imported: only where an expression is used

        self.text = text
        types = {name: getattr(rule_engine.DataType, kind) for name, kind in FIELDS.items()}
        context = rule_engine.Context(
            type_resolver=rule_engine.type_resolver_from_dict(types), resolver=rule_engine.resolve_item,
            default_value=None,
        )  # fmt: skip
        self._cannot = rule_engine.errors.EngineError
        self._rule = rule_engine.Rule(text, context=context)
        self.names = frozenset(context.symbols)

    def __call__(self, data: Mapping[str, Any]) -> bool:
        """Say whether the expression is true of this data."""
        told: dict[str, Any] = {}
        for name in self.names:
            if name not in data:
                return True
            told[name] = _typed(name, data[name])
        try:
            return bool(self._rule.matches(told))
        except self._cannot:
            return True

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Expression) and other.text == self.text

    def __hash__(self) -> int:
        return hash(self.text)

    def __repr__(self) -> str:
        return f"Expression({self.text!r})"


def _typed(name: str, value: Any) -> Any:
    if value is None or FIELDS[name] is FLAG:
        return value
    if FIELDS[name] is TEXT:
        return str(value)
    try:
        return Decimal(str(value))
    except InvalidOperation:
        return None


def read_when(written: object) -> Expression | None:
    """Read an expression such as ``quote_quantity > 1000 and symbol =~ 'BTC.*'``."""
    if written is None or isinstance(written, Expression):
        return written
    text = str(written).strip()
    from rule_engine.errors import EngineError, RuleSyntaxError, SymbolResolutionError

    try:
        return Expression(text)
    except RuleSyntaxError as refusal:
        at = refusal.token.lexpos if refusal.token is not None else len(text)
        raise ValueError(f"an expression; this is not one from character {at + 1} on") from None
    except SymbolResolutionError as refusal:
        at = text.find(refusal.symbol_name)
        near = f"; did you mean {refusal.suggestion}?" if refusal.suggestion else ""
        raise ValueError(f"{refusal.symbol_name!r} at character {at + 1} is no field{near}") from None
    except EngineError as refusal:
        at = _first_wrong(text)
        raise ValueError(f"an expression that makes sense: {refusal.message} near character {at}") from None


def _first_wrong(text: str) -> int:
    """Return the character from which on an expression stops making sense."""
    from rule_engine.errors import EngineError, RuleSyntaxError, SymbolResolutionError

    ends = [match.end() for match in re.finditer(r"\S+", text)]
    for end in ends:
        try:
            Expression(text[:end])
        except (RuleSyntaxError, SymbolResolutionError):
            continue  # cut short, so not a whole expression: says nothing about types
        except EngineError:
            return next(match.start() for match in re.finditer(r"\S+", text) if match.end() == end) + 1
    return 1


def read_quiet(written: object) -> tuple[time, time] | None:
    """Read ``22:00-07:00``: from when to when, maybe over midnight."""
    if written is None or isinstance(written, tuple):
        return written
    match = re.fullmatch(r"(\d\d):(\d\d)\s*-\s*(\d\d):(\d\d)", str(written).strip())
    try:
        numbers = [int(number) for number in match.groups()] if match else []
        start, end = time(numbers[0], numbers[1]), time(numbers[2], numbers[3])
    except (ValueError, IndexError):
        raise ValueError(QUIET) from None
    if start == end:
        raise ValueError(f"{QUIET}; they may not last the whole day")
    return start, end


def read_zone(written: object) -> ZoneInfo:
    """Read the name of a time zone."""
    if isinstance(written, ZoneInfo):
        return written
    try:
        return ZoneInfo(str(written).strip())
    except (ValueError, OSError, KeyError):  # no such name, a folder of names, or no zone at all
        raise ValueError("a time zone such as UTC or Europe/Berlin") from None


def read_rate(written: object) -> tuple[int, timedelta] | None:
    """Read ``30/1m``: at most so many in so long."""
    return None if written is None else read_budget(written, "30/1m")


def read_amount(written: object) -> Decimal | None:
    """Read an amount of money, exactly."""
    if written is None or isinstance(written, Decimal):
        return written
    if isinstance(written, bool) or not re.fullmatch(r"[0-9]{1,20}(\.[0-9]{1,20})?", str(written).strip()):
        raise ValueError("an amount such as 1000 or 0.5")
    return Decimal(str(written).strip())


def read_size(written: object) -> int:
    """Read ``500MB 2GB`` as bytes."""
    if isinstance(written, int) and not isinstance(written, bool):
        return written
    match = re.fullmatch(r"([0-9]{1,9}(?:\.[0-9]{1,3})?)\s*(KB|MB|GB|TB)", str(written).strip().upper())
    if not match:
        raise ValueError("a size such as 500MB or 2GB")
    return int(Decimal(match[1]) * SIZES[match[2]])


def read_sides(written: object) -> tuple[str, ...]:
    """Read a list of BUY and SELL."""
    words = tuple(word.upper() for word in read_words(written))
    if not set(words) <= set(SIDES):
        raise ValueError('a list of "BUY" and "SELL"')
    return words


def read_patterns(written: object) -> tuple[str, ...]:
    """Read a list of patterns for symbols."""
    return tuple(word.upper() for word in read_words(written))


def read_markets(written: object) -> tuple[str, ...]:
    """Read a list of markets; an unknown one would never ring."""
    words = tuple(word.lower() for word in read_words(written))
    if unknown := [word for word in words if word not in MARKETS]:
        raise ValueError(f"{unknown[0]} is no market; the list may hold {', '.join(MARKETS)}")
    return words


When = Annotated[Expression | None, PlainValidator(read_when)]
QuietHours = Annotated[tuple[time, time] | None, PlainValidator(read_quiet)]
Zone = Annotated[ZoneInfo, PlainValidator(read_zone)]
Rate = Annotated[tuple[int, timedelta] | None, PlainValidator(read_rate)]
Amount = Annotated[Decimal | None, PlainValidator(read_amount)]
Size = Annotated[int, PlainValidator(read_size)]
Sides = Annotated[tuple[str, ...], PlainValidator(read_sides)]
Patterns = Annotated[tuple[str, ...], PlainValidator(read_patterns)]
Markets = Annotated[tuple[str, ...], PlainValidator(read_markets)]
