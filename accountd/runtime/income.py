"""Reading the movements of money, in pages as full as what is known of them allows: a page costs much."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from accountd.core.told import TRANSFERS
from accountd.runtime import proof
from accountd.runtime.rounds import Cursors, Ground, Round
from accountd.store import witness
from accountd.venues.base import MILLISECOND

if TYPE_CHECKING:
    from accountd.runtime.sweeper import Sweeper

FULL = 0.9  # of a page: funding and the like come on top of what the fills left
MOST = 20_000  # fills looked at before a stretch is read


async def read(sweeper: Sweeper, job: Round, ground: Ground, cursors: Cursors) -> None:
    """Read a market's movements of money from the cursor on, unless a part of them waits for weight."""
    if not ground.has(TRANSFERS):
        return
    key, kept = (ground.market, TRANSFERS, ""), ground.section.retention[TRANSFERS]
    start = sweeper.start(cursors, ground, TRANSFERS, "", job.now, job.margin)
    read, moments = job.read(*key, start), await _moments(sweeper, job, ground, start)
    for begin, end in proof.pieces(start, job.now, kept.window):
        for left, right in parts(begin, end, moments, int(FULL * (kept.page or 0))):
            flow = ground.section.transfers(left, right, sorted(sweeper.pinned))
            swept = await sweeper.rest.run(flow, job.priority, sweeper.recording(job, read))
            job.took(ground.market, TRANSFERS, swept)
            await proof.absent(sweeper, job, swept, TRANSFERS)
            if swept.postponed:
                job.postponed = True
                job.reads.pop(key, None)
                return
        if end < job.now:
            await proof.piece(sweeper, job, key, begin, end)


async def _moments(sweeper: Sweeper, job: Round, ground: Ground, start: datetime) -> Sequence[datetime]:
    """Return when the known fills left income, where that tells how full the pages will be."""
    if not ground.section.retention[TRANSFERS].page:
        return ()
    return await sweeper.recorder.submit(
        lambda tx: witness.income_moments(
            tx.connection, sweeper.account, ground.market, start, job.now, MOST
        )
    )


def parts(start: datetime, end: datetime, moments: Sequence[datetime],
          most: int) -> Iterator[tuple[datetime, datetime]]:  # fmt: skip
    """Yield a stretch in parts that share a millisecond and hold ``most`` of the sorted ``moments``.

    It is a guess that saves asking twice: a page that is full all the same is narrowed by who reads it.
    """
    begin = start
    while (beyond := bisect_left(moments, begin) + most) < len(moments) and moments[beyond] <= end:
        stop = max(moments[beyond] - MILLISECOND, begin + MILLISECOND)
        if stop >= end:
            break
        yield begin, stop
        begin = stop
    yield begin, end
