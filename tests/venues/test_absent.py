"""What does not exist on a market is answered without a call."""

from datetime import UTC, datetime

import pytest

from accountd.core.told import ALGO_ORDERS
from accountd.venues import VENUES, open_venue
from accountd.venues.base import Swept

AT = datetime(2026, 11, 2, tzinfo=UTC)


def answered(flow):
    """Return what a flow returns that asks for nothing."""
    with pytest.raises(StopIteration) as stop:
        next(flow)
    return stop.value.value


@pytest.mark.parametrize("name", VENUES)
def test_a_market_without_conditional_orders_is_not_asked_for_them(name):
    """None was ever there, so the whole window is seen, and no single order is found."""
    without = [one for one in open_venue(name).sections if ALGO_ORDERS not in one.retention]
    assert without or name in ("binance-usdm", "binance-coinm")
    for section in without:
        assert answered(section.algo_orders("BTCUSDT", AT, AT)) == Swept()
        assert answered(section.algo_order("1")) is False


@pytest.mark.parametrize("name", ["binance-usdm", "binance-coinm", "binance-options", "binance-portfolio"])
def test_what_happened_to_an_order_is_asked_only_on_spot(name):
    """The other venues keep no such history."""
    for section in open_venue(name).sections:
        assert answered(section.explain("BTCUSDT", "1", "REPLACED")) is None
