"""The venue's clock: injectable, skewable, and never backwards for the matching engine."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

DAY_MS = 86_400_000


def wall_ms() -> int:
    """Return the wall clock in ms since the epoch."""
    return time.time_ns() // 1_000_000


class Clock:
    """Milliseconds since the epoch as the venue tells them.

    `now` is the gateway's clock, which `skew_ms` moves freely. `engine` stamps what happens and never
    runs backwards, because the venue promises order by its times.
    """

    def __init__(self, source: Callable[[], int] = wall_ms) -> None:
        self.source = source
        self.skew_ms = 0
        self._last = 0
        self._pinned: int | None = None

    def now(self) -> int:
        """Return the gateway's time in ms."""
        if self._pinned is not None:
            return self._pinned
        return self.source() + self.skew_ms

    def engine(self) -> int:
        """Return the matching engine's time in ms, not below any earlier answer."""
        self._last = max(self._last, self.now())
        return self._last

    @contextmanager
    def pinned(self, moment_ms: int) -> Iterator[None]:
        """Hold the clock at one moment in ms, to write history before the start."""
        before, self._pinned = self._pinned, moment_ms
        try:
            yield
        finally:
            self._pinned = before
