"""A recorder on a real database, what it is fed, and what is found afterwards."""

import asyncio
import time
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from sqlalchemy import func, select

from accountd.core import journal
from accountd.core.alerts import HookWish
from accountd.core.told import REST, STREAM, Fill, Order, Telling
from accountd.runtime.clock import SystemClock
from accountd.runtime.recorder import Recorder
from accountd.store import rows, tables
from accountd.store.engine import reader_engine, reading, writer_engine
from accountd.store.migrate import upgrade
from accountd.store.writer import Writer

START = datetime(2026, 11, 1, 12, tzinfo=UTC)
HOOKS = (HookWish("ops", frozenset({"fill"}), replay=True),)


def fill(number, **told):
    """An execution of order 1."""
    told = {
        "market": "usdm", "symbol": "BTCUSDT", "trade_id": str(number), "order_id": "1", "side": "BUY",
        "price": Decimal("60000.10"), "quantity": Decimal("0.010"), "quote_quantity": Decimal("600.00100"),
        "traded_at": START + timedelta(seconds=number),
    } | told  # fmt: skip
    return Fill(**told)


def order(filled, status="PARTIALLY_FILLED"):
    """Order 1 as it is told when so much of it is filled."""
    return Order(
        market="usdm", symbol="BTCUSDT", kind="order", order_id="1", status=status, execution_type="TRADE",
        quantity=Decimal(100), filled_quantity=Decimal(filled), updated_at=START + timedelta(seconds=filled),
    )  # fmt: skip


def frame(number, *told, **settings):
    """A frame that tells of one fill and of its order, or of what is given."""
    settings = {"account_id": "main", "source": STREAM, "kind": "ORDER_TRADE_UPDATE"} | settings
    return Telling(
        raw=b'{"frame":%d}' % number, received_at=START + timedelta(seconds=number),
        told=list(told) or [order(number), fill(number)], **settings,
    )  # fmt: skip


def page(number, *told):
    """A REST page."""
    return frame(number, *told, source=REST, kind="userTrades", keep=False)


POISON = Decimal("60000.66")


def poison(monkeypatch):
    """Make the database refuse every fill at one price: it is written twice."""
    plain = rows.fills

    def poisoned(changes):
        for row in plain(changes):
            yield row
            if str(POISON) in row:
                yield row  # the primary key refuses

    monkeypatch.setattr(rows, "fills", poisoned)


class Heard:
    """Remembers what the recorder says."""

    def __init__(self):
        self.outcomes, self.troubles, self.deaths = [], [], []

    def committed(self, outcome):
        self.outcomes.append(outcome)

    def trouble(self, error):
        self.troubles.append(error)

    def died(self, error):
        self.deaths.append(error)


class Stage:
    """A recorder, who listens to it, and a reader of its own."""

    def __init__(self, url):
        self.url = url
        self.engine = writer_engine(url)
        self.writer = Writer(self.engine, SystemClock().now, reader_engine(url))
        self.heard = Heard()
        self.recorder = None

    async def drained(self, seconds=20.0):
        """Wait until every frame is written."""
        await self.until(lambda: self.recorder.depth == 0, seconds)

    async def until(self, true, seconds=20.0):
        """Wait until something is so."""
        end = time.monotonic() + seconds
        while not true():
            assert time.monotonic() < end, (self.heard.troubles, self.heard.deaths)
            await asyncio.sleep(0.005)

    def read(self, run):
        """Read on a connection of our own."""
        engine = reader_engine(self.url)
        try:
            with reading(engine) as connection:
                return run(connection)
        finally:
            engine.dispose()

    def column(self, column, *where):
        """Return a column of all rows, sorted."""
        return sorted(self.read(lambda conn: conn.execute(select(column).where(*where)).scalars().all()))

    def fills(self):
        """Return the trade ids that are recorded, as numbers."""
        return sorted(map(int, self.column(tables.fills.c.trade_id)))

    def frames(self):
        """Return the raw bytes in the journal, in order of seq."""
        j = tables.journal.c
        found = self.read(lambda conn: conn.execute(select(j.raw).order_by(j.seq)).all())
        return [bytes(row.raw) for row in found]

    def count(self, table):
        """Count the rows of a table."""
        return self.read(lambda conn: conn.execute(select(func.count()).select_from(table)).scalar_one())

    def assert_whole(self, numbers):
        """Each of these frames is there once, so are its fill and its alert, and the chain is sound."""
        numbers = sorted(numbers)
        assert self.fills() == numbers
        assert sorted(self.frames()) == sorted(b'{"frame":%d}' % number for number in numbers)
        assert self.count(tables.outbox) == len(numbers)
        assert self.count(tables.order_events) == len(numbers)
        self.chain()

    def chain(self):
        """Recompute the journal's chain; return its length."""
        return self.read(lambda conn: verify_chain(conn, "main"))


def verify_chain(connection, account):
    """Recompute every digest and head of an account's journal; return its length."""
    j, h = tables.journal.c, tables.heads.c
    head, count = journal.GENESIS, 0
    for row in connection.execute(select(tables.journal).where(j.account_id == account).order_by(j.seq)):
        count += 1
        assert row.seq == count, f"journal: seq {row.seq} where {count} was due"
        payload = journal.digest(bytes(row.salt), bytes(row.raw))
        assert payload == bytes(row.digest), f"journal: bad digest at {row.seq}"
        received = row.received_at.astimezone(UTC)
        leaf = journal.leaf(row.seq, received, account.encode(), row.kind, row.source, payload)
        head = journal.advance(head, leaf)
        assert head == bytes(row.head), f"journal: broken chain at {row.seq}"
    kept = connection.execute(select(h.seq, h.head).where(h.account_id == account)).one()
    assert (kept.seq, bytes(kept.head)) == (count, head), "journal: the head is another"
    return count


@asynccontextmanager
async def recording(url, **settings):
    """Run a recorder with one open account, `main`."""
    upgrade(url)
    stage = Stage(url)
    stage.recorder = Recorder(stage.writer, HOOKS, SystemClock(), stage.heard, **settings)
    try:
        await stage.recorder.open_account("main", "binance-usdm", "live")
        yield stage
    finally:
        await stage.recorder.stop(10)
        stage.recorder._thread.join(10)
        stage.engine.dispose()
