"""What waits for the writer: a line for each account, so that nobody stands behind another one's flood."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator

from accountd.core.told import Telling
from accountd.runtime.batch import Batch, Job

BATCH = 1_000  # what one transaction takes at most
SHARED = 40  # ... where several accounts share the writer: a fill waits for the transaction under way
HOUSE = ""  # the line of bookkeeping that concerns no account: deliveries, conditions, prices


class Lines:
    """Filled by the event loop, emptied by the writer thread, without a lock between them.

    What concerns one account is taken in order: its bookkeeping waits for its frames and pages that were
    put before, and for nobody else's. What concerns no account waits for nothing.
    """

    def __init__(self) -> None:
        self._lines: dict[str, deque[Telling | Job]] = {}
        self._house: deque[Telling | Job] = deque()
        self._tellers: set[str] = set()

    def __bool__(self) -> bool:
        return any(self._all())

    def __len__(self) -> int:
        """Return how much waits."""
        return sum(map(len, self._all()))

    def _all(self) -> list[deque[Telling | Job]]:
        return [self._house, *self._lines.values()]

    def put(self, item: Telling | Job) -> None:
        """Put a telling, a page or bookkeeping at the end of its line."""
        if isinstance(item, Telling):
            name = item.account_id
            self._tellers.add(name)
        else:
            name = item.line
        line = self._house if name == HOUSE else self._lines.get(name)
        if line is None:
            line = self._lines[name] = deque()
        line.append(item)

    def take(self) -> Batch:
        """Return what the next transaction is to write."""
        batch = Batch()
        waiting = [line for line in list(self._lines.values()) if line]
        most = BATCH if len(self._tellers) < 2 else max(1, SHARED // max(1, len(waiting)))
        for line, share in [*((line, most) for line in waiting), (self._house, len(self._house))]:
            for _ in range(min(share, len(line))):
                item = line.popleft()
                if isinstance(item, Telling):
                    batch.tellings.append(item)
                    continue
                batch.jobs.append(item)
                if item.telling is not None:
                    batch.tellings.append(item.telling)
        return batch

    def jobs(self) -> Iterator[Job]:
        """Yield whatever somebody waits for."""
        for line in self._all():
            yield from (item for item in line if isinstance(item, Job))
