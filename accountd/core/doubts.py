"""Amounts that REST told first while the stream was LIVE, until the stream tells them too, or too late.

REST may be quicker than a frame that is on its way, so a differing snapshot alone proves nothing. What the
stream has not told within the grace, on the same session, it kept back: that is a finding.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal

import msgspec

from accountd.core.money import money_text
from accountd.core.told import REST, Balance, Position, Telling

DRIFT = "drift"
# A REST page may be quicker than the stream by this much without the stream having missed anything.
GRACE = timedelta(seconds=5)
_ZERO = Decimal(0)
Key = tuple[str, ...]


class Doubt(msgspec.Struct):
    """What REST told first, when, and the finding that it becomes if the stream goes on saying nothing."""

    kind: str
    subject: str
    amount: Decimal | None
    since: datetime
    live_since: datetime
    detail: dict[str, object]


class Doubts:
    """The open doubts of one account. What they hold follows from the journal alone."""

    def __init__(self) -> None:
        self.open: dict[Key, Doubt] = {}

    def hear(self, telling: Telling, key: Key, told: Balance | Position, held: Balance | Position | None,
             seq: int) -> None:  # fmt: skip
        """Take an amount that was told, before it is folded: the stream confirms, REST raises a doubt."""
        amount = told.total if isinstance(told, Balance) else told.quantity
        if telling.source != REST:
            doubt = self.open.get(key)
            if doubt is not None and doubt.amount == amount:
                del self.open[key]
            return
        since = telling.live_since
        if held is None or since is None or held.as_of < since or told.as_of <= held.as_of:
            return
        before = (held.total if isinstance(held, Balance) else held.quantity) or _ZERO
        if amount is not None and amount != before:
            detail: dict[str, object] = {
                "expected": money_text(before), "actual": money_text(amount),
                "difference": money_text(amount - before), "as_of": told.as_of.isoformat(),
                "told_by": "rest", "told_at": telling.received_at.isoformat(), "told_in": seq,
            }  # fmt: skip
            self.open[key] = Doubt(DRIFT, ":".join(key), amount, telling.received_at, since, detail)

    def miss(self, telling: Telling, key: Key, kind: str, detail: dict[str, object]) -> None:
        """Note something that REST was the first to tell, a moment ago."""
        if telling.live_since is not None:
            self.open[key] = Doubt(kind, ":".join(key), None, telling.received_at, telling.live_since, detail)

    def due(self, telling: Telling) -> list[Doubt]:
        """Take out what a REST page of the same session, after the grace, finds still unconfirmed."""
        if telling.source != REST:
            return []
        found = []
        for key, doubt in list(self.open.items()):
            if telling.live_since != doubt.live_since:
                del self.open[key]  # the session is over: a gap says so
            elif telling.received_at > doubt.since + GRACE:
                found.append(self.open.pop(key))
        return found
