"""The deep backfill: history from before the first look, read at leisure and proven piece by piece."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from accountd.core.ringing import stamp
from accountd.core.stretches import Stretch, backwards, missing
from accountd.core.told import ALGO_ORDERS, FILLS, ORDERS, TRANSFERS
from accountd.errors import BadRequest
from accountd.runtime import proof
from accountd.runtime.findings import open_finding
from accountd.runtime.rounds import Ground, Read, Round, Step
from accountd.store.proven import Proven
from accountd.store.proving import FOR_EVER
from accountd.store.writer import Transaction
from accountd.venues.base import Flow, Swept

if TYPE_CHECKING:
    from accountd.runtime.sweeper import Sweeper

ENOUGH = timedelta(seconds=1)  # a shorter stretch than this is not missing
Coverage = dict[tuple[str, str, str], list[Stretch]]  # by dataset, market, symbol
Task = tuple[Ground, str, str, Stretch]


async def deepen(sweeper: Sweeper, job: Round, step: Step | None = None) -> None:
    """Read every dataset from where it is wanted to where its proof begins, and what was left out between.

    Each piece is proven when it is read: what is done stays done, whatever interrupts this, and nothing is
    asked when nothing is missing. ``step`` is told how many pieces are done, of how many known so far.

    Raises:
        VenueError: the venue does not answer; the next call goes on from there.
    """
    sweeper.wanted = await sweeper.submit(lambda tx: tx.wanted_since(sweeper.account))
    done = 0
    for ground in sweeper.grounds:
        for names in ((TRANSFERS, ORDERS), (FILLS, ALGO_ORDERS, ORDERS)):
            tasks = [task async for task in _tasks(sweeper, job, ground, names)]
            # what is recent first, of every symbol, and fills before what leaves no money behind
            tasks.sort(key=lambda task: (names.index(task[1]), -task[3][1].timestamp()))
            for number, task in enumerate(tasks, 1):
                await _read(sweeper, job, *task)
                done += 1
                if step is not None:
                    step(sweeper.account, done, done + len(tasks) - number)
    named = {ground.market: await _named(sweeper, job, ground) for ground in sweeper.grounds}
    await sweeper.submit(lambda tx: _finish(sweeper, tx, job, named))


async def _tasks(sweeper: Sweeper, job: Round, ground: Ground, names: tuple[str, ...]) -> AsyncIterator[Task]:
    """Yield what is to be read: income and whole lists first, because they name the symbols of the rest."""
    market = ground.market
    proven: Coverage = await sweeper.submit(lambda tx: tx.stretches(sweeper.account))
    if TRANSFERS in names:
        whole = [TRANSFERS, *([ORDERS] if ground.orders_whole else [])]
        keys = [(name, "") for name in whole]
    else:
        named = await _named(sweeper, job, ground)
        # an order that was cancelled unfilled leaves no trace: where symbols are few, all are asked for
        every = named | (ground.sweepable() if ground.is_small else set())
        keys = [
            (name, symbol)
            for symbol in sorted(every)
            for name in names
            if (symbol in named or name != FILLS) and (name != ORDERS or not ground.orders_whole)
        ]  # fmt: skip
    for name, symbol in keys:
        if not ground.has(name):
            continue
        held = proven.get((name, market, symbol), [])
        until = max((end for _, end in held), default=job.proven)
        wanted = (sweeper.first(ground, name, job.now), until)
        for hole in missing(wanted, held, ENOUGH):
            for part in backwards(hole, ground.section.retention[name].window):
                yield ground, name, symbol, part


async def _named(sweeper: Sweeper, job: Round, ground: Ground) -> set[str]:
    """Return the symbols that income, orders, fills or settings name."""
    pinned = {name for name in sweeper.pinned if len(sweeper.grounds) == 1 or name in ground.symbols}
    return pinned | set(await sweeper.known(ground.market)) | job.symbols[ground.market]


def _flow(ground: Ground, dataset: str, symbol: str, start: datetime, end: datetime) -> Flow[Swept]:
    section = ground.section
    if dataset == TRANSFERS:
        return section.transfers(start, end)
    if dataset == ORDERS:
        return section.orders(symbol or None, start, end)
    if dataset == ALGO_ORDERS:
        return section.algo_orders(symbol, start, end)
    return section.fills(symbol, start, end)


async def _read(sweeper: Sweeper, job: Round, ground: Ground, dataset: str, symbol: str,
                part: Stretch) -> None:  # fmt: skip
    """Read one piece of one dataset of one symbol, prove it, and close the gaps that it fills."""
    key, read = (ground.market, dataset, symbol), Read(part[0])
    job.unproven.pop((ground.market, dataset), None)
    try:
        swept = await sweeper.rest.run(
            _flow(ground, dataset, symbol, *part), job.priority, sweeper.recording(job, read)
        )
    except BadRequest:
        return  # the sweeps open a finding about it
    if swept.postponed:
        return  # the next turn asks again
    job.took(ground.market, dataset, swept)
    claim = proof.Claim(key, part[0], part[1], read, "backfill")
    await sweeper.submit(lambda tx: proof.uphold(sweeper, tx, job, [claim]))


def _finish(sweeper: Sweeper, tx: Transaction, job: Round, named: dict[str, set[str]]) -> None:
    """Say what the account as a whole is proven of now, and what nobody can read any more."""
    for ground in sweeper.grounds:
        for name in (ALGO_ORDERS, FILLS, ORDERS):
            if ground.has(name) and not (name == ORDERS and ground.orders_whole):
                # income names every symbol with a fill; of orders nothing does
                needed = named[ground.market] if name == FILLS else ground.sweepable()
                _deepest(sweeper, tx, job, ground.market, name, needed)
    if sweeper.wanted is None:
        return
    for ground in sweeper.grounds:
        for name in (ORDERS, ALGO_ORDERS, FILLS, TRANSFERS):
            if ground.has(name):
                _beyond(sweeper, tx, job, ground, name, sweeper.wanted)
    tx.end_backfill(sweeper.account, job.now)


def _deepest(sweeper: Sweeper, tx: Transaction, job: Round, market: str, name: str,
             needed: set[str]) -> None:  # fmt: skip
    """Let the proof of the whole begin where that of the last needed symbol begins."""
    proven = tx.stretches(sweeper.account)
    whole = max(proven.get((name, market, ""), []), default=None)
    if whole is None or not all((name, market, symbol) in proven for symbol in needed):
        return
    firsts = [proven[name, market, symbol][-1][0] for symbol in needed]
    if name == FILLS and (income := proven.get((TRANSFERS, market, ""))):
        firsts.append(income[-1][0])
    if firsts and (start := max(firsts)) < whole[0]:
        tx.prove(sweeper.account, [Proven(name, market, "", start, whole[0])], job.now)


def _beyond(sweeper: Sweeper, tx: Transaction, job: Round, ground: Ground, name: str,
            since: datetime) -> None:  # fmt: skip
    """State what was asked for and is older than the venue keeps: a gap that stays open for ever."""
    account, market = sweeper.account, ground.market
    oldest = sweeper.oldest(ground, name, job.now)
    starts = [one[0] for one in tx.stretches(account).get((name, market, ""), [])]
    until = min([oldest, *starts])
    if since >= oldest:
        return
    known = [
        gap for gap in tx.open_gaps(account)
        if (gap.dataset, gap.market, gap.symbol, gap.reason) == (name, market, "", FOR_EVER)
    ]  # fmt: skip
    if known:
        until = min(gap.from_time for gap in known)
    if until - since >= ENOUGH:
        tx.open_gap(account, name, market, "", since, FOR_EVER, job.now, until)
    kept = ground.section.retention[name].keeps_unfilled
    if kept is not None:
        detail = {"from": stamp(since), "to": stamp(job.now - kept), "what": "orders that ended unfilled"}
        open_finding(sweeper.recorder, tx, account, "history_forgotten", "info", f"{name}:{market}:unfilled",
                     detail, job.now, (since, job.now - kept))  # fmt: skip
