"""When a hook is told: quiet hours, caps and groups, none of which loses an alert."""

from datetime import UTC, datetime, timedelta

import pytest

from accountd.config import Hook
from accountd.core.alerts import batch, wishes
from accountd.core.changes import Alert

NOON = datetime(2026, 11, 1, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


def told(hooks, n, now, kind="fill"):
    """Return the row that one alert makes."""
    alert = Alert(type=kind, identity=(str(n),), at=now, data={})
    (row,) = batch([alert], "binance-usdm", "main", hooks, now)
    return row


def hook(**settings):
    return wishes({"ops": Hook(type="log", on=["*"], **settings)})


@pytest.mark.parametrize(
    ("zone", "now", "until"),
    [
        ("UTC", "2026-11-01T21:59:59", None),
        ("UTC", "2026-11-01T22:00:00", "2026-11-02T07:00:00"),
        ("UTC", "2026-11-02T06:59:59", "2026-11-02T07:00:00"),
        ("UTC", "2026-11-02T07:00:00", None),
        ("Asia/Tokyo", "2026-11-01T13:00:00", "2026-11-01T22:00:00"),
        ("Europe/Berlin", "2026-10-24T23:00:00", "2026-10-25T06:00:00"),  # the clock goes back meanwhile
    ],
)
def test_quiet_hours_hold_until_they_end(zone, now, until):
    """What rings in quiet hours is due when they end, by the clock of the place."""
    at = datetime.fromisoformat(now).replace(tzinfo=UTC)
    row = told(hook(quiet="22:00-07:00", quiet_zone=zone), 1, at)
    due = datetime.fromisoformat(until).replace(tzinfo=UTC) if until else at
    assert (row.status, row.next_attempt_at, row.summary_id) == ("pending", due, None)


def test_what_is_urgent_does_not_wait():
    """Types that are urgent ring in quiet hours, over the rate and past groups."""
    hooks = hook(quiet="00:00-23:59", rate="1/1m", group="30s", urgent=["liquidation"])
    assert told(hooks, 1, NOON, "liquidation").next_attempt_at == NOON
    assert told(hooks, 2, NOON).next_attempt_at > NOON


def test_quiet_hours_may_end_with_a_summary():
    """With QUIET_SUMMARY everything of the night waits for one message."""
    hooks = hook(quiet="11:00-13:00", quiet_summary=True)
    rows = [told(hooks, n, NOON + n * MINUTE) for n in range(3)]
    assert {row.status for row in rows} == {"suppressed"}
    assert {row.next_attempt_at for row in rows} == {NOON + timedelta(hours=1)}
    assert len({row.summary_id for row in rows}) == 1


def test_what_is_over_the_rate_waits_for_a_summary():
    """The first of a window ring; the others wait for its end; then a new window begins."""
    hooks = hook(rate="2/1m")
    rows = [told(hooks, n, NOON) for n in range(4)]
    assert [row.status for row in rows] == ["pending", "pending", "suppressed", "suppressed"]
    assert {row.next_attempt_at for row in rows[2:]} == {NOON + MINUTE}
    assert told(hooks, 9, NOON + MINUTE).status == "pending"


def test_a_transaction_that_is_done_again_counts_once():
    """The same message asked for twice is under the cap twice, and takes one place."""
    hooks = hook(rate="2/1m")
    states = [told(hooks, n, NOON).status for n in (1, 1, 2, 1, 3)]
    assert states == ["pending", "pending", "pending", "pending", "suppressed"]


def test_conditions_gather_and_events_do_not():
    """A group takes what is wrong with accountd; a fill is told at once."""
    hooks = hook(group="30s")
    assert told(hooks, 1, NOON).status == "pending"
    down, gap = (
        told(hooks, 2, NOON, "stream.down"),
        told(hooks, 3, NOON + timedelta(seconds=20), "gap.opened"),
    )
    assert down.summary_id == gap.summary_id is not None
    assert gap.next_attempt_at == NOON + timedelta(seconds=30)
