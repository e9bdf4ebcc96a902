"""How fast alerts leave: from a frame to the first byte of its webhook, and how fast a burst drains.

    python -m benchmarks.alerts [--seconds 10] [--burst 10000] [--database sqlite] [--write]

``--write`` puts what was measured into ALERTS.md beside this file.
"""

import argparse
import asyncio
import json
import logging
import math
import resource
import socket
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

import aiohttp
import structlog
from sqlalchemy import select

from accountd import sinks
from accountd.config import Hook
from accountd.core.alerts import OutboxRow, wishes
from accountd.runtime import interpreter
from accountd.runtime.dispatcher import Dispatcher
from accountd.runtime.lines import HOUSE
from accountd.runtime.observers import Listener
from accountd.runtime.recorder import Recorder
from accountd.store import outbox, tables
from accountd.store.engine import reader_engine, reading, writer_engine
from accountd.store.outbox import Connection
from benchmarks import real, report
from benchmarks.databases import KINDS, Databases, databases
from benchmarks.frames import whole

T = TypeVar("T")
FILLS = 100  # a second; two of three frames are fills
FEW = 20  # ... while another hook hangs
HOOK, OTHER = "bench", "hangs"


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
async def delivering(url: str, hooks: dict[str, Hook], recorder: Recorder | None, listener: Listener | None,
                     writer: Any = None) -> AsyncIterator[Dispatcher]:  # fmt: skip
    """Run a dispatcher on a database until HOOK has everything; results go by the recorder or an engine."""
    engine = reader_engine(url)

    async def read(run: Callable[[Connection], T]) -> T:
        def inside() -> T:
            with reading(engine) as connection:
                return run(connection)

        return await asyncio.to_thread(inside)

    async def submit(run: Callable[[Connection], T]) -> T:
        if recorder is not None:
            return await recorder.submit(lambda tx: run(tx.connection), HOUSE)

        def inside() -> T:
            with writer.begin() as connection:
                return run(connection)

        return await asyncio.to_thread(inside)

    dispatcher = Dispatcher(hooks, {name: sinks.make(one) for name, one in hooks.items()}, read=read,
                            submit=submit, now=lambda: datetime.now(UTC), chance=lambda: 0.5)  # fmt: skip
    if listener is not None:
        listener.dispatcher = dispatcher
    running = asyncio.create_task(dispatcher.run())
    try:
        yield dispatcher
        while HOOK in await read(outbox.waiting):  # noqa: ASYNC110  # the database has no event to wait for
            await asyncio.sleep(0.05)
    finally:
        await dispatcher.stop(5.0)
        await running
        engine.dispose()


@dataclass
class Waits:
    """Of each fill, ms from its arrival and from its commit to the first byte; of frames to their commit.

    ``drain`` is how many seconds the backlog took; then ``durable`` has only the frames of that time.
    """

    arrival: list[float]
    commit: list[float]
    durable: list[float]
    drain: float = 0.0


async def first_byte(url: str, seconds: float, backlog: int = 0, fills: int = FILLS,
                     hanging: bool = False) -> Waits:  # fmt: skip
    """Measure at a steady pace of fills a second.

    ``backlog`` older alerts of the same hook drain meanwhile; ``hanging``: another hook takes connections
    and never answers.
    """
    count = whole(int(fills * 1.5 * seconds))
    if backlog:
        writer = writer_engine(url)
        with writer.begin() as connection:
            outbox.add(connection, rows(backlog))
        writer.dispose()
    with socket.create_server(("127.0.0.1", 0), backlog=1024) as silent:
        async with receiver() as there:
            hooks = {HOOK: hook(there.url)}
            if hanging:
                hooks[OTHER] = hook(f"http://127.0.0.1:{silent.getsockname()[1]}/")
            run = await real.measure(
                url, count, round(fills * 1.5), wishes(hooks),
                lambda recorder, listener: delivering(url, hooks, recorder, listener),
            )  # fmt: skip
    c = tables.outbox.c
    engine = reader_engine(url)
    with reading(engine) as connection:
        found = connection.execute(
            select(c.message_id, c.received_at, c.committed_at)
            .where(c.received_at.is_not(None), c.hook == HOOK)
        ).all()
    engine.dispose()
    assert len(found) == count // 3 * 2
    assert len(there.at) == len(found) + backlog
    fresh = {name for name, _, _ in found}
    old = [at for name, at in there.at.items() if name not in fresh]
    until = max(old) if old else math.inf
    return Waits(
        [1000 * (there.at[name] - received.timestamp()) for name, received, _ in found],
        [1000 * (there.at[name] - committed.timestamp()) for name, _, committed in found],
        [1000 * wait for wait, at in zip(run.waits, run.received, strict=True) if at < until],
        until - min(old) if old else 0.0,
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
        async with delivering(url, {HOOK: hook(there.url)}, None, None, writer):
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
    async with receiver() as there, aiohttp.ClientSession() as pool:
        used, started = time.process_time(), time.monotonic()

        async def work() -> None:
            while bodies:
                name, body = bodies.pop()
                async with pool.post(there.url, data=body, headers={"webhook-id": name}) as reply:
                    reply.raise_for_status()

        await asyncio.gather(*(work() for _ in range(4)))
        used, started = time.process_time() - used, time.monotonic() - started
    return {"per_cpu_second": count / used, "per_second": count / started}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.alerts", description=__doc__)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--burst", type=int, default=10_000)
    parser.add_argument("--database", choices=KINDS, action="append", help="default: both")
    parser.add_argument("--write", action="store_true", help="into ALERTS.md")
    told = parser.parse_args()
    interpreter.settle()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    with databases() as dbs:
        kinds = told.database or KINDS
        machine = report.machine({kind: dbs.version(kind) for kind in kinds})
        lines = []
        # First, so that the client library is loaded, as a daemon's is: it has spoken REST before it rings.
        plain = asyncio.run(client(told.burst))
        for kind in kinds:
            lines.append(one(dbs, kind, told.seconds, told.burst))
            print(lines[-1], flush=True)
    last = f"One HTTP client pool by itself (aiohttp): {plain['per_second']:.0f}/s, " \
           f"{plain['per_cpu_second']:.0f} in a second of one core."  # fmt: skip
    print(last)
    if told.write:
        write(machine, told.seconds, told.burst, [*lines, "", last])


def one(dbs: Databases, kind: str, seconds: float, count: int) -> str:
    """Measure one database; return a row of the table."""
    with dbs.fresh(kind) as url:
        quiet = asyncio.run(first_byte(url, seconds))
    with dbs.fresh(kind) as url:
        busy = asyncio.run(first_byte(url, seconds, count))
    with dbs.fresh(kind) as url:
        beside = asyncio.run(first_byte(url, seconds, fills=FEW, hanging=True))
    with dbs.fresh(kind) as url:
        drained = asyncio.run(burst(url, count))
    cells = [
        kind, *(_ms(quiet.arrival, share) for share in (0.5, 0.99)), _ms(quiet.commit), _ms(quiet.durable),
        _ms(busy.durable), _ms(beside.commit), f"{drained['per_second']:.0f}/s",
        f"{drained['per_cpu_second']:.0f}", f"{drained['growth']:.0f} MiB",
    ]  # fmt: skip
    return f"| {' | '.join(cells)} |"


def _ms(values: list[float], share: float = 0.99) -> str:
    return f"{report.quantile(values, share):.1f} ms" if values else "none"


def write(machine: dict[str, Any], seconds: float, count: int, lines: list[str]) -> None:
    """Write the figures down."""
    names = ", ".join(f"{kind} {number}" for kind, number in machine["databases"].items())
    text = [
        "# How fast alerts leave", "",
        f"`python -m benchmarks.alerts --seconds {seconds:g} --burst {count} --write`: {machine['cores']} "
        f"cores of {machine['cpu']}, {machine['system']}, Python {machine['python']}, {names}, fsync on; "
        f"{machine['date']} UTC, load before {machine['load_before']}.", "",
        f"| database | {FILLS} fills/s: arrival to first byte of the webhook, p50 | p99 (aim 50 ms) | "
        "commit to first byte, p99 | arrival to commit, p99 | the same while the burst drains | "
        f"{FEW} fills/s, another hook hangs: commit to first byte, p99 (aim 1 s) | "
        f"burst of {count} | in a second of one core | more memory |",
        "|---|---|---|---|---|---|---|---|---|---|", *lines, "",
    ]  # fmt: skip
    (report.HERE / "ALERTS.md").write_text("\n".join(text), encoding="utf-8")


if __name__ == "__main__":
    main()
