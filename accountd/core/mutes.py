"""Which alerts somebody does not want to hear for a while."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from fnmatch import fnmatchcase
from typing import Any

import msgspec

from accountd.core.alerts import OutboxRow, time_text


class Mute(msgspec.Struct, kw_only=True, frozen=True):
    """What is not told until ``until``; None matches everything, ``type`` and ``symbol`` may be patterns."""

    mute_id: str
    created_at: datetime
    until: datetime
    hook: str | None = None
    type: str | None = None
    account: str | None = None
    symbol: str | None = None
    reason: str | None = None

    def covers(self, row: OutboxRow) -> bool:
        """Say whether the mute is about this row."""
        if self.hook not in (None, row.hook) or self.account not in (None, row.account_id):
            return False
        if self.type is not None and not fnmatchcase(row.type, self.type):
            return False
        if self.symbol is None:
            return True
        told: dict[str, Any] = msgspec.json.decode(row.body).get("data", {})
        return fnmatchcase(str(told.get("symbol") or ""), self.symbol)


class Mutes:
    """The mutes that are in force."""

    def __init__(self, mutes: Sequence[Mute] = ()) -> None:
        self.all = tuple(mutes)

    def why(self, row: OutboxRow, now: datetime) -> str | None:
        """Return why a row is not to be told at this time; None if it is."""
        for mute in self.all:
            if now < mute.until and row.replayed_at is None and mute.covers(row):
                return f"muted until {time_text(mute.until)}" + (f": {mute.reason}" if mute.reason else "")
        return None
