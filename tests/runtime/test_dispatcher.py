"""The dispatcher on a real database: at least once, in order, and no hook delayed by another."""

import asyncio
from datetime import timedelta

import pytest
from sqlalchemy import create_engine

from accountd import sinks as registry
from accountd.config import Hook
from accountd.errors import DatabaseFailed, DatabaseGone, SinkError
from accountd.runtime import hook_reader
from accountd.store import outbox
from accountd.store.tables import deliveries, metadata
from accountd.store.tables import outbox as table
from tests.runtime.outbox_stage import NOW, FakeSink, Stage, row
from tests.sinks.receivers import receiver, status


@pytest.fixture
def stage(tmp_path):
    """A fresh SQLite file with the outbox in it."""
    engine = create_engine(f"sqlite:///{tmp_path / 'outbox.db'}")
    with engine.begin() as conn:
        conn.exec_driver_sql("PRAGMA journal_mode=WAL")
        metadata.create_all(conn, tables=[table, deliveries, metadata.tables["hooks"]])
    yield Stage(engine)
    engine.dispose()


async def test_what_is_offered_is_sent_and_marked(stage):
    """A committed row goes out once, with its id and body, and is delivered in the database."""
    sink = FakeSink()
    async with stage.run({"ops": sink}):
        await stage.until(lambda: stage.dispatcher._queues["ops"].direct)
        reads = stage.reads - stage.transactions
        stage.ring(row(1))
        await stage.settled(delivered=1)
        assert stage.reads - stage.transactions == reads
    (message,) = sink.sent
    assert (message.id, message.body, message.attempt) == ("msg_1", row(1).body.encode(), 1)
    assert stage.heard.results == [("ops", "delivered")]
    assert stage.heard.first == [("ops", 0.0)]
    assert sink.closed


async def test_the_start_picks_up_what_is_pending(stage):
    """Rows that an earlier run left are sent, those of its future at their time."""
    sink = FakeSink()
    stage.write(row(1), row(2, next_attempt_at=NOW + timedelta(hours=1), attempts=2))
    async with stage.run({"ops": sink}):
        await stage.settled(delivered=1, pending=1)
        stage.forward(hours=1)
        await stage.settled(delivered=2)
    assert sink.ids() == ["msg_1", "msg_2"]
    assert sink.sent[1].attempt == 3
    assert stage.one("msg_2")["attempts"] == 3


async def test_a_crash_before_the_mark_sends_the_same_again(stage):
    """Killed between the hook's yes and the mark, the message goes out again: same id, same bytes."""
    sink, again = FakeSink(), FakeSink()
    async with stage.run({"ops": sink}, stop=False):
        await stage.until(lambda: stage.dispatcher._queues["ops"].direct)

        async def killed(run):
            await asyncio.Event().wait()

        stage.dispatcher._submit = killed
        stage.ring(row(1))
        await stage.until(lambda: stage.heard.results == [("ops", "delivered")])
    assert stage.status() == {"msg_1": "pending"}
    async with stage.run({"ops": again}):
        await stage.settled(delivered=1)
    assert (sink.sent[0].id, sink.sent[0].body) == (again.sent[0].id, again.sent[0].body)


async def test_a_refusal_is_retried_on_the_schedule_until_dead(stage):
    """Each attempt waits its time; after the last the message is dead, and it is said."""
    sink = FakeSink()
    sink.refusals["*"] = [SinkError("HTTP 500", status=500) for _ in range(9)]
    async with stage.run({"ops": sink}):
        stage.ring(row(1))
        for attempts, wait in ((1, 5), (2, 30)):
            await stage.until(lambda n=attempts: stage.one("msg_1")["attempts"] == n)
            assert stage.one("msg_1")["next_attempt_at"] == stage.now + timedelta(seconds=wait)
            stage.forward(seconds=wait - 1)
            await asyncio.sleep(0.01)
            assert len(sink.sent) == attempts
            stage.forward(seconds=1)
        await stage.settled(dead=1)
    assert len(sink.sent) == 3
    assert len({(message.id, message.body) for message in sink.sent}) == 1
    assert stage.one("msg_1")["reason"] == "HTTP 500"
    assert stage.heard.lost == [("msg_1", "HTTP 500")]


async def test_retry_after_is_waited_for(stage):
    """A receiver that asks for two minutes is not asked after five seconds."""
    sink = FakeSink()
    sink.refusals["msg_1"] = [SinkError("HTTP 429", status=429, retry_after=120)]
    async with stage.run({"ops": sink}):
        stage.ring(row(1))
        await stage.until(lambda: stage.one("msg_1")["attempts"] == 1)
        assert stage.one("msg_1")["next_attempt_at"] == NOW + timedelta(seconds=120)
        stage.forward(seconds=120)
        await stage.settled(delivered=1)


async def test_a_permanent_refusal_is_dead_at_once(stage):
    """What can never be taken is not tried again, and the hook goes on."""
    sink = FakeSink()
    sink.refusals["msg_1"] = [SinkError("no", permanent=True, status=100)]
    async with stage.run({"ops": sink}):
        stage.ring(row(1, order_key="a"), row(2, order_key="a"))
        await stage.settled(dead=1, delivered=1)
    assert stage.heard.lost == [("msg_1", "no")]


async def test_a_slow_hook_delays_no_other(stage):
    """While one hook hangs with all its workers, another one is served at once."""
    slow, quick = FakeSink(), FakeSink()
    slow.gates["*"] = asyncio.Event()
    async with stage.run({"slow": slow, "quick": quick}):
        stage.ring(*[row(n, hook="slow") for n in range(20)])
        stage.ring(*[row(n, hook="quick") for n in range(20, 40)])
        await stage.settled(pending=20, delivered=20)
        assert len(slow.sent) == 4
        slow.gates.pop("*").set()
        await stage.settled(delivered=40)
    assert (slow.most, sorted(slow.ids())) == (4, sorted(f"msg_{n}" for n in range(20)))


async def test_orders_keep_their_order(stage):
    """Messages of one order go one after another, though four workers are there and some of them fail."""
    sink = FakeSink()
    sink.refusals = {f"msg_{n}": [SinkError("HTTP 500")] for n in (3, 8, 9)}
    rows = [row(n, order_key=f"order-{n % 3}") for n in range(30)]
    async with stage.run({"ops": sink}, retry=["1s"] * 3):
        for start in range(0, 30, 5):
            stage.ring(*rows[start : start + 5])
            await asyncio.sleep(0.005)
        for _ in range(20):
            stage.forward(seconds=2)
            await asyncio.sleep(0.01)
        await stage.settled(delivered=30)
    for order in range(3):
        sent = [int(name[4:]) for name in sink.ids() if int(name[4:]) % 3 == order]
        assert list(dict.fromkeys(sent)) == sorted(set(sent))
        assert sent == sorted(sent)


async def test_a_lane_that_fails_holds_its_own_back_over_a_restart(stage):
    """After a restart too, nothing overtakes a message of its order that waits for its retry."""
    stage.write(
        row(1, order_key="a", attempts=1, next_attempt_at=NOW + timedelta(seconds=60)),
        row(2, order_key="a"),
        row(3, order_key="b"),
    )
    sink = FakeSink()
    async with stage.run({"ops": sink}):
        stage.ring(row(4, order_key="a"))
        await stage.settled(delivered=1, pending=3)
        stage.forward(seconds=60)
        await stage.settled(delivered=4)
    assert sink.ids() == ["msg_3", "msg_1", "msg_2", "msg_4"]


async def test_gone_disables_the_hook(stage):
    """410 ends the hook: the message is dead, all others are suppressed with the reason, now and later."""
    sink = FakeSink()
    sink.refusals["msg_0"] = [SinkError("HTTP 410", permanent=True, status=410)]
    async with stage.run({"ops": sink}, concurrency=1):
        stage.ring(*[row(n) for n in range(5)])
        await stage.settled(dead=1, suppressed=4)
        stage.ring(row(5))
        await stage.settled(dead=1, suppressed=5)
    assert sink.ids() == ["msg_0"]
    assert stage.one("msg_5")["reason"] == "hook disabled: the receiver answered 410 Gone"
    assert stage.heard.off == [("ops", "the receiver answered 410 Gone")]
    after = FakeSink()
    async with stage.run({"ops": after}):
        stage.ring(row(6))
        await stage.settled(dead=1, suppressed=6)
    assert (after.sent, stage.one("msg_6")["reason"]) == ([], stage.one("msg_5")["reason"])


async def test_memory_is_bounded_and_nothing_is_lost(stage):
    """A backlog far beyond the limit goes out completely, once, with never more than the limit held."""
    sink = FakeSink()
    stage.write(*[row(n, order_key=f"o{n % 7}") for n in range(150)])
    async with stage.run({"ops": sink}, limit=20):
        most = 0
        for start in range(150, 300, 30):
            stage.ring(*[row(n, order_key=f"o{n % 7}") for n in range(start, start + 30)])
            most = max(most, len(stage.dispatcher._queues["ops"].held))
            await asyncio.sleep(0)
        await stage.settled(delivered=300)
    assert most <= 20
    assert len(sink.ids()) == len(set(sink.ids())) == 300
    for lane in range(7):
        sent = [int(name[4:]) for name in sink.ids() if int(name[4:]) % 7 == lane]
        assert sent == sorted(sent)


async def test_results_are_written_together(stage):
    """Many results share a transaction."""
    sink = FakeSink()
    async with stage.run({"ops": sink}, concurrency=50):
        await stage.until(lambda: stage.dispatcher._queues["ops"].direct)
        stage.ring(*[row(n) for n in range(200)])
        await stage.settled(delivered=200)
    assert stage.transactions < 100


async def test_no_transaction_has_too_many_results(stage, monkeypatch):
    """Events share the writer: results that pile up go in slices, and all of them go."""
    sizes = []
    record = outbox.record
    monkeypatch.setattr(
        "accountd.store.outbox.record", lambda conn, done: (sizes.append(len(done)), record(conn, done))
    )
    monkeypatch.setattr("accountd.runtime.dispatcher.SLICE", 30)
    stage.write(*[row(n) for n in range(100)])
    async with stage.run({"ops": FakeSink()}, concurrency=50):
        await stage.settled(delivered=100)
    assert (sum(sizes), max(sizes)) == (100, 30)


async def test_stopping_drains_what_is_in_flight(stage):
    """What is under way ends and is marked; what waits stays pending."""
    sink = FakeSink()
    gate = sink.gates["*"] = asyncio.Event()
    async with stage.run({"ops": sink}, concurrency=2):
        stage.ring(*[row(n) for n in range(6)])
        await stage.until(lambda: sink.active == 2)
        stopping = asyncio.create_task(stage.dispatcher.stop(5.0))
        await asyncio.sleep(0.01)
        gate.set()
        await stopping
        assert stage.counts() == {"delivered": 2, "pending": 4}
    assert len(sink.sent) == 2


async def test_stopping_does_not_wait_for_ever(stage):
    """An attempt that hangs is broken off at the deadline and stays pending."""
    sink = FakeSink()
    sink.gates["*"] = asyncio.Event()
    async with stage.run({"ops": sink}):
        stage.ring(row(1))
        await stage.until(lambda: sink.active == 1)
        async with asyncio.timeout(2):
            await stage.dispatcher.stop(0.1)
            await stage.running
    assert (stage.status(), sink.closed) == ({"msg_1": "pending"}, True)


async def test_a_sink_with_a_fault_of_its_own_stops_nothing(stage):
    """An exception that no sink should raise counts as a failed attempt."""
    sink = FakeSink()
    sink.refusals["msg_1"] = [ZeroDivisionError()]
    async with stage.run({"ops": sink}):
        stage.ring(row(1), row(2))
        await stage.until(lambda: stage.one("msg_1")["attempts"] == 1)
        stage.forward(seconds=5)
        await stage.settled(delivered=2)


async def test_a_database_that_is_away_delays_and_loses_nothing(stage, monkeypatch):
    """While the database does not answer, delivery waits for it; a message is not sent twice for that."""
    monkeypatch.setattr(hook_reader, "DATABASE_PAUSE", 0.01)
    sink = FakeSink()
    stage.troubles = [DatabaseGone() for _ in range(5)]
    async with stage.run({"ops": sink}):
        stage.ring(row(1))
        await stage.until(lambda: not stage.troubles)
        await stage.settled(delivered=1)
        stage.troubles = [DatabaseGone() for _ in range(5)]
        stage.ring(row(2))
        await stage.settled(delivered=2)
    assert sink.ids() == ["msg_1", "msg_2"]


@pytest.mark.parametrize("answers", [0, 2, 3])
async def test_a_database_that_is_lost_ends_the_dispatcher(stage, answers):
    """When the database is lost for good, the daemon hears of it, and sinks are closed."""
    sink = FakeSink()
    async with stage.run({"ops": sink}, stop=False):
        await stage.until(lambda: stage.reads >= answers)
        stage.troubles = [DatabaseFailed()]
        stage.ring(row(1))
        with pytest.raises(DatabaseFailed):
            await stage.running
    assert sink.closed


async def test_rows_of_hooks_that_are_gone_are_let_go(stage):
    """What waits for a hook that is not in the settings any more is suppressed, and says why."""
    stage.write(row(1, hook="gone"), row(2, hook="gone"), row(3))
    sink = FakeSink()
    async with stage.run({"ops": sink}):
        await stage.settled(suppressed=2, delivered=1)
    assert stage.one("msg_1")["reason"] == "the hook is not in the settings"


async def test_all_the_way_to_a_receiver(stage):
    """Over a real webhook: a failure, a retry, a delivery, with one id and one body."""
    async with receiver(status(500), status(200)) as there:
        hook = Hook(type="webhook", url=there.url, allow_private=True)
        async with stage.run({"ops": registry.make(hook)}):
            stage.ring(row(1))
            await stage.until(lambda: stage.one("msg_1")["attempts"] == 1)
            stage.forward(seconds=5)
            await stage.settled(delivered=1)
    assert [request.headers["webhook-id"] for request in there.seen] == ["msg_1", "msg_1"]
    assert there.seen[0].body == there.seen[1].body
    times = [int(request.headers["webhook-timestamp"]) for request in there.seen]
    assert times[1] - times[0] == 5
