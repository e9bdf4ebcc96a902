"""Reads an account's history over REST and proves it: the only thing that moves cursors and coverage."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from datetime import datetime, timedelta

import structlog

from accountd.core.beliefs import order_key
from accountd.core.changes import OrderKey
from accountd.core.drift import differs
from accountd.core.ringing import stamp
from accountd.core.told import (
    ALGO_ORDERS,
    BALANCES,
    FILLS,
    ORDERS,
    POSITIONS,
    REST,
    TRANSFERS,
    Order,
    Position,
    Snapshot,
    Telling,
)
from accountd.core.told import Transfer as TransferTold
from accountd.errors import BadRequest, VenueError
from accountd.runtime import history
from accountd.runtime.budget import Priority
from accountd.runtime.recorder import Ledger, Recorder
from accountd.runtime.rest import RestClient
from accountd.runtime.rounds import Cursors, Round, Step
from accountd.store.writer import Transaction
from accountd.venues.base import Page, Swept, Venue, Window

log = structlog.get_logger("accountd.sweeper")

OVERLAP = timedelta(seconds=60)
RETENTION = "older than the venue keeps"
FIRST_LOOK = timedelta(days=1)
NO_LIMIT = timedelta(days=3650)
AT_ONCE = 4  # symbols swept side by side
FEW = 24  # a venue with no more symbols than this is swept whole, every time
RECENT = timedelta(days=8)
EXPLORE = 6  # symbols of the wide background sweep in one slow round


class Sweeper:
    """Sweeps one account. ``live_since`` is asked for each page: REST telling first is then a finding."""

    def __init__(self, venue: Venue, rest: RestClient, recorder: Recorder, ledger: Ledger, *,
                 settle: timedelta, backfill: timedelta | None, symbols: Iterable[str],
                 live_since: Callable[[], datetime | None]) -> None:  # fmt: skip
        self.venue = venue
        self.rest = rest
        self.recorder = recorder
        self.ledger = ledger
        self.account = ledger.account_id
        self.settle = settle
        self.backfill = backfill
        self.pinned = set(symbols)
        self.live_since = live_since
        self.session_id: str | None = None
        self.all_symbols: list[str] = []
        self.orders_whole: bool | None = None  # does the venue take allOrders without a symbol?
        self.since: datetime | None = None  # sweep from here at the latest, whatever the cursors say
        self.swept: Callable[[Priority], None] = lambda priority: None  # called after each whole sweep
        self._explored = 0
        self._lock = asyncio.Lock()
        self._income = asyncio.Lock()  # a sweep that waits for its weight must not hold up the income

    # -- what others call

    async def sweep(self, priority: Priority, step: Step | None = None, *, seam: bool = False) -> Round:
        """Read everything from each cursor, less an overlap, to the venue's now; then move the cursors.

        ``seam``: the second look after a (re)connect, cheap because the first was moments ago.
        """
        async with self._lock:
            job = self._round(priority)
            cursors = await self.recorder.submit(lambda tx: tx.cursors(self.account))
            await self._admit(job, cursors)
            if seam:
                await self.rest.run(self.venue.canary(self.settle), priority, self.recording(job))
            else:
                await self._state(job)
            await self._transfers(job, cursors)
            await self._whole_orders(job, cursors)
            await self._each_symbol(job, await self._likely(job), cursors, step)
            if not seam:
                await self._vanished(job)
            await self._prove(job, cursors)
            self.swept(priority)
            return job

    async def transfers(self) -> None:
        """Read the income history at once: the stream hinted at a movement of money.

        It counts as a slow sweep, which leaves weight for a reconnect, but reads no further back.
        """
        async with self._income:
            job = self._round(Priority.SWEEP)
            job.margin = 2 * self.settle
            cursors = await self.recorder.submit(lambda tx: tx.cursors(self.account))
            await self._transfers(job, cursors)
            await self._prove_dataset(job, cursors, TRANSFERS, "")

    async def symbol(self, symbol: str) -> None:
        """Read one symbol's orders and fills at once: the stream left something out."""
        async with self._lock:
            job = self._round(Priority.CANARY)
            cursors = await self.recorder.submit(lambda tx: tx.cursors(self.account))
            await self._one_symbol(job, symbol, cursors)

    async def explore(self) -> None:
        """Sweep a few symbols that nothing points to: orders placed and cancelled leave no income."""
        names = self.all_symbols
        if len(names) <= FEW:
            return
        async with self._lock:
            job = self._round(Priority.BACKFILL)
            job.orders_whole = bool(self.orders_whole)
            cursors = await self.recorder.submit(lambda tx: tx.cursors(self.account))
            for _ in range(min(EXPLORE, len(names))):
                self._explored = (self._explored + 1) % len(names)
                await self._one_symbol(job, names[self._explored], cursors)

    async def deepen(self) -> None:
        """Read what is wanted from before the first look, taking turns with the slow sweeps."""
        job = self._round(Priority.SWEEP)
        await history.deepen(self, job)

    async def drift(self) -> bool:
        """Compare a cheap snapshot with what is believed; True when the stream kept something back.

        What differs is looked at again after a moment, since a frame may be on its way, and then recorded.
        """
        pages: list[Page] = []

        async def keep(page: Page) -> None:
            pages.append(page)

        await self.rest.run(self.venue.canary(self.settle), Priority.CANARY, keep)
        told = [one for page in pages for one in page.told]
        if not await self.recorder.submit(lambda _: differs(self.ledger.beliefs, told)):
            return False
        await self.rest.clock.clock.sleep(2.0)
        if not await self.recorder.submit(lambda _: differs(self.ledger.beliefs, told)):
            return False
        for page in pages:
            await self._record(page)
        return True

    # -- steps of a sweep

    async def _admit(self, job: Round, cursors: Cursors) -> None:
        """Write down what was away for longer than the venue keeps it: a gap that nothing can close."""

        def write(tx: Transaction) -> None:
            for (dataset, market, symbol), (_, proven) in cursors.items():
                oldest = self._oldest(dataset, job.now)
                if proven < oldest:
                    tx.open_gap(self.account, dataset, market, symbol, proven, RETENTION, job.now, oldest)
                kept = self.venue.retention.get(dataset)
                if symbol or kept is None or kept.keeps_unfilled is None:
                    continue
                if proven < (forgotten := job.now - kept.keeps_unfilled):
                    subject = f"{dataset}:{stamp(proven)}"
                    what = "orders that ended unfilled"
                    detail = {"from": stamp(proven), "to": stamp(forgotten), "what": what}
                    tx.open_finding(self.account, "history_forgotten", "warning", subject, detail, job.now)

        await self.recorder.submit(write)

    async def _state(self, job: Round) -> None:
        await self.rest.run(self.venue.snapshot(self.settle), job.priority, self.recording(job))
        await self.rest.run(self.venue.open_orders(self.settle), job.priority, self.recording(job))

    async def _transfers(self, job: Round, cursors: Cursors) -> None:
        start = self._start(cursors, TRANSFERS, "", job.now, job.margin)
        flow = self.venue.transfers(start, job.now, sorted(self.pinned))
        swept = await self.rest.run(flow, job.priority, self.recording(job))
        self.took(job, TRANSFERS, swept)

    async def _whole_orders(self, job: Round, cursors: Cursors) -> None:
        if self.orders_whole is False:
            return
        start = self._start(cursors, ORDERS, "", job.now, job.margin)
        try:
            swept = await self.rest.run(
                self.venue.orders(None, start, job.now), job.priority, self.recording(job)
            )
        except BadRequest as error:
            log.info("all orders need a symbol here", account=self.account, code=error.code)
            self.orders_whole = False
            return
        self.orders_whole = job.orders_whole = swept.supported
        if swept.supported:
            self.took(job, ORDERS, swept)

    async def _likely(self, job: Round) -> list[str]:
        """List the symbols to sweep, the liveliest first.

        After a (re)connect weight is scarce, so only those that income, orders, positions or open orders
        name; the slow sweeps go through the rest.
        """
        known = await self.recorder.submit(lambda tx: tx.known_symbols(self.account, self.venue.market))
        names = self.pinned | job.symbols
        if job.priority is not Priority.SEAM or not job.orders_whole:
            names |= {name for name, last in known.items() if last >= job.now - RECENT}
            if len(self.all_symbols) <= FEW:
                names |= set(self.all_symbols)
        oldest = self.ledger.born
        return sorted(names, key=lambda name: known.get(name, oldest), reverse=True)

    async def _each_symbol(self, job: Round, names: list[str], cursors: Cursors, step: Step | None) -> None:
        gate = asyncio.Semaphore(AT_ONCE)
        done = 0

        async def one(name: str) -> None:
            nonlocal done
            async with gate:
                await self._one_symbol(job, name, cursors)
            done += 1
            if step is not None:
                step(self.account, done, len(names))

        try:
            async with asyncio.TaskGroup() as group:
                for name in names:
                    group.create_task(one(name), name=f"accountd-sweep-{self.account}-{name}")
        except ExceptionGroup as failed:
            raise _gravest(failed) from None

    async def _one_symbol(self, job: Round, symbol: str, cursors: Cursors) -> None:
        """Orders before fills: a fill learns its client order id from its order."""
        flows = [(ALGO_ORDERS, self.venue.algo_orders), (FILLS, self.venue.fills)]
        if not job.orders_whole:
            flows.insert(0, (ORDERS, self.venue.orders))
        for dataset, flow in flows:
            start = self._start(cursors, dataset, symbol, job.now, job.margin)
            try:
                swept = await self.rest.run(flow(symbol, start, job.now), job.priority, self.recording(job))
            except BadRequest as error:  # one symbol that the venue does not know must not stop the rest
                await self._refused(job, dataset, symbol, error)
                continue
            self.took(job, dataset, swept)
            await self._prove_dataset(job, cursors, dataset, symbol)

    async def _refused(self, job: Round, dataset: str, symbol: str, error: BadRequest) -> None:
        log.warning("symbol refused", account=self.account, symbol=symbol, dataset=dataset, code=error.code)
        detail = {"error": str(error), "code": error.code}
        await self.recorder.submit(
            lambda tx: tx.open_finding(
                self.account, "symbol_refused", "warning", f"{dataset}:{symbol}", detail, job.now
            )
        )

    async def _vanished(self, job: Round) -> None:
        """Ask for each order that is open here and was not shown: it ended while nobody told us."""
        ledger, before = self.ledger, job.proven

        def held(_: Transaction) -> list[OrderKey]:
            beliefs = ledger.beliefs
            open_ = {} if beliefs is None else beliefs.open
            return [key for key, order in open_.items() if order.updated_at < before and key not in job.shown]

        missing: list[OrderKey] = []
        for key in await self.recorder.submit(held):
            _, symbol, kind, order_id = key
            flow = self.venue.order(symbol, order_id) if kind == "order" else self.venue.algo_order(order_id)
            if not await self.rest.run(flow, job.priority, self.recording(job)):
                missing.append(key)
        if missing:
            log.warning("orders the venue no longer shows", account=self.account, orders=len(missing))
            await self.recorder.submit(lambda tx: self._mark_missing(tx, missing, job.now))

    def _mark_missing(self, tx: Transaction, keys: list[OrderKey], now: datetime) -> None:
        tx.mark_missing(self.account, keys, now)
        beliefs = self.ledger.beliefs
        for key in keys:
            if beliefs is not None and (order := beliefs.open.pop(key, None)) is not None:
                order.missing_since = now
            tx.open_finding(
                self.account, "order_missing", "warning", ":".join(key), {"since": stamp(now)}, now
            )

    # -- proof

    async def _prove(self, job: Round, cursors: Cursors) -> None:
        for dataset in (BALANCES, POSITIONS, TRANSFERS):
            await self._prove_dataset(job, cursors, dataset, "")
        await self._prove_dataset(job, cursors, ORDERS, "")
        for dataset in (FILLS, ALGO_ORDERS):
            await self._prove_dataset(job, cursors, dataset, "")
        await self.recorder.submit(
            lambda tx: tx.resolve_findings(self.account, "stream_missed", None, job.now)
        )

    async def _prove_dataset(self, job: Round, cursors: Cursors, dataset: str, symbol: str) -> None:
        """Move the cursor of one dataset, unless a window of it could not be read."""
        market = self.venue.market
        mine = [hole for hole in job.unproven if hole.reason.startswith(f"{dataset}:")]
        holes = [hole for hole in mine if hole.symbol in (symbol, None)]
        start = self._start(cursors, dataset, symbol, job.now, overlap=timedelta(0))

        if dataset in (BALANCES, POSITIONS) and (dataset, market, symbol) not in cursors:
            start = job.proven  # a snapshot proves its moment, not what was before

        def write(tx: Transaction) -> None:
            begin = start
            for hole in sorted(holes, key=lambda one: one.start):
                tx.open_gap(self.account, dataset, market, symbol, hole.start, hole.reason, job.now, hole.end)
                if begin < hole.start:
                    tx.extend_coverage(self.account, dataset, market, symbol, begin, hole.start, job.now)
                begin = max(begin, hole.end)
            if begin <= job.proven:
                tx.extend_coverage(self.account, dataset, market, symbol, begin, job.proven, job.now)

        await self.recorder.submit(write)

    # -- helpers of the steps

    def _round(self, priority: Priority) -> Round:
        now = self.rest.clock.now()
        margin = max(OVERLAP, 3 * self.settle) if priority > Priority.CANARY else 2 * self.settle
        return Round(now=now, proven=now - self.settle, priority=priority, margin=margin)

    def _start(self, cursors: Cursors, dataset: str, symbol: str, now: datetime,
               overlap: timedelta) -> datetime:  # fmt: skip
        """Return from when on to read: the cursor less an overlap, but not before what the venue keeps."""
        oldest = self._oldest(dataset, now)
        cursor = cursors.get((dataset, self.venue.market, symbol))
        if cursor is None:  # the last day at once; what is before it comes at leisure (`history`)
            return max(self.first(dataset, now), now - FIRST_LOOK)
        start = cursor[1] - overlap
        return max(start if self.since is None else min(start, self.since), oldest)

    def first(self, dataset: str, now: datetime) -> datetime:
        """Return from when on a dataset is wanted: as settings say, and as the venue keeps it."""
        oldest = self._oldest(dataset, now)
        return oldest if self.backfill is None else max(self.ledger.born - self.backfill, oldest)

    def _oldest(self, dataset: str, now: datetime) -> datetime:
        """Return the first moment that the venue still tells of; snapshots have no history to end."""
        kept = self.venue.retention.get(dataset)
        if kept is None or not kept.keeps:
            return now - NO_LIMIT
        return now - kept.keeps + timedelta(minutes=1)

    def took(self, job: Round, dataset: str, swept: Swept) -> None:
        job.symbols |= swept.symbols
        for hole in swept.unproven:
            job.unproven.append(
                Window(start=hole.start, end=hole.end, symbol=hole.symbol, reason=f"{dataset}: {hole.reason}")
            )

    def recording(self, job: Round) -> Callable[[Page], Awaitable[None]]:
        async def record(page: Page) -> None:
            for told in page.told:
                self._notes(job, told)
            await self._record(page)

        return record

    def _notes(self, job: Round, told: object) -> None:
        if isinstance(told, Snapshot) and told.dataset in (ORDERS, ALGO_ORDERS):
            kind = "order" if told.dataset == ORDERS else "algo"
            job.shown |= {(told.market, symbol, kind, name) for symbol, name in told.keys}
        elif isinstance(told, Order):
            job.symbols.add(told.symbol)
            if told.kind == "algo" and told.actual_order_id:
                job.symbols.add(told.symbol)
            job.shown.add(order_key(told))
        elif isinstance(told, Position):
            if told.quantity:
                job.symbols.add(told.symbol)
        elif isinstance(told, TransferTold) and told.symbol:
            job.symbols.add(told.symbol)

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
