"""How accountd's own alerts become rows: conditions are kept, told once while they hold, and inhibited."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime

import msgspec

from accountd.core import alerts
from accountd.core.alerts import SUPPRESSED, HookWish, OutboxRow
from accountd.core.changes import Alert
from accountd.core.conditions import (
    FIRING,
    INHIBITS,
    Condition,
    begins,
    ends,
    inhibited,
    name_of,
    subject,
)
from accountd.store import conditions
from accountd.store.writer import Transaction

Firing = list[tuple[Condition, tuple[str, ...]]]


def raise_alerts(tx: Transaction, account: str, venue: str, raised: Iterable[Alert],
                 hooks: Sequence[HookWish], now: datetime) -> list[OutboxRow]:  # fmt: skip
    """Return the rows of accountd's own alerts, and keep the conditions that they begin or end.

    A condition that holds already is not told again. ``account`` is empty for accountd as a whole.
    """
    told = list(raised)
    holding = _holding(tx) if any(begins(alert) or ends(alert) for alert in told) else []
    rows: list[OutboxRow] = []
    for alert in told:
        if not _keep(tx, alert, account, now):
            continue
        made = alerts.batch([alert], venue, account, _others(hooks, alert), now)
        now += len(made) * alerts.TICK
        if (why := inhibited(alert, account, holding)) is not None:
            for row in made:
                row.status, row.reason, row.next_attempt_at = SUPPRESSED, f"inhibited by {why}", None
                row.summary_id = None
        rows += made
    return rows


def _holding(tx: Transaction) -> Firing:
    """Return the conditions that inhibit others, with the accounts that they concern."""
    found = conditions.firing(tx.connection, tuple(INHIBITS))
    return [(one, tuple(msgspec.json.decode(one.data).get("accounts") or ())) for one in found]


def _keep(tx: Transaction, alert: Alert, account: str, now: datetime) -> bool:
    """Write down what begins or ends; say whether the alert is to be told."""
    name = name_of(alert, account)
    if ends(alert):
        conditions.resolve(tx.connection, name, now)
        return True
    if not begins(alert):
        return True
    if alert.data.get("repeat"):
        conditions.told_again(tx.connection, name, now)
        return True
    held = conditions.held(tx.connection, [name]).get(name)
    if held is not None and held.firing:
        return False
    data = msgspec.json.encode({**alert.data, "accounts": list(alert.accounts)}).decode()
    conditions.keep(tx.connection, Condition(
        fingerprint=name, type=alert.type, account_id=account, subject=subject(alert), status=FIRING,
        data=data, fired_at=alert.at, last_told_at=now, told=1,
    ))  # fmt: skip
    if alert.type in INHIBITS:
        why = f"inhibited by {alert.type}"
        conditions.quieten(tx.connection, INHIBITS[alert.type], alert.accounts, why)
    return True


def _others(hooks: Sequence[HookWish], alert: Alert) -> Sequence[HookWish]:
    """Return the hooks that an alert may go to: that a hook is dead is for the others to hear."""
    if alert.type != "hook.dead":
        return hooks
    return [wish for wish in hooks if wish.hook != subject(alert)]
