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
from accountd.core.conditions import CONDITIONS
from accountd.core.money import money_text
from accountd.core.pace import Pace, PaceSettings, pace_of
from accountd.core.rules import NO_RULES, Rules, RuleSettings, rules_of

PENDING = "pending"
DELIVERED = "delivered"
SUPPRESSED = "suppressed"
DEAD = "dead"
SUMMARY = "summary"

EVERY = "*"
_ID_BYTES = 20  # 32 characters of base32
TICK = timedelta(microseconds=1)
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
    event_at: datetime | None = None  # by the venue's clock
    received_at: datetime | None = None
    committed_at: datetime | None = None
    first_attempt_at: datetime | None = None
    replayed_at: datetime | None = None
    replayed_after: int | None = None  # attempts made before the replay
    summary_id: str | None = None  # the message that stands for this one


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
    rules: Rules = NO_RULES
    pace: Pace | None = None

    def wants(self, alert: Alert, account: str, venue: str = "") -> bool:
        """Say whether the alert goes to this hook; ``account`` is empty where it is about all of accountd."""
        if alert.backfill and not self.replay:
            return False
        if alert.type not in self.on and EVERY not in self.on:
            return False
        mine = EVERY in self.accounts or account in self.accounts
        if not mine and (account or (alert.accounts and self.accounts.isdisjoint(alert.accounts))):
            return False
        return self.rules is NO_RULES or self.rules.want(alert.type, account, venue, alert.data)


class HookSettings(RuleSettings, PaceSettings, Protocol):
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
        HookWish(
            name, frozenset(hook.on), frozenset(hook.accounts), hook.backfill == "send",
            rules_of(hook), pace_of(hook),
        )
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
    data: dict[str, Any] = {"account": account or None, "venue": venue or None}
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
        if not wish.wants(alert, account, venue):
            continue
        if told is None:
            told = body(alert, venue, account)
        row = OutboxRow(
            message_id=message_id(wish.hook, alert.type, venue, account, alert.identity),
            account_id=account,
            hook=wish.hook,
            type=alert.type,
            body=told,
            created_at=now,
            next_attempt_at=now,
            order_key=alert.order_key,
            event_at=alert.at,
            received_at=alert.received_at,
        )
        if wish.pace is not None:
            pace(row, wish.pace)
        out.append(row)
    return out


def pace(row: OutboxRow, wanted: Pace) -> None:
    """Let a row wait where its hook is not to be told at once: until later, or for a summary."""
    hold = wanted.hold(row.type, row.message_id, row.type in CONDITIONS, row.created_at)
    if hold is None:
        return
    row.next_attempt_at = hold.until
    if hold.fold:
        row.status = SUPPRESSED
        row.summary_id = message_id(row.hook, SUMMARY, "", "", (hold.why, time_text(hold.until)))
        row.reason = hold.why


def batch(
    alerts: Iterable[Alert], venue: str, account: str, hooks: Sequence[HookWish], now: datetime
) -> list[OutboxRow]:
    """Return the rows of all alerts of one transaction, a microsecond apart so that their order is kept."""
    out: list[OutboxRow] = []
    for alert in alerts:
        made = rows(alert, venue, account, hooks, now)
        if made:
            out += made
            now += TICK
    return out
