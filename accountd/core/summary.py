"""One message that stands for many: their number, their ids, and what they were about."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from typing import Any

import msgspec

from accountd.core.alerts import SUMMARY, OutboxRow, body, message_id
from accountd.core.changes import Alert
from accountd.core.pace import GROUP

MOST = 1_000  # messages that one summary stands for
WHOLE = 50  # messages that a group repeats in full


class Folded(msgspec.Struct, frozen=True):
    """One message that is not told by itself. ``why`` = what held it back."""

    message_id: str
    account_id: str
    type: str
    body: str
    created_at: datetime
    why: str


def part_id(hook: str, base: str, part: int) -> str:
    """Return the id of a summary; the first part has the id that its messages name already."""
    return base if part == 1 else message_id(hook, SUMMARY, "", "", (base, str(part)))


def row(name: str, hook: str, items: Sequence[Folded], now: datetime) -> OutboxRow:
    """Return the message that stands for ``items``, which are in the order in which they rang."""
    accounts = sorted({item.account_id for item in items})
    account = accounts[0] if len(accounts) == 1 else ""
    told = [msgspec.json.decode(item.body) for item in items]
    data: dict[str, Any] = {
        "reason": items[0].why, "count": len(items), "types": dict(Counter(item.type for item in items)),
        "symbols": dict(Counter(each["data"]["symbol"] for each in told if each["data"].get("symbol"))),
        "accounts": [name for name in accounts if name], "first_at": items[0].created_at,
        "last_at": items[-1].created_at, "ids": [item.message_id for item in items],
    }  # fmt: skip
    if items[0].why == GROUP:
        data["alerts"] = told[:WHOLE]
    alert = Alert(type=SUMMARY, identity=(name,), at=now, data=data)
    return OutboxRow(
        message_id=name, account_id=account, hook=hook, type=SUMMARY, body=body(alert, "", account),
        created_at=now, next_attempt_at=now, event_at=now,
    )  # fmt: skip
