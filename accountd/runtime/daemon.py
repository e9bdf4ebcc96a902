"""The daemon: one writer, one dispatcher, one runner for each account, until told to stop."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol, TypeVar
from urllib.parse import urlsplit

import structlog

from accountd.core.alerts import wishes
from accountd.core.health import Health
from accountd.core.states import State
from accountd.errors import VenueError
from accountd.runtime.backoff import ConnectBudget
from accountd.runtime.budget import Budget, Priority
from accountd.runtime.checkpoints import Checkpoints
from accountd.runtime.clock import Clock, SystemClock
from accountd.runtime.dispatcher import Database
from accountd.runtime.keepalive import KeepAlive
from accountd.runtime.markets import Markets
from accountd.runtime.metrics import Metrics
from accountd.runtime.observers import Listener
from accountd.runtime.outage import Outages
from accountd.runtime.post import Post
from accountd.runtime.recorder import Recorder
from accountd.runtime.rest import RestClient
from accountd.runtime.rounds import Step
from accountd.runtime.session import AccountRunner
from accountd.runtime.tasks import end
from accountd.settings_model import Settings
from accountd.store import migrate
from accountd.store.engine import reader_engine, reading, writer_engine
from accountd.store.lock import sole_writer
from accountd.store.outbox import Connection
from accountd.store.writer import Writer
from accountd.venues import open_venue

T = TypeVar("T")
log = structlog.get_logger("accountd.daemon")

STOP_WITHIN = 4.0  # seconds for everything to be written and sent after a stop
READERS = 6  # threads that read the record, at most
LOOK_EVERY = 1.0  # seconds between looks at how the accounts stand
RECEIVING = (State.SYNCING, State.LIVE)  # subscribed: what happens is told
LOOK_AT_START = 0.05  # ... while somebody waits to hear that all are ready


class Progress(Protocol):
    """Who is shown how far the first sweep is."""

    def total(self, account: str, steps: int) -> None: ...

    def advance(self, account: str, what: str, steps: int = 1) -> None: ...

    def done(self, account: str) -> None: ...


@dataclass(slots=True)
class Machine:
    """What all accounts share."""

    settings: Settings
    clock: Clock
    recorder: Recorder
    budget: Budget
    metrics: Metrics
    health: Health
    rng: random.Random = field(default_factory=random.Random)
    connects: ConnectBudget = field(init=False)
    outages: Outages = field(init=False)

    def __post_init__(self) -> None:
        self.connects = ConnectBudget(*self.settings.connect_budget, self.clock)
        self.outages = Outages(self.settings.reconnect_max, self.rng, self.clock)

    def client(self, name: str) -> RestClient:
        """Make the REST client of an account."""
        account = self.settings.accounts[name]
        return RestClient(
            account, open_venue(account.venue), self.budget, self.clock, timeout=self.settings.request_timeout
        )

    def runner(
        self, name: str, rest: RestClient, keepalive: KeepAlive, progress: Step | None = None
    ) -> AccountRunner:
        """Make the runner of an account."""
        outage = self.outages.of(urlsplit(rest.urls.rest).netloc)
        return AccountRunner(
            name, self.settings.accounts[name], self.settings, rest.venue, rest, self.recorder, keepalive,
            self.connects, outage, self.health.account(name), self.metrics, self.rng, progress,
        )  # fmt: skip


@asynccontextmanager
async def machine(
    settings: Settings, clock: Clock, health: Health, metrics: Metrics
) -> AsyncIterator[Machine]:
    """Bring the schema up, start the writer, and stop it with its queue drained."""
    upgrade = await asyncio.to_thread(migrate.upgrade, settings.database_url)
    if upgrade.changed:
        log.info("schema upgraded", before=upgrade.from_rev, now=upgrade.to_rev)
    listener = Listener(health, metrics)
    url = settings.database_url
    writer = Writer(writer_engine(url), clock.now, reader_engine(url))
    recorder = Recorder(writer, wishes(settings.hooks), clock, listener, settings.ring_size)
    budget = Budget(clock, settings.weight_share)
    try:
        yield Machine(settings, clock, recorder, budget, metrics, health)
    finally:
        if not await recorder.stop(STOP_WITHIN):
            log.error("the writer did not drain in time")
        if listener.failed.done():
            listener.failed.exception()
        else:
            listener.failed.cancel()


class Daemon:
    """Follows every account of the settings."""

    def __init__(self, settings: Settings, *, health: Health, metrics: Metrics | None = None,
                 clock: Clock | None = None) -> None:  # fmt: skip
        self.settings = settings
        self.health = health
        self.metrics = metrics or Metrics()
        self.clock = clock or SystemClock()
        self.runners: list[AccountRunner] = []
        self.keepalive: KeepAlive | None = None

    async def run(self, stop: asyncio.Event, on_ready: Callable[[], None] | None = None,
                  progress: Progress | None = None) -> int:  # fmt: skip
        """Run until ``stop``; return 0, or 1 when no account is left that ever can work.

        Raises:
            DatabaseError: the record cannot be kept.
            Fenced: another process took an account over.
        """
        self.health.started_at = self.clock.now()
        with sole_writer(self.settings.database_url):
            async with machine(self.settings, self.clock, self.health, self.metrics) as works:
                return await self._follow(works, stop, on_ready, progress)

    async def _follow(self, works: Machine, stop: asyncio.Event, on_ready: Callable[[], None] | None,
                      progress: Progress | None) -> int:  # fmt: skip
        listener = works.recorder.observer
        assert isinstance(listener, Listener)
        read = _reading(self.settings.database_url)
        post = Post(works.settings, works.recorder, read, self.clock, self.health, self.metrics, works.rng)
        listener.dispatcher = post.dispatcher
        checkpoints = Checkpoints(self.settings, works.recorder, read, self.clock, self.metrics)
        await checkpoints.look_back()
        self.keepalive = KeepAlive(self.settings.keepalive_interval, self.clock)
        listener.markets = markets = Markets(
            self.settings, works.recorder, works.connects, self.metrics, self.clock
        )
        clients = {name: works.client(name) for name in self.settings.accounts}
        show = _step(progress, self.metrics)
        self.runners = [
            works.runner(name, client, self.keepalive, show) for name, client in clients.items()
        ]
        tasks = [
            *post.tasks(),
            asyncio.create_task(self.keepalive.run(), name="accountd-keepalive"),
            asyncio.create_task(self._watch(works, on_ready), name="accountd-health"),
            asyncio.create_task(markets.run(), name="accountd-markets"),
            asyncio.create_task(checkpoints.run(), name="accountd-checkpoints"),
        ]
        accounts = [asyncio.create_task(one.run(), name=f"accountd-{one.name}") for one in self.runners]
        try:
            return await self._until(stop, listener, tasks, accounts)
        finally:
            await end(*accounts, patience=STOP_WITHIN)
            await post.stop(STOP_WITHIN / 2)
            await end(*tasks)
            await checkpoints.stop()
            for client in clients.values():
                await client.aclose()

    async def _until(self, stop: asyncio.Event, listener: Listener, tasks: Sequence[asyncio.Task[None]],
                     accounts: Sequence[asyncio.Task[None]]) -> int:  # fmt: skip
        """Wait for the stop, for a death that ends everything, or for the last account to give up."""
        stopped = asyncio.create_task(stop.wait(), name="accountd-stop")
        waiting: set[asyncio.Future[object]] = {stopped, listener.failed, *tasks, *accounts}  # type: ignore[arg-type]
        try:
            while True:
                done, waiting = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
                for one in done:
                    if one is not stopped:
                        one.result()
                if stopped in done:
                    return 0
                if all(task.done() for task in accounts):
                    log.error("no account is left that can work")
                    return 1
        finally:
            stopped.cancel()

    async def _watch(self, works: Machine, on_ready: Callable[[], None] | None) -> None:
        """Keep health up to date; say once that everything is ready."""
        last = self.clock.monotonic()
        while True:
            now = self.clock.monotonic()
            for runner in self.runners:
                if runner.health.state not in RECEIVING:
                    runner.health.blind_seconds += now - last
                assert self.keepalive is not None
                runner.health.key_age = self.keepalive.age(runner.name)
                for pool in runner.pools:
                    self.metrics.weight_used.labels(pool).set(works.budget.used(pool))
            self.health.ring_depth = works.recorder.depth
            last = now
            if on_ready is not None and self.health.ready:
                on_ready()
                on_ready = None
            await self.clock.sleep(LOOK_EVERY if on_ready is None else LOOK_AT_START)


def _reading(url: str) -> Database:
    """Return a way to read the record beside the writer."""
    engine = reader_engine(url)
    # Of their own: a database that hangs must not use up the threads that everything else shares.
    threads = ThreadPoolExecutor(READERS, thread_name_prefix="accountd-read")

    async def read(run: Callable[[Connection], T]) -> T:
        def inside() -> T:
            with reading(engine) as connection:
                return run(connection)

        return await asyncio.get_running_loop().run_in_executor(threads, inside)

    return read


def _step(progress: Progress | None, metrics: Metrics) -> Step:
    def step(account: str, done: int, total: int) -> None:
        metrics.sweep_progress.labels(account).set(done / total if total else 1.0)
        if progress is None:
            return
        progress.total(account, total)
        progress.advance(account, f"{done} of {total} symbols")
        if done == total:
            progress.done(account)

    return step


@dataclass(slots=True)
class Report:
    """What one reconciliation found. ``recovered`` counts fills that were not here before."""

    account: str
    gaps: list[str]
    proven: datetime | None
    recovered: int
    error: str = ""

    @property
    def ok(self) -> bool:
        """Say whether nothing is missing up to ``proven``."""
        return not self.gaps and not self.error

    def lines(self) -> list[str]:
        """Say it for people, a line each."""
        if self.error:
            return [f"{self.account}: {self.error}"]
        proven = self.proven.isoformat(" ", "seconds") if self.proven else "never"
        return [f"{self.account}: proven to {proven}, {self.recovered} fills recovered", *self.gaps]


async def reconcile_once(settings: Settings, name: str, since: datetime | None = None) -> Report:
    """Sweep one account's history once, settle, sweep the seam, and say what is still open.

    Raises:
        DatabaseBusy: a daemon writes to this database; it reconciles by itself.
    """
    clock = SystemClock()
    with sole_writer(settings.database_url):
        async with machine(settings, clock, Health(), Metrics()) as works, works.client(name) as rest:
            try:
                return await _reconcile(works, name, rest, since)
            except VenueError as error:
                return Report(name, [], None, 0, str(error))


async def _reconcile(works: Machine, name: str, rest: RestClient, since: datetime | None) -> Report:
    settings = works.settings
    keepalive = KeepAlive(settings.keepalive_interval, works.clock)
    runner = works.runner(name, rest, keepalive)
    await runner.start()
    runner.sweeper.since = since
    await runner.sweeper.sweep(Priority.SEAM)
    await works.clock.sleep(settings.settle_after.total_seconds())
    done = await runner.sweeper.sweep(Priority.SEAM)
    await runner.books.bridged(done.proven, done.proven, done.now)
    await runner.auditor.audit()
    gaps = await works.recorder.submit(lambda tx: tx.open_gaps(name), name)
    lines = [
        f"{name}: open gap in {gap.dataset} {gap.symbol} from {gap.from_time} to {gap.to_time}: {gap.reason}"
        for gap in gaps
    ]
    fills = works.metrics.fills.labels(name, "rest")._value.get()
    return Report(name, lines, done.proven, int(fills))

