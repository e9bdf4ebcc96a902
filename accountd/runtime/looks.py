"""Cheap looks at balances and positions, and what they say about a stream: that it keeps something back."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from accountd.core.drift import differs
from accountd.runtime.budget import Priority
from accountd.runtime.rounds import Round, weights
from accountd.venues.base import Page

if TYPE_CHECKING:
    from accountd.runtime.sweeper import Sweeper

IN_FLIGHT = 2.0  # seconds in which the stream may still tell of what a page has shown already


async def take(sweeper: Sweeper, job: Round) -> None:
    """Record a snapshot, and remember if it tells what the stream has not: no later look will show it."""
    pages = await _snapshot(sweeper, job.priority)
    if await _differs(sweeper, pages):
        sweeper.doubt()
    await _record(sweeper, job, pages)


async def drift(sweeper: Sweeper, job: Round) -> bool:
    """Compare a snapshot with what is believed; True when the stream kept something back.

    What differs is looked at again after a moment, since a frame may be on its way, and then recorded.
    """
    pages = await _snapshot(sweeper, job.priority)
    sweeper.look_cost = weights(pages)
    if not await _differs(sweeper, pages):
        return False
    await sweeper.rest.clock.clock.sleep(IN_FLIGHT)
    if not await _differs(sweeper, pages):
        return False
    await _record(sweeper, job, pages)
    return True


async def _snapshot(sweeper: Sweeper, priority: Priority) -> list[Page]:
    pages: list[Page] = []

    async def keep(page: Page) -> None:
        pages.append(page)

    await sweeper.rest.run(sweeper.venue.canary(sweeper.settle), priority, keep)
    return pages


async def _record(sweeper: Sweeper, job: Round, pages: Sequence[Page]) -> None:
    record = sweeper.recording(job)
    for page in pages:
        await record(page)


async def _differs(sweeper: Sweeper, pages: Sequence[Page]) -> bool:
    told = [one for page in pages for one in page.told]
    return await sweeper.submit(lambda _: differs(sweeper.ledger.beliefs, told))
