"""When a failed attempt is made again."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

JITTER = 0.2
LONGEST_PAUSE = timedelta(days=30)  # a receiver that asks for more has lost its clock


def retry_at(
    failed: int, waits: Sequence[timedelta], now: datetime, chance: float, retry_after: float | None = None
) -> datetime | None:
    """Return when attempt ``failed + 1`` is due, or None when the schedule is used up.

    ``failed`` counts the failed attempts (from 1), ``chance`` in [0, 1) spreads each wait by ±20 %,
    ``retry_after`` (seconds) is what the receiver asked for: the next attempt is never earlier.
    """
    if failed > len(waits):
        return None
    wait = waits[failed - 1] * (1 + JITTER * (2 * chance - 1))
    if retry_after is not None and retry_after > wait.total_seconds():
        wait = timedelta(seconds=min(retry_after, LONGEST_PAUSE.total_seconds()))
    return now + wait
