"""Cutting a stretch of history so that each question is answered by a page that is nearly full, not by two.

What is known of the stretch says how full its pages will be: the fills, that each left a commission and
perhaps a profit; the orders that were read a moment ago. It is a guess that saves weight and proves nothing:
a page that is full all the same is narrowed by whoever reads it.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from accountd.core.told import TRANSFERS
from accountd.runtime.rounds import Ground
from accountd.store import witness
from accountd.venues.base import MILLISECOND

if TYPE_CHECKING:
    from accountd.runtime.sweeper import Sweeper

FULL = 0.9  # of a page: funding and the like come on top of what the fills left
MOST = 20_000  # rows looked at before a stretch is read


async def cut(sweeper: Sweeper, ground: Ground, name: str, start: datetime,
              end: datetime) -> Sequence[tuple[datetime, datetime]]:  # fmt: skip
    """Return the parts of a stretch of a dataset, one for each page that it is expected to fill."""
    page = ground.section.retention[name].page
    if page is None:
        return [(start, end)]
    look = witness.income_moments if name == TRANSFERS else witness.order_moments
    moments = await sweeper.submit(
        lambda tx: look(tx.connection, sweeper.account, ground.market, start, end, MOST)
    )
    return list(parts(start, end, moments, int(FULL * page)))


def parts(start: datetime, end: datetime, moments: Sequence[datetime],
          most: int) -> Iterator[tuple[datetime, datetime]]:  # fmt: skip
    """Yield a stretch in parts that share a millisecond and hold ``most`` of the sorted ``moments``."""
    begin = start
    while (beyond := bisect_left(moments, begin) + most) < len(moments):
        stop = max(moments[beyond] - MILLISECOND, begin + MILLISECOND)
        if stop >= end:
            break
        yield begin, stop
        begin = stop
    yield begin, end
