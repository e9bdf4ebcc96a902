"""When the daemon is ready, and why not."""

from accountd.core.health import Health
from accountd.core.states import State


def test_nothing_started_is_not_ready():
    """A daemon without accounts is not ready."""
    assert Health().reasons() == ["no account has started"]


def test_every_account_must_be_live():
    """One account that is not LIVE keeps the daemon from being ready, and is named."""
    health = Health()
    health.account("a").state = State.LIVE
    health.account("b").detail = "the key was refused"
    assert health.reasons() == ["b: CONNECTING (the key was refused)"]
    health.account("b").state = State.LIVE
    assert health.ready


def test_writer_must_write():
    """A record that cannot be written is no ready daemon, however live its streams."""
    health = Health(writer_ok=False, writer_error="disk full")
    health.account("a").state = State.LIVE
    assert health.reasons() == ["writer: disk full"]
