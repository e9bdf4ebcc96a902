"""What the metrics say."""

from datetime import UTC, datetime

from prometheus_client import generate_latest

from accountd.core.health import AccountHealth, Health
from accountd.core.states import State
from accountd.runtime.metrics import Metrics


def test_health_becomes_gauges():
    """Everything that health knows is on the page, and exactly one state is 1."""
    metrics = Metrics()
    live = AccountHealth(
        state=State.LIVE, last_event_at=datetime(2026, 1, 1, tzinfo=UTC), blind_seconds=3, key_age=60
    )
    health = Health(accounts={"main": live}, ring_depth=4, gaps_open=2, outbox_pending=5, outbox_dead=1)
    metrics.observe(health)
    text = generate_latest(metrics.registry).decode()
    assert 'accountd_session_state{account="main",state="LIVE"} 1.0' in text
    assert 'accountd_session_state{account="main",state="CLOSED"} 0.0' in text
    assert 'accountd_blind_seconds_total{account="main"} 3.0' in text
    assert 'accountd_listen_key_age_seconds{account="main"} 60.0' in text
    assert "accountd_ring_depth 4.0" in text
    assert "accountd_gaps_open 2.0" in text
    assert "accountd_outbox_dead 1.0" in text
    assert "accountd_writer_healthy 1.0" in text
    assert "_created" not in text


def test_two_daemons_do_not_share_metrics():
    """Each instance has a registry of its own."""
    one, other = Metrics(), Metrics()
    one.fills.labels("main", "stream").inc()
    assert b'accountd_fills_total{account="main"' not in generate_latest(other.registry)
