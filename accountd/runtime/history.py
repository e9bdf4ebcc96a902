"""The deep backfill: history from before the first look, read at leisure and proven piece by piece."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from accountd.core.told import ALGO_ORDERS, FILLS, ORDERS, TRANSFERS
from accountd.errors import BadRequest
from accountd.runtime.rounds import Cursors, Ground, Round
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
    cursors = await sweeper.recorder.submit(lambda tx: tx.cursors(sweeper.account))
    for ground in sweeper.grounds:
        market = ground.market
        await _read(sweeper, job, cursors, ground, TRANSFERS, "")
        if ground.orders_whole:
            await _read(sweeper, job, cursors, ground, ORDERS, "")
        known = await sweeper.known(market)
        pinned = {name for name in sweeper.pinned if len(sweeper.grounds) == 1 or name in ground.symbols}
        for symbol in sorted(pinned | set(known) | job.symbols[market]):
            if not ground.orders_whole:
                await _read(sweeper, job, cursors, ground, ORDERS, symbol)
            await _read(sweeper, job, cursors, ground, ALGO_ORDERS, symbol)
            await _read(sweeper, job, cursors, ground, FILLS, symbol)


def _flow(ground: Ground, dataset: str, symbol: str, start: datetime, end: datetime) -> Flow[Swept]:
    section = ground.section
    if dataset == TRANSFERS:
        return section.transfers(start, end)
    if dataset == ORDERS:
        return section.orders(symbol or None, start, end)
    if dataset == ALGO_ORDERS:
        return section.algo_orders(symbol, start, end)
    return section.fills(symbol, start, end)


async def _read(
    sweeper: Sweeper, job: Round, cursors: Cursors, ground: Ground, dataset: str, symbol: str
) -> None:
    """Read one dataset of one symbol back to where it is wanted, and move the beginning of its proof."""
    if not ground.has(dataset):
        return
    market = ground.market
    first = sweeper.first(ground, dataset, job.now)
    proven = cursors.get((dataset, market, symbol))
    until: datetime = proven[0] if proven else job.proven
    if until - first < ENOUGH:
        return
    history = _flow(ground, dataset, symbol, first, until)
    try:
        swept = await sweeper.rest.run(history, job.priority, sweeper.recording(job))
    except BadRequest:
        return  # the sweeps open a finding about it
    job.took(market, dataset, swept)

    def write(tx: Transaction) -> None:
        begin = first
        for hole in sorted(swept.unproven, key=lambda one: one.start):
            tx.open_gap(sweeper.account, dataset, market, symbol, hole.start, hole.reason, job.now, hole.end)
            begin = max(begin, hole.end)
        tx.extend_coverage(sweeper.account, dataset, market, symbol, begin, until, job.now)

    await sweeper.recorder.submit(write)
