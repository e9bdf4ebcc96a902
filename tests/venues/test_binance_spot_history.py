"""Binance spot over REST: official pages without loss, histories read whole, symbols by what is held."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal as D
from itertools import pairwise

import pytest

from accountd.core.told import Balance, Fill, Notice, Order, Transfer
from accountd.errors import BadRequest, KeyRefused, RateLimited, VenueUnavailable
from accountd.venues import open_venue
from accountd.venues.base import SymbolInfo, to_ms
from tests.venues.retelling import believed, drive, paged
from tests.venues.tape import AT, frame, load, raw

VENUE = open_venue("binance-spot")


def none(call):
    """Answer with an empty page."""
    return []


PAGES = {
    "account": ("rest.account", Balance, 2), "open_orders": ("rest.openOrders", Order, 1),
    "orders": ("rest.allOrders", Order, 1), "order": ("rest.order", Order, 1),
    "fills": ("rest.myTrades", Fill, 1), "allocations": ("rest.myAllocations", Fill, 1),
    "order_lists": ("rest.allOrderList", Notice, 2), "deposits": ("sapi.capital.deposit.hisrec", Transfer, 2),
    "withdrawals": ("sapi.capital.withdraw.history", Transfer, 4),
    "moves": ("sapi.asset.transfer.GET", Transfer, 2), "dust": ("sapi.asset.dribblet", Transfer, 6),
    "dividends": ("sapi.asset.assetDividend", Transfer, 2),
}  # fmt: skip


def test_what_happened_to_single_orders():
    """Each amendment is told with what was left, and of a prevented match only the order that lost some."""
    amended = VENUE.decode_page("amendments", raw("rest.order.amendments", "spot"), AT)
    assert [(row.order_id, row.execution_type, row.quantity, to_ms(row.at)) for row in amended] == [
        ("9", "REPLACED", D("4"), 1741669661670), ("9", "REPLACED", D("3"), 1741672924895)
    ]  # fmt: skip
    sample = raw("rest.myPreventedMatches", "spot")
    (lost,) = VENUE.decode_page("prevented", sample, AT)
    assert (lost.symbol, lost.order_id, lost.execution_type) == ("BTCUSDT", "3", "TRADE_PREVENTION")
    assert (to_ms(lost.at), lost.quantity) == (1669101687094, None)
    both = load("rest.myPreventedMatches", "spot")[0] | {"takerPreventedQuantity": "1.3"}
    assert [row.order_id for row in VENUE.decode_page("prevented", frame([both]), AT)] == ["5", "3"]


@pytest.mark.parametrize("told", ["", "None", "NaN", "x", None])
def test_no_prevented_quantity_is_no_error(told):
    """What an order says of prevention is a hint: a word where there is none costs no row."""
    row = load("rest.allOrders", "spot")[0] | {"preventedQuantity": told}
    (order,) = VENUE.decode_page("orders", frame([row]), AT)
    assert order.prevented is None


@pytest.mark.parametrize("kind", PAGES)
def test_every_official_page_is_read(kind):
    """Every published page tells what it lists."""
    name, shape, count = PAGES[kind]
    rows = VENUE.decode_page(kind, raw(name, "spot"), AT)
    assert [type(row) for row in rows if not hasattr(row, "keys")] == [shape] * count


def test_money_that_came_and_went():
    """Amounts are signed as the wallet sees them; times written in words are UTC; fees stand apart."""
    rows = VENUE.decode_page("withdrawals", raw("sapi.capital.withdraw.history", "spot"), AT)
    gone, fee = rows[:2]
    assert (gone.kind, gone.amount, gone.asset) == ("withdrawal", D("-8.91000000"), "USDT")
    assert (fee.kind, fee.amount, fee.transfer_id) == ("withdrawal_fee", D("-0.004"), gone.transfer_id)
    assert gone.occurred_at == datetime(2019, 10, 12, 11, 12, 2, tzinfo=UTC)
    (moved, _) = VENUE.decode_page("moves", raw("sapi.asset.transfer.GET", "spot"), AT)
    assert (moved.kind, moved.amount, moved.info) == ("transfer", D("-1"), "MAIN_UMFUTURE")
    dust = VENUE.decode_page("dust", raw("sapi.asset.dribblet", "spot"), AT)[:3]
    assert {row.asset: row.amount for row in dust} == {
        "USDT": D("-0.0009"), "ETH": D("-0.0009"), "BNB": D("0.00132256"),
    }  # fmt: skip
    pending = [load("sapi.capital.deposit.hisrec", "spot")[0] | {"status": 0}]
    assert VENUE.decode_page("deposits", frame(pending), AT) == []


def test_a_snapshot_leaves_nothing_over():
    """A balance that the account page does not list any more is zero."""
    old = frame(
        {
            "balances": [
                {"asset": "BTC", "free": "1", "locked": "0"},
                {"asset": "X", "free": "2", "locked": "1"},
            ]
        }
    )
    new = frame(
        {
            "balances": [
                {"asset": "BTC", "free": "1", "locked": "0"},
                {"asset": "X", "free": "0", "locked": "0"},
            ]
        }
    )
    first, second = paged(VENUE, account=old), paged(VENUE, account=new)
    for row in second[0].told:
        row.as_of = AT + timedelta(seconds=1)
    state, _ = believed([*first, *second, *second])
    assert {asset: row["total"] for (_, asset), row in state["balances"].items()} == {"BTC": D(1), "X": D(0)}


def test_history_is_asked_in_windows_of_a_day():
    """No window is wider than a day; a short history is read in one call whatever the stretch."""
    calls = drive(VENUE.section.orders("BTCUSDT", AT - timedelta(hours=30), AT), none)[1]
    spans = [dict(call.params) for call in calls]
    widths = [int(one["endTime"]) - int(one["startTime"]) for one in spans]
    assert max(widths) < 86_400_000
    assert all(int(b["startTime"]) <= int(a["endTime"]) + 1 for a, b in pairwise(spans))
    calls = drive(VENUE.section.orders("BTCUSDT", AT - timedelta(days=900), AT), none)[1]
    assert [dict(call.params).get("orderId") for call in calls] == ["0"]

    def many(call):
        params = dict(call.params)
        row = load("rest.myTrades", "spot")[0]
        start = to_ms(AT - timedelta(days=4))
        if "fromId" in params:
            return [row | {"id": number, "time": start + number} for number in range(1000)]
        return []

    swept, calls, _ = drive(VENUE.section.fills("BNBBTC", AT - timedelta(days=900), AT), many)
    assert not swept.unproven
    assert len(calls) == 6


def test_symbols_by_what_is_held():
    """Likely symbols sell what is held for what is usual; the rest is explored in order."""

    def rank(base, quote, *assets):
        return VENUE.section.rank(
            SymbolInfo(symbol="", status="", base_asset=base, quote_asset=quote), assets
        )

    assert rank("SOL", "USDT", "SOL") == rank("SOL", "TRY", "SOL", "TRY") == 0
    assert rank("SOL", "USDT", "USDT") == rank("SOL", "TRY", "SOL") == 1
    assert rank("SOL", "USDT") == 2
    assert rank("SOL", "TRY") == 3


def test_what_waits_for_weight_is_postponed():
    """Without weight for withdrawals nothing is asked and nothing is proven; the rest is read."""
    venue = open_venue("binance-spot")

    def answer(call):
        if call.now:
            return RateLimited("waits for weight")
        return [] if "capital" in call.path else {"total": 0, "userAssetDribblets": []}

    swept, calls, _ = drive(venue.section.transfers(AT - timedelta(hours=1), AT), answer)
    assert swept.postponed
    assert not swept.unproven
    assert [call.kind for call in calls if call.now] == ["withdrawals"]


def test_absent_histories_are_said_and_refused_ones_are_holes():
    """What an environment lacks is named and not asked again; what a key may not read stays open."""
    venue, start = open_venue("binance-spot"), AT - timedelta(hours=1)

    def answer(call):
        if "dribblet" in call.path:
            return BadRequest("404", status=404)
        if "withdraw" in call.path:
            return KeyRefused("no", status=401, code=-2015)
        if "deposit" in call.path:
            return VenueUnavailable("502", status=502)
        return {"total": 0}

    swept, calls, _ = drive(venue.section.transfers(start, AT), answer)
    assert swept.absent == ["dust"]
    assert {hole.reason for hole in swept.unproven} == {
        "the venue refuses withdrawals",
        "no answer about deposits",
    }
    again, more, _ = drive(venue.section.transfers(start, AT), answer)
    assert again.absent == ["dust"]
    assert len(more) == len(calls) - 1
