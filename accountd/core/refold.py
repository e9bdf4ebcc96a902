"""Folds journal rows again: they are kept as they were, and everything else follows from them."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from accountd.core.beliefs import Beliefs
from accountd.core.changes import JournalRow
from accountd.core.fold import Fold
from accountd.core.told import Telling

NO_ALERTS: frozenset[str] = frozenset()


class Refold(Fold):
    """Folds one batch of a replay. ``rows`` are the journal rows of the tellings, in the same order."""

    def __init__(self, beliefs: Beliefs, born: datetime, rows: Iterable[JournalRow]) -> None:
        super().__init__(beliefs, born, salts=lambda size: bytes(size), heard=NO_ALERTS)
        self._rows = iter(rows)

    def _journal(self, telling: Telling, seed: bytes) -> None:
        row = next(self._rows)
        self.changes.seq, self.changes.head = row.seq, row.head
        self.changes.journal.append(row)
