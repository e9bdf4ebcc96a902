"""Which hooks want an alert, under which id, and with which frozen body."""

from __future__ import annotations

from base64 import b32encode
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from hashlib import sha256
from typing import Any, Protocol

import msgspec

from accountd.core.changes import Alert

PENDING = "pending"
DELIVERED = "delivered"
SUPPRESSED = "suppressed"
DEAD = "dead"
STATUSES = (PENDING, DELIVERED, SUPPRESSED, DEAD)

EVERY = "*"
_ID_BYTES = 20  # 32 characters of base32
_TICK = timedelta(microseconds=1)
_encode = msgspec.json.Encoder().encode


class OutboxRow(msgspec.Struct, kw_only=True, gc=False):
    """One alert for one hook, as it is kept; ``body`` never changes once written.

    Rows with the same non-empty ``order_key`` reach their hook in the order of ``created_at``.
    """

    message_id: str
    account_id: str
    hook: str
    type: str
    body: str
    created_at: datetime
    next_attempt_at: datetime | None
    status: str = PENDING
    reason: str | None = None
    attempts: int = 0
    order_key: str = ""


class Attempt(msgspec.Struct, kw_only=True, gc=False):
    """How one attempt to deliver went, and what becomes of the message. ``duration`` is in microseconds."""

    message_id: str
    hook: str
    attempt: int
    status: str
    started_at: datetime
    duration: int
    status_code: int | None = None
    error: str | None = None
    next_attempt_at: datetime | None = None
    delivered_at: datetime | None = None


class Origin(msgspec.Struct, frozen=True, gc=False):
    """Whose alerts they are: the account's id, its name in the settings, its venue."""

    account_id: str
    account: str
    venue: str


class Route(msgspec.Struct, frozen=True, gc=False):
    """What one hook wants to hear; ``replay`` = also history from before the account's first start."""

    hook: str
    on: frozenset[str]
    accounts: frozenset[str]
    replay: bool = False

    def wants(self, alert: Alert, account: str) -> bool:
        """Say whether the alert goes to this hook."""
        if alert.backfill and not self.replay:
            return False
        if alert.type not in self.on and EVERY not in self.on:
            return False
        return account in self.accounts or EVERY in self.accounts


class Wishes(Protocol):
    """The settings of a hook that decide what it is told."""

    @property
    def on(self) -> Sequence[str]:
        """Alert types, or ``*``."""

    @property
    def accounts(self) -> Sequence[str]:
        """Account names, or ``*``."""

    @property
    def backfill(self) -> str:
        """``send`` or ``skip``."""


def routes(hooks: Mapping[str, Wishes]) -> list[Route]:
    """Return the routes of all configured hooks, by name."""
    return [
        Route(name, frozenset(hook.on), frozenset(hook.accounts), hook.backfill == "send")
        for name, hook in hooks.items()
    ]


def message_id(hook: str, alert_type: str, origin: Origin, identity: Iterable[str]) -> str:
    """Return the id of an alert for a hook: the same whoever derives it, whenever, however often.

    Every part carries its length, so that no two lists of parts read the same.
    """
    parts = (hook, alert_type, origin.venue, origin.account, *identity)
    text = "".join([f"{len(part)}:{part}" for part in parts])
    return "msg_" + b32encode(sha256(text.encode()).digest()[:_ID_BYTES]).decode().lower()


def time_text(moment: datetime) -> str:
    """Write a moment as UTC with ``Z``: milliseconds, or microseconds where there are any."""
    if moment.tzinfo is not UTC:
        moment = moment.astimezone(UTC)
    digits = "microseconds" if moment.microsecond % 1000 else "milliseconds"
    return moment.isoformat(timespec=digits)[:-6] + "Z"


def decimal_text(value: Decimal) -> str:
    """Write a decimal in plain notation, scale kept, without exponent and without ``-0``."""
    text = str(value)
    if "E" in text:
        text = format(value, "f")
    return text[1:] if text[0] == "-" and not value else text


def body(alert: Alert, origin: Origin) -> str:
    """Write the webhook body: compact JSON, money and times as strings.

    Raises:
        TypeError: a float is in the data; money is never a float.
    """
    data: dict[str, Any] = {"account": origin.account, "venue": origin.venue}
    for name, value in alert.data.items():
        data[name] = value if type(value) is str else _plain(value)
    if alert.backfill:
        data["replayed"] = True
    return _encode({"type": alert.type, "timestamp": time_text(alert.at), "data": data}).decode()


def _plain(value: Any) -> Any:
    kind = type(value)
    if kind is Decimal:
        return decimal_text(value)
    if kind is datetime:
        return time_text(value)
    if kind is float:
        raise TypeError("alert data must not hold a float")
    if kind is dict:
        return {name: _plain(inner) for name, inner in value.items()}
    if kind is list or kind is tuple:
        return [_plain(inner) for inner in value]
    return value


def rows(alert: Alert, origin: Origin, routes: Iterable[Route], now: datetime) -> list[OutboxRow]:
    """Return one row for each hook that wants the alert, due at once; ``now`` is UTC."""
    told: str | None = None
    out: list[OutboxRow] = []
    for route in routes:
        if not route.wants(alert, origin.account):
            continue
        if told is None:
            told = body(alert, origin)
        out.append(
            OutboxRow(
                message_id=message_id(route.hook, alert.type, origin, alert.identity),
                account_id=origin.account_id,
                hook=route.hook,
                type=alert.type,
                body=told,
                created_at=now,
                next_attempt_at=now,
                order_key=alert.order_key,
            )
        )
    return out


def batch(alerts: Iterable[Alert], origin: Origin, routes: Sequence[Route], now: datetime) -> list[OutboxRow]:
    """Return the rows of all alerts of one transaction, a microsecond apart so that their order is kept."""
    out: list[OutboxRow] = []
    for alert in alerts:
        made = rows(alert, origin, routes, now)
        if made:
            out += made
            now += _TICK
    return out
