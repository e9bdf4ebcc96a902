"""What a canary's snapshot says about the stream."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from accountd.core import journal
from accountd.core.beliefs import Beliefs
from accountd.core.drift import differs
from accountd.core.told import Balance, Position

AT = datetime(2026, 11, 1, tzinfo=UTC)


def balance(total, seconds):
    """Tell a balance as of some seconds after the start."""
    as_of = AT + timedelta(seconds=seconds)
    return Balance(market="usdm", asset="USDT", total=Decimal(total), as_of=as_of)


def position(quantity, seconds):
    """Tell a position as of some seconds after the start."""
    as_of = AT + timedelta(seconds=seconds)
    return Position(
        market="usdm", symbol="BTCUSDT", position_side="BOTH", quantity=Decimal(quantity), as_of=as_of
    )


@pytest.fixture
def beliefs():
    """Believe in 100 USDT and a long of 1."""
    held = Beliefs("main", 0, journal.GENESIS)
    held.balances[("usdm", "USDT")] = balance("100", 10)
    held.positions[("usdm", "BTCUSDT", "BOTH")] = position("1", 10)
    return held


@pytest.mark.parametrize(
    ("told", "drifted"),
    [
        (balance("100.0", 20), False),
        (balance("99", 20), True),
        (balance("99", 5), False),
        (position("1.000", 20), False),
        (position("0", 20), True),
        (position("0", 5), False),
    ],
)
def test_only_a_later_and_different_telling_is_drift(beliefs, told, drifted):
    """Equal amounts at another scale, and replicas that lag, are no drift."""
    assert differs(beliefs, [told]) is drifted


def test_something_never_told_is_drift():
    """A balance or a position that nobody told is one that the stream kept back; nothing at all is not."""
    held = Beliefs("main", 0, journal.GENESIS)
    assert differs(held, [balance("1", 0)])
    assert differs(held, [position("1", 0)])
    assert not differs(held, [balance("0", 0), position("0", 0)])
    assert not differs(None, [balance("1", 0)])
