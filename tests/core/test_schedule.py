"""When a failed attempt is made again."""

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from accountd.core.schedule import LONGEST_PAUSE, retry_at

NOW = datetime(2026, 11, 1, 12, tzinfo=UTC)
WAITS = (timedelta(seconds=5), timedelta(seconds=30), timedelta(hours=24))


def test_each_failure_waits_its_own_time():
    """Without luck either way, the nth failure waits the nth time."""
    assert [retry_at(n, WAITS, NOW, 0.5) for n in (1, 2, 3)] == [NOW + wait for wait in WAITS]


def test_after_the_last_wait_there_is_no_attempt():
    """The failure after the last wait ends it, and so does the first without any wait."""
    assert retry_at(4, WAITS, NOW, 0.5) is None
    assert retry_at(1, (), NOW, 0.5) is None


@given(st.floats(0, 1, exclude_max=True), st.integers(1, 3))
def test_jitter_stays_within_a_fifth(chance, failed):
    """Whatever the chance, a wait is spread by 20 % at most."""
    wait = retry_at(failed, WAITS, NOW, chance) - NOW
    assert WAITS[failed - 1] * 0.8 <= wait <= WAITS[failed - 1] * 1.2


@given(st.floats(0, 1, exclude_max=True), st.floats(0, 10**6))
def test_never_earlier_than_the_receiver_asked(chance, asked):
    """Retry-After is a floor, never a discount."""
    moment = retry_at(1, WAITS, NOW, chance, asked)
    assert moment >= NOW + timedelta(seconds=asked) - timedelta(microseconds=1)
    assert moment >= retry_at(1, WAITS, NOW, chance)


def test_an_absurd_pause_is_cut():
    """A receiver that asks for thirty years is asked again after thirty days."""
    assert retry_at(1, WAITS, NOW, 0.5, 10.0**9) == NOW + LONGEST_PAUSE
