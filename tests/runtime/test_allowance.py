"""The time of the event loop that one connection may take."""

import pytest

from accountd.runtime.allowance import BURST, Allowance


class Ticking:
    """A clock that goes when told."""

    def __init__(self):
        self.now = 100.0

    def __call__(self):
        return self.now


def test_a_share_of_one_never_waits():
    """Whoever is alone takes what there is."""
    alone = Allowance(1.0, Ticking())
    alone.spend(1000.0)
    assert alone.wait() == 0.0


def test_what_is_spent_beyond_a_burst_is_waited_for():
    """A burst is free; what was spent ahead is earned back at the share."""
    clock = Ticking()
    half = Allowance(0.5, clock)
    half.spend(BURST)
    assert half.wait() == 0.0
    half.spend(0.01)
    assert half.wait() == pytest.approx(0.02)
    clock.now += 0.0201
    assert half.wait() == 0.0
    clock.now += 1000.0
    half.wait()
    half.spend(BURST + 0.01)
    assert half.wait() == pytest.approx(0.02)  # nothing is saved up beyond a burst
