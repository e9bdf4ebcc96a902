"""The deep backfill: history from before the first look, read at leisure and proven piece by piece."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from accountd.core.told import ALGO_ORDERS, FILLS, ORDERS, TRANSFERS
from accountd.errors import BadRequest
from accountd.runtime.rounds import Cursors, Round
from accountd.store.writer import Transaction
from accountd.venues.base import Flow, Swept

if TYPE_CHECKING:
    from accountd.runtime.sweeper import Sweeper

ENOUGH = timedelta(seconds=1)  # a shorter stretch than this is not missing


async def deepen(sweeper: Sweeper, job: Round) -> None:
    """Read every dataset from where it is wanted to where its proof begins.

    Nothing is asked when nothing is missing. What is done stays done if this is interrupted.

    Raises:
        VenueError: the venue does not answer; the next call goes on from there.
    """
    venue = sweeper.venue
    cursors = await sweeper.recorder.submit(lambda tx: tx.cursors(sweeper.account))
    await _read(sweeper, job, cursors, TRANSFERS, "", lambda a, b: venue.transfers(a, b))
    if sweeper.orders_whole:
        await _read(sweeper, job, cursors, ORDERS, "", lambda a, b: venue.orders(None, a, b))
    known = await sweeper.recorder.submit(lambda tx: tx.known_symbols(sweeper.account, venue.market))
    for symbol in sorted(sweeper.pinned | set(known) | job.symbols):
        if not sweeper.orders_whole:
            await _read(sweeper, job, cursors, ORDERS, symbol, _of(venue.orders, symbol))
        await _read(sweeper, job, cursors, ALGO_ORDERS, symbol, _of(venue.algo_orders, symbol))
        await _read(sweeper, job, cursors, FILLS, symbol, _of(venue.fills, symbol))


def _of(flow: Any, symbol: str) -> Any:
    return lambda start, end: flow(symbol, start, end)


async def _read(sweeper: Sweeper, job: Round, cursors: Cursors, dataset: str, symbol: str, flow: Any) -> None:
    """Read one dataset of one symbol back to where it is wanted, and move the beginning of its proof."""
    market = sweeper.venue.market
    first = sweeper.first(dataset, job.now)
    proven = cursors.get((dataset, market, symbol))
    until: datetime = proven[0] if proven else job.proven
    if until - first < ENOUGH:
        return
    history: Flow[Swept] = flow(first, until)
    try:
        swept = await sweeper.rest.run(history, job.priority, sweeper.recording(job))
    except BadRequest:
        return  # the sweeps open a finding about it
    sweeper.took(job, dataset, swept)

    def write(tx: Transaction) -> None:
        begin = first
        for hole in sorted(swept.unproven, key=lambda one: one.start):
            tx.open_gap(sweeper.account, dataset, market, symbol, hole.start, hole.reason, job.now, hole.end)
            begin = max(begin, hole.end)
        tx.extend_coverage(sweeper.account, dataset, market, symbol, begin, until, job.now)

    await sweeper.recorder.submit(write)
