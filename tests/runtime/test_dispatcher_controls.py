"""The dispatcher and what people and receivers ask of it: pauses, mutes, replays, a hook used again."""

import asyncio
from datetime import timedelta

import pytest
from sqlalchemy import create_engine

from accountd.core.mutes import Mute, Mutes
from accountd.errors import SinkError
from accountd.runtime.housekeeping import Housekeeping
from accountd.store import controls
from accountd.store.controls import Chosen
from accountd.store.tables import metadata
from tests.runtime.outbox_stage import NOW, FakeSink, Stage, row


class StageClock:
    """The clock of a stage."""

    def __init__(self, stage):
        self.stage = stage

    def now(self):
        return self.stage.now


@pytest.fixture
def stage(tmp_path):
    """A fresh SQLite file with everything about alerts in it."""
    engine = create_engine(f"sqlite:///{tmp_path / 'outbox.db'}")
    with engine.begin() as conn:
        conn.exec_driver_sql("PRAGMA journal_mode=WAL")
        names = ("outbox", "deliveries", "hooks", "mutes")
        metadata.create_all(conn, tables=[metadata.tables[name] for name in names])
    yield Stage(engine)
    engine.dispose()


def keeper(stage):
    return Housekeeping(stage.dispatcher, stage.read, stage.submit, StageClock(stage))


async def test_a_pause_that_is_asked_for_holds_the_hook(stage):
    """After 429 with Retry-After nothing is sent to the hook until then, and then everything is, in order."""
    sink, other = FakeSink(), FakeSink()
    sink.refusals["msg_1"] = [SinkError("HTTP 429", status=429, retry_after=120)]
    async with stage.run({"ops": sink, "log": other}):
        stage.ring(row(1, order_key="a"))
        await stage.until(lambda: stage.one("msg_1")["attempts"] == 1)
        stage.ring(row(2, order_key="a"), row(3, order_key="b"), row(4), row(5, hook="log"))
        await stage.settled(pending=4, delivered=1)
        await asyncio.sleep(0.05)
        assert sink.ids() == ["msg_1"]
        stage.forward(seconds=121)
        await stage.settled(delivered=5)
    sent = sink.ids()
    assert sent.index("msg_2") > len(sent) - 1 - sent[::-1].index("msg_1")
    assert sorted(sent) == ["msg_1", "msg_1", "msg_2", "msg_3", "msg_4"]


async def test_a_stop_does_not_wait_for_a_pause(stage):
    """What is held for a receiver stays pending when the daemon ends."""
    sink = FakeSink()
    sink.refusals["msg_1"] = [SinkError("HTTP 503", status=503, retry_after=3600)]
    async with stage.run({"ops": sink}):
        stage.ring(row(1))
        await stage.until(lambda: stage.one("msg_1")["attempts"] == 1)
        stage.ring(row(2))
        await asyncio.sleep(0.02)
        async with asyncio.timeout(1.5):
            await stage.dispatcher.stop(5.0)
    assert stage.status() == {"msg_1": "pending", "msg_2": "pending"}


async def test_what_is_muted_is_suppressed_with_the_reason(stage):
    """A mute from a command is heard of at the next look, and keeps its alerts for a replay."""
    sink = FakeSink()
    async with stage.run({"ops": sink}):
        looks = keeper(stage)
        await looks.look()
        with stage.engine.begin() as conn:
            until = NOW + timedelta(hours=1)
            controls.add_mute(conn, Mute(mute_id="m", created_at=NOW, until=until, hook="ops", type="fill"))
        await looks.look()
        stage.ring(row(1), row(2, type="order.new"))
        await stage.settled(suppressed=1, delivered=1)
        assert stage.one("msg_1")["reason"] == "muted until 2026-11-01T13:00:00.000Z"
        with stage.engine.begin() as conn:
            assert controls.replay(conn, Chosen(ids=("msg_1",)), stage.now) == {"ops": 1}
        await looks.look()
        await stage.settled(delivered=2)
    assert sink.ids() == ["msg_2", "msg_1"]


async def test_a_replay_is_marked_and_begins_the_schedule_anew(stage):
    """A dead message that is replayed has its whole schedule again, with the same id and body."""
    sink = FakeSink()
    sink.refusals["msg_1"] = [SinkError("HTTP 500", status=500) for _ in range(3)]
    async with stage.run({"ops": sink}, retry=("5s",)):
        looks = keeper(stage)
        await looks.look()
        stage.ring(row(1))
        await stage.until(lambda: stage.one("msg_1")["attempts"] == 1)
        stage.forward(seconds=6)
        await stage.settled(dead=1)
        with stage.engine.begin() as conn:
            controls.replay(conn, Chosen(ids=("msg_1",)), stage.now)
        await looks.look()
        await stage.until(lambda: stage.one("msg_1")["attempts"] == 3)
        assert stage.one("msg_1")["status"] == "pending"
        stage.forward(seconds=6)
        await stage.settled(delivered=1)
    assert [message.replayed for message in sink.sent] == [False, False, True, True]
    assert len({(message.id, message.body) for message in sink.sent}) == 1


async def test_a_hook_that_is_enabled_is_used_again(stage):
    """410 ends a hook until a command says otherwise; what rings after that is sent."""
    sink = FakeSink()
    sink.refusals["msg_1"] = [SinkError("HTTP 410", permanent=True, status=410)]
    async with stage.run({"ops": sink}):
        looks = keeper(stage)
        await looks.look()
        stage.ring(row(1))
        await stage.settled(dead=1)
        stage.ring(row(2))
        await stage.settled(dead=1, suppressed=1)
        assert stage.dispatcher.disabled == {"ops": "the receiver answered 410 Gone"}
        with stage.engine.begin() as conn:
            assert controls.enable(conn, "ops", stage.now)
        await looks.look()
        stage.ring(row(3))
        await stage.settled(dead=1, suppressed=1, delivered=1)
    assert stage.dispatcher.disabled == {}


async def test_summaries_are_made_when_they_are_due(stage):
    """What waits for a summary becomes one message at its time."""
    sink = FakeSink()
    later = NOW + timedelta(minutes=1)
    waits = {"status": "suppressed", "reason": "rate", "summary_id": "msg_sum", "next_attempt_at": later,
             "body": '{"type":"fill","timestamp":"t","data":{}}'}  # fmt: skip
    async with stage.run({"ops": sink}):
        looks = keeper(stage)
        stage.ring(row(1, **waits), row(2, **waits))
        await looks.look()
        assert sink.sent == []
        stage.forward(minutes=1)
        await looks.look()
        await stage.settled(suppressed=2, delivered=1)
    assert sink.ids() == ["msg_sum"]


async def test_the_first_attempt_is_written_down(stage):
    """When a message was tried first stays, however often it is tried again."""
    sink = FakeSink()
    sink.refusals["msg_1"] = [SinkError("HTTP 500", status=500)]
    async with stage.run({"ops": sink}):
        stage.ring(row(1))
        await stage.until(lambda: stage.one("msg_1")["attempts"] == 1)
        stage.forward(seconds=6)
        await stage.settled(delivered=1)
    kept = stage.one("msg_1")
    assert (kept["first_attempt_at"], kept["delivered_at"]) == (NOW, NOW + timedelta(seconds=6))


async def test_one_message_that_fails_does_not_slow_the_others(stage):
    """While one order's alert waits for its retry, others go without a look at the database."""
    sink = FakeSink()
    sink.refusals["msg_1"] = [SinkError("HTTP 500", status=500)]
    async with stage.run({"ops": sink}):
        stage.ring(row(1, order_key="a"))
        await stage.until(lambda: stage.one("msg_1")["attempts"] == 1)
        queue = stage.dispatcher._queues["ops"]
        await stage.until(lambda: queue.direct and "a" in queue.waiting)
        reads = stage.reads - stage.transactions
        stage.ring(*(row(n, order_key="b") for n in range(2, 20)))
        await stage.settled(pending=1, delivered=18)
        assert stage.reads - stage.transactions == reads
    assert Mutes().why(row(1), NOW) is None
