"""Conditions: told when they begin and end, once while they hold, and past a database that is down."""

import asyncio
import json
from contextlib import asynccontextmanager
from datetime import timedelta

import pytest

from accountd import config
from accountd.core.alerts import wishes
from accountd.core.conditions import alert_of
from accountd.core.health import Health
from accountd.errors import SinkError
from accountd.runtime import conditions as module
from accountd.runtime.conditions import Monitor
from accountd.runtime.last_gasp import LastGasp
from accountd.runtime.metrics import Metrics
from accountd.runtime.observers import Listener
from accountd.runtime.recorder import Recorder
from accountd.store.engine import reader_engine, reading, writer_engine
from accountd.store.migrate import upgrade
from accountd.store.tables import conditions, outbox
from accountd.store.writer import Writer
from tests.fake_clock import FakeClock
from tests.runtime.outbox_stage import FakeSink

ENVIRON = {
    "ACCOUNTD_ACCOUNTS__MAIN__VENUE": "binance-usdm", "ACCOUNTD_ACCOUNTS__MAIN__API_KEY": "a-test-key",
    "ACCOUNTD_ACCOUNTS__MAIN__API_SECRET": "dont-mask-words", "ACCOUNTD_HOOKS__OPS__TYPE": "log",
    "ACCOUNTD_HOOKS__OPS__ON": '["*"]', "ACCOUNTD_HOOKS__OPS__REPEAT": "1h",
    "ACCOUNTD_HOOKS__PAGER__TYPE": "log",
    "ACCOUNTD_HOOKS__PAGER__ON": '["hook.dead","database.down","stream.down","exchange.down"]',
}  # fmt: skip


class Hooks:
    """Hooks that are disabled."""

    def __init__(self):
        self.disabled = {}


class Stage:
    """A record, a monitor on it, and what it looks at."""

    def __init__(self, url, clock):
        self.url, self.clock = url, clock
        self.settings = config.load(ENVIRON | {"ACCOUNTD_DATABASE_URL": url}, env_file=None)
        self.health, self.hooks, self.free = Health(), Hooks(), 10**12
        self.health.account("main")
        self.sinks = {"ops": FakeSink(), "pager": FakeSink()}
        listener = Listener(self.health, Metrics())
        listener.failed.cancel()
        writer = Writer(writer_engine(url), clock.now)
        self.recorder = Recorder(writer, wishes(self.settings.hooks), clock, listener)
        self.gasp = LastGasp(
            self.settings.hooks, self.recorder.hooks, self.sinks.__getitem__, self.recorder, clock.now,
            lambda: 0.5,
        )  # fmt: skip
        self.monitor = Monitor(
            self.settings, self.health, self.recorder, self.hooks, clock, self.gasp, lambda _: self.free
        )

    async def idle(self):
        """Wait until the writer's thread has come to rest."""
        while self.recorder.busy_since is not None:  # noqa: ASYNC110  # that thread has no event
            await asyncio.sleep(0.001)

    async def pass_(self, seconds):
        """Let time go by, and look."""
        await self.monitor.look()
        self.clock.advance(seconds)
        await self.monitor.look()

    def rows(self, table=outbox, order="created_at"):
        engine = reader_engine(self.url)
        with reading(engine) as conn:
            found = [dict(row) for row in conn.execute(table.select().order_by(table.c[order])).mappings()]
        engine.dispose()
        return found

    def told(self, hook="ops"):
        """Return the types that rang at a hook, in order."""
        return [row["type"] for row in self.rows() if row["hook"] == hook]


@asynccontextmanager
async def made(url):
    clock = FakeClock()
    stage = Stage(url, clock)
    await stage.recorder.open_account("main", "binance-usdm", "live")
    try:
        yield stage
    finally:
        await stage.gasp.close()
        assert await stage.recorder.stop(5)


@pytest.fixture
def url(record_url):
    """A record of each kind."""
    return record_url


async def test_a_full_disk_is_told_once_and_when_it_is_over(sqlite_url):
    """Below the limit disk.low rings once; it is over when there is clearly more than that again."""
    upgrade(sqlite_url)
    async with made(sqlite_url) as stage:
        await stage.pass_(1)
        stage.free = 10**8
        await stage.pass_(1)
        await stage.pass_(1)
        stage.free = 10**9 + 1
        await stage.pass_(1)
        assert stage.told() == ["disk.low"]
        stage.free = 2 * 10**9
        await stage.pass_(1)
        assert stage.told() == ["disk.low", "disk.ok"]
        data = json.loads(stage.rows()[0]["body"])["data"]
        assert (data["account"], data["free_bytes"], data["least_bytes"]) == (None, 10**8, 10**9)
        (kept,) = stage.rows(conditions, "fired_at")
        assert (kept["type"], kept["status"], kept["told"]) == ("disk.low", "resolved", 1)


async def test_what_still_holds_is_told_again_where_that_is_wanted(url):
    """REPEAT tells a hook again each hour, with a new id; a hook without it hears once."""
    async with made(url) as stage:
        stage.hooks.disabled = {"gone": "410"}
        await stage.pass_(1800)
        assert (stage.told(), stage.told("pager")) == (["hook.dead"], ["hook.dead"])
        await stage.pass_(1801)
        await stage.pass_(3600)
        assert (stage.told(), stage.told("pager")) == (["hook.dead"] * 3, ["hook.dead"])
        bodies = [
            json.loads(row["body"])["data"].get("repeat") for row in stage.rows() if row["hook"] == "ops"
        ]
        assert bodies == [None, 1, 2]
        assert len({row["message_id"] for row in stage.rows()}) == 4


async def test_a_restart_does_not_tell_it_again(url):
    """What held when the daemon ended and holds still is not news."""
    async with made(url) as stage:
        stage.health.account("main").key_expires_at = stage.clock.now() + timedelta(days=3)
        await stage.pass_(1)
        assert stage.told() == ["key.expiring"]
    async with made(url) as stage:
        running = asyncio.create_task(stage.monitor.run())
        stage.health.account("main").key_expires_at = stage.clock.now() + timedelta(days=3)
        await asyncio.sleep(0.1)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        await stage.pass_(1)
        assert stage.told() == ["key.expiring"]
        stage.health.account("main").key_expires_at = None
        await stage.pass_(1)
        assert [row["status"] for row in stage.rows(conditions, "fired_at")] == ["resolved"]


async def test_a_hook_that_gave_a_message_up_is_told_to_the_others(url):
    """The hook itself is not asked to carry the news of its own death."""
    async with made(url) as stage:
        stage.monitor.dead["ops"] = {"reason": "HTTP 500", "message_id": "msg_1"}
        await stage.pass_(1)
        assert (stage.told("ops"), stage.told("pager")) == ([], ["hook.dead"])
        stage.monitor.dead.clear()
        await stage.pass_(1)
        assert stage.told("ops") == ["hook.alive"]


async def test_an_exchange_that_nobody_reaches_inhibits_its_streams(url):
    """exchange.down rings after a while; what follows from it is kept and not told until it is over."""
    async with made(url) as stage:
        stage.health.account("main").unreachable = True
        await stage.pass_(4)
        assert stage.told("pager") == []
        await stage.pass_(2)
        assert stage.told("pager") == ["exchange.down"]
        await down(stage)
        (row,) = [row for row in stage.rows() if row["type"] == "stream.down" and row["hook"] == "pager"]
        assert (row["status"], row["reason"]) == ("suppressed", "inhibited by exchange.down")
        stage.health.account("main").unreachable = False
        await stage.pass_(1)
        assert stage.told("ops")[-1] == "exchange.up"
        await ring(stage, "stream.live")
        await down(stage)
        assert stage.rows()[-1]["status"] == "pending"


async def ring(stage, kind):
    alert = alert_of(kind, stage.clock.now())
    await stage.recorder.submit(lambda tx: stage.recorder.ring(tx, "main", [alert]), "main")


async def down(stage):
    stage.clock.advance(1)
    await ring(stage, "stream.down")


async def test_a_stream_that_is_down_is_told_once(url):
    """A second loss without a life between is no news; after stream.live it is."""
    async with made(url) as stage:
        for kind in ("stream.down", "stream.down", "stream.live", "stream.down"):
            stage.clock.advance(1)
            await ring(stage, kind)
        assert stage.told() == ["stream.down", "stream.live", "stream.down"]


async def test_a_database_that_is_down_is_told_past_it(url, monkeypatch):
    """From memory, with a stable id; tried again as scheduled; written down, the same, when it is back."""
    async with made(url) as stage:
        stage.sinks["ops"].refusals["*"] = [SinkError("HTTP 500", status=500)]
        stage.health.writer_ok, stage.health.writer_error = False, "disk I/O error"
        await stage.pass_(module.DATABASE_PATIENCE - 1)
        assert stage.sinks["pager"].sent == []
        await stage.pass_(1)
        for _ in range(100):
            await asyncio.sleep(0.005)
            if stage.sinks["ops"].sent and stage.sinks["pager"].sent:
                break
        assert stage.rows() == []
        await stage.pass_(10)
        stage.health.writer_ok = True
        await stage.monitor.look()
        rows = {(row["hook"], row["type"]): row for row in stage.rows()}
        told = stage.sinks["pager"].sent[0]
        kept = rows["pager", "database.down"]
        assert (kept["message_id"], kept["body"].encode(), kept["status"]) == (
            told.id,
            told.body,
            "delivered",
        )
        left = rows["ops", "database.down"]
        assert (left["status"], left["attempts"]) == ("pending", 1)
        assert left["message_id"] == stage.sinks["ops"].sent[0].id
        assert rows["ops", "database.up"]["status"] == "pending"
        assert json.loads(told.body)["data"]["reason"] == "disk I/O error"


async def test_a_database_that_hangs_is_told_past_it(url):
    """No error ever comes from it: that a transaction gets no answer is the sign; then it is not ready."""
    async with made(url) as stage:
        await stage.idle()
        stage.recorder.busy_since = stage.clock.monotonic()
        for _ in range(int(module.SILENCE) - 1):
            await stage.pass_(1)
        assert stage.health.writer_ok
        await stage.pass_(1)
        assert (stage.health.writer_ok, stage.health.writer_error) == (False, module.SILENT)
        for _ in range(100):
            await asyncio.sleep(0.005)
            if stage.sinks["pager"].sent:
                break
        assert [message.type for message in stage.sinks["pager"].sent] == ["database.down"]
        stage.recorder.busy_since = None
        await stage.monitor.look()
        assert (stage.health.writer_ok, stage.health.writer_error) == (True, "")
        assert stage.told() == ["database.down", "database.up"]


async def test_a_process_that_was_frozen_does_not_blame_the_database(url):
    """Nobody listened meanwhile: the transaction that was under way gets its time after it."""
    async with made(url) as stage:
        await stage.idle()
        stage.recorder.busy_since = stage.clock.monotonic()
        await stage.pass_(1)
        await stage.pass_(90)
        assert stage.health.writer_ok
        stage.recorder.busy_since = None


async def test_a_record_that_is_lost_for_good_is_told_before_the_end(url):
    """When the daemon must end because it cannot write, it says so first, within its last seconds."""
    async with made(url) as stage:
        await stage.gasp.now_or_never("fsync failed", 1.0)
        assert [message.type for message in stage.sinks["pager"].sent] == ["database.down"]
        assert stage.sinks["pager"].closed


async def test_daemon_wide_alerts_reach_hooks_of_the_accounts_concerned(url):
    """A hook of one account hears that its exchange is down, and not that another's is."""
    async with made(url) as stage:
        mine, other = config.Hook(type="log", on=["*"], accounts=["main"]), config.Hook(type="log", on=["*"])
        told = wishes({"mine": mine, "other": other})
        alert = alert_of("exchange.down", stage.clock.now(), "x", ("second",))
        assert [wish.hook for wish in told if wish.wants(alert, "")] == ["other"]
        alert = alert_of("exchange.down", stage.clock.now(), "x", ("main", "second"))
        assert [wish.hook for wish in told if wish.wants(alert, "")] == ["mine", "other"]
