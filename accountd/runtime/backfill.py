"""Reads old history on its own, without a daemon: as far back as asked, from where the last time ended."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from accountd.core.health import Health
from accountd.errors import VenueError
from accountd.runtime.budget import Priority
from accountd.runtime.clock import SystemClock
from accountd.runtime.daemon import Machine, machine
from accountd.runtime.keepalive import KeepAlive
from accountd.runtime.metrics import Metrics
from accountd.runtime.rounds import Step
from accountd.settings_model import Settings
from accountd.store.lock import sole_writer
from accountd.store.rows import Gap

TRIES = 5  # times that a venue which does not answer is asked again, with growing pauses
PAUSE = 2.0


@dataclass(slots=True)
class Backfilled:
    """How far back one account is proven now. ``gaps`` are those that nothing can close."""

    account: str
    fills: int = 0
    starts: dict[str, datetime] = field(default_factory=dict)  # by dataset
    gaps: list[Gap] = field(default_factory=list)
    error: str = ""

    def lines(self) -> list[str]:
        """Say it for people, a line each."""
        if self.error:
            return [f"{self.account}: {self.error}; what was read stays, the next time goes on from there"]
        told = ", ".join(f"{name} from {at:%Y-%m-%d %H:%M}" for name, at in sorted(self.starts.items()))
        lines = [f"{self.account}: {self.fills} fills added; proven: {told or 'nothing'}"]
        for gap in self.gaps:
            until = f"{gap.to_time:%Y-%m-%d %H:%M}" if gap.to_time else "now"
            since = f"{gap.from_time:%Y-%m-%d %H:%M}"
            lines.append(f"{self.account}: gap in {gap.dataset} from {since} to {until}: {gap.reason}")
        return lines


async def backfill(settings: Settings, names: Sequence[str], since: datetime,
                   step: Step | None = None) -> list[Backfilled]:  # fmt: skip
    """Read the history of accounts back to ``since``, side by side under the shared request weight.

    Raises:
        DatabaseBusy: a daemon writes to this database; ask it instead (`ask`).
    """
    clock = SystemClock()
    with sole_writer(settings.database_url):
        async with machine(settings, clock, Health(), Metrics()) as works, asyncio.TaskGroup() as group:
            tasks = [group.create_task(_account(works, name, since, step)) for name in names]
        return [task.result() for task in tasks]


async def _account(works: Machine, name: str, since: datetime, step: Step | None) -> Backfilled:
    keepalive = KeepAlive(works.settings.keepalive_interval, works.clock)
    async with works.client(name) as rest:
        runner = works.runner(name, rest, keepalive)
        try:
            await runner.start()
            now = rest.clock.now()
            await works.recorder.submit(lambda tx: tx.ask_backfill(name, since, now), name)
            for tried in range(TRIES):
                try:
                    swept = await runner.sweeper.sweep(Priority.SWEEP)
                    await runner.books.bridged(swept.proven, swept.proven, swept.now)
                    await runner.sweeper.deepen(step)
                    break
                except VenueError as error:
                    if error.permanent or tried == TRIES - 1:
                        raise
                    await asyncio.sleep(max(error.retry_after or 0.0, PAUSE * 2**tried))
            await runner.auditor.audit()
        except VenueError as error:
            return Backfilled(name, error=str(error))
        covered = await works.recorder.submit(lambda tx: tx.stretches(name), name)
        gaps = await works.recorder.submit(lambda tx: tx.open_gaps(name), name)
    starts: dict[str, datetime] = {}
    for (dataset, _, symbol), stretches in covered.items():
        if not symbol:
            starts[dataset] = min(stretches[0][0], starts.get(dataset, stretches[0][0]))
    fills = works.metrics.fills.labels(name, "rest")._value.get()
    return Backfilled(name, int(fills), starts, [gap for gap in gaps if gap.from_time >= since])
