"""Time, as an argument: the wall, the monotonic clock, and the venue's own."""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime, timedelta
from typing import Protocol


class Clock(Protocol):
    """What tells the time and waits. ``now`` is for the record, ``monotonic`` (seconds) for durations."""

    def now(self) -> datetime: ...

    def monotonic(self) -> float: ...

    async def sleep(self, seconds: float) -> None: ...


class SystemClock:
    """The machine's clocks."""

    def now(self) -> datetime:
        """Return the wall clock's aware UTC time."""
        return datetime.now(UTC)

    def monotonic(self) -> float:
        """Return seconds that never step."""
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        """Wait; zero or less only lets others run."""
        await asyncio.sleep(max(0.0, seconds))


class VenueClock:
    """The venue's time: anchored when it was measured, and carried on by the monotonic clock.

    A step of the wall clock therefore never makes a signed request too old. Before the first measurement
    the wall clock is believed.
    """

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.offset = timedelta(0)
        self._anchor: tuple[datetime, float] | None = None

    @property
    def measured(self) -> bool:
        """Tell whether the venue's time was ever asked for."""
        return self._anchor is not None

    def set(self, venue_now: datetime) -> timedelta:
        """Take ``venue_now`` for the venue's time now; return how far it is ahead of the wall."""
        self._anchor = (venue_now, self.clock.monotonic())
        self.offset = venue_now - self.clock.now()
        return self.offset

    def now(self) -> datetime:
        """Return the venue's aware UTC time."""
        if self._anchor is None:
            return self.clock.now()
        then, mark = self._anchor
        return then + timedelta(seconds=self.clock.monotonic() - mark)
