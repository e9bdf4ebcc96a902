"""Official samples of spot and margin with a field gone, null, empty or of another type: quarantined or read.

Nothing raises, and nothing is made up: what is told of such a sample was told of the whole one too, but for
what the sample no longer says.
"""

import json

import msgspec
import pytest

from accountd.core.told import Balance, Fill, Notice, Order, Transfer
from accountd.errors import VenueUnavailable
from accountd.venues import open_venue
from tests.venues import tape
from tests.venues.tape import AT, GONE, bent, frame

EVENTS = [("binance-spot", name) for name in tape.names("spot", "*event.*")]
MARGIN_EVENTS = [("binance-margin", name) for name in tape.names("margin", "event.*")]
PAGES = {
    "rest.account": "account", "rest.allOrders": "orders", "rest.openOrders": "open_orders",
    "rest.myTrades": "fills", "rest.myAllocations": "allocations", "rest.allOrderList": "order_lists",
    "sapi.capital.deposit.hisrec": "deposits", "sapi.capital.withdraw.history": "withdrawals",
    "sapi.asset.transfer.GET": "moves", "sapi.asset.dribblet": "dust",
    "sapi.asset.assetDividend": "dividends", "rest.order.amendments": "amendments",
    "rest.myPreventedMatches": "prevented",
}  # fmt: skip
MARGIN_PAGES = {
    "rest.margin.account": "account", "rest.margin.allOrders": "orders", "rest.margin.myTrades": "fills",
    "rest.margin.interestHistory": "interest", "rest.margin.borrow-repay.GET": "loans",
    "rest.margin.capital-flow": "capital_flow", "rest.margin.transfer.GET": "moves",
}  # fmt: skip
# What may well say that there is nothing.
FREE = ("status", "type", "free", "locked", "rows", "direction", "userAssetDribbletDetails")
BENT = [GONE, None, "", "x", -1, 1.5, True, [], {}, "NaN", "1E+999", 10**30]
MONEY = ("price", "quantity", "quote_quantity", "commission", "amount", "total", "free", "locked")
TRADE = {
    "x": "TRADE", "X": "PARTIALLY_FILLED", "l": "0.30000000", "z": "0.30000000", "L": "0.10264410",
    "n": "0.00001", "N": "BNB", "t": 77, "Y": "0.03079323", "Z": "0.03079323",
}  # fmt: skip


def places(value, here=()):
    """Yield where every field of a sample stands."""
    if isinstance(value, dict | list):
        for key in list(value) if isinstance(value, dict) else range(len(value)):
            yield (*here, key)
            yield from places(value[key], (*here, key))


def variants(value):
    """Yield every sample that differs in one place."""
    for place in places(value):
        for thing in BENT:
            yield place, thing, bent(value, place, thing)


def amounts(told):
    """Return every amount that a telling says."""
    rows = [row for row in told if isinstance(row, Fill | Transfer | Balance)]
    return {value for row in rows for name in MONEY if (value := getattr(row, name, None)) is not None}


def judged(told, whole, thing):
    """Check that what is told is quarantined, or says no amount that the whole sample does not."""
    for row in told:
        if isinstance(row, Fill):
            assert row.symbol and row.trade_id and row.order_id and row.side
        elif isinstance(row, Order):
            assert row.symbol and row.order_id and row.status and row.updated_at.year > 1970
        elif isinstance(row, Transfer):
            assert row.transfer_id
    if thing in (GONE, None, ""):
        derived = {-one for one in whole} | whole
        assert amounts(told) <= derived, amounts(told) - derived
    return any(isinstance(row, Notice) and row.kind == "undecodable" for row in told)


@pytest.mark.parametrize(("venue", "name"), EVENTS + MARGIN_EVENTS)
def test_events(venue, name):
    """No event raises; what cannot be read is told as undecodable, or as unknown."""
    spot = open_venue(venue)
    sample = tape.load(name, venue.removeprefix("binance-"))
    event = sample.get("event", sample)
    sent = [event, event | TRADE] if event.get("e") == "executionReport" else [event]
    for whole in sent:
        amounts_of_it = amounts(spot.decode(frame(whole), AT).told)
        for _, thing, one in variants(whole):
            for shape in (one, {"subscriptionId": 0, "event": one}):
                decoded = spot.decode(frame(shape), AT, {0: ""})
                assert decoded.kind
                judged(decoded.told, amounts_of_it, thing)


def test_a_trade_is_never_lost_in_silence():
    """Whatever becomes of the fields of a trade: its fill is told as it was, or a notice is."""
    spot = open_venue("binance-spot")
    whole = tape.load("event.executionReport.NEW", "spot")["event"] | TRADE
    (fill,) = [row for row in spot.decode(frame(whole), AT).told if isinstance(row, Fill)]
    for place, thing, one in variants(whole):
        if place[0] in ("x", "l", "e"):  # what says that it is a trade
            continue
        told = spot.decode(frame(one), AT).told
        fills = [row for row in told if isinstance(row, Fill)]
        assert fills or judged(told, set(), GONE), (place, thing)
        for row in fills:
            assert (row.price, row.quantity) == (fill.price, fill.quantity) or place[0] == "L"
    for gone in ("l", "t"):
        (notice,) = spot.decode(frame({k: v for k, v in whole.items() if k != gone}), AT).told
        assert notice.kind == "undecodable"


CASES = [("binance-spot", *one) for one in PAGES.items()]
CASES += [("binance-margin", *one) for one in MARGIN_PAGES.items()]


@pytest.mark.parametrize(("venue", "name", "kind"), CASES)
def test_pages(venue, name, kind):
    """A page tells of each row what it says, or that it makes no sense: a row is never dropped in silence."""
    spot, body = open_venue(venue), tape.load(name, venue.removeprefix("binance-"))
    told = spot.decode_page(kind, frame(body), AT)
    whole, count = amounts(told), sum(not isinstance(row, Notice) for row in told)
    for place, thing, one in variants(body):
        try:
            found = spot.decode_page(kind, json.dumps(one).encode(), AT)
        except VenueUnavailable:
            continue
        unreadable = judged(found, whole, thing)
        structural = place[-1] in FREE or isinstance(place[-1], int)
        fewer = sum(not isinstance(row, Notice) for row in found) < count
        assert unreadable or not fewer or structural or len(place) == 1, (place, thing)


def test_a_deposit_without_a_number_is_named_by_its_transaction():
    """Older venues number no deposits; one that has neither number nor transaction is quarantined."""
    spot, (row, *_) = open_venue("binance-us"), tape.load("sapi.capital.deposit.hisrec", "spot")
    row = {name: value for name, value in row.items() if name != "id"} | {"status": 1, "txId": "0xabc"}
    (told,) = spot.decode_page("deposits", frame([row]), AT)
    assert told.transfer_id == "0xabc"
    (notice,) = spot.decode_page("deposits", frame([row | {"txId": ""}]), AT)
    assert notice.kind == "undecodable"


def test_only_binance_com_is_asked_to_leave_zeros_out():
    """Other venues of the kind know no such parameter and may refuse it."""
    for name, wanted in (("binance-spot", (("omitZeroBalances", "true"),)), ("binance-us", ())):
        call = next(open_venue(name).canary(AT - AT))
        assert msgspec.structs.asdict(call)["params"] == wanted
