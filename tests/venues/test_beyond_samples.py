"""What no official sample shows and the venue does: told in any order, it is one state without a loss."""

from decimal import Decimal as D

import pytest

from accountd.core.told import Notice
from accountd.errors import VenueUnavailable
from accountd.venues import VENUES, open_venue
from accountd.venues.base import from_ms
from tests.venues.retelling import believed, one_state_in_any_order, paged, streamed
from tests.venues.tape import AT, frame, load

USDM = open_venue("binance-usdm")
LISTEN_KEY = ("binance-usdm", "binance-coinm", "binance-portfolio", "binance-options")
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


def leverage(at, times):
    """Return the event that tells what a symbol's leverage is from a moment on."""
    return {"e": "ACCOUNT_CONFIG_UPDATE", "E": T + at, "T": T + at, "ac": {"s": "BTCUSDT", "l": times}}


def position(at, kind, reason="ORDER"):
    """Return the event that tells a position with its margin type."""
    row = {"s": "BTCUSDT", "pa": "1", "ep": "100", "bep": "100", "cr": "0", "up": "0", "mt": kind, "iw": "0",
           "ps": "BOTH"}  # fmt: skip
    return {"e": "ACCOUNT_UPDATE", "E": T + at, "T": T + at, "a": {"m": reason, "B": [], "P": [row]}}


def test_what_a_symbol_is_set_to_is_what_was_told_latest():
    """A setting that another connection tells late, or once more, does not come back."""
    tellings = streamed(
        USDM, position(0, "cross"), leverage(1, 10), leverage(2, 20),
        position(3, "isolated", "MARGIN_TYPE_CHANGE"),
    )  # fmt: skip
    state = one_state_in_any_order(tellings)
    (held,) = state["positions"].values()
    assert (held["leverage"], held["margin_type"]) == (D(20), "ISOLATED")
    again, _ = believed([*tellings, *streamed(USDM, leverage(1, 10))])
    assert again == state


def test_a_page_of_settings_is_as_old_as_it_is():
    """A page that was made before an event does not undo it; one that was made after it does."""
    rows = [{"symbol": "BTCUSDT", "marginType": "CROSSED", "leverage": 5}]
    (page,) = paged(USDM, symbol_config=rows)
    events = streamed(USDM, position(0, "isolated"), leverage(1, 20))
    for at, then in ((-1, (D(20), "ISOLATED")), (2, (D(5), "CROSS"))):
        for row in page.told:
            row.as_of = from_ms(T + at)
        state, _ = believed([*events, page])
        (held,) = state["positions"].values()
        assert (held["leverage"], held["margin_type"]) == then


def test_what_stream_and_rest_call_otherwise():
    """An order that stream and REST tell of one moment in different words is one, whoever tells it first."""
    row = load("GET_fapi_v1_forceOrders")[0]
    at = row["updateTime"] - T
    event = order(
        at, x="TRADE", X="FILLED", o="LIQUIDATION", ot="LIQUIDATION", f="IOC", c=row["clientOrderId"],
        i=row["orderId"], q=row["origQty"], z=row["executedQty"], l=row["executedQty"], p=row["price"],
        ap="10913.21", L="10913.21", t=7, n="0.0054", N="USDT", rp="-1",
    )  # fmt: skip
    state = one_state_in_any_order([*streamed(USDM, event), *paged(USDM, orders=[row])])
    assert [(one["type"], one["filled_quote"]) for one in state["orders"].values()] == [
        ("LIQUIDATION", D("10.91321"))
    ]


@pytest.mark.parametrize("venue", VENUES)
@pytest.mark.parametrize(("when", "at"), [
    (T, from_ms(T)), (str(T), from_ms(T)), (T * 1000, from_ms(T)), ("soon", None), (None, None), (-1, None),
    (10**30, None), ({}, None),
])  # fmt: skip
def test_an_event_of_tomorrow_is_unknown_whatever_it_holds(venue, when, at):
    """Fields named like those of an answer, and a time of another form, leave a new event its name."""
    event = {"e": "somethingNew", "E": when, "status": "ACTIVE", "msg": 5, "code": {}, "subscriptionId": "x",
             "expirationTime": "never"}  # fmt: skip
    forms = [event, {"stream": "x", "data": event}]
    if venue not in LISTEN_KEY:
        forms.append({"subscriptionId": 0, "event": event})
    for form in forms:
        decoded = open_venue(venue).decode(frame(form), AT)
        assert (decoded.kind, decoded.event_time) == ("unknown:somethingNew", at)
        assert decoded.told == [Notice(kind="unknown", detail={"event": "somethingNew"}, at=at or AT)]


@pytest.mark.parametrize(("venue", "kind", "sample", "product", "empty"), [
    ("binance-spot", "deposits", "sapi.capital.deposit.hisrec", "spot", {"txId": None}),
    ("binance-spot", "dividends", "sapi.asset.assetDividend", "spot", {"enInfo": None}),
    ("binance-spot", "open_orders", "rest.openOrders", "spot", {"stopPrice": "", "time": None}),
    ("binance-margin", "interest", "rest.margin.interestHistory", "margin", {"isolatedSymbol": None}),
    ("binance-margin", "capital_flow", "rest.margin.capital-flow", "margin", {"symbol": None}),
    ("binance-margin", "moves", "rest.margin.transfer.GET", "margin", {"fromSymbol": None, "toSymbol": None}),
    ("binance-usdm", "positions", "GET_fapi_v3_positionRisk", "um", {"breakEvenPrice": "", "adl": None}),
    ("binance-usdm", "algo_orders", "GET_fapi_v1_allAlgoOrders", "um", {"actualPrice": "", "price": ""}),
    ("binance-portfolio", "margin.loans", "GET_papi_v1_margin_marginLoan", "pm", {"status": None}),
    ("binance-options", "orders", "GET_eapi_v1_historyOrders", "options", {"avgPrice": "", "createTime": ""}),
])  # fmt: skip
def test_what_is_empty_is_as_if_left_out(venue, kind, sample, product, empty):
    """A row with null or "" in it is told as the same row without these, whole pages as whole."""
    page, reader = load(sample, product), open_venue(venue)
    rows = page if isinstance(page, list) else page["rows"]
    for row in rows:
        row.update(empty)
    told = reader.decode_page(kind, frame(page), AT)
    for row in rows:
        for name in empty:
            del row[name]
    assert told == reader.decode_page(kind, frame(page), AT)
    assert not any(isinstance(row, Notice) for row in told)


def test_what_is_empty_in_an_event_is_as_if_left_out():
    """The same of events; what an event cannot do without is missed as before."""
    event = position(0, "cross")
    sparse = event | {"a": event["a"] | {"P": [event["a"]["P"][0] | {"bep": "", "ep": None, "up": ""}]}}
    (held, _) = believed(streamed(USDM, sparse))
    (row,) = held["positions"].values()
    assert (row["quantity"], row["entry_price"], row["break_even_price"]) == (D(1), None, None)
    spot = open_venue("binance-spot")
    report = load("event.executionReport.NEW", "spot")["event"]
    whole = spot.decode(frame(report), AT).told[0]
    told = spot.decode(frame({"subscriptionId": 0, "event": report | {"g": None, "F": "", "t": None}}), AT)
    assert told.told[0] == whole
    for name in ("s", "i", "X", "T"):
        for nothing in ("", None):
            assert spot.decode(frame(report | {name: nothing}), AT).kind == "undecodable"


def test_prices_of_thirty_digits():
    """Prices as long as JSON can carry are compared like short ones: equal at the coarser scale is equal."""
    for prices, rows in (
        (("1234567890.12345678901234567890123", "1234567890.1234567890123456789012"), 1),
        (("1234567890.12345678901234567890123", "1234567890.1234567890123456789014"), 2),
        (("12345678901234567890123456789012.5", "12345678901234567890123456789012"), 1),
    ):
        events = [position(at, "cross") for at in range(2)]
        for event, price in zip(events, prices, strict=True):
            event["a"]["P"][0].update(ep=price, bep=price)
        _, changes = believed(streamed(USDM, *events))
        assert len(changes.position_history) == rows


def test_money_of_thirty_digits_keeps_them_all():
    """What went from the spot wallet has every digit that was told, and zero has no sign."""
    long = "1234567890123.123456789012345678901"
    spot = open_venue("binance-spot")
    gone = load("sapi.capital.withdraw.history", "spot")[0] | {"amount": long, "transactionFee": long}
    moved = load("sapi.asset.transfer.GET", "spot")["rows"][0] | {"amount": long, "type": "MAIN_MARGIN"}
    back = load("sapi.asset.assetDividend", "spot")["rows"][0] | {"amount": long, "direction": -1}
    for kind, page in (
        ("withdrawals", [gone]),
        ("moves", {"rows": [moved]}),
        ("dividends", {"rows": [back]}),
    ):
        for row in spot.decode_page(kind, frame(page), AT):
            assert str(row.amount) == f"-{long}"
    (row,) = spot.decode_page("moves", frame({"rows": [moved | {"amount": "0"}]}), AT)
    assert str(row.amount) == "0"


def test_what_the_funding_wallet_did_is_not_of_spot():
    """A deposit or withdrawal moves the balance of the wallet that its row names."""
    spot, us = open_venue("binance-spot"), open_venue("binance-us")
    for kind, sample in (
        ("deposits", "sapi.capital.deposit.hisrec"),
        ("withdrawals", "sapi.capital.withdraw.history"),
    ):
        for number, market in ((0, "spot"), (1, "funding"), (None, "spot")):
            rows = [row | {"walletType": number} for row in load(sample, "spot")]
            assert {one.market for one in spot.decode_page(kind, frame(rows), AT)} == {market}
        older = [{k: v for k, v in row.items() if k != "walletType"} for row in load(sample, "spot")]
        assert {one.market for one in us.decode_page(kind, frame(older), AT)} == {us.sections[0].market}


@pytest.mark.parametrize(("venue", "kind", "product"), [
    ("binance-portfolio", "margin__fills", "pm"), ("binance-margin", "fills", "margin"),
])  # fmt: skip
def test_a_margin_fill_is_worth_the_same_to_stream_and_rest(venue, kind, product):
    """The stream cuts the quote amount to eight places, and REST does not tell it: both tell one fill."""
    reader, report = open_venue(venue), load("event.executionReport.NEW", "spot")["event"]
    filled = {"x": "TRADE", "X": "FILLED", "q": "0.4", "z": "0.4", "l": "0.4", "L": "0.10264411",
              "Y": "0.04105764", "Z": "0.04105764", "n": "0.0004", "N": "ETH", "t": 5}  # fmt: skip
    (row,) = load({"pm": "GET_papi_v1_margin_myTrades", "margin": "rest.margin.myTrades"}[product], product)
    row |= {"symbol": report["s"], "id": 5, "orderId": report["i"], "price": "0.10264411", "qty": "0.4"}
    row |= {"isBuyer": True, "time": report["T"], "commission": "0.0004", "commissionAsset": "ETH"}
    state = one_state_in_any_order([*streamed(reader, report | filled), *paged(reader, **{kind: [row]})])
    assert [one["quote_quantity"] for one in state["fills"].values()] == [D("0.04105764")]


@pytest.mark.parametrize(("quantity", "done", "rung"), [
    ("0.01", "0.01", "order.filled"), ("0.01", "0.00000", "order.canceled"),
    ("0.01", "0.004", "order.canceled"), ("0", "0.5", "order.filled"), ("0", "0", "order.canceled"),
])  # fmt: skip
def test_a_conditional_order_that_finished_without_a_fill_is_not_filled(quantity, done, rung):
    """FINISHED says that the order which a trigger placed is over: filled, or cancelled."""
    event = load("event_ALGO_UPDATE")
    over = {"X": "FINISHED", "ai": "77", "q": quantity, "aq": done, "rm": ""}
    _, changes = believed(streamed(USDM, event | {"o": event["o"] | over}))
    assert [alert.type for alert in changes.alerts] == [rung]


def test_no_order_is_of_1970():
    """An order that tells no time of its own is not dated by one that nobody told."""
    portfolio, options = open_venue("binance-portfolio"), open_venue("binance-options")
    event = load("event_CONDITIONAL_ORDER_TRADE_UPDATE", "pm")
    (row,) = portfolio.decode(frame(event | {"so": event["so"] | {"T": 0}}), AT).told
    assert (row.created_at, row.updated_at) == (None, from_ms(event["so"]["ut"]))
    assert portfolio.decode(frame(event | {"so": event["so"] | {"T": 0, "ut": 0}}), AT).kind == "undecodable"
    for venue, kind, sample, product, times in (
        (
            portfolio,
            "cm.algo_orders",
            "GET_papi_v1_cm_conditional_allOrders",
            "pm",
            ("bookTime", "updateTime"),
        ),
        (options, "orders", "GET_eapi_v1_historyOrders", "options", ("createTime", "updateTime")),
    ):
        rows = [one | dict.fromkeys(times, 0) for one in load(sample, product)]
        assert {one.kind for one in venue.decode_page(kind, frame(rows), AT)} == {"undecodable"}


def test_a_trade_with_oneself_has_two_sides():
    """Both orders of a trade with oneself are told under one number: each keeps its own fill."""
    spot, report = open_venue("binance-spot"), load("event.executionReport.NEW", "spot")["event"]
    filled = report | {
        "x": "TRADE",
        "X": "FILLED",
        "l": "1",
        "z": "1",
        "L": "0.1",
        "Y": "0.1",
        "Z": "0.1",
        "t": 7,
    }
    bought = filled | {"S": "BUY", "i": 1, "n": "0.001", "N": "ETH", "m": False}
    sold = filled | {"S": "SELL", "i": 2, "n": "0.0001", "N": "BTC", "m": True}
    rest = load("rest.myTrades", "spot")[0] | {
        "symbol": report["s"], "id": 7, "price": "0.1", "qty": "1", "quoteQty": "0.1", "time": report["T"],
    }  # fmt: skip
    rows = [
        rest
        | {"orderId": 1, "isBuyer": True, "isMaker": False, "commission": "0.001", "commissionAsset": "ETH"},
        rest
        | {"orderId": 2, "isBuyer": False, "isMaker": True, "commission": "0.0001", "commissionAsset": "BTC"},
    ]
    tellings = [*streamed(spot, bought, sold), *paged(spot, fills=rows)]
    for told in (tellings, tellings[::-1], [*tellings[1:], *tellings]):
        state, changes = believed(told)
        assert not changes.findings
        assert sorted(
            (row["order_id"], row["side"], row["commission"], row["commission_asset"])
            for row in state["fills"].values()
        ) == [("1", "BUY", D("0.001"), "ETH"), ("2", "SELL", D("0.0001"), "BTC")]
        assert {name[2].partition("-")[0] for name in state["fills"]} == {"7"}


def test_a_margin_call_without_positions_still_calls():
    """The account is warned also where the event lists nothing."""
    event = load("event_MARGIN_CALL")
    for nothing in (None, [], ""):
        decoded = USDM.decode(frame(event | {"p": nothing}), AT)
        assert [(row.kind, row.detail["positions"]) for row in decoded.told] == [("margin.call", [])]
    portfolio = open_venue("binance-portfolio")
    event = load("event_openOrderLoss", "pm") | {"O": None}
    assert [row.kind for row in portfolio.decode(frame(event), AT).told] == ["leftover"]


@pytest.mark.parametrize("kind", ["margin.moves", "margin.loans", "margin.repayments", "margin.interest"])
def test_nothing_moved_needs_no_list(kind):
    """Of a history without rows the venue tells their number alone: that is no failure of the page."""
    portfolio = open_venue("binance-portfolio")
    for nothing in ({"total": 0}, {"total": "0"}, {"rows": [], "total": 0}, {"rows": None, "total": 0}):
        assert portfolio.decode_page(kind, frame(nothing), AT) == []
    with pytest.raises(VenueUnavailable):
        portfolio.decode_page(kind, b"{}", AT)
