"""What a stream leaves out shows in what it tells: amounts that do not add up, halves of executions."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from accountd.core.told import Balance, Fill, Order, Position
from accountd.runtime.omissions import WAIT, Omissions

AT = datetime(2026, 1, 1, tzinfo=UTC)
ONE = Decimal(1)
HERE = ("usdm", "S")


def order(filled, last=0, number="1", execution="TRADE"):
    """Return an order event."""
    return Order(
        market="usdm", symbol="S", kind="order", order_id=number, status="NEW", updated_at=AT,
        filled_quantity=Decimal(filled), last_quantity=Decimal(last), execution_type=execution,
    )  # fmt: skip


def fill(n, symbol="S"):
    """Return the n-th execution as the order's frame tells it."""
    return Fill(
        market="usdm", symbol=symbol, trade_id=str(n), order_id="1", side="BUY", price=ONE, quantity=ONE,
        quote_quantity=ONE, traded_at=AT + timedelta(seconds=n),
    )  # fmt: skip


def position(n, reason="ORDER", symbol="S"):
    """Return the n-th execution as the account's frame tells it."""
    return Position(
        market="usdm", symbol=symbol, position_side="BOTH", as_of=AT + timedelta(seconds=n), quantity=ONE,
        reason=reason,
    )  # fmt: skip


def heard(*told, at=0.0):
    """Return what was made of tellings."""
    omissions = Omissions()
    for one in told:
        omissions.hear(one, at)
    return omissions


@pytest.mark.parametrize(
    ("told", "short"),
    [
        ([order(0, 0, execution="NEW"), order(1, 1), order(3, 2)], set()),
        ([order(0, 0, execution="NEW"), order(3, 2)], {HERE}),
        ([order(1, 1), order(3, 1)], {HERE}),
        ([order(1, 1), order(2, 0, execution="CANCELED")], {HERE}),
        ([order(3, 1)], set()),  # what was before is the sweeps'
        ([order(3, 1), order(2, 1)], set()),  # told late
        ([order(1, 1), order(1, 1)], set()),  # told twice
        ([order(1, 1), order(9, 1, number="2")], set()),
    ],
)
def test_an_order_that_filled_more_than_was_told(told, short):
    """An order's filled quantity that jumps over an execution names the symbol to be swept, once."""
    omissions = heard(*told)
    assert omissions.due(0.0) == (short, False)
    assert omissions.due(0.0) == (set(), False)


@pytest.mark.parametrize(
    ("lone", "due"),
    [
        (fill(9), (set(), True)),
        (position(9), ({HERE}, False)),
        (position(9, "FUNDING_FEE"), (set(), False)),
    ],
)
def test_one_half_without_the_other(lone, due):
    """A position without its fill wants the symbol swept, a fill without its position a look at balances."""
    pairs = [one for n in range(4) for one in (fill(n), position(n))]
    omissions = heard(*pairs, *pairs, lone)
    assert omissions.due(WAIT) == (set(), False)
    assert omissions.due(WAIT + 0.1) == due
    assert omissions.due(2 * WAIT + 1) == (set(), False)


def test_either_half_may_come_first():
    """The two frames have no order between them."""
    omissions = heard(position(1), fill(1), fill(2), position(2))
    assert (omissions.matched, omissions.due(WAIT + 1)) == (2, (set(), False))


def test_a_venue_that_dates_the_halves_differently_is_left_alone():
    """Where nothing matches, nothing is hinted at: a hint costs weight."""
    omissions = heard(*(fill(n) for n in range(10)), *(position(n) for n in range(20, 30)))
    assert omissions.due(WAIT + 1) == (set(), False)


def balance(total, ms=0):
    """Return a balance as of some milliseconds after the start."""
    at = AT + timedelta(milliseconds=ms)
    return Balance(market="spot", asset="A", total=Decimal(total), as_of=at, seen_at=at)


@pytest.mark.parametrize(
    ("told", "due"),
    [
        ([balance(5), balance(4), balance(5)], True),  # it came back, or the first was told twice
        ([balance(5), balance(5), balance(4), balance(4)], False),
        ([balance(5), balance(4), balance(3)], False),
        ([balance(5), balance(4), balance(5), balance(4, 1)], False),  # a later instant says which it is
        ([balance(4, 1), balance(5), balance(4), balance(5), balance(4, 1)], False),  # of an earlier instant
        ([balance(5, 1), balance(4, 1), balance(3), balance(5, 1)], True),
    ],
)
def test_an_amount_that_comes_back_within_its_instant(told, due):
    """Nothing in the stream says whether the last of them is a duplicate: a look over REST does, once."""
    omissions = heard(*told)
    assert omissions.due(WAIT) == (set(), False)
    assert omissions.due(WAIT + 0.1) == (set(), due)
    assert omissions.due(WAIT + 0.1) == (set(), False)
