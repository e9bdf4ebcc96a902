"""Binance USDⓈ-M beyond its samples: hostile frames, keys, addresses, and the flows."""

import json
import timeit
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from accountd.core.told import ALGO_ORDERS, FILLS, ORDERS, Fill, Notice, Order, Snapshot
from accountd.errors import BadRequest, KeyRefused, VenueUnavailable
from accountd.venues import open_venue
from accountd.venues.base import Ack, Call, Rights, from_ms, to_ms, urls_of
from accountd.venues.doors import StreamOptions
from tests.venues.retelling import drive
from tests.venues.tape import AT, frame, load, raw

VENUE = open_venue("binance-usdm")
KEY = load("POST_fapi_v1_listenKey")["listenKey"]
LIVE = urls_of(VENUE.hosts, "live")
(MARKET,) = VENUE.sections
(DOOR,) = VENUE.doors(LIVE, StreamOptions())


@pytest.mark.parametrize(
    "torn",
    [
        b"",
        b"{",
        b"null",
        b"[]",
        b'"x"',
        b"\xff\xfe",
        b'{"e":"ORDER_TRADE_UPDATE","E":1}',
        b'{"e":"ORDER_TRADE_UPDATE","E":1,"o":{"s":5}}',
        b'{"e":5}',
        b'{"e":"ACCOUNT_UPDATE","E":1e30,"a":{}}',
        b'{"stream":"x","data":{"e":"ORDER_TRADE_UPDATE"}}',
        b'{"stream":"x","data":[1]}',
        b"[" * 100_000,
        b'{"e":"ACCOUNT_UPDATE","E":99999999999999999,"a":{}}',
    ],
)
def test_what_makes_no_sense_is_told_as_such(torn):
    """Torn JSON, bad UTF-8, wrong types and impossible dates never raise."""
    decoded = VENUE.decode(torn, AT)
    assert decoded.kind == "undecodable"
    assert decoded.told[0].detail["reason"]
    assert decoded.told[0].at == AT


@given(st.binary(max_size=200))
def test_no_bytes_ever_raise(noise):
    """Whatever arrives, decoding returns."""
    assert VENUE.decode(noise, AT).kind


@given(st.data())
def test_no_torn_or_bent_event_ever_raises(data):
    """An official event cut anywhere, or with one byte changed, decodes to something."""
    sample = frame(load("event_ORDER_TRADE_UPDATE"))
    at = data.draw(st.integers(0, len(sample) - 1))
    assert VENUE.decode(sample[:at], AT).kind == "undecodable"
    bent = sample[:at] + bytes([data.draw(st.integers(0, 255))]) + sample[at + 1 :]
    assert VENUE.decode(bent, AT).kind


@pytest.mark.parametrize("amount", ["NaN", "Infinity", "-Infinity", "sNaN", "1E+999999", "x", ""])
def test_no_amount_is_nonsense(amount):
    """What JSON can carry and no money can be makes the frame undecodable, and the row of a page a notice."""
    event = load("event_ACCOUNT_UPDATE")
    event["a"]["B"][0]["wb"] = amount
    assert VENUE.decode(frame(event), AT).kind == "undecodable"
    rows = load("GET_fapi_v1_userTrades")
    told = VENUE.decode_page("fills", frame([rows[0], rows[0] | {"price": amount}]), AT)
    assert [type(row) for row in told] == [Fill, Notice]


def test_unknown_events_are_named():
    """An event that the venue adds tomorrow is unknown, dated and named, wrapped or not."""
    for sent in ({"e": "NEW_THING", "E": 5}, {"stream": "s", "data": {"e": "NEW_THING", "E": "5"}}):
        decoded = VENUE.decode(frame(sent), AT)
        assert (decoded.kind, decoded.event_time) == ("unknown:NEW_THING", from_ms(5))
        assert decoded.told == [Notice(kind="unknown", detail={"event": "NEW_THING"}, at=from_ms(5))]
    assert VENUE.decode(b'{"hello":1}', AT).kind == "unknown:"


def test_answers_to_control_frames():
    """An ack, a list and both forms of refusal are controls that tell nothing."""
    sent = {"result": [f"{KEY}@ACCOUNT_UPDATE"], "id": 3}
    listed = VENUE.decode(frame(sent), AT)
    assert (listed.control, listed.told, listed.ack.id, listed.ack.error) == ("ack", [], 3, None)
    assert DOOR.lists_key(listed.ack, KEY)
    assert KEY not in repr(listed)
    assert not DOOR.lists_key(Ack(id=3, result=[KEY + "x"]), KEY)
    assert DOOR.lists_key(Ack(id=3, result=[KEY]), KEY)
    assert VENUE.decode(b'{"result":null,"id":1}', AT).ack == Ack(id=1)
    refused = VENUE.decode(b'{"code":2,"msg":"Invalid request"}', AT)
    assert (refused.control, refused.ack.error) == ("ack", "Invalid request")
    assert VENUE.decode(b'{"error":{"code":2,"msg":"no"},"id":4}', AT).ack.error == '{"code":2,"msg":"no"}'
    assert json.loads(DOOR.probe(3)) == load("ws_LIST_SUBSCRIPTIONS.request")


def test_no_listen_key_survives_redaction():
    """Known keys go everywhere; unknown ones where a key stands: the expiry, stream names, subscriptions."""
    other = KEY[::-1]
    frames = [
        frame({"stream": f"{other}@ORDER_TRADE_UPDATE", "data": {}}),
        frame({"stream": other, "data": {}}),
        frame({"result": [other, f"{other}@X"], "id": 1}),
        frame({"e": "listenKeyExpired", "E": 1, "listenKey": other}),
        frame({"stream": "s", "data": {"e": "listenKeyExpired", "E": 1, "listenKey": "short"}}),
        frame({"id": 1, "error": {"code": -1022}, "signature": "short"}),
        b'{"note":"' + KEY.encode() + b'"}',
    ]
    for sent in frames:
        clean = VENUE.redact(sent, [KEY])
        assert b"<listenKey>" in clean
        assert not any(word in clean for word in (other.encode(), KEY.encode(), b"short"))
        json.loads(clean)
    event = raw("event_ORDER_TRADE_UPDATE")
    assert VENUE.redact(event, [KEY]) == event


def test_addresses():
    """The private stream's three forms, and hosts that settings replace."""
    base = "wss://fstream.binance.com/private"
    for options, address in (
        (StreamOptions(), "/ws?listenKey=K"),
        (StreamOptions(events=("A", "B")), "/ws?listenKey=K&events=A/B"),
        (StreamOptions(form="path", events=("A",)), "/ws/K"),
        (StreamOptions(form="combined"), "/stream?listenKey=K"),
    ):
        (door,) = VENUE.doors(LIVE, options)
        assert door.url("K") == base + address
    own = urls_of(VENUE.hosts, "live", "http://127.0.0.1:1", "ws://127.0.0.1:2")
    assert (own.rest, own.sapi, own.stream) == (
        "http://127.0.0.1:1",
        "http://127.0.0.1:1",
        "ws://127.0.0.1:2",
    )


def test_snapshot_tells_balances_positions_and_configuration():
    """A snapshot is four calls of 20 weight together; what is flat is told by absence."""
    bodies = {
        "/fapi/v1/accountConfig": raw("GET_fapi_v1_accountConfig"),
        "/fapi/v3/account": raw("GET_fapi_v3_account"),
        "/fapi/v3/positionRisk": raw("GET_fapi_v3_positionRisk"),
        "/fapi/v1/symbolConfig": raw("GET_fapi_v1_symbolConfig"),
    }
    state, calls, pages = drive(VENUE.snapshot(timedelta(0)), lambda call: bodies[call.path])
    assert (state.multi_assets, state.hedge_mode, state.can_trade) == (False, True, True)
    assert sum(call.weight for call in calls) == 20
    assert [page.kind for page in pages] == ["account", "positions", "symbol_config"]


def test_open_orders_tell_both_kinds():
    """Plain and conditional orders are asked for; their symbols are discovered."""
    bodies = {
        "/fapi/v1/openOrders": "GET_fapi_v1_openOrders",
        "/fapi/v1/openAlgoOrders": "GET_fapi_v1_openAlgoOrders",
    }
    swept, _, pages = drive(MARKET.open_orders(timedelta(0)), lambda call: raw(bodies[call.path]))
    assert (swept.rows, swept.symbols) == (2, {"BTCUSDT", "BNBUSDT"})
    assert [type(row) for page in pages for row in page.told] == [Order, Snapshot, Order, Snapshot]


def test_few_symbols_are_asked_for_one_by_one():
    """A question about one symbol weighs 1, about all 40."""
    both = {"ETHUSDT", "BTCUSDT"}
    flow = MARKET.open_orders(timedelta(0), {ORDERS: both, ALGO_ORDERS: both})
    _, calls, _ = drive(flow, lambda _: [])
    assert [(call.path.rpartition("/")[2], dict(call.params)["symbol"], call.weight) for call in calls] == [
        ("openOrders", "BTCUSDT", 1), ("openOrders", "ETHUSDT", 1),
        ("openAlgoOrders", "BTCUSDT", 1), ("openAlgoOrders", "ETHUSDT", 1),
    ]  # fmt: skip


def test_without_the_algo_service_or_the_income_the_rest_goes_on():
    """What answers 404 is said to be absent; an income history that is not there proves nothing."""

    def missing(call):
        there = call.path == "/fapi/v1/openOrders"
        return raw("GET_fapi_v1_openOrders") if there else BadRequest(status=404, code=-5000)

    swept, _, _ = drive(MARKET.open_orders(timedelta(0)), missing)
    assert (swept.symbols, swept.absent) == ({"BTCUSDT"}, ["usdm conditional orders"])
    swept, _, _ = drive(MARKET.algo_orders("BTCUSDT", AT, AT), missing)
    assert (swept.unproven, swept.absent) == ([], ["usdm conditional orders"])
    swept, _, _ = drive(MARKET.transfers(AT, AT), missing)
    assert [(hole.start, hole.end) for hole in swept.unproven] == [(AT, AT)]
    assert swept.absent == ["usdm income"]
    for flow in (MARKET.algo_orders("S", AT, AT), MARKET.transfers(AT, AT)):
        with pytest.raises(BadRequest):
            drive(flow, lambda _: BadRequest(status=400, code=-1121))


def test_orders_without_a_symbol_are_feature_detected():
    """-1102 without a symbol means that the venue does not take the question; any other refusal is raised."""
    swept, _, _ = drive(MARKET.orders(None, AT, AT), lambda _: BadRequest(code=-1102))
    assert not swept.supported
    assert swept.unproven
    for symbol, code in ((None, -1127), ("BTCUSDT", -1102)):
        with pytest.raises(BadRequest):
            drive(MARKET.orders(symbol, AT, AT), lambda _, code=code: BadRequest(code=code))


@pytest.mark.parametrize(("code", "raises"), [(-2013, False), (-1102, True)])
def test_an_order_that_vanished_is_missing(code, raises):
    """-2013 says that the order is not there any more; nothing is told about it."""
    for flow in (MARKET.order("BTCUSDT", "1"), MARKET.algo_order("1")):
        if raises:
            with pytest.raises(BadRequest):
                drive(flow, lambda _: BadRequest(code=code))
        else:
            found, _, pages = drive(flow, lambda _: BadRequest(code=code))
            assert (found, pages) == (False, [])
    found, calls, pages = drive(MARKET.order("BTCUSDT", "1573346959"), lambda _: raw("GET_fapi_v1_order"))
    assert found
    assert calls[0].params == (("symbol", "BTCUSDT"), ("orderId", "1573346959"))
    assert pages[0].told[0].order_id == "1573346959"


def test_history_never_asks_for_seven_days():
    """Thirty days of fills are asked in windows below seven days, with the page limit."""
    swept, calls, _ = drive(MARKET.fills("BTCUSDT", AT - timedelta(days=30), AT), lambda _: [])
    assert len(calls) == 5
    assert swept.calls == 5
    for call in calls:
        asked = dict(call.params)
        assert int(asked["endTime"]) - int(asked["startTime"]) < timedelta(days=7) / timedelta(milliseconds=1)
        assert asked["limit"] == "1000"
    assert dict(calls[-1].params)["endTime"] == str(to_ms(AT))
    assert MARKET.retention[FILLS].window < timedelta(days=7)


def test_a_row_that_makes_no_sense_leaves_its_window_unproven():
    """The good rows of a page are told, the window is not claimed complete."""
    rows = [*load("GET_fapi_v1_userTrades"), {"symbol": "BTCUSDT"}]
    swept, _, pages = drive(MARKET.fills("BTCUSDT", AT, AT), lambda _: rows)
    assert [type(row) for row in pages[0].told] == [Fill, Notice]
    assert [(hole.start, hole.end, hole.symbol) for hole in swept.unproven] == [(AT, AT, "BTCUSDT")]


def income(count, kind="COMMISSION", symbol="BTCUSDT", first=0):
    """Return so many income rows of one millisecond."""
    row = load("GET_fapi_v1_income")[0]
    changes = {"incomeType": kind, "symbol": symbol, "time": to_ms(AT)}
    return [row | changes | {"tranId": first + n} for n in range(count)]


@pytest.mark.parametrize(("known", "proven"), [(("BTCUSDT", "ETHUSDT"), True), ((), False)])
def test_an_overfull_millisecond_of_income_is_split(known, proven):
    """More rows than a page in one millisecond are read by type, then by known symbol."""
    book = [
        *income(700),
        *income(700, symbol="ETHUSDT", first=700),
        *income(900, "REALIZED_PNL", first=5000),
    ]

    def answer(call):
        asked = dict(call.params)
        return [
            row
            for row in book
            if int(asked["startTime"]) <= row["time"] <= int(asked["endTime"])
            and row["incomeType"] == asked.get("incomeType", row["incomeType"])
            and row["symbol"] == asked.get("symbol", row["symbol"])
        ][:1000]

    hour = timedelta(hours=1)
    swept, _, pages = drive(MARKET.transfers(AT - hour, AT + hour, known), answer)
    told = {(row.kind, row.transfer_id) for page in pages for row in page.told}
    assert told == {(row["incomeType"].lower(), str(row["tranId"])) for row in book}
    assert (swept.unproven == []) is proven


def test_exchange_info_and_time():
    """The declared weight limit, the symbols and the clock are read."""
    info, _, _ = drive(MARKET.exchange_info(), lambda _: raw("GET_fapi_v1_exchangeInfo"))
    assert info.limits == {"binance-futures": 2400}
    assert info.symbols["BLZUSDT"].quote_asset == "USDT"
    now, _, _ = drive(VENUE.server_time(), lambda _: raw("GET_fapi_v1_time"))
    assert now == from_ms(1499827319559)


def test_rights_as_far_as_told():
    """The key's rights are read where the venue tells them, and None where it does not."""
    told = {"ipRestrict": False, "enableReading": True, "enableWithdrawals": False, "enableFutures": True}
    rights, calls, _ = drive(VENUE.rights(), lambda _: told)
    assert rights == Rights(read=True, trade=True, withdraw=False, ip_restricted=False)
    assert calls[0].once
    assert calls[0].base == "sapi"
    for refusal in (BadRequest(), KeyRefused(), VenueUnavailable()):
        assert drive(VENUE.rights(), lambda _, refusal=refusal: refusal)[0] == Rights()


@pytest.mark.parametrize("body", [b"{}", b'{"code":1}', b"[1,2]", b"nonsense"])
def test_a_page_that_is_no_list_is_refused(body):
    """A body of the wrong shape is the venue's failure; a list of strange rows is told row by row."""
    if body == b"[1,2]":
        assert all(isinstance(row, Notice) for row in VENUE.decode_page("fills", body, AT))
    else:
        with pytest.raises(VenueUnavailable):
            VENUE.decode_page("fills", body, AT)


def test_every_call_is_on_the_allow_list():
    """No flow asks for anything that the allow-list does not name."""
    for call in (DOOR.create, DOOR.keepalive("K")):
        assert (call.method, call.path) in VENUE.allowed
        assert not call.keep
        assert call.keyed
        assert not call.signed
    flows = [
        VENUE.snapshot(timedelta(0)),
        VENUE.canary(timedelta(0)),
        MARKET.open_orders(timedelta(0)),
        VENUE.rights(),
        MARKET.orders("S", AT, AT),
        MARKET.algo_orders("S", AT, AT),
        MARKET.fills("S", AT, AT),
        MARKET.transfers(AT, AT),
        MARKET.order("S", "1"),
        MARKET.algo_order("1"),
        VENUE.server_time(),
        MARKET.exchange_info(),
    ]
    for flow in flows:
        call = next(flow)
        assert isinstance(call, Call)
        assert (call.method, call.path) in VENUE.allowed
        flow.close()


def test_an_order_update_is_decoded_in_microseconds():
    """Decoding is far from being what a burst waits for."""
    event = load("event_ORDER_TRADE_UPDATE")
    event["o"] |= {"x": "TRADE", "l": "0.1", "L": "7103.04", "t": 5}
    sent = frame(event)
    best = min(timeit.repeat(lambda: VENUE.decode(sent, AT), number=1000, repeat=5)) / 1000
    assert best < 100e-6
