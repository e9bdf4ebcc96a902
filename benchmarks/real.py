"""The path that is measured: a frame from the socket to its commit, through accountd's own parts."""

import asyncio
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from dataclasses import dataclass, field
from datetime import datetime

from accountd.core.alerts import HookWish
from accountd.core.health import Health
from accountd.runtime.clock import SystemClock, VenueClock
from accountd.runtime.daemon import Listener
from accountd.runtime.intake import Intake
from accountd.runtime.link import Link, Socket
from accountd.runtime.metrics import Metrics
from accountd.runtime.recorder import Outcome, Recorder
from accountd.runtime.watcher import Watcher
from accountd.store.engine import reader_engine, writer_engine
from accountd.store.writer import Writer
from accountd.venues import open_venue
from accountd.venues.doors import StreamOptions
from benchmarks.peer import Peer, sender

ACCOUNT, VENUE = "bench", "binance-usdm"
KEY = "pqia91ma19a5s61cv6a81va65sdf19v8a65a1a5s61cv6a81va65sdf19v8a65a1"
RING = 20_000  # as in the settings


@dataclass
class Run:
    """What one run measured; times are monotonic seconds."""

    count: int
    seconds: float = 0.0
    cpu: float = 0.0
    commits: int = 0
    begin: float = 0.0  # when the first frame was due, open loop
    waits: list[float] = field(default_factory=list)  # receipt to commit, seconds each
    received: list[float] = field(default_factory=list)  # ... and when that was, UTC
    arrivals: list[tuple[int, float]] = field(default_factory=list)  # frames committed, and when


class Timed(Listener):
    """The daemon's own listener, with a stopwatch."""

    def __init__(self, run: Run, peer: Peer, latency: bool) -> None:
        super().__init__(Health(), Metrics())
        self.run, self.peer, self.latency = run, peer, latency
        self.committed_frames = 0
        self.done = asyncio.Event()

    def committed(self, outcome: Outcome) -> None:
        """Take the time, let the frames be counted, and tell the sender."""
        heard, moment = datetime.now().astimezone(), time.monotonic()
        super().committed(outcome)
        for changes in outcome.changes:
            self.committed_frames += len(changes.journal)
            if self.latency:
                self.run.waits += [(heard - row.received_at).total_seconds() for row in changes.journal]
                self.run.received += [row.received_at.timestamp() for row in changes.journal]
        if outcome.changes:
            self.run.commits += 1
            self.run.arrivals.append((self.committed_frames, moment))
            self.peer.ack(self.committed_frames)
        if self.committed_frames >= self.run.count:
            self.done.set()


Deliver = Callable[[Recorder, Listener], AbstractAsyncContextManager[object]]


async def measure(url: str, count: int, rate: int = 0, hooks: Sequence[HookWish] = (),
                  deliver: Deliver | None = None) -> Run:  # fmt: skip
    """Record ``count`` frames sent at ``rate`` a second (0: as fast as they are taken) and time it.

    ``deliver`` brings the alerts of ``hooks`` out meanwhile.

    Raises:
        RuntimeError: a frame was dropped.
    """
    run, clock, venue = Run(count), SystemClock(), open_venue(VENUE)
    wall = VenueClock(clock)
    wall.set(clock.now())
    async with sender(count, rate) as peer, AsyncExitStack() as stack:
        listener = Timed(run, peer, latency=rate > 0)
        stack.callback(listener.failed.cancel)
        writer = Writer(writer_engine(url), clock.now, reader_engine(url))
        recorder = Recorder(writer, hooks, clock, listener, RING)
        stack.push_async_callback(recorder.stop, 30)
        await recorder.open_account(ACCOUNT, VENUE, "live")
        if deliver is not None:
            await stack.enter_async_context(deliver(recorder, listener))
        health = listener.health.account(ACCOUNT)
        intake = Intake(
            ACCOUNT, venue, recorder, health, listener.metrics, clock, {KEY}, lambda *told: None
        )
        socket = Socket(venue.doors(venue.hosts["live"], StreamOptions())[0], KEY)
        link = Link("bench", clock.now(), clock.monotonic(), sockets=[socket])
        started, used = time.monotonic(), time.process_time()
        socket.connected = await stack.enter_async_context(
            await Watcher.open(peer.url, wall.now, clock, wait=10, beat=20,
                               on_frame=lambda frame, at: intake.take(link, socket, frame, at))
        )  # fmt: skip
        if rate:
            run.begin = float(await peer.said("begin"))
        await _first(listener.done.wait(), listener.failed)
        run.seconds, run.cpu = time.monotonic() - started, time.process_time() - used
        if intake.overflowed is not None:
            raise RuntimeError("the ring was full and frames were dropped")
    return run


async def _first(done: "asyncio.Future[object] | object", failed: "asyncio.Future[None]") -> None:
    """Wait until all is done, or raise what the writer died of."""
    task = asyncio.ensure_future(done)  # type: ignore[arg-type]
    await asyncio.wait({task, failed}, return_when=asyncio.FIRST_COMPLETED)
    if failed.done():
        failed.result()
