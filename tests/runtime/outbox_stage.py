"""A database, a clock and sinks for the dispatcher's tests."""

import asyncio
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from sqlalchemy import select

from accountd.config import Hook
from accountd.core.alerts import OutboxRow
from accountd.runtime.dispatcher import DeliveryObserver, Dispatcher
from accountd.store import outbox
from accountd.store.tables import outbox as table

NOW = datetime(2026, 11, 1, 12, tzinfo=UTC)
MICRO = timedelta(microseconds=1)


def row(n, hook="ops", order_key="", **changes):
    at = NOW + n * MICRO - timedelta(seconds=1)
    settings = {
        "message_id": f"msg_{n}", "account_id": "main", "hook": hook, "type": "fill",
        "body": f'{{"type":"fill","n":{n}}}', "created_at": at, "next_attempt_at": at, "order_key": order_key,
    }  # fmt: skip
    return OutboxRow(**{**settings, **changes})


class FakeSink:
    """A sink that does what it is told: per message a list of refusals, then success."""

    def __init__(self):
        self.sent = []
        self.refusals = {}
        self.gates = {}
        self.closed = False
        self.active = self.most = 0

    async def send(self, message):
        self.sent.append(message)
        self.active += 1
        self.most = max(self.most, self.active)
        try:
            gate = self.gates.get(message.id) or self.gates.get("*")
            await (gate.wait() if gate else asyncio.sleep(0))
        finally:
            self.active -= 1
        refusals = self.refusals.get(message.id) or self.refusals.get("*")
        if refusals:
            raise refusals.pop(0)

    async def close(self):
        self.closed = True

    def ids(self):
        return [message.id for message in self.sent]


class Heard(DeliveryObserver):
    """Remembers what the dispatcher says."""

    def __init__(self):
        self.results, self.first, self.lost, self.off = [], [], [], []

    def attempted(self, hook, result, seconds):
        self.results.append((hook, result))

    def first_attempt(self, hook, seconds):
        self.first.append((hook, seconds))

    def dead(self, row, reason):
        self.lost.append((row.message_id, reason))

    def disabled(self, hook, reason):
        self.off.append((hook, reason))


@dataclass
class Stage:
    """A database, its clock, and a dispatcher on it."""

    engine: object
    now: datetime = NOW
    heard: Heard = field(default_factory=Heard)
    transactions: int = 0
    reads: int = 0
    troubles: list = field(default_factory=list)
    dispatcher: Dispatcher = None
    running: asyncio.Task = None

    async def read(self, run):
        self.reads += 1
        if self.troubles:
            raise self.troubles.pop(0)
        await asyncio.sleep(0)
        with self.engine.begin() as conn:
            return run(conn)

    async def submit(self, run):
        self.transactions += 1
        return await self.read(run)

    def write(self, *rows):
        with self.engine.begin() as conn:
            outbox.add(conn, rows)

    def ring(self, *rows):
        """Commit rows and offer them, as the recorder does."""
        self.write(*rows)
        self.dispatcher.offer(rows)

    def status(self):
        with self.engine.connect() as conn:
            return dict(conn.execute(select(table.c.message_id, table.c.status)).all())

    def one(self, message_id):
        with self.engine.connect() as conn:
            return conn.execute(select(table).where(table.c.message_id == message_id)).mappings().one()

    def forward(self, **time):
        self.now += timedelta(**time)
        self.dispatcher.wake()

    async def until(self, true, seconds=30):
        """Let the loop run until something is so."""
        async with asyncio.timeout(seconds):
            while not true():  # noqa: ASYNC110  # the database has no event to wait for
                await asyncio.sleep(0.002)

    async def settled(self, **wanted):
        """Wait until the outbox counts these statuses."""
        await self.until(lambda: self.counts() == wanted)

    def counts(self):
        told = list(self.status().values())
        return {name: told.count(name) for name in set(told)}

    @asynccontextmanager
    async def run(self, sinks, retry=("5s", "30s"), stop=True, **options):
        hooks = {name: Hook(type="log", retry=list(retry)) for name in sinks}
        self.dispatcher = Dispatcher(
            hooks, sinks, read=self.read, submit=self.submit, now=lambda: self.now, chance=lambda: 0.5,
            observer=self.heard, **options,
        )  # fmt: skip
        self.running = asyncio.create_task(self.dispatcher.run())
        try:
            yield self.dispatcher
        finally:
            if stop:
                await self.dispatcher.stop(2.0)
                await self.running
            self.running.cancel()
            await asyncio.gather(self.running, return_exceptions=True)
