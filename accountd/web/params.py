"""The parameters of the API: how each is written, read, explained and refused."""

import base64
import binascii
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import msgspec

from accountd.settings_rules import MARKETS, SIDES
from accountd.web.problem import Problem

MOST_ROWS = 1000
ROWS = 100
LONGEST_WAIT = 3600  # seconds
_TIME = re.compile(
    r"(\d{4}-\d\d-\d\d)(?:[Tt ](\d\d:\d\d:)(\d\d)(\.\d+)?(?:([Zz])|([+-])(\d\d):(\d\d)))?", re.ASCII
)
_WORD = r"[A-Z][A-Z0-9_]{0,39}"
# What both databases can compare a text with: no space and no control character.
_SAFE = r"[^\x00-\x20\x7f]{1,80}"
_SAFE_SCHEMA = {"type": "string", "minLength": 1, "maxLength": 80, "pattern": r"^[^\x00-\x20\x7f]+$"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Param:
    """One parameter of a query. `allowed` is said to whoever writes something else."""

    name: str
    text: str
    schema: Mapping[str, Any]
    read: Callable[[str], Any]
    allowed: str

    def value(self, written: str) -> Any:
        """Read what is written.

        Raises:
            Problem: it is not allowed.
        """
        try:
            return self.read(written)
        except ValueError:
            raise Problem.parameter(self.name, written, self.allowed) from None


def read_all(params: Sequence[Param], written: Iterable[tuple[str, str]]) -> dict[str, Any]:
    """Read a query string; a parameter that is not written is not in the answer.

    Raises:
        Problem: a parameter is unknown, is written twice, or has a value that is not allowed.
    """
    known = {param.name: param for param in params}
    found: dict[str, Any] = {}
    for name, value in written:
        if name not in known:
            names = ", ".join(known) or "none"
            raise Problem.parameter(name, value, f"no such parameter here; there is {names}")
        if name in found:
            raise Problem.parameter(name, value, "once")
        found[name] = known[name].value(value)
    return found


def word(name: str, text: str, example: str) -> Param:
    """An upper-case word of an enumeration that a venue may extend."""
    return Param(
        name=name, text=text, schema={"type": "string", "pattern": f"^{_WORD}$", "example": example},
        read=_matching(_WORD), allowed=f"an upper-case word such as {example}",
    )  # fmt: skip


def free(name: str, text: str, example: str) -> Param:
    """A text that is compared as it is."""
    return Param(
        name=name, text=text, schema=_SAFE_SCHEMA | {"example": example},
        read=_matching(_SAFE), allowed=f"1 to 80 characters, such as {example}",
    )  # fmt: skip


def one_of(name: str, text: str, *words: str, default: str | None = None) -> Param:
    """One of the words of a closed enumeration."""

    def read(written: str) -> str:
        if written not in words:
            raise ValueError(written)
        return written

    schema: dict[str, Any] = {"type": "string", "enum": list(words)}
    if default is not None:
        schema["default"] = default
    return Param(name=name, text=text, schema=schema, read=read, allowed="one of " + ", ".join(words))


def flag(name: str, text: str) -> Param:
    """true or false."""
    words = {"true": True, "false": False}

    def read(written: str) -> bool:
        if written not in words:
            raise ValueError(written)
        return words[written]

    return Param(name=name, text=text, schema={"type": "boolean"}, read=read, allowed="true or false")


def whole(name: str, text: str, least: int, most: int, default: int | None = None) -> Param:
    """A whole number within bounds."""

    def read(written: str) -> int:
        if not re.fullmatch(r"0|[1-9][0-9]{0,9}", written) or not least <= int(written) <= most:
            raise ValueError(written)
        return int(written)

    schema: dict[str, Any] = {"type": "integer", "minimum": least, "maximum": most}
    if default is not None:
        schema["default"] = default
    return Param(
        name=name, text=text, schema=schema, read=read, allowed=f"a whole number from {least} to {most}"
    )


def moment(name: str, text: str) -> Param:
    """A moment in time."""
    either = [{"type": "string", "format": "date-time"}, {"type": "string", "format": "date"}]
    return Param(
        name=name, text=text + ", ISO 8601; a date alone means its first moment in UTC",
        schema={"anyOf": either}, read=read_time,
        allowed="a moment such as 2026-11-23T08:00:00Z, or a date such as 2026-11-23",
    )  # fmt: skip


def read_time(written: str) -> datetime:
    """Read RFC 3339, or a date as its first moment; a leap second is the last moment before the next.

    Raises:
        ValueError: it is neither.
    """
    match = _TIME.fullmatch(written)
    if match is None:
        raise ValueError(written)
    day, clock, second, part, zulu, _, hours, minutes = match.groups()
    if clock is None:
        return datetime.fromisoformat(day).replace(tzinfo=UTC)
    if hours is not None and (int(hours) > 23 or int(minutes) > 59):
        raise ValueError(written)
    if second == "60":
        second, part = "59", ".999999"
    zone = "+00:00" if zulu else written[-6:]
    part = part[:7].ljust(7, "0") if part else ""
    told = datetime.fromisoformat(f"{day}T{clock}{second}{part}{zone}")
    try:
        return told.astimezone(UTC)
    except OverflowError:  # the first or the last day that there is, in another zone
        return told.replace(tzinfo=UTC)


def write_time(value: datetime) -> str:
    """Write a moment as ISO 8601 in UTC with microseconds and Z."""
    return value.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="microseconds") + "Z"


def _matching(pattern: str) -> Callable[[str], str]:
    compiled = re.compile(pattern)

    def read(written: str) -> str:
        if not compiled.fullmatch(written):
            raise ValueError(written)
        return written

    return read


def write_cursor(after: Sequence[Any]) -> str:
    """Write where a page ended so that the next one can begin there."""
    return base64.urlsafe_b64encode(msgspec.json.encode(list(after))).rstrip(b"=").decode()


def read_cursor(written: str) -> list[Any]:
    """Read a cursor: the moment, the account and the rest of the key of the last row.

    Raises:
        Problem: no page of this API ended there.
    """
    try:
        raw = base64.b64decode(written + "=" * (-len(written) % 4), altchars=b"-_", validate=True)
        at, *key = msgspec.json.decode(raw, type=list[str])
        found: list[Any] = [read_time(at), *key]
    except (ValueError, binascii.Error, msgspec.DecodeError):
        found = []
    if len(found) < 2 or any("\0" in part for part in found[1:]):
        raise Problem.parameter("cursor", written, "what the page before said in next_cursor", status=404)
    return found


ACCOUNT = Param(
    name="account", text="Only this account, by its name.",
    schema=_SAFE_SCHEMA | {"example": "main"},
    read=_matching(_SAFE), allowed="the name of an account",
)  # fmt: skip
MARKET = one_of("market", "Only this market.", *MARKETS)
SYMBOL = free("symbol", "Only this symbol.", "BTCUSDT")
ASSET = free("asset", "Only this asset.", "USDT")
SIDE = one_of("side", "Only this side.", *SIDES)
STATUS = word("status", "Only orders in this state.", "FILLED")
ORDER_ID = free("order_id", "Only this order, by the venue's number.", "8389765")
CLIENT_ORDER_ID = free("client_order_id", "Only orders that were placed under this id.", "my-bot-17")
SINCE = moment("since", "Not before this moment")
UNTIL = moment("until", "Before this moment")
AT = moment("at", "As things stood at this moment")
LIMIT = whole("limit", "How many rows a page has at most.", 1, MOST_ROWS, ROWS)
CURSOR = Param(
    name="cursor", text="Where the page before ended: its `next_cursor`, with the same other parameters.",
    schema={"type": "string", "pattern": "^[A-Za-z0-9_-]+$"},
    read=_matching(r"[A-Za-z0-9_-]{1,600}"), allowed="what the page before said in next_cursor",
)  # fmt: skip
OPEN = flag("open", "Only what is open (true) or only what is over (false).")
