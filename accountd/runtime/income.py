"""Reading the movements of money of one market, from the cursor on."""

from __future__ import annotations

from typing import TYPE_CHECKING

from accountd.core.drift import kept_back
from accountd.core.told import TRANSFERS
from accountd.runtime import proof
from accountd.runtime.budget import Priority
from accountd.runtime.cutting import cut
from accountd.runtime.rounds import Cursors, Ground, Round

if TYPE_CHECKING:
    from accountd.runtime.sweeper import Sweeper


async def read(sweeper: Sweeper, job: Round, ground: Ground, cursors: Cursors, scarce: Priority) -> None:
    """Read what moved since the cursor; when a part of it waits for weight, nothing of it counts as read.

    What may rarely be asked has a priority of its own, a higher one where a balance moved unheard.
    """
    if not ground.has(TRANSFERS):
        return
    if scarce > Priority.CANARY and await sweeper.submit(lambda _: kept_back(sweeper.ledger.beliefs)):
        scarce = Priority.CANARY
    key, width = (ground.market, TRANSFERS, ""), ground.section.retention[TRANSFERS].window
    start = sweeper.start(cursors, ground, TRANSFERS, "", job.now, job.margin)
    read = job.read(*key, start)
    for begin, end in proof.pieces(start, job.now, width):
        for left, right in await cut(sweeper, ground, TRANSFERS, begin, end):
            flow = ground.section.transfers(left, right, sorted(sweeper.pinned))
            swept = await sweeper.rest.run(flow, job.priority, sweeper.recording(job, read), scarce)
            job.took(ground.market, TRANSFERS, swept)
            await proof.absent(sweeper, job, swept, TRANSFERS)
            if swept.postponed:
                job.postponed = True
                job.reads.pop(key, None)
                return
        if end < job.now:
            await proof.piece(sweeper, job, key, begin, end)
