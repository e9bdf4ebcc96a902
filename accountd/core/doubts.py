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
    """What REST told, instead of what, in which journal row."""

    subject: str
    held: Decimal
    told: Decimal
    as_of: datetime
    since: datetime
    live_since: datetime
    journal_seq: int

    def detail(self) -> dict[str, object]:
        """Say what differs, as text."""
        return {
            "expected": money_text(self.held), "actual": money_text(self.told),
            "difference": money_text(self.told - self.held), "as_of": self.as_of.isoformat(),
            "told_by": "rest", "told_at": self.since.isoformat(), "told_in": self.journal_seq,
        }  # fmt: skip


class Doubts:
    """The open doubts of one account. What they hold follows from the journal alone."""

    def __init__(self) -> None:
        self.open: dict[Key, Doubt] = {}

    def hear(self, telling: Telling, key: Key, told: Balance | Position, held: Balance | Position | None,
             seq: int) -> None:  # fmt: skip
        """Take an amount that was told, before it is folded: the stream confirms, REST raises a doubt."""
        amount = _amount(told)
        if telling.source != REST:
            doubt = self.open.get(key)
            if doubt is not None and doubt.told == amount:
                del self.open[key]
            return
        since = telling.live_since
        if held is None or since is None or held.as_of < since or told.as_of <= held.as_of:
            return
        if amount is not None and amount != (before := _amount(held) or _ZERO):
            subject = ":".join(("balance" if isinstance(told, Balance) else "position", *key[1:]))
            self.open[key] = Doubt(subject, before, amount, told.as_of, telling.received_at, since, seq)

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


def _amount(told: Balance | Position) -> Decimal | None:
    return told.total if isinstance(told, Balance) else told.quantity
