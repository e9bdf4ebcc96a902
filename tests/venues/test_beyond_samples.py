"""What no official sample shows and the venue does: told in any order, it is one state without a loss."""

from decimal import Decimal as D

from accountd.venues import open_venue
from tests.venues.retelling import believed, one_state_in_any_order, streamed
from tests.venues.tape import load

USDM = open_venue("binance-usdm")
T = 1_758_266_168_000


def order(at, **changes):
    """Return a futures order update of a moment, changed."""
    event = load("event_ORDER_TRADE_UPDATE")
    limit = {"o": "LIMIT", "ot": "LIMIT", "sp": "0", "ps": "BOTH", "T": T + at}
    return event | {"E": T + at, "T": T + at, "o": event["o"] | limit | changes}


def test_an_order_that_gets_its_former_price_again():
    """Each change of an order stands in its history, also one back to a price that it had before."""
    prices = ("101", "102", "101", "102")
    tellings = streamed(
        USDM,
        order(0, x="NEW", p="100"),
        *(order(at, x="AMENDMENT", p=price) for at, price in enumerate(prices, 1)),
    )
    state = one_state_in_any_order(tellings)
    assert [row["price"] for row in state["orders"].values()] == [D("102")]
    _, changes = believed([*tellings, *tellings])
    assert [(row.execution_type, row.price) for row in changes.order_events] == [
        ("NEW", D("100")), *(("AMENDMENT", D(price)) for price in prices),
    ]  # fmt: skip
