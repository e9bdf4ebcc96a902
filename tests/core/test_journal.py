"""The journal's chain: every kind of tampering changes a head."""

from datetime import UTC, datetime

import pytest

from accountd.core import journal
from accountd.core.lifecycle import RANKS, is_final, rank, supersedes
from accountd.core.states import TRANSITIONS, Event, State, step
from accountd.core.told import Order

AT = datetime(2026, 11, 1, 12, 0, 0, 123456, tzinfo=UTC)


def chain(rows):
    """Return the head over (seq, kind, raw) rows."""
    head = journal.GENESIS
    for seq, kind, raw in rows:
        payload = journal.digest(b"s" * journal.SALT_BYTES, raw)
        head = journal.advance(head, journal.leaf(seq, AT, b"main", kind, "stream", payload))
    return head


ROWS = [(1, "A", b"one"), (2, "B", b"two"), (3, "C", b"three")]


@pytest.mark.parametrize(
    "tampered",
    [
        [(1, "A", b"one"), (2, "B", b"twp"), (3, "C", b"three")],
        [(1, "A", b"one"), (3, "C", b"three")],
        [(1, "A", b"one"), (2, "B", b"two"), (3, "X", b""), (4, "C", b"three")],
        [(2, "B", b"two"), (1, "A", b"one"), (3, "C", b"three")],
        [(1, "A", b"one"), (2, "B", b"two"), (4, "C", b"three")],
        [(1, "AB", b"one"), (2, "", b"two"), (3, "C", b"three")],
    ],
    ids=["bit flip", "delete", "insert", "swap", "renumber", "moved boundary"],
)
def test_tampering_changes_the_head(tampered):
    """A changed, deleted, inserted, swapped or renumbered row gives another head."""
    assert chain(tampered) != chain(ROWS)
    assert chain(list(ROWS)) == chain(ROWS)


def test_time_is_hashed_exactly():
    """A microsecond more is another leaf, and the time is exact in nanoseconds."""
    assert journal.nanoseconds(AT) % 1_000_000_000 == 123_456_000
    one = journal.leaf(1, AT, b"main", "A", "stream", b"d")
    other = journal.leaf(1, AT.replace(microsecond=123457), b"main", "A", "stream", b"d")
    assert one != other


def order(status, kind="order", updated=AT):
    """Make an order in a status."""
    return Order(market="usdm", symbol="S", kind=kind, order_id="1", status=status, updated_at=updated)


@pytest.mark.parametrize(("kind", "status"), [key for key, value in RANKS.items() if value == 9])
def test_a_final_status_is_never_left(kind, status):
    """No later telling of an earlier state moves an order out of a final status."""
    later = AT.replace(year=2027)
    assert is_final(order(status, kind))
    assert not supersedes(order("NEW", kind, later), order(status, kind))
    assert supersedes(order(status, kind), order("NEW", kind, later))


def test_an_unknown_status_is_between_open_and_final():
    """A word that the venue adds tomorrow is kept, after NEW and before the end."""
    assert rank("order", "NEW") < rank("order", "SOMETHING_NEW") < rank("order", "FILLED")


def test_session_states_are_a_table():
    """The way to LIVE goes through proof and sweep; any other step is an error."""
    assert step(step(State.CONNECTING, Event.PROVEN), Event.SWEPT) is State.LIVE
    assert all(Event.LOST in moves for state, moves in TRANSITIONS.items() if state is not State.CLOSED)
    with pytest.raises(KeyError):
        step(State.CONNECTING, Event.SWEPT)
