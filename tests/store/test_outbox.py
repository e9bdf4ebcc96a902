"""The outbox: what is due, and what becomes of each message."""

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import create_engine, select

from accountd.core.alerts import Attempt, OutboxRow
from accountd.store import controls, outbox
from accountd.store.tables import deliveries
from accountd.store.tables import outbox as table

NOW = datetime(2026, 11, 1, 12, tzinfo=UTC)
SECOND = timedelta(seconds=1)


@pytest.fixture
def conn(record_url):
    """A transaction on a fresh database of each kind."""
    engine = create_engine(record_url.replace("postgresql://", "postgresql+psycopg://"))
    try:
        with engine.begin() as connection:
            yield connection
    finally:
        engine.dispose()


def row(n, hook="ops", order_key="", **changes):
    at = NOW + n * timedelta(microseconds=1) - SECOND
    settings = {
        "message_id": f"msg_{n}",
        "account_id": "main",
        "hook": hook,
        "type": "fill",
        "body": '{"n":"ⓢ"}',
        "created_at": at,
        "next_attempt_at": at,
        "order_key": order_key,
    }
    return OutboxRow(**{**settings, **changes})


def attempt(n, status="delivered", number=1, **changes):
    settings = {
        "message_id": f"msg_{n}",
        "hook": "ops",
        "attempt": number,
        "status": status,
        "started_at": NOW,
        "duration": 1500,
    }
    if status == "delivered":
        settings["delivered_at"] = NOW
    return Attempt(**{**settings, **changes})


def ids(rows):
    return [each.message_id for each in rows]


def state(conn, n):
    return conn.execute(select(table).where(table.c.message_id == f"msg_{n}")).mappings().one()


def test_what_is_written_is_read_back(conn):
    """A row comes back as it was written, to the microsecond and the last character."""
    outbox.add(conn, [row(1, order_key="k")])
    assert outbox.due(conn, "ops", NOW, 10) == [row(1, order_key="k")]


def test_every_column_and_every_character_comes_back(conn):
    """A body is the same to the last character, whatever it holds; times and counts are what they were."""
    body = '{"q":"\\"\\\\","n":"\\u0000\\n","s":"\U0001f512 \u2028 \x7f"}'
    times = {name: NOW - n * SECOND for n, name in enumerate((
        "event_at", "received_at", "committed_at", "first_attempt_at", "replayed_at"))}  # fmt: skip
    texts = {"body": body, "order_key": "k", "summary_id": "s", "reason": "r"}
    whole = row(1, attempts=3, replayed_after=2, **texts, **times)
    outbox.add(conn, [whole])
    assert outbox.due(conn, "ops", NOW, 10, {"it's", 'a "name"'}) == [whole]


def test_adding_twice_changes_nothing(conn):
    """An id that is there stays as it is, also when it is delivered already."""
    outbox.add(conn, [row(1)])
    outbox.record(conn, [attempt(1)])
    outbox.add(conn, [row(1, body="{}"), row(2)])
    assert (state(conn, 1)["status"], state(conn, 1)["body"]) == ("delivered", row(1).body)
    assert ids(outbox.due(conn, "ops", NOW, 10)) == ["msg_2"]


def test_due_is_the_oldest_of_the_hook_first(conn):
    """Only the hook's own rows, the oldest first, no more than asked for, none that the caller holds."""
    outbox.add(conn, [row(3), row(1), row(4), row(2, hook="log"), row(5)])
    assert ids(outbox.due(conn, "ops", NOW, 2)) == ["msg_1", "msg_3"]
    assert ids(outbox.due(conn, "ops", NOW, 2, {"msg_1", "msg_4"})) == ["msg_3", "msg_5"]


def test_what_waits_holds_back_its_order_only(conn):
    """While a message waits for its retry, later ones of its order wait too, and no others."""
    rows = [row(1, order_key="a"), row(2, order_key="a"), row(3, order_key="b"), row(4)]
    outbox.add(conn, rows)
    later = attempt(1, "pending", error="HTTP 500", status_code=500, next_attempt_at=NOW + SECOND)
    outbox.record(conn, [later])
    assert ids(outbox.due(conn, "ops", NOW, 10)) == ["msg_3", "msg_4"]
    assert outbox.next_due(conn, "ops", NOW) == NOW + SECOND
    assert ids(outbox.due(conn, "ops", NOW + SECOND, 10)) == ["msg_1", "msg_2", "msg_3", "msg_4"]
    assert outbox.next_due(conn, "ops", NOW + SECOND) is None


def test_the_same_order_of_another_hook_is_not_held_back(conn):
    """Hooks do not wait for each other."""
    outbox.add(conn, [row(1, order_key="a"), row(2, hook="log", order_key="a")])
    outbox.record(conn, [attempt(1, "pending", next_attempt_at=NOW + SECOND)])
    assert ids(outbox.due(conn, "log", NOW, 10)) == ["msg_2"]


def test_results_are_written_in_bulk(conn):
    """Delivered, pending and dead each leave the row and a delivery that say so."""
    outbox.add(conn, [row(n) for n in (1, 2, 3)])
    outbox.record(
        conn,
        [
            attempt(1),
            attempt(2, "pending", error="HTTP 503", status_code=503, next_attempt_at=NOW + SECOND),
            attempt(3, "dead", error="HTTP 410", status_code=410),
        ],
    )
    assert (state(conn, 1)["status"], state(conn, 1)["delivered_at"]) == ("delivered", NOW)
    assert (state(conn, 2)["status"], state(conn, 2)["attempts"]) == ("pending", 1)
    assert (state(conn, 3)["status"], state(conn, 3)["reason"]) == ("dead", "HTTP 410")
    told = conn.execute(select(deliveries).order_by(deliveries.c.message_id)).mappings().all()
    assert [(each["attempt"], each["status_code"], each["error"]) for each in told] == [
        (1, None, None),
        (1, 503, "HTTP 503"),
        (1, 410, "HTTP 410"),
    ]
    assert {each["duration"] for each in told} == {1500}


@pytest.mark.parametrize("ends", ["delivered", "dead"])
def test_several_attempts_of_one_message(conn, ends):
    """All are kept; the message is what the last one made of it, and was tried first when it was."""
    outbox.add(conn, [row(1)])
    first = attempt(1, "pending", error="a\x00b", next_attempt_at=NOW + SECOND)
    last = attempt(1, ends, 2, started_at=NOW + SECOND, error=None if ends == "delivered" else "HTTP 410")
    outbox.record(conn, [first, last])
    told = state(conn, 1)
    assert (told["status"], told["attempts"], told["first_attempt_at"]) == (ends, 2, NOW)
    assert told["reason"] == last.error
    assert conn.execute(select(deliveries.c.attempt).order_by(deliveries.c.attempt)).scalars().all() == [1, 2]


def test_what_is_delivered_stays_so(conn):
    """Neither an earlier nor a later result of the same time takes a delivery back."""
    outbox.add(conn, [row(1)])
    outbox.record(conn, [attempt(1), attempt(1, "dead", 2, error="HTTP 500")])
    outbox.record(conn, [attempt(1, "pending", 3, next_attempt_at=NOW)])
    assert (state(conn, 1)["status"], state(conn, 1)["attempts"]) == ("delivered", 1)


def test_recording_twice_is_recording_once(conn):
    """A transaction whose commit was in doubt can be run again."""
    outbox.add(conn, [row(1)])
    outbox.record(conn, [attempt(1)])
    outbox.record(conn, [attempt(1)])
    assert len(conn.execute(select(deliveries)).all()) == 1


def test_disabling_suppresses_what_waits(conn):
    """A disabled hook is remembered with its reason; a delivery that was under way still counts."""
    outbox.add(conn, [row(1), row(2), row(3), row(4, hook="log")])
    assert outbox.disable(conn, "ops", "410 Gone", NOW) == 3
    outbox.record(conn, [attempt(1), attempt(2, "pending", next_attempt_at=NOW)])
    assert outbox.disabled(conn) == {"ops": "410 Gone"}
    assert state(conn, 1)["status"] == "delivered"
    assert (state(conn, 2)["status"], state(conn, 2)["reason"]) == ("suppressed", "hook disabled: 410 Gone")
    assert outbox.counts(conn) == {("ops", "delivered"): 1, ("ops", "suppressed"): 2, ("log", "pending"): 1}
    assert outbox.waiting(conn) == {"log": 1}


def test_a_hook_is_enabled_and_disabled_again(conn):
    """Enabling forgets the reason; disabling again gives a new one."""
    outbox.disable(conn, "ops", "first", NOW)
    assert controls.enable(conn, "ops", NOW)
    assert outbox.disabled(conn) == {}
    outbox.disable(conn, "ops", "second", NOW)
    assert outbox.disabled(conn) == {"ops": "second"}
