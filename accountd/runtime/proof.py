"""What a sweep proves when it is through: cursors, coverage, holes, and orders that are no longer shown."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import structlog

from accountd.core.changes import OrderKey
from accountd.core.ringing import stamp
from accountd.core.told import BALANCES, DATASETS, POSITIONS
from accountd.runtime.rounds import Cursors, Ground, Round
from accountd.store.writer import Transaction

if TYPE_CHECKING:
    from accountd.runtime.sweeper import Sweeper

log = structlog.get_logger("accountd.sweeper")


async def prove(sweeper: Sweeper, job: Round, cursors: Cursors) -> None:
    """Move the cursors of every dataset of every market."""
    for ground in sweeper.grounds:
        for name in DATASETS:
            if ground.has(name):
                await dataset(sweeper, job, cursors, ground, name, "")
    await sweeper.recorder.submit(
        lambda tx: tx.resolve_findings(sweeper.account, "stream_missed", None, job.now)
    )


async def dataset(
    sweeper: Sweeper, job: Round, cursors: Cursors, ground: Ground, name: str, symbol: str
) -> None:
    """Move the cursor of one dataset, unless a window of it could not be read."""
    account, market = sweeper.account, ground.market
    holes = [hole for hole in job.unproven.get((market, name), []) if hole.symbol in (symbol, None)]
    start = sweeper.start(cursors, ground, name, symbol, job.now, timedelta(0))
    if name in (BALANCES, POSITIONS) and (name, market, symbol) not in cursors:
        start = job.proven  # a snapshot proves its moment, not what was before

    def write(tx: Transaction) -> None:
        begin = start
        for hole in sorted(holes, key=lambda one: one.start):
            reason = f"{name}: {hole.reason}"
            tx.open_gap(account, name, market, symbol, hole.start, reason, job.now, hole.end)
            if begin < hole.start:
                tx.extend_coverage(account, name, market, symbol, begin, hole.start, job.now)
            begin = max(begin, hole.end)
        if begin <= job.proven:
            tx.extend_coverage(account, name, market, symbol, begin, job.proven, job.now)

    await sweeper.recorder.submit(write)


async def vanished(sweeper: Sweeper, job: Round) -> None:
    """Ask for each order that is open here and was not shown: it ended while nobody told us."""
    ledger, before = sweeper.ledger, job.proven

    def held(_: Transaction) -> list[OrderKey]:
        beliefs = ledger.beliefs
        open_ = {} if beliefs is None else beliefs.open
        return [key for key, order in open_.items() if order.updated_at < before and key not in job.shown]

    sections = {ground.market: ground.section for ground in sweeper.grounds}
    missing: list[OrderKey] = []
    for key in await sweeper.recorder.submit(held):
        market, symbol, kind, order_id = key
        section = sections.get(market)
        if section is None:
            continue
        flow = section.order(symbol, order_id) if kind == "order" else section.algo_order(order_id)
        if not await sweeper.rest.run(flow, job.priority, sweeper.recording(job)):
            missing.append(key)
    if missing:
        log.warning("orders the venue no longer shows", account=sweeper.account, orders=len(missing))
        await sweeper.recorder.submit(lambda tx: _mark_missing(sweeper, tx, missing, job.now))


def _mark_missing(sweeper: Sweeper, tx: Transaction, keys: list[OrderKey], now: datetime) -> None:
    tx.mark_missing(sweeper.account, keys, now)
    beliefs = sweeper.ledger.beliefs
    for key in keys:
        if beliefs is not None and (order := beliefs.open.pop(key, None)) is not None:
            order.missing_since = now
        detail = {"since": stamp(now)}
        tx.open_finding(sweeper.account, "order_missing", "warning", ":".join(key), detail, now)
