"""Reads an account's history over REST and proves it: the only thing that moves cursors and coverage."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import TypeVar

import structlog

from accountd.core.ringing import stamp
from accountd.core.told import ALGO_ORDERS, FILLS, ORDERS, REST, Telling
from accountd.errors import BadRequest, VenueError
from accountd.runtime import history, income, looks, open_orders, proof
from accountd.runtime.budget import Priority
from accountd.runtime.cutting import cut
from accountd.runtime.explaining import explain
from accountd.runtime.recorder import Ledger, Recorder
from accountd.runtime.rest import RestClient
from accountd.runtime.rounds import Cursors, Ground, Read, Round, Step
from accountd.store import witness
from accountd.store.proving import FOR_EVER
from accountd.store.writer import Transaction
from accountd.venues.base import Page, Swept, Venue

T = TypeVar("T")
log = structlog.get_logger("accountd.sweeper")

OVERLAP = timedelta(seconds=60)
RETENTION = FOR_EVER
FIRST_LOOK = timedelta(days=1)
NO_LIMIT = timedelta(days=3650)
AT_ONCE = 4  # symbols swept side by side
RECENT = timedelta(days=8)
EXPLORE = 6  # symbols of the wide background sweep in one slow round, at least
ROUNDS = 12  # slow rounds in which every symbol has had its turn


class Sweeper:
    """Sweeps one account. ``live_since`` is asked for each page: REST telling first is then a finding."""

    def __init__(self, venue: Venue, grounds: Sequence[Ground], rest: RestClient, recorder: Recorder,
                 ledger: Ledger, *, settle: timedelta, backfill: timedelta | None, symbols: Iterable[str],
                 live_since: Callable[[], datetime | None]) -> None:  # fmt: skip
        self.venue = venue
        self.grounds = grounds
        self.rest = rest
        self.recorder = recorder
        self.ledger = ledger
        self.account = ledger.account_id
        self.settle = settle
        self.backfill = backfill
        self.pinned = set(symbols)
        self.live_since = live_since
        self.session_id: str | None = None
        self.since: datetime | None = None  # sweep from here at the latest, whatever the cursors say
        self.wanted: datetime | None = None  # history from then on was asked for (`accountd backfill`)
        self.swept: Callable[[Priority], None] = lambda priority: None  # called after each whole sweep
        self.differed = float("-inf")  # monotonic; when REST last told what the stream should have
        self.doubted = False  # the stream has dropped something, and may have dropped more
        self.absent: set[str] = set()  # parts of histories that this environment was found not to have
        self.cost: Mapping[str, int] = {}  # weight by pool of the last slow sweep
        self.look_cost: Mapping[str, int] = {}  # ... of the last look at a cheap snapshot
        self._lock = asyncio.Lock()
        self.unsettled = asyncio.Event()  # the stream left something out: what that made of balances is due
        self._income = asyncio.Lock()  # a sweep that waits for its weight must not hold up the income

    # -- what others call

    async def sweep(self, priority: Priority, step: Step | None = None, *, seam: bool = False,
                    sparing: bool = False) -> Round:  # fmt: skip
        """Read everything from each cursor, less an overlap, to the venue's now; then move the cursors.

        ``seam``: the second look after a (re)connect, cheap because the first was moments ago.
        ``sparing``: what may rarely be asked is left to who follows up.
        """
        async with self._lock:
            job = self._round(priority)
            cursors = await self.submit(lambda tx: tx.cursors(self.account))
            await self._admit(job, cursors)
            job.snapshot = Read(job.proven)
            state = self.venue.canary(self.settle) if seam else self.venue.snapshot(self.settle)
            await self.rest.run(state, priority, self.recording(job, job.snapshot))
            for ground in self.grounds:
                await open_orders.read(self, job, ground, cursors, again=seam)
            for ground in self.grounds:
                await self._whole_orders(job, ground, cursors)
            await self._each_symbol(job, cursors, step)
            for ground in self.grounds:  # when fills tell how full its pages are
                await income.read(self, job, ground, cursors, Priority.SWEEP if sparing else priority)
            await self._each_symbol(job, cursors, step)  # what only income names
            await open_orders.vanished(self, job)
            await explain(self, job)
            await proof.prove(self, job, cursors)
            if priority is Priority.SWEEP:
                self.cost = job.cost
            self.swept(priority)
            return job

    async def transfers(self, scarce: Priority = Priority.SWEEP, *, balances: bool = False) -> Round:
        """Read the income history at once: the stream hinted at a movement of money; balances if asked.

        It counts as a slow sweep, but reads no further back. A part that waits for weight is ``postponed``.
        """
        async with self._income:
            job = self._round(Priority.SWEEP)
            job.margin = self.settle
            cursors = await self.submit(lambda tx: tx.cursors(self.account))
            for ground in self.grounds:
                await income.read(self, job, ground, cursors, scarce)
            if balances:
                await looks.take(self, job)
            await proof.prove(self, job, cursors, whole=False)
        for market, symbol in await self._unheard(job):
            self.doubted = True
            await self.symbol(symbol, market)
        return job

    async def _unheard(self, job: Round) -> list[tuple[str, str]]:
        """List the symbols of which the income names a trade that nobody told: the stream dropped it."""

        def look(tx: Transaction) -> list[tuple[str, str]]:
            return [
                key for key, trades in sorted(job.paid.items())
                if witness.unknown_fills(tx.connection, self.account, *key, trades)
            ]  # fmt: skip

        return await self.submit(look)

    async def look(self) -> None:
        """Read balances and positions at once: the stream left out what an execution made of them."""
        await looks.take(self, self._round(Priority.CANARY))

    async def glance(self) -> Mapping[str, int]:
        """Look whether what is believed to be open still is; return what that cost, by pool."""
        return await open_orders.glance(self, self._round(Priority.CANARY))

    def doubt(self) -> None:
        """Note that REST tells what the stream should have told."""
        self.differed = self.rest.clock.clock.monotonic()
        self.doubted = True

    async def symbol(self, symbol: str, market: str = "") -> None:
        """Read one symbol's orders and fills at once, here or wherever it is: the stream left something out.
        Balances and positions are due after it."""
        self.unsettled.set()
        async with self._lock:
            job = self._round(Priority.CANARY)
            cursors = await self.submit(lambda tx: tx.cursors(self.account))
            for ground in self.grounds:
                if market == ground.market or (not market and self._may_have(ground, symbol)):
                    await self._one_symbol(job, ground, symbol, cursors)
            await proof.prove(self, job, cursors, whole=False)

    def _may_have(self, ground: Ground, symbol: str) -> bool:
        return len(self.grounds) == 1 or symbol in ground.symbols

    async def explore(self) -> None:
        """Sweep a few symbols that nothing points to: orders placed and cancelled leave no income."""
        wide = [ground for ground in self.grounds if not ground.is_small]
        if not wide:
            return
        async with self._lock:
            job = self._round(Priority.BACKFILL)
            cursors = await self.submit(lambda tx: tx.cursors(self.account))
            for ground in wide:
                if ground.orders_whole:
                    job.orders_whole.add(ground.market)
                turns = max(EXPLORE, len(ground.symbols) // ROUNDS)
                for name in ground.explore(turns, await self._assets(ground)):
                    await self._one_symbol(job, ground, name, cursors)
            await proof.prove(self, job, cursors, whole=False)

    async def deepen(self, step: Step | None = None) -> None:
        """Read what is wanted from before the first look, taking turns with the slow sweeps."""
        await history.deepen(self, self._round(Priority.BACKFILL), step)

    async def drift(self) -> bool:
        """Compare a cheap snapshot with what is believed; True when the stream kept something back."""
        return await looks.drift(self, self._round(Priority.CANARY))

    # -- steps of a sweep

    async def submit(self, run: Callable[[Transaction], T]) -> T:
        """Run bookkeeping of the account in a transaction of the writer and return what it returns."""
        return await self.recorder.submit(run, self.account)

    async def _admit(self, job: Round, cursors: Cursors) -> None:
        """Write down what was away for longer than the venue keeps it: a gap that nothing can close."""
        grounds = {ground.market: ground for ground in self.grounds}

        def write(tx: Transaction) -> None:
            for (dataset, market, symbol), (_, proven) in cursors.items():
                ground = grounds.get(market)
                if ground is None or not ground.has(dataset):
                    continue
                oldest = self.oldest(ground, dataset, job.now)
                if proven < oldest:
                    tx.open_gap(self.account, dataset, market, symbol, proven, RETENTION, job.now, oldest)
                kept = ground.section.retention[dataset]
                if symbol or kept.keeps_unfilled is None:
                    continue
                if proven < (forgotten := job.now - kept.keeps_unfilled):
                    subject = f"{dataset}:{stamp(proven)}"
                    what = "orders that ended unfilled"
                    detail = {"from": stamp(proven), "to": stamp(forgotten), "what": what}
                    tx.open_finding(self.account, "history_forgotten", "warning", subject, detail, job.now)

        await self.submit(write)

    async def _whole_orders(self, job: Round, ground: Ground, cursors: Cursors) -> None:
        if ground.orders_whole is False or ground.is_tiny:
            return
        start = self.start(cursors, ground, ORDERS, "", job.now, job.margin)
        swept, read = Swept(), Read(start)
        try:
            for begin, end in await cut(self, ground, ORDERS, start, job.now):
                flow = ground.section.orders(None, begin, end)
                swept = swept.plus(await self.rest.run(flow, job.priority, self.recording(job, read)))
        except BadRequest as error:
            log.info("all orders need a symbol here", account=self.account, code=error.code)
            ground.orders_whole = False
            return
        # Where the question names symbols at least (order lists), it is asked again.
        ground.orders_whole = swept.supported or (None if swept.calls else False)
        job.symbols[ground.market] |= swept.symbols
        if swept.supported and not swept.unproven:  # else symbol by symbol, where numbers lead further
            job.orders_whole.add(ground.market)
            job.took(ground.market, ORDERS, swept)
            job.reads[ground.market, ORDERS, ""] = read

    async def _likely(self, job: Round) -> list[tuple[Ground, str]]:
        """List the symbols to sweep, the liveliest first.

        After a (re)connect weight is scarce, so only those that income, orders, positions or open orders
        name; the slow sweeps go through the rest.
        """
        found: list[tuple[datetime, Ground, str]] = []
        for ground in self.grounds:
            market = ground.market
            if market not in job.known:
                job.known[market] = await self.known(market)
            known = job.known[market]
            names = job.symbols[market] | {name for name in self.pinned if self._may_have(ground, name)}
            if ground.is_small:  # few enough to be proven, every time
                names |= set(ground.symbols)
            if job.priority is not Priority.SEAM or market not in job.orders_whole:
                names |= {name for name, last in known.items() if last >= job.now - RECENT}
                if not ground.is_small:
                    names |= ground.likely(job.assets[market] | await self._assets(ground))
            found += [(known.get(name, self.ledger.born), ground, name) for name in sorted(names)]
        found.sort(key=lambda one: one[0], reverse=True)
        return [(ground, name) for _, ground, name in found]

    async def known(self, market: str) -> dict[str, datetime]:
        """Return the symbols of a market that the record knows, and when they were last seen to move."""
        return await self.submit(lambda tx: tx.known_symbols(self.account, market))

    async def _assets(self, ground: Ground) -> set[str]:
        """Return the assets of a market that are held."""

        def held(_: Transaction) -> set[str]:
            beliefs = self.ledger.beliefs
            rows = [] if beliefs is None else list(beliefs.balances.values())
            return {row.asset for row in rows if row.market == ground.market and row.total}

        return await self.submit(held)

    async def _each_symbol(self, job: Round, cursors: Cursors, step: Step | None) -> None:
        """Read each likely symbol that was not read yet."""
        names = [one for one in await self._likely(job) if one not in job.visited]
        job.visited.update(names)
        whole = len(job.visited)
        gate = asyncio.Semaphore(AT_ONCE)
        done = whole - len(names)

        async def one(ground: Ground, name: str) -> None:
            nonlocal done
            async with gate:
                await self._one_symbol(job, ground, name, cursors)
            done += 1
            if step is not None:
                step(self.account, done, whole)

        try:
            async with asyncio.TaskGroup() as group:
                for ground, name in names:
                    task = f"accountd-sweep-{self.account}-{name}"
                    group.create_task(one(ground, name), name=task)
        except ExceptionGroup as failed:
            raise _gravest(failed) from None

    async def _one_symbol(self, job: Round, ground: Ground, symbol: str, cursors: Cursors) -> None:
        """Orders before fills: a fill learns its client order id from its order."""
        section = ground.section
        flows = [(ORDERS, section.orders), (ALGO_ORDERS, section.algo_orders), (FILLS, section.fills)]
        if ground.market in job.orders_whole:
            del flows[0]
        for dataset, flow in flows:
            key = (ground.market, dataset, symbol)
            if not ground.has(dataset) or key in job.reads:
                continue
            if dataset == FILLS and self._is_still(job, ground, symbol, cursors):
                job.visited.discard((ground, symbol))  # unless income names it
                continue
            read = job.read(*key, self.start(cursors, ground, dataset, symbol, job.now, job.margin))
            try:
                for begin, end in proof.pieces(read.start, job.now, section.retention[dataset].window):
                    swept = await self.rest.run(
                        flow(symbol, begin, end), job.priority, self.recording(job, read)
                    )
                    job.took(ground.market, dataset, swept)
                    if end < job.now:
                        await proof.piece(self, job, key, begin, end)
            except BadRequest as error:  # one symbol that the venue does not know must not stop the rest
                del job.reads[key]
                job.refused.add(key)
                await proof.refused(self, job, dataset, symbol, error)

    def _is_still(self, job: Round, ground: Ground, symbol: str, cursors: Cursors) -> bool:
        """Say whether a symbol has had no fills since the cursor: it had no orders, before and since then."""
        cursor, held = cursors.get((FILLS, ground.market, symbol)), job.held.get(ground.market)
        if job.priority is not Priority.SEAM or not ground.is_small or symbol in self.pinned:
            return False
        if cursor is None or held is None:
            return False
        last = job.known.get(ground.market, {}).get(symbol)
        moved = last is not None and last >= cursor[1] - job.margin
        return not moved and symbol not in job.symbols[ground.market] | held

    # -- helpers of the steps

    def _round(self, priority: Priority) -> Round:
        now = self.rest.clock.now()
        margin = max(OVERLAP, 3 * self.settle) if priority > Priority.CANARY else self.settle
        return Round(now=now, proven=now - self.settle, priority=priority, margin=margin)

    def start(self, cursors: Cursors, ground: Ground, dataset: str, symbol: str, now: datetime,
              overlap: timedelta) -> datetime:  # fmt: skip
        """Return from when on to read: the cursor less an overlap, but not before what the venue keeps."""
        oldest = self.oldest(ground, dataset, now)
        cursor = cursors.get((dataset, ground.market, symbol))
        if cursor is None:  # the last day at once; what is before it comes at leisure (`history`)
            return max(self.first(ground, dataset, now), now - FIRST_LOOK)
        start = cursor[1] - overlap
        return max(start if self.since is None else min(start, self.since), oldest)

    def first(self, ground: Ground, dataset: str, now: datetime) -> datetime:
        """Return from when on a dataset is wanted: as settings say, and as the venue keeps it."""
        oldest = self.oldest(ground, dataset, now)
        if self.backfill is None:
            return oldest
        start = self.ledger.born - self.backfill
        return max(oldest, start if self.wanted is None else min(start, self.wanted))

    def oldest(self, ground: Ground, dataset: str, now: datetime) -> datetime:
        """Return the first moment that the venue still tells of; snapshots have no history to end."""
        kept = ground.section.retention.get(dataset)
        if kept is None or not kept.keeps:
            return now - NO_LIMIT
        return now - kept.keeps + timedelta(minutes=1)

    def recording(self, job: Round, read: Read | None = None) -> Callable[[Page], Awaitable[None]]:
        async def record(page: Page) -> None:
            if read is not None:
                read.note(page)
            job.note(page)
            await self._record(page)

        return record

    async def _record(self, page: Page) -> None:
        telling = Telling(
            account_id=self.account, source=REST, kind=page.kind, raw=page.reply.body,
            received_at=self.recorder.clock.now(), told=page.told, event_time=page.as_of,
            session_id=self.session_id, live_since=self.live_since(), keep=False,
        )  # fmt: skip
        await self.recorder.record(telling)


def _gravest(failed: ExceptionGroup[Exception]) -> Exception:
    """Return the one error that decides: a bug before a permanent refusal before what may pass."""

    def weight(one: Exception) -> int:
        return 0 if not isinstance(one, VenueError) else 1 if one.permanent else 2

    return min(failed.exceptions, key=weight)
