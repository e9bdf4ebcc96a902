"""How fast alerts leave: from a frame to the first byte of its webhook, and how fast a burst drains.

    python -m benchmarks.alerts [--seconds 10] [--burst 10000] [--database sqlite]
"""

import argparse
import asyncio
import json
import logging
import resource
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

import httpx
import structlog
from sqlalchemy import select

from accountd import sinks
from accountd.config import Hook
from accountd.core.alerts import OutboxRow, wishes
from accountd.runtime import interpreter
from accountd.runtime.dispatcher import Dispatcher
from accountd.runtime.observers import Listener
from accountd.runtime.recorder import Recorder
from accountd.store import outbox, tables
from accountd.store.engine import reader_engine, reading, writer_engine
from accountd.store.outbox import Connection
from benchmarks import real, report
from benchmarks.databases import KINDS, databases
from benchmarks.frames import whole

T = TypeVar("T")
FILLS = 100  # a second; two of three frames are fills
HOOK = "bench"


@dataclass
class Seen:
    """A receiver: where it is, and, when it has ended, when each message reached it (UTC, by id)."""

    url: str
    at: dict[str, float]


@asynccontextmanager
async def receiver() -> AsyncIterator[Seen]:
    """Run a receiver in a process of its own."""
    pipe = asyncio.subprocess.PIPE
    running = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "benchmarks.receiver", stdin=pipe, stdout=pipe, limit=2**26
    )
    assert running.stdout is not None
    told = Seen(f"http://127.0.0.1:{int(await running.stdout.readline())}/hook", {})
    try:
        yield told
    finally:
        said, _ = await running.communicate(b"")
        for name, at in json.loads(said):
            told.at.setdefault(name, at)


def hook(url: str) -> Hook:
    """Return the settings of the hook that is measured: as they are out of the box."""
    return Hook.model_validate({"type": "webhook", "url": url, "allow_private": True, "backfill": "send"})


@asynccontextmanager
async def delivering(url: str, there: str, recorder: Recorder | None, listener: Listener | None,
                     writer: Any = None) -> AsyncIterator[Dispatcher]:  # fmt: skip
    """Run a dispatcher on a database; results go through the recorder, or a writer's engine."""
    engine = reader_engine(url)

    async def read(run: Callable[[Connection], T]) -> T:
        def inside() -> T:
            with reading(engine) as connection:
                return run(connection)

        return await asyncio.to_thread(inside)

    async def submit(run: Callable[[Connection], T]) -> T:
        if recorder is not None:
            return await recorder.submit(lambda tx: run(tx.connection))

        def inside() -> T:
            with writer.begin() as connection:
                return run(connection)

        return await asyncio.to_thread(inside)

    one = hook(there)
    dispatcher = Dispatcher({HOOK: one}, {HOOK: sinks.make(one)}, read=read, submit=submit,
                            now=lambda: datetime.now(UTC), chance=lambda: 0.5)  # fmt: skip
    if listener is not None:
        listener.dispatcher = dispatcher
    running = asyncio.create_task(dispatcher.run())
    try:
        yield dispatcher
        while await read(outbox.waiting):  # noqa: ASYNC110  # the database has no event to wait for
            await asyncio.sleep(0.05)
    finally:
        await dispatcher.stop(5.0)
        await running
        engine.dispose()


async def first_byte(url: str, seconds: float) -> tuple[list[float], list[float]]:
    """Return, for each fill, the ms from its arrival, and from its commit, to the webhook's first byte."""
    count = whole(int(FILLS * 1.5 * seconds))
    async with receiver() as there:
        await real.measure(
            url, count, round(FILLS * 1.5), wishes({HOOK: hook(there.url)}),
            lambda recorder, listener: delivering(url, there.url, recorder, listener),
        )  # fmt: skip
    c = tables.outbox.c
    engine = reader_engine(url)
    with reading(engine) as connection:
        rows = connection.execute(select(c.message_id, c.received_at, c.committed_at)).all()
    engine.dispose()
    assert len(there.at) == len(rows) == count // 3 * 2
    return (
        [1000 * (there.at[name] - received.timestamp()) for name, received, _ in rows],
        [1000 * (there.at[name] - committed.timestamp()) for name, _, committed in rows],
    )


def rows(count: int) -> list[OutboxRow]:
    """Return a burst: 500 orders with their fills."""
    now = datetime.now(UTC) - timedelta(minutes=1)
    data = {"symbol": "BTCUSDT", "price": "60000.10", "filler": "x" * 500}
    return [
        OutboxRow(
            message_id=f"msg_{n:032}", account_id="bench", hook=HOOK, type="fill", order_key=f"o{n % 500}",
            body=json.dumps({"type": "fill", "data": {**data, "trade_id": n}}),
            created_at=now + timedelta(microseconds=n), next_attempt_at=now,
        )
        for n in range(count)
    ]  # fmt: skip


async def burst(url: str, count: int) -> dict[str, float]:
    """Drain a burst; return messages a second of this process's time and of the clock, and MiB of growth."""
    writer = writer_engine(url)
    with writer.begin() as connection:
        outbox.add(connection, rows(count))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    async with receiver() as there:
        used, started = time.process_time(), time.monotonic()
        async with delivering(url, there.url, None, None, writer):
            pass
        used, started = time.process_time() - used, time.monotonic() - started
    writer.dispose()
    ids = list(there.at)
    lanes: dict[int, int] = {}
    for name in ids:
        number = int(name.removeprefix("msg_"))
        assert number > lanes.get(number % 500, -1), "out of order"
        lanes[number % 500] = number
    assert len(ids) == count
    after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return {"per_cpu_second": count / used, "per_second": count / started, "growth": (after - before) / 1024}


async def client(count: int) -> dict[str, float]:
    """Post the same with one HTTP client pool and nothing else, as many at once as a hook does."""
    bodies = [(row.message_id, row.body.encode()) for row in rows(count)]
    async with receiver() as there, httpx.AsyncClient() as pool:
        used, started = time.process_time(), time.monotonic()

        async def work() -> None:
            while bodies:
                name, body = bodies.pop()
                (await pool.post(there.url, content=body, headers={"webhook-id": name})).raise_for_status()

        await asyncio.gather(*(work() for _ in range(4)))
        used, started = time.process_time() - used, time.monotonic() - started
    return {"per_cpu_second": count / used, "per_second": count / started}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.alerts", description=__doc__)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--burst", type=int, default=10_000)
    parser.add_argument("--database", choices=KINDS, action="append", help="default: both")
    told = parser.parse_args()
    interpreter.settle()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    with databases() as dbs:
        for kind in told.database or KINDS:
            with dbs.fresh(kind) as url:
                arrival, commit = asyncio.run(first_byte(url, told.seconds))
            print(
                f"{kind:8} {FILLS} fills/s, to the first byte of the webhook: from arrival "
                f"p50 {report.quantile(arrival, 0.5):.1f} ms, p99 {report.quantile(arrival, 0.99):.1f} ms; "
                f"from commit p99 {report.quantile(commit, 0.99):.1f} ms", flush=True,
            )  # fmt: skip
            with dbs.fresh(kind) as url:
                found = asyncio.run(burst(url, told.burst))
            print(
                f"{kind:8} burst of {told.burst}: {found['per_second']:.0f}/s, "
                f"{found['per_cpu_second']:.0f} in a second of one core, {found['growth']:.1f} MiB more",
                flush=True,
            )  # fmt: skip
        plain = asyncio.run(client(told.burst))
        print(f"HTTP client pool alone: {plain['per_second']:.0f}/s, {plain['per_cpu_second']:.0f} "
              "in a second of one core")  # fmt: skip


if __name__ == "__main__":
    main()
