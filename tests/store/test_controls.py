"""What people do with alerts, and summaries, in a database of each kind."""

import json
from datetime import timedelta

import pytest
from sqlalchemy import create_engine, select

from accountd.core.alerts import Attempt
from accountd.core.mutes import Mute, Mutes
from accountd.store import controls, outbox, summaries
from accountd.store.controls import Chosen
from accountd.store.tables import outbox as table
from tests.store.test_outbox import NOW, SECOND, row


@pytest.fixture
def conn(record_url):
    """A transaction on a fresh database of each kind."""
    engine = create_engine(record_url.replace("postgresql://", "postgresql+psycopg://"))
    try:
        with engine.begin() as connection:
            yield connection
    finally:
        engine.dispose()


def state(conn, n):
    return conn.execute(select(table).where(table.c.message_id == f"msg_{n}")).mappings().one()


def done(conn, n, status="delivered"):
    outbox.record(conn, [
        Attempt(message_id=f"msg_{n}", hook="ops", attempt=1, status=status, started_at=NOW, duration=5,
                error=None if status == "delivered" else "HTTP 500"),
    ])  # fmt: skip


def test_a_replay_sends_the_same_again(conn):
    """Status and schedule begin anew; id, body and what was tried stay; what is pending is left alone."""
    outbox.add(conn, [row(1), row(2), row(3)])
    done(conn, 1)
    done(conn, 2, "dead")
    before = state(conn, 1)
    assert controls.replay(conn, Chosen(since=NOW - 5 * SECOND), NOW + SECOND) == {"ops": 2}
    after = state(conn, 1)
    assert (after["body"], after["attempts"]) == (before["body"], 1)
    assert (after["status"], after["replayed_at"], after["replayed_after"]) == ("pending", NOW + SECOND, 1)
    assert state(conn, 3)["replayed_at"] is None
    assert controls.pokes(conn) == {"ops": NOW + SECOND}
    due = outbox.due(conn, "ops", NOW + SECOND, 10)
    assert [(one.message_id, one.replayed_after) for one in due] == [
        ("msg_1", 1),
        ("msg_2", 1),
        ("msg_3", None),
    ]


@pytest.mark.parametrize(
    ("chosen", "found"),
    [
        (Chosen(), "1 2 3"), (Chosen(ids=("msg_2",)), "2"), (Chosen(hook="ops"), "1 3"),
        (Chosen(type="order.new"), "3"), (Chosen(account="other"), ""), (Chosen(status="dead"), "1"),
        (Chosen(since=NOW), ""), (Chosen(until=NOW), "1 2 3"),
    ],
)  # fmt: skip
def test_alerts_are_chosen(conn, chosen, found):
    """Ids, hook, type, account, status and time choose."""
    outbox.add(conn, [row(1), row(2, hook="log"), row(3, type="order.new")])
    done(conn, 1, "dead")
    got = controls.listed(conn, chosen, None)
    assert [one["message_id"].removeprefix("msg_") for one in got] == found.split()


def test_an_alert_is_found_by_how_its_id_begins(conn):
    """A wildcard in it means itself."""
    outbox.add(conn, [row(1), row(12), row(2)])
    assert len(controls.found(conn, "msg_2")) == 1
    assert len(controls.found(conn, "msg_1")) == 2
    assert controls.found(conn, "msg%") == []


def test_a_mute_is_in_force_until_it_ends(conn):
    """It covers what matches every filter that it has, until its time or until it is ended."""
    one = Mute(
        mute_id="a1", created_at=NOW, until=NOW + 60 * SECOND, type="fi*", symbol="BTC*", reason="noise"
    )
    controls.add_mute(conn, one)
    (held,) = controls.muted(conn, NOW)
    assert held == one
    fill = row(1, body='{"data":{"symbol":"BTCUSDT"}}')
    there = Mutes([held])
    assert there.why(fill, NOW) == "muted until 2026-11-01T12:01:00.000Z: noise"
    assert there.why(fill, NOW + 60 * SECOND) is None
    assert there.why(row(1, body='{"data":{"symbol":"ETHUSDT"}}'), NOW) is None
    assert there.why(row(1, type="order.new", body='{"data":{"symbol":"BTCUSDT"}}'), NOW) is None
    assert there.why(row(1, body=fill.body, replayed_at=NOW), NOW) is None
    assert controls.end_mutes(conn, ["a"], NOW) == 1
    assert controls.muted(conn, NOW) == []


def waiting(n, due=NOW, **changes):
    body = json.dumps({"type": "fill", "timestamp": "t", "data": {"symbol": f"S{n % 2}"}})
    return row(
        n, status="suppressed", reason="rate", summary_id="msg_sum", next_attempt_at=due, body=body, **changes
    )


def test_one_message_stands_for_those_that_waited(conn):
    """It names their number, their ids and what they were about; each of them names it."""
    _insert(conn, [waiting(1), waiting(2), waiting(3)])
    assert summaries.next_due(conn) == NOW
    assert summaries.fold(conn, NOW - SECOND) == []
    (made,) = summaries.fold(conn, NOW)
    told = json.loads(made.body)
    assert (made.message_id, told["type"], told["data"]["count"]) == ("msg_sum", "summary", 3)
    assert told["data"]["ids"] == ["msg_1", "msg_2", "msg_3"]
    assert told["data"]["symbols"] == {"S1": 2, "S0": 1}
    assert state(conn, 2)["reason"] == "rate: told by msg_sum"
    assert (summaries.next_due(conn), summaries.fold(conn, NOW)) == (None, [])
    assert [one.message_id for one in outbox.due(conn, "ops", NOW, 9)] == ["msg_sum"]


def test_what_waits_alone_goes_by_itself(conn):
    """One message needs no other to stand for it."""
    _insert(conn, [waiting(1)])
    (made,) = summaries.fold(conn, NOW)
    assert (made.message_id, state(conn, 1)["status"], state(conn, 1)["summary_id"]) == (
        "msg_1",
        "pending",
        None,
    )


def test_what_comes_after_a_summary_goes_into_the_next_part(conn):
    """A message that was written for a window already told is not lost."""
    _insert(conn, [waiting(1), waiting(2)])
    summaries.fold(conn, NOW)
    _insert(conn, [waiting(3), waiting(4)])
    (made,) = summaries.fold(conn, NOW + SECOND)
    assert made.message_id != "msg_sum"
    assert json.loads(made.body)["data"]["ids"] == ["msg_3", "msg_4"]


def test_dead_letters_are_counted(conn):
    """By hook and type, with the time of the first and the last."""
    outbox.add(conn, [row(1), row(2)])
    done(conn, 1, "dead")
    done(conn, 2, "dead")
    (one,) = controls.dead(conn)
    assert (one["hook"], one["type"], one["dead"], one["reason"]) == ("ops", "fill", 2, "HTTP 500")
    assert one["last_at"] - one["first_at"] == timedelta(microseconds=1)


def _insert(conn, rows):
    outbox.add(conn, rows)
