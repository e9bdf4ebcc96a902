"""What is wrong and goes on: which alerts begin and end it, its fingerprint, and what keeps it quiet."""

from __future__ import annotations

from base64 import b32encode
from collections.abc import Iterable
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any

import msgspec

from accountd.core.changes import Alert

FIRING, RESOLVED = "firing", "resolved"

# What says that a condition holds, and what says that it does not hold any more.
PAIRS = {
    "stream.down": "stream.live",
    "exchange.down": "exchange.up",
    "database.down": "database.up",
    "disk.low": "disk.ok",
    "hook.dead": "hook.alive",
}
RESOLVES = {end: begin for begin, end in PAIRS.items()}
ONE_WAY = frozenset({"key.expiring"})  # nothing is told when it ends
BEGINS = frozenset({*PAIRS, *ONE_WAY})
# Gaps and findings have tables of their own, which say whether they are still open; rights are a finding.
CONDITIONS = frozenset({*BEGINS, *RESOLVES, "gap.opened", "gap.closed", "finding.opened", "key.rights"})
# While the first holds, the second is not worth telling: it follows from it.
INHIBITS = {"exchange.down": frozenset({"stream.down"})}


class Condition(msgspec.Struct, kw_only=True):
    """One condition as it is kept. ``subject`` tells conditions of one type and account apart."""

    fingerprint: str
    type: str
    account_id: str
    subject: str
    status: str
    data: str  # JSON, as it was told when it fired
    fired_at: datetime
    resolved_at: datetime | None = None
    last_told_at: datetime | None = None
    told: int = 0

    @property
    def firing(self) -> bool:
        """Say whether it holds."""
        return self.status == FIRING


def fingerprint(type_: str, account: str, subject: str) -> str:
    """Return the name of a condition, the same whoever finds it and however often."""
    parts = "".join(f"{len(part)}:{part}" for part in (type_, account, subject))
    return b32encode(sha256(parts.encode()).digest()[:15]).decode().lower()


def subject(alert: Alert) -> str:
    """Return what a condition of an account is about, where an account can have several of its type."""
    return str(alert.data.get("subject") or alert.data.get("key") or "")


def begins(alert: Alert) -> bool:
    """Say whether the alert says that a condition holds."""
    return alert.type in BEGINS


def ends(alert: Alert) -> bool:
    """Say whether the alert says that a condition does not hold any more."""
    return alert.type in RESOLVES


def name_of(alert: Alert, account: str) -> str:
    """Return the fingerprint of the condition that an alert begins or ends."""
    return fingerprint(RESOLVES.get(alert.type, alert.type), account, subject(alert))


def inhibited(alert: Alert, account: str, firing: Iterable[tuple[Condition, tuple[str, ...]]]) -> str | None:
    """Return the type of the condition that makes an alert not worth telling; None if there is none.

    ``firing`` names each condition that holds with the accounts that it concerns.
    """
    for condition, accounts in firing:
        if alert.type in INHIBITS.get(condition.type, ()) and account in accounts:
            return condition.type
    return None


def alert_of(type_: str, at: datetime, subject: str = "", accounts: tuple[str, ...] = (), repeat: int = 0,
             **data: Any) -> Alert:  # fmt: skip
    """Make the alert of a condition that accountd finds by itself.

    Its identity is when it began (and which repetition it is), so that it has one id for one hook.
    """
    identity = (subject, at.isoformat(), str(repeat)) if repeat else (subject, at.isoformat())
    said = {**({"subject": subject} if subject else {}), **({"accounts": list(accounts)} if accounts else {}),
            **data}  # fmt: skip
    if repeat:
        said["repeat"] = repeat
    return Alert(type=type_, identity=identity, at=at, data=said, accounts=accounts)


def due_again(condition: Condition, every: timedelta, now: datetime) -> bool:
    """Say whether a condition that still holds is to be told once more."""
    told = condition.last_told_at or condition.fired_at
    return condition.firing and (now - condition.fired_at) // every > (told - condition.fired_at) // every
