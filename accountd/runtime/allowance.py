"""How much of the event loop's time one connection may take, so that its flood is not everybody's."""

from __future__ import annotations

from collections.abc import Callable
from time import perf_counter, thread_time

TURN = 0.001  # seconds of work in a row before others have their turn
BURST = 0.005  # seconds of work that may be done ahead: an honest burst is not slowed


class Allowance:
    """Earns ``share`` seconds of work in every second, and keeps at most ``BURST`` of them.

    With a share of 1 nothing is ever waited for. ``worked`` is the clock by which work is measured: where
    it counts, time in which the thread had to wait for others is not its own.
    """

    def __init__(self, share: float = 1.0, clock: Callable[[], float] = perf_counter) -> None:
        self.share = share
        self.worked = perf_counter if share >= 1.0 else thread_time
        self._clock = clock
        self._left = BURST
        self._at = clock()

    def spend(self, seconds: float) -> None:
        """Count work that was done; it may be more than there was left."""
        self._left -= seconds

    def wait(self) -> float:
        """Return the seconds until there may be more work, 0 if at once."""
        if self.share >= 1.0:
            return 0.0
        now = self._clock()
        self._left = min(BURST, self._left + (now - self._at) * self.share)
        self._at = now
        return max(0.0, -self._left / self.share)
