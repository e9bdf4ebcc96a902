"""What waits for the writer: a line for each account, so that nobody stands behind another one's flood."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from itertools import count

from accountd.core.told import Telling
from accountd.runtime.batch import Batch, Job

BATCH = 1_000  # tellings in one transaction at most
SHARED = 100  # ... where several accounts share the writer: a fill waits for the transaction under way


class Lines:
    """Filled by the event loop, emptied by the writer thread, without a lock between them.

    What concerns one account is taken in order. Bookkeeping waits for all that was put before it.
    """

    def __init__(self) -> None:
        self._tickets = count()
        self._lines: dict[str, deque[tuple[int, Telling | Job]]] = {}
        self._jobs: deque[tuple[int, Job]] = deque()

    def __bool__(self) -> bool:
        return bool(self._jobs) or any(list(self._lines.values()))

    def __len__(self) -> int:
        """Return how many tellings wait."""
        return sum(map(len, list(self._lines.values())))

    def put(self, item: Telling | Job) -> None:
        """Put a telling, a page or bookkeeping at the end of its line."""
        ticket = next(self._tickets)
        telling = item if isinstance(item, Telling) else item.telling
        if telling is not None:
            line = self._lines.get(telling.account_id)
            if line is None:
                line = self._lines[telling.account_id] = deque()
            line.append((ticket, item))
        elif isinstance(item, Job):
            self._jobs.append((ticket, item))

    def take(self) -> Batch:
        """Return what the next transaction is to write."""
        batch = Batch()
        due = len(self._jobs)  # what comes meanwhile may stand behind what is not looked at any more
        lines = list(self._lines.values())
        waiting = [line for line in lines if line]
        most = BATCH if len(lines) < 2 else max(1, SHARED // max(1, len(waiting)))
        for line in waiting:
            for _ in range(min(most, len(line))):
                _, item = line.popleft()
                if isinstance(item, Job):
                    batch.jobs.append(item)
                    assert item.telling is not None
                    batch.tellings.append(item.telling)
                else:
                    batch.tellings.append(item)
        first = min((line[0][0] for line in lines if line), default=None)
        while due and (first is None or self._jobs[0][0] < first):
            batch.jobs.append(self._jobs.popleft()[1])
            due -= 1
        return batch

    def jobs(self) -> Iterator[Job]:
        """Yield whatever somebody waits for."""
        for line in self._lines.values():
            yield from (item for _, item in line if isinstance(item, Job))
        yield from (job for _, job in self._jobs)
