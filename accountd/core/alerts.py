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
from accountd.core.money import money_text

PENDING = "pending"
DELIVERED = "delivered"
SUPPRESSED = "suppressed"
DEAD = "dead"

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


class HookWish(msgspec.Struct, frozen=True, gc=False):
    """What one hook wants to hear; ``replay`` = also history from before the account's first start."""

    hook: str
    on: frozenset[str]
    accounts: frozenset[str] = frozenset({EVERY})
    replay: bool = False

    def wants(self, alert: Alert, account: str) -> bool:
        """Say whether the alert goes to this hook."""
        if alert.backfill and not self.replay:
            return False
        if alert.type not in self.on and EVERY not in self.on:
            return False
        return account in self.accounts or EVERY in self.accounts


class HookSettings(Protocol):
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


def wishes(hooks: Mapping[str, HookSettings]) -> list[HookWish]:
    """Return what each configured hook wants, by name."""
    return [
        HookWish(name, frozenset(hook.on), frozenset(hook.accounts), hook.backfill == "send")
        for name, hook in hooks.items()
    ]


def heard(hooks: Iterable[HookWish]) -> frozenset[str] | None:
    """Return the types of alert that at least one hook wants; None for all."""
    wanted = frozenset[str]().union(*(wish.on for wish in hooks))
    return None if EVERY in wanted else wanted


def message_id(hook: str, alert_type: str, venue: str, account: str, identity: Iterable[str]) -> str:
    """Return the id of an alert for a hook: the same whoever derives it, whenever, however often.

    Every part carries its length, so that no two lists of parts read the same.
    """
    parts = (hook, alert_type, venue, account, *identity)
    text = "".join([f"{len(part)}:{part}" for part in parts])
    return "msg_" + b32encode(sha256(text.encode()).digest()[:_ID_BYTES]).decode().lower()


def time_text(moment: datetime) -> str:
    """Write a moment as UTC with ``Z``: milliseconds, or microseconds where there are any."""
    if moment.tzinfo is not UTC:
        moment = moment.astimezone(UTC)
    digits = "microseconds" if moment.microsecond % 1000 else "milliseconds"
    return moment.isoformat(timespec=digits)[:-6] + "Z"


def body(alert: Alert, venue: str, account: str) -> str:
    """Write the webhook body: compact JSON, money and times as strings.

    Raises:
        TypeError: a float is in the data; money is never a float.
    """
    data: dict[str, Any] = {"account": account, "venue": venue}
    for name, value in alert.data.items():
        data[name] = value if type(value) is str else _plain(value)
    if alert.backfill:
        data["replayed"] = True
    return _encode({"type": alert.type, "timestamp": time_text(alert.at), "data": data}).decode()


def _plain(value: Any) -> Any:
    kind = type(value)
    if kind is Decimal:
        return money_text(value)
    if kind is datetime:
        return time_text(value)
    if kind is float:
        raise TypeError("alert data must not hold a float")
    if kind is dict:
        return {name: _plain(inner) for name, inner in value.items()}
    if kind is list or kind is tuple:
        return [_plain(inner) for inner in value]
    return value


def rows(alert: Alert, venue: str, account: str, hooks: Iterable[HookWish], now: datetime) -> list[OutboxRow]:
    """Return one row for each hook that wants the alert, due at once.

    ``account`` is the account's lower-case name, which is its id too; ``now`` is UTC.
    """
    told: str | None = None
    out: list[OutboxRow] = []
    for wish in hooks:
        if not wish.wants(alert, account):
            continue
        if told is None:
            told = body(alert, venue, account)
        out.append(
            OutboxRow(
                message_id=message_id(wish.hook, alert.type, venue, account, alert.identity),
                account_id=account,
                hook=wish.hook,
                type=alert.type,
                body=told,
                created_at=now,
                next_attempt_at=now,
                order_key=alert.order_key,
            )
        )
    return out


def batch(
    alerts: Iterable[Alert], venue: str, account: str, hooks: Sequence[HookWish], now: datetime
) -> list[OutboxRow]:
    """Return the rows of all alerts of one transaction, a microsecond apart so that their order is kept."""
    out: list[OutboxRow] = []
    for alert in alerts:
        made = rows(alert, venue, account, hooks, now)
        if made:
            out += made
            now += _TICK
    return out
