"""The commands about alerts."""

import json
from datetime import UTC, datetime, timedelta

import pytest

from accountd.core.alerts import Attempt
from accountd.store import controls, outbox
from accountd.store.engine import reader_engine, reading, writer_engine
from accountd.store.migrate import upgrade
from tests.store.test_outbox import row

NOW = datetime.now(UTC)


@pytest.fixture
def alerts(shell, sqlite_url, monkeypatch):
    """A shell on a record with an alert in each state."""
    upgrade(sqlite_url)
    engine = writer_engine(sqlite_url)
    with engine.connect() as conn, conn.begin():
        outbox.add(
            conn,
            [row(n, created_at=NOW - timedelta(minutes=10 - n), next_attempt_at=NOW) for n in (1, 2, 3)]
            + [row(4, hook="log", created_at=NOW - timedelta(days=2), next_attempt_at=NOW)],
        )
        for n, status in ((1, "delivered"), (2, "dead"), (4, "dead")):
            tried = Attempt(
                message_id=f"msg_{n}", hook="ops", attempt=1, status=status, started_at=NOW, duration=12,
                status_code=500 if status == "dead" else 200, error="HTTP 500" if status == "dead" else None,
            )  # fmt: skip
            outbox.record(conn, [tried])
    engine.dispose()
    monkeypatch.setenv("ACCOUNTD_DATABASE_URL", sqlite_url)
    shell.url = sqlite_url
    return shell


def states(alerts):
    listed = json.loads(alerts("alerts", "list", "--json").stdout)
    return {one["message_id"]: one["status"] for one in listed}


def test_alerts_are_listed_and_filtered(alerts):
    """Every column as JSON; a table with what became of each for people."""
    assert states(alerts) == {"msg_1": "delivered", "msg_2": "dead", "msg_3": "pending", "msg_4": "dead"}
    few = alerts("alerts", "list", "--status", "dead", "--since", "1h")
    assert "msg_2" in few.stdout
    assert "msg_4" not in few.stdout
    assert "msg_1" in alerts("alerts", "list", "--csv").stdout
    assert alerts("alerts", "list", "--status", "lost").exit_code == 2


def test_one_alert_is_shown_with_its_attempts(alerts):
    """The beginning of the id is enough, as long as it names one."""
    shown = alerts("alerts", "show", "msg_2")
    assert shown.exit_code == 0
    assert all(word in shown.stdout for word in ("dead", "HTTP 500", '{"n":"ⓢ"}'))
    (told,) = json.loads(alerts("alerts", "show", "msg_2", "--json").stdout)
    assert (told["message_id"], told["deliveries"][0]["status_code"]) == ("msg_2", 500)
    assert alerts("alerts", "show", "msg_").exit_code == 1
    assert alerts("alerts", "show", "msg_9").exit_code == 1


def test_dead_alerts_are_counted(alerts):
    """What was given up is a bad answer."""
    told = alerts("alerts", "dead")
    assert told.exit_code == 1
    assert "HTTP 500" in told.stdout
    assert [one["dead"] for one in json.loads(alerts("alerts", "dead", "--json").stdout)] == [1, 1]


def test_alerts_are_replayed_by_id_and_by_time(alerts):
    """What is chosen is pending again; a dry run changes nothing; choosing nothing is refused."""
    assert alerts("alerts", "replay").exit_code == 2
    assert (
        "ops: 1 would be"
        in alerts("alerts", "replay", "--status", "dead", "--hook", "ops", "--dry-run").stdout
    )
    assert states(alerts)["msg_2"] == "dead"
    assert "ops: 2 to be sent again" in alerts("alerts", "replay", "--since", "1h").stdout
    assert states(alerts) == {"msg_1": "pending", "msg_2": "pending", "msg_3": "pending", "msg_4": "dead"}
    assert alerts("alerts", "replay", "msg_4").exit_code == 0
    assert alerts("alerts", "replay", "msg_4").exit_code == 1


def test_alerts_are_muted_for_a_while(alerts):
    """A mute is in force until it ends; it is listed; it can be ended early."""
    assert "muted until" in alerts("alerts", "mute", "2h", "--type", "order.*", "--reason", "noise").stdout
    (mute,) = json.loads(alerts("alerts", "mute", "--json").stdout)
    assert (mute["type"], mute["reason"], mute["hook"]) == ("order.*", "noise", None)
    assert alerts("alerts", "unmute", mute["mute_id"]).exit_code == 0
    assert alerts("alerts", "unmute").exit_code == 1
    assert alerts("alerts", "mute", "2").exit_code == 2


def test_a_disabled_hook_is_enabled(alerts):
    """A hook that answered 410 is named by `dead` and used again by `enable`."""
    engine = writer_engine(alerts.url)
    with engine.connect() as conn, conn.begin():
        outbox.disable(conn, "ops", "the receiver answered 410 Gone", NOW)
    engine.dispose()
    assert "ops is disabled" in alerts("alerts", "dead").output
    assert "enable ops" in alerts("alerts", "replay", "--since", "1h").output
    assert alerts("alerts", "enable", "ops").exit_code == 0
    assert alerts("alerts", "enable", "ops").exit_code == 1
    reader = reader_engine(alerts.url)
    with reading(reader) as conn:
        assert controls.disabled(conn) == {}
    reader.dispose()


def test_a_sample_is_sent_and_reported(alerts, monkeypatch, tmp_path):
    """A hook says whether it works, before something happens."""
    kept = tmp_path / "sample.json"
    told = {
        "ACCOUNTS__MAIN__VENUE": "binance-usdm", "ACCOUNTS__MAIN__API_KEY": "a-test-key",
        "ACCOUNTS__MAIN__API_SECRET": "dont-mask-words", "HOOKS__OPS__TYPE": "command",
        "HOOKS__OPS__COMMAND": f'["/bin/sh","-c","cat > {kept}"]', "HOOKS__BAD__TYPE": "command",
        "HOOKS__BAD__COMMAND": '["/bin/sh","-c","exit 3"]',
    }  # fmt: skip
    for name, value in told.items():
        monkeypatch.setenv(f"ACCOUNTD_{name}", value)
    good = alerts("alerts", "test", "OPS", "--type", "fill")
    assert good.exit_code == 0, good.output
    assert "ops: delivered msg_" in good.stdout
    assert json.loads(kept.read_text())["data"]["test"] is True
    bad = alerts("alerts", "test", "bad")
    assert (bad.exit_code, "exited with 3" in bad.output) == (1, True)
    assert alerts("alerts", "test", "none").exit_code == 2
    assert alerts("alerts", "test", "ops", "--type", "nothing").exit_code == 2
