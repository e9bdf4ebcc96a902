"""What an HTTP reply that is no answer means: Binance's status codes, error numbers and texts as errors.

Venue page followed: derivatives/usds-margined-futures/general-info and error-code.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from datetime import datetime

import msgspec

from accountd.errors import (
    BadRequest,
    Banned,
    ClockSkew,
    KeyRefused,
    ListenKeyGone,
    RateLimited,
    VenueError,
    VenueGone,
    VenueUnavailable,
)
from accountd.venues.base import Ack, Call, from_ms

LONGEST_BAN = 3 * 86400.0  # seconds: the venue's own maximum
BAN_WITHOUT_END = 120.0  # ... and its minimum
BAN_LEAST = 2.0  # ... of one whose told end is over by our clock: the venue's may be a little behind
MINUTE = 60.0  # the venue counts by the minute of its own clock
WAF_PAUSE = 30.0
BANNED_UNTIL = re.compile(r"banned until (\d{13})")
BY_CODE: dict[int, type[VenueError]] = {
    -1021: ClockSkew,
    -1099: KeyRefused,
    -1022: KeyRefused,
    -1125: ListenKeyGone,
    -2008: KeyRefused,
    -2014: KeyRefused,
    -2015: KeyRefused,
    -1000: VenueUnavailable,
    -1001: VenueUnavailable,
    -1004: VenueUnavailable,
    -1006: VenueUnavailable,
    -1007: VenueUnavailable,
    -1008: VenueUnavailable,
    -1016: VenueUnavailable,
    -1109: VenueUnavailable,  # "Invalid account": told of good accounts while the venue is maintained
}


class _Refusal(msgspec.Struct):
    code: int | None = None
    msg: str | None = None


def refusal_of(
    call: Call,
    status: int,
    headers: Mapping[str, str],
    body: bytes,
    venue_now: datetime,
    secrets: Iterable[str] = (),
) -> VenueError | None:
    """Return the error that a reply is, or None when it is an answer in JSON."""
    place = f"{call.method} {call.path}: {status}"
    if 200 <= status < 300 and not body.startswith(b'{"code":-'):
        try:
            msgspec.json.decode(body, type=msgspec.Raw)
        except msgspec.DecodeError:
            return VenueUnavailable(f"{place}, but the body is no JSON", status=status)
        return None
    code, message = _read(body)
    for secret in secrets:
        message = message.replace(secret, "...")
    text = f"{place}{'' if code is None else f' {code}'} {message[:200]}".rstrip()
    if status in (418, 429) or code == -1003:
        return _limited(text, status, code, message, headers, venue_now)
    return _kind(status, code, body)(
        text, status=status, code=code, retry_after=_retry_after(status, headers)
    )


def refusal_of_ack(method: str, ack: Ack, venue_now: datetime) -> VenueError:
    """Return the error that a WebSocket API's refusal is; its pauses end at a time, not after one."""
    status, code = ack.status or 400, ack.code
    text = f"{method}: {status}{'' if code is None else f' {code}'} {(ack.error or '')[:200]}".rstrip()
    if status in (418, 429) or code == -1003:
        until = BANNED_UNTIL.search(ack.error or "")
        end = ack.retry_at or (from_ms(int(until[1])) if until else None)
        banned = status == 418 or until is not None
        seconds = BAN_WITHOUT_END if banned else _rest_of_the_minute(venue_now)
        if end is not None:
            seconds = max(BAN_LEAST if banned else 0.0, (end - venue_now).total_seconds())
        return (Banned if banned else RateLimited)(
            text, status=status, code=code, retry_after=min(seconds, LONGEST_BAN)
        )
    return _kind(status, code, b"")(text, status=status, code=code)


def _read(body: bytes) -> tuple[int | None, str]:
    try:
        told = msgspec.json.decode(body, type=_Refusal, strict=False)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return None, ""  # HTML: nothing in it is for us
    return told.code, told.msg or ""


def _limited(
    text: str, status: int, code: int | None, message: str, headers: Mapping[str, str], venue_now: datetime
) -> RateLimited:
    """Tell a request for fewer requests from a ban, and how long either lasts."""
    seconds = _retry_after(status, headers)
    until = BANNED_UNTIL.search(message)
    if until is not None:
        seconds = max(seconds or 0.0, (from_ms(int(until[1])) - venue_now).total_seconds(), BAN_LEAST)
    banned = status == 418 or until is not None
    told_end = seconds is not None and seconds > 0
    if seconds is None or seconds <= 0:
        seconds = BAN_WITHOUT_END if banned else _rest_of_the_minute(venue_now)
    kind = Banned if banned else RateLimited
    limited = kind(text, status=status, code=code, retry_after=min(seconds, LONGEST_BAN))
    limited.told_end = told_end
    return limited


def _rest_of_the_minute(venue_now: datetime) -> float:
    """Return seconds until the venue counts anew, and one more: its clock is known to a second."""
    return min(MINUTE, MINUTE - venue_now.second - venue_now.microsecond / 1_000_000 + 1)


def _kind(status: int, code: int | None, body: bytes) -> type[VenueError]:
    """Choose the error by the venue's number where there is one, else by the status."""
    if code in BY_CODE:
        return BY_CODE[code]
    if status == 401:
        return KeyRefused
    if status == 410:
        return VenueGone
    # {"239999": ...} is how maintenance was told once, under any status.
    if not 400 <= status < 500 or status in (403, 408) or b'"239999"' in body:
        return VenueUnavailable
    return BadRequest


def _retry_after(status: int, headers: Mapping[str, str]) -> float | None:
    told = headers.get("retry-after", "").strip()
    if told.isascii() and told.isdecimal():
        return min(float(told), LONGEST_BAN)
    return WAF_PAUSE if status == 403 else None
