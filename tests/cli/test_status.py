"""What `accountd status` says."""

import json
from datetime import UTC, datetime, timedelta

from accountd.cli.status import session_state

NOW = datetime(2026, 11, 23, tzinfo=UTC)
AGO = NOW - timedelta(seconds=90)


def session(**told):
    """A session row."""
    empty = dict.fromkeys(("subscribed_at", "live_at", "last_seen_at", "closed_at", "close_reason"))
    return {"opened_at": AGO} | empty | told


def test_every_state_is_told_from_the_session():
    """The state is the furthest that the session's row proves."""
    assert session_state(None, None, NOW) == ("NEVER", None, None, "no session yet")
    assert session_state(session(), None, NOW) == ("CONNECTING", AGO, 90, "")
    assert session_state(session(subscribed_at=AGO), None, NOW) == ("SYNCING", AGO, 90, "")
    assert session_state(session(subscribed_at=AGO, live_at=NOW), None, NOW) == ("LIVE", NOW, 0, "")


def test_a_killed_process_is_not_live():
    """A session that was LIVE and shows no sign of life any more is LOST since the last one."""
    lost = session(subscribed_at=AGO, live_at=AGO - timedelta(hours=1), last_seen_at=AGO)
    assert session_state(lost, None, NOW)[:3] == ("LOST", AGO, 90)
    alive = session(subscribed_at=AGO, live_at=AGO, last_seen_at=NOW - timedelta(seconds=20))
    assert session_state(alive, None, NOW)[0] == "LIVE"


def test_a_closed_session_is_blind_since_the_last_sign_of_life():
    """Blind time counts from the last proof of life, not from when the loss was noticed."""
    closed = session(live_at=AGO, last_seen_at=AGO, closed_at=NOW, close_reason="crash")
    assert session_state(closed, None, NOW) == ("CLOSED", NOW, 90, "crash")


def test_attempts_that_fail_do_not_hide_how_long_nothing_is_heard():
    """Each attempt is a session of its own; blind time counts from the loss of the last that heard."""
    refused = session(opened_at=NOW, closed_at=NOW, close_reason="refused")
    assert session_state(refused, AGO, NOW) == ("CLOSED", AGO, 90, "refused")
    assert session_state(session(opened_at=NOW), AGO, NOW) == ("CONNECTING", NOW, 90, "")


def test_status_counts_what_is_open(recorded):
    """Each account has a row with its gaps; one that never connected says so."""
    main, other = json.loads(recorded("status", "--json").stdout)
    assert (main["account"], main["state"], main["open_gaps"], main["open_findings"]) == (
        "main",
        "LOST",  # what was recorded is long ago
        1,
        0,
    )
    assert (other["account"], other["state"], other["open_gaps"]) == ("other", "NEVER", 0)


def test_status_of_one_account(recorded):
    """--account keeps one."""
    assert [row["account"] for row in json.loads(recorded("status", "-a", "other", "--json").stdout)] == [
        "other"
    ]
