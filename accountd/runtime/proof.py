"""What a sweep proves when it is through: cursors, coverage, holes, and orders that are no longer shown."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

import structlog

from accountd.core.doubts import DRIFT
from accountd.core.ringing import stamp
from accountd.core.ties import BOOKS
from accountd.core.told import ALGO_ORDERS, BALANCES, DATASETS, FILLS, ORDERS, POSITIONS, TRANSFERS
from accountd.errors import BadRequest
from accountd.runtime.findings import close_gaps, open_finding, resolve
from accountd.runtime.rounds import Cursors, Ground, Read, Round
from accountd.store import witness
from accountd.store.late import LATE
from accountd.store.proven import Evidence, Proven
from accountd.store.writer import Transaction
from accountd.venues.base import MILLISECOND, Swept, Window

if TYPE_CHECKING:
    from accountd.runtime.sweeper import Sweeper

log = structlog.get_logger("accountd.sweeper")

Key = tuple[str, str, str]  # market, dataset, symbol
PATIENCE = timedelta(seconds=60)  # what REST does not show after this is no lag of a replica
AT_A_TIME = 8  # datasets of symbols that are proven in one transaction
UNCONFIRMED = "fill_unconfirmed"
UNCONFIRMED_ORDER = "order_unconfirmed"
# Findings that the sweep explains which has read past them.
EXPLAINED = ("stream_missed", DRIFT, LATE)


class Claim(NamedTuple):
    """That a dataset of a symbol (empty: of all) is known from ``start`` to ``end``, for what was read."""

    key: Key
    start: datetime
    end: datetime
    read: Read | None
    occasion: str = ""


def pieces(start: datetime, end: datetime, width: timedelta) -> Iterator[tuple[datetime, datetime]]:
    """Yield a stretch in pieces, the oldest first: each is proven by itself, so that little is read twice."""
    begin = start
    while width and end - begin > width:
        yield begin, begin + width
        begin += width
    yield begin, end


async def piece(sweeper: Sweeper, job: Round, key: Key, start: datetime, end: datetime) -> None:
    """Prove a piece of a long stretch at once: an interrupted sweep goes on from there."""
    end = min(end, job.proven - PATIENCE)  # what is fresher waits for the end of the sweep: replicas lag
    if start < end:
        claim = Claim(key, start, end, job.reads[key])
        await sweeper.submit(lambda tx: uphold(sweeper, tx, job, [claim]))


async def prove(sweeper: Sweeper, job: Round, cursors: Cursors, *, whole: bool = True) -> None:
    """Prove what the sweep has read; ``whole``: it has read all that there is.

    Nothing is proven before everything was read and compared with what the stream told, because one
    symbol may show that a replica lags behind for all. A few at a time, so that no fill has to wait.
    """
    keys = list(job.reads)
    for some in batched(keys):
        await sweeper.submit(partial(_heed_lag, sweeper, job=job, keys=some))
    for some in batched(keys):
        await sweeper.submit(partial(_prove, sweeper, job=job, keys=some))
    if whole:
        await sweeper.submit(partial(_prove_whole, sweeper, job=job, cursors=cursors))
    job.reads.clear()


def batched(keys: Sequence[Key]) -> Iterator[Sequence[Key]]:
    """Yield keys a few at a time."""
    for start in range(0, len(keys), AT_A_TIME):
        yield keys[start : start + AT_A_TIME]


def _prove(sweeper: Sweeper, tx: Transaction, job: Round, keys: Sequence[Key]) -> None:
    uphold(sweeper, tx, job, [Claim(key, job.reads[key].start, job.proven, job.reads[key]) for key in keys])


def _prove_whole(sweeper: Sweeper, tx: Transaction, job: Round, cursors: Cursors) -> None:
    """Prove the account as a whole, and resolve what this sweep explains."""
    claims = [
        _whole(sweeper, tx, job, cursors, ground, name) for ground in sweeper.grounds for name in DATASETS
        if ground.has(name) and (ground.market, name, "") not in job.reads
    ]  # fmt: skip
    uphold(sweeper, tx, job, [one for one in claims if one is not None])
    for kind in EXPLAINED:
        resolve(tx, sweeper.account, kind, None, job.now)
    for kind, names in ((UNCONFIRMED, job.fill_names()), (UNCONFIRMED_ORDER, job.order_names())):
        for subject in tx.open_subjects(sweeper.account, kind):
            if subject in names:
                resolve(tx, sweeper.account, kind, subject, job.now)


def _whole(sweeper: Sweeper, tx: Transaction, job: Round, cursors: Cursors, ground: Ground,
           name: str) -> Claim | None:  # fmt: skip
    """Return what is proven of a dataset for the account as a whole, as far as its symbols are proven."""
    key = (ground.market, name, "")
    if name in (BALANCES, POSITIONS):
        # a snapshot proves its moment, not what was before
        known = cursors.get((name, ground.market, ""))
        return Claim(key, known[1] if known else job.proven, job.proven, job.snapshot)
    read = {symbol for market, dataset, symbol in job.reads if (market, dataset) == (ground.market, name)}
    start = sweeper.start(cursors, ground, name, "", job.now, timedelta(0))
    total = Read(start)
    for market, dataset, symbol in job.reads:
        if (market, dataset) == (ground.market, name):
            total.add(job.reads[market, dataset, symbol])
    if name == FILLS and not total.calls:  # nothing moved: these are what showed it
        for (market, dataset, _), other in job.reads.items():
            if market == ground.market and dataset in (ORDERS, TRANSFERS):
                total.add(other)
    if name == FILLS or ground.sweepable() <= read | _refused(job, ground.market, name):
        # Every fill leaves a trace in what spans all symbols: income, or balances, which the ties judge
        # over what is proven. Symbols without a trace have no fills; the slow rounds look all the same.
        return Claim(key, start, job.proven, total)
    return _slowest(sweeper, tx, job, ground, name, total)


def _slowest(sweeper: Sweeper, tx: Transaction, job: Round, ground: Ground, name: str,
             total: Read) -> Claim | None:  # fmt: skip
    """Claim as much as the symbol that was read longest ago: nothing tells which may have been left out."""
    proven = {
        symbol: stretch for (dataset, market, symbol), stretch in tx.cursors(sweeper.account).items()
        if (dataset, market) == (name, ground.market) and symbol
    }  # fmt: skip
    needed = ground.sweepable() - _refused(job, ground.market, name)
    if not needed or not needed <= proven.keys():
        return None
    start = max(proven[symbol][0] for symbol in needed)
    end = min(proven[symbol][1] for symbol in needed)
    return Claim((ground.market, name, ""), start, end, total) if start < end else None


def _refused(job: Round, market: str, name: str) -> set[str]:
    return {symbol for m, dataset, symbol in job.refused if (m, dataset) == (market, name)}


def uphold(sweeper: Sweeper, tx: Transaction, job: Round, claims: Sequence[Claim]) -> None:
    """Add stretches to the coverage, but for the holes that could not be read, and close the gaps in them."""
    account = sweeper.account
    tx.prove(account, [one for claim in claims for one in _proven(sweeper, tx, job, claim)], job.now)
    open_ = {(gap.market, gap.dataset, gap.symbol) for gap in tx.open_gaps(account)}
    for claim in claims:
        market, name, symbol = claim.key
        if (symbol or claim.occasion) and claim.key in open_:
            begin = max([claim.start, *(hole.end for hole in _holes(job, claim.key, claim.end))])
            if begin <= claim.end:
                close_gaps(sweeper.recorder, tx, account, (name, market, symbol), (begin, claim.end), job.now)


def _proven(sweeper: Sweeper, tx: Transaction, job: Round, claim: Claim) -> Iterator[Proven]:
    """Yield what is proven of a claim: what its holes leave of it; they become gaps."""
    account, (market, name, symbol) = sweeper.account, claim.key
    begin, read = claim.start, claim.read
    for hole in _holes(job, claim.key, claim.end):
        reason = f"{name}: {hole.reason}"
        if not _grown(tx, account, claim.key, reason, hole):
            tx.open_gap(account, name, market, symbol, hole.start, reason, job.now, hole.end)
        if begin < hole.start:
            yield Proven(name, market, symbol, begin, hole.start)
        begin = max(begin, hole.end)
    if begin > claim.end:
        return
    by = None if read is None else Evidence(
        sweep=claim.occasion or job.priority.name.lower(), requests=",".join(sorted(read.requests)),
        asked_by=" and ".join(sorted(read.asked_by, reverse=True)), calls=read.calls, rows=read.rows,
    )  # fmt: skip
    yield Proven(name, market, symbol, begin, claim.end, by)


def _grown(tx: Transaction, account: str, key: Key, reason: str, hole: Window) -> bool:
    """Lengthen the gap that a hole goes on from: what is refused for ever is one gap, not one a sweep."""
    for gap in tx.open_gaps(account):
        same = (gap.market, gap.dataset, gap.symbol, gap.reason) == (*key, reason)
        if not same or gap.to_time is None or gap.from_time == hole.start:
            continue
        if gap.from_time - PATIENCE < hole.start <= gap.to_time:
            tx.end_gap(gap.gap_id, max(gap.to_time, hole.end))
            return True
    return False


def _holes(job: Round, key: Key, end: datetime) -> list[Window]:
    market, name, symbol = key
    told = job.unproven.get((market, name), [])
    holes = [hole for hole in told if hole.symbol in (symbol, None) and hole.start <= end]
    return sorted(holes, key=lambda one: one.start)


def _heed_lag(sweeper: Sweeper, tx: Transaction, job: Round, keys: Sequence[Key]) -> None:
    """Compare what REST showed with what the stream told: what is not shown proves that REST lags.

    Nothing is then proven from there on, in any dataset. What REST does not show after long is no lag:
    the venue took it back, or the stream told of what never was.
    """
    for key in keys:
        for kind, subject, at in _unshown(sweeper, tx, job, key, job.reads[key].start + MILLISECOND):
            if job.now - at <= max(PATIENCE, 6 * sweeper.settle):
                log.warning("REST lags", account=sweeper.account, subject=subject, at=stamp(at))
                job.proven = min(job.proven, at - MILLISECOND)
            elif kind:
                _disown(sweeper, tx, kind, subject, at, job.now)


def _unshown(sweeper: Sweeper, tx: Transaction, job: Round, key: Key,
             start: datetime) -> Iterator[tuple[str, str, datetime]]:  # fmt: skip
    """Yield (kind of finding, subject, moment) of what the stream told of a window and REST did not show."""
    market, name, symbol = key
    connection, account, end = tx.connection, sweeper.account, job.proven
    if name == FILLS:
        for (of, trade), at in witness.told_fills(connection, account, market, symbol, start, end):
            if trade not in job.fills[market, of]:
                yield UNCONFIRMED, f"fill:{market}:{of}:{trade}", at
    elif name in (ORDERS, ALGO_ORDERS):
        kind = "order" if name == ORDERS else "algo"
        kept = _kept_unfilled(sweeper, market, name)
        start = start if kept is None else max(start, job.now - kept)
        for order, at in witness.told_orders(connection, account, market, kind, symbol, start, end):
            if order not in job.shown:
                yield UNCONFIRMED_ORDER, ":".join(("order", *order)), at
    elif name == TRANSFERS and BOOKS.get(market) == "income":
        for fill, at in witness.unpaid_fills(connection, account, market, start, end):
            yield "", ":".join(("income", market, *fill)), at


def _kept_unfilled(sweeper: Sweeper, market: str, name: str) -> timedelta | None:
    """Return for how long the venue shows orders that ended unfilled."""
    for ground in sweeper.grounds:
        if ground.market == market:
            return ground.section.retention[name].keeps_unfilled
    return None


def _disown(sweeper: Sweeper, tx: Transaction, kind: str, subject: str, at: datetime, now: datetime) -> None:
    """Open a finding about what only the stream knows; a fill gets a row that says so, and stays."""
    detail = {"at": at.isoformat(), "asked_at": now.isoformat()}
    severity = "error" if kind == UNCONFIRMED else "warning"
    account = sweeper.account
    fresh = open_finding(sweeper.recorder, tx, account, kind, severity, subject, detail, now, (at, at))
    if fresh and kind == UNCONFIRMED:
        _, market, symbol, trade_id = subject.split(":")
        tx.withdraw_fill(account, market, symbol, trade_id, now)


async def absent(sweeper: Sweeper, job: Round, swept: Swept, name: str) -> None:
    """Say, once, which parts of a history this environment does not have."""
    new = sorted(set(swept.absent) - sweeper.absent)
    if not new:
        return
    sweeper.absent.update(new)

    def write(tx: Transaction) -> None:
        for part in new:
            detail = {"what": part, "why": "does not exist in this environment"}
            subject = f"{name}:{part}"
            tx.open_finding(sweeper.account, "history_absent", "warning", subject, detail, job.now)

    await sweeper.submit(write)


async def refused(sweeper: Sweeper, job: Round, name: str, symbol: str, error: BadRequest) -> None:
    """Say that the venue would not answer about a symbol."""
    log.warning("symbol refused", account=sweeper.account, symbol=symbol, dataset=name, code=error.code)
    detail = {"error": str(error), "code": error.code}
    await sweeper.submit(
        lambda tx: tx.open_finding(
            sweeper.account, "symbol_refused", "warning", f"{name}:{symbol}", detail, job.now
        )
    )
