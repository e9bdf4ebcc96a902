"""Binance spot: official samples and what the documents describe, told without loss and in any order."""

import json
from datetime import timedelta
from decimal import Decimal as D
from urllib.parse import urlsplit

import pytest

from accountd.core.told import Fill, Notice, Order
from accountd.errors import SettingsError, VenueUnavailable
from accountd.runtime.link import subscription
from accountd.venues import open_venue
from accountd.venues.base import from_ms, urls_of
from accountd.venues.doors import SignedDoor, StreamOptions
from tests.venues.retelling import drive, one_state_in_any_order, paged, streamed
from tests.venues.tape import AT, frame, load, names, raw

VENUE = open_venue("binance-spot")
EVENTS = [name for name in names("spot", "*event.*") if "stream" not in name.lower() or "Terminated" in name]
ORDER = {
    "c": ("client_order_id", str), "S": ("side", str), "o": ("type", str), "f": ("time_in_force", str),
    "q": ("quantity", D), "p": ("price", D), "P": ("stop_price", D), "x": ("execution_type", str),
    "X": ("status", str), "i": ("order_id", str), "l": ("last_quantity", D), "z": ("filled_quantity", D),
    "Z": ("filled_quote", D), "T": ("updated_at", from_ms), "O": ("created_at", from_ms),
    "s": ("symbol", str),
}  # fmt: skip
FILL = {
    "t": ("trade_id", str), "i": ("order_id", str), "S": ("side", str), "L": ("price", D),
    "l": ("quantity", D), "Y": ("quote_quantity", D), "n": ("commission", D), "N": ("commission_asset", str),
    "m": ("is_maker", bool), "T": ("traded_at", from_ms), "c": ("client_order_id", str), "s": ("symbol", str),
}  # fmt: skip


def report(**changes):
    """Return the official report, changed."""
    return load("event.executionReport.NEW", "spot")["event"] | changes


def told(event, number=0):
    """Return what an event in its envelope tells."""
    return VENUE.decode(frame({"subscriptionId": number, "event": event}), AT).told


def trade(**changes):
    """Return a report of a partial fill."""
    filled = {
        "x": "TRADE", "X": "PARTIALLY_FILLED", "l": "0.40000000", "z": "0.40000000", "L": "0.10264411",
        "Y": "0.04105764", "Z": "0.04105764", "n": "0.00040000", "N": "ETH", "t": 9007199254740993,
        "m": True, "I": 8641990,
    }  # fmt: skip
    return report(**filled | changes)


@pytest.mark.parametrize("name", EVENTS)
def test_every_official_event_is_known(name):
    """Every published event decodes to something typed under its own name and time, wrapped or bare."""
    sample = load(name, "spot")
    event = sample.get("event", sample)
    for form in (
        event,
        {"subscriptionId": 3, "event": event},
        {"event": event},
        {"stream": "x", "data": event},
    ):
        decoded = VENUE.decode(frame(form), AT)
        assert decoded.kind == event["e"]
        assert decoded.event_time == from_ms(int(event["E"]))
        assert decoded.told
        assert not [row for row in decoded.told if getattr(row, "kind", "") in ("unknown", "undecodable")]


@pytest.mark.parametrize(("event", "kind", "fields"), [
    (report(), Order, ORDER), (trade(), Order, ORDER), (trade(), Fill, FILL),
])  # fmt: skip
def test_a_report_loses_nothing(event, kind, fields):
    """Every field of meaning is where it belongs, exactly."""
    (row,) = [one for one in told(event) if isinstance(one, kind)]
    assert row.market == "spot"
    for letter, (name, read) in fields.items():
        assert getattr(row, name) == read(event[letter]), letter
    if kind is Fill:
        assert row.realized_pnl is None
        assert row.trade_id == "9007199254740993"


CONDITIONAL = {
    "d": 4, "D": 1668680518494, "j": 1, "J": 1000000, "v": 3, "A": "3.000000", "B": "3.000000", "u": 1,
    "U": 37, "Cs": "BTCUSDT", "pl": "2.123456", "pL": "0.10000001", "pY": "0.21234562",
    "b": "ONE_PARTY_TRADE_REPORT", "a": 1234, "k": "SOR", "uS": True, "gP": "PRIMARY_PEG",
    "gOT": "PRICE_LEVEL", "gOV": 5, "gp": "1.00000000", "g": 77, "F": "0.5", "Q": "9.5", "y": "AGENCY",
}  # fmt: skip


@pytest.mark.parametrize("letter", CONDITIONAL)
def test_conditional_fields_are_shown(letter):
    """Every conditional field is told, as text with its digits or as truth, under a name of its own."""
    (notice,) = [
        row for row in told(report(**{"v": None, letter: CONDITIONAL[letter]})) if isinstance(row, Notice)
    ]
    value = CONDITIONAL[letter]
    assert notice.kind == "order.detail"
    assert (value if isinstance(value, bool) else str(value)) in notice.detail.values()
    assert notice.detail["order_id"] == "4293153"


def test_client_order_ids():
    """A cancel names its own request in c and the order in C; an amendment renames the order."""
    (order, *_) = told(report(x="CANCELED", X="CANCELED", c="cancel-request", C="mine"))
    assert order.client_order_id == "mine"
    (order, *_) = told(report(x="REPLACED", X="NEW", c="after", C="before"))
    assert order.client_order_id == "after"
    (order, *_) = told(report(C="null"))
    assert order.client_order_id == "mUvoqJxFIILMdfAW5iGSOW"


@pytest.mark.parametrize(("changes", "status", "reason"), [
    ({"x": "EXPIRED", "X": "EXPIRED", "z": "0.4", "eR": "INSUFFICIENT_LIQUIDITY"}, "EXPIRED",
     "INSUFFICIENT_LIQUIDITY"),
    ({"x": "TRADE_PREVENTION", "X": "EXPIRED_IN_MATCH", "A": "1", "B": "1"}, "EXPIRED_IN_MATCH", None),
    ({"x": "TRADE_PREVENTION", "X": "NEW", "A": "0.4", "B": "0.4", "l": "0.4", "L": "1"}, "NEW", None),
    ({"x": "REJECTED", "X": "REJECTED", "r": "INSUFFICIENT_BALANCES"}, "REJECTED", "INSUFFICIENT_BALANCES"),
    ({"x": "NEW", "X": "PENDING_NEW", "q": "0.00000000"}, "PENDING_NEW", None),
    ({"x": "SOMETHING", "X": "TOMORROW"}, "TOMORROW", None),
])  # fmt: skip
def test_statuses_that_are_no_fill(changes, status, reason):
    """Expiries with fills, prevention, rejection and words of tomorrow tell the order and no execution."""
    rows = told(report(**changes))
    assert [type(row) for row in rows if not isinstance(row, Notice)] == [Order]
    assert (rows[0].status, rows[0].reason) == (status, reason)


def test_a_routed_fill_is_an_allocation():
    """A fill without trade id is told by its allocation id, and its symbol is swept for allocations."""
    venue = open_venue("binance-spot")
    event = trade(t=-1, a=28457, b="ONE_PARTY_TRADE_REPORT", k="SOR", uS=True)
    (fill,) = [row for row in venue.decode(frame(event), AT).told if isinstance(row, Fill)]
    assert fill.trade_id == "alloc-28457"
    asked = [call.path for call in drive(venue.section.fills("ETHBTC", AT - timedelta(hours=1), AT), none)[1]]
    assert asked == ["/api/v3/myTrades", "/api/v3/myAllocations"]
    asked = [call.path for call in drive(VENUE.section.fills("LTCBTC", AT - timedelta(hours=1), AT), none)[1]]
    assert asked == ["/api/v3/myTrades"]


def none(call):
    """Answer with an empty page."""
    return []


def test_balances_are_partial_absolutes_and_differences_are_hints():
    """outboundAccountPosition is believed; what is told as a difference only leads to a look."""
    event = load("event.outboundAccountPosition", "spot")["event"] | {
        "B": [{"a": "测试", "f": "123456789012345.12345678", "l": "0.00000001"}]
    }
    (row,) = told(event)
    assert (row.asset, row.total) == ("测试", D("123456789012345.12345679"))
    assert (row.free, row.locked) == (D("123456789012345.12345678"), D("0.00000001"))
    assert (row.as_of, row.seen_at) == (from_ms(event["u"]), from_ms(event["E"]))
    (hint,) = told(load("event.balanceUpdate", "spot")["event"])
    assert (hint.kind, hint.detail) == ("transfer.hint", {"asset": "BTC", "amount": "100.00000000"})
    (hint,) = told(load("event.externalLockUpdate", "spot")["event"])
    assert (hint.kind, hint.detail["amount"]) == ("balance.hint", "10.00000000")


def test_control_frames():
    """Endings of connections and subscriptions are told apart, and which subscription it was."""
    ended = VENUE.decode(raw("event.eventStreamTerminated", "spot"), AT)
    assert (ended.control, ended.subscription) == ("terminated", 0)
    for name in ("ws-api", "stream-raw", "stream-combined"):
        assert VENUE.decode(raw(f"event.serverShutdown.{name}", "spot"), AT).control == "shutdown"
    revoked = VENUE.decode(raw("wsapi.error.401-session-revoked", "spot"), AT)
    assert (revoked.control, revoked.ack.code) == ("terminated", -2015)


def test_answers():
    """Answers carry result, refusal, and the time until which a ban lasts; foreign ids are nobody's."""
    good = VENUE.decode(b'{"id":7,"status":200,"result":{"subscriptionId":2}}', AT).ack
    assert (good.id, good.result, good.error) == (7, {"subscriptionId": 2}, None)
    banned = VENUE.decode(raw("wsapi.error.418-ip-ban", "spot"), AT).ack
    assert (banned.id, banned.status, banned.code) == (-1, 418, -1003)
    assert banned.retry_at == from_ms(1659146400000)
    bare = VENUE.decode(b'{"subscriptionId":1,"expirationTime":1749094553955907}', AT).ack
    assert bare.result == {"subscriptionId": 1, "expirationTime": 1749094553955907}
    assert VENUE.decode(b'{"code":2,"msg":"Invalid request"}', AT).ack.error == "Invalid request"


@pytest.mark.parametrize("noise", [
    b"", b"{", b"null", b"[]", b"7", b"\xff\xfe", b'{"event":7}', b'{"subscriptionId":0,"event":{"e":7}}',
    frame(report(q="NaN")), frame(report(p="1e999")), frame(report(i="x")), frame(trade(L=None)),
    b'{"subscriptionId":0,"event":{"e":"executionReport"}}',
])  # fmt: skip
def test_noise_is_told_as_such(noise):
    """What makes no sense is told as unreadable or unknown, and never raises."""
    decoded = VENUE.decode(noise, AT)
    assert decoded.kind.partition(":")[0] in ("undecodable", "unknown")
    assert decoded.told[0].at == AT


def test_tomorrow_is_accepted():
    """New events are counted by name; new fields change nothing; microseconds are understood."""
    unknown = VENUE.decode(frame({"subscriptionId": 0, "event": {"e": "allocationReport", "E": 5}}), AT)
    assert unknown.kind == "unknown:allocationReport"
    assert told(trade(zz={"a": 1.5})) == told(trade())
    micro = {name: trade()[name] * 1000 for name in "ETOW"}
    assert told(trade(**micro)) == told(trade())


def test_a_lane_is_kept_with_the_frame():
    """The lane of a subscription becomes part of the kind, from which a journal row is read again."""
    sent = frame({"subscriptionId": 4, "event": trade()})
    decoded = VENUE.decode(sent, AT, {3: "ETHUSDT", 4: "BTCUSDT"})
    assert decoded.kind == "executionReport@BTCUSDT"
    assert VENUE.decode_kept(decoded.kind, sent, AT) == decoded.told
    assert VENUE.decode_kept("executionReport", sent, AT) == VENUE.decode(sent, AT).told
    assert VENUE.decode(sent, AT, {3: "ETHUSDT"}).kind == "executionReport@ETHUSDT"  # the answer is late


def test_one_state_in_any_order():
    """Stream and REST tell one life of an order, shuffled and doubled, into one state."""
    base, later = load("event.executionReport.NEW", "spot")["event"]["T"], "0.80000000"
    rest = {
        "symbol": "ETHBTC", "orderId": 4293153, "clientOrderId": report()["c"], "price": "0.10264410",
        "origQty": later, "executedQty": later, "cummulativeQuoteQty": "0.08211528", "status": "FILLED",
        "timeInForce": "GTC", "type": "LIMIT", "side": "BUY", "stopPrice": "0.00000000", "time": base,
        "updateTime": base + 30,
    }  # fmt: skip
    trades = [
        {"symbol": "ETHBTC", "id": number, "orderId": 4293153, "price": "0.10264410", "qty": "0.40000000",
         "quoteQty": "0.04105764", "commission": "0.0004", "commissionAsset": "ETH", "time": base + at,
         "isBuyer": True, "isMaker": True}
        for number, at in ((1, 10), (2, 30))
    ]  # fmt: skip
    first = trade(t=1, T=base + 10, L="0.10264410", n="0.0004")
    second = {"X": "FILLED", "z": later, "Z": "0.08211528", "q": later}
    tellings = [
        *streamed(
            VENUE, report(), first,
            report(x="REPLACED", X="PARTIALLY_FILLED", q=later, C="x", T=base + 20,
                   z="0.40000000", Z="0.04105764"),
            trade(t=2, T=base + 30, L="0.10264410", n="0.0004", **second),
            load("event.outboundAccountPosition", "spot"),
        ),
        *paged(VENUE, orders=[rest], fills=trades),
    ]  # fmt: skip
    state = one_state_in_any_order(tellings)
    (order,) = state["orders"].values()
    assert (order["status"], order["client_order_id"], order["quantity"]) == (
        "FILLED",
        report()["c"],
        D(later),
    )
    assert len(state["fills"]) == 2


def test_an_amendment_of_the_same_instant():
    """Two reports of one millisecond that differ in quantity alone end with the smaller quantity."""
    smaller = report(x="REPLACED", q="0.50000000", c="b", C="a")
    state = one_state_in_any_order(streamed(VENUE, report(c="a"), smaller))
    (order,) = state["orders"].values()
    assert order["quantity"] == D("0.5")


def test_addresses_and_doors():
    """The subscription is signed, or logged on; a testnet has no wallet API, and settings replace hosts."""
    live = urls_of(VENUE.hosts, "live")
    (door,) = VENUE.doors(live, StreamOptions())
    assert isinstance(door, SignedDoor)
    assert door.url == "wss://ws-api.binance.com:443/ws-api/v3"
    assert [(one.method, one.signed) for one in door.enter] == [("userDataStream.subscribe.signature", True)]
    (door,) = VENUE.doors(live, StreamOptions(logon=True))
    assert [(one.method, one.signed) for one in door.enter] == [
        ("session.logon", True), ("userDataStream.subscribe", False),
    ]  # fmt: skip
    assert urls_of(VENUE.hosts, "testnet").sapi == ""
    own = urls_of(VENUE.hosts, "testnet", "http://127.0.0.1:1", None, "ws://127.0.0.1:2")
    assert (own.sapi, own.ws_api) == ("http://127.0.0.1:1", "ws://127.0.0.1:2")
    with pytest.raises(SettingsError, match="live"):
        urls_of(open_venue("binance-us").hosts, "testnet")


def test_only_reads_are_allowed():
    """Everything that may be sent is a read."""
    assert {method for method, _ in VENUE.allowed} == {"GET"}
    assert all(urlsplit(path).path.startswith(("/api/v3/", "/sapi/v1/")) for _, path in VENUE.allowed)


def test_no_key_survives_redaction():
    """The answer to a logon is journaled without the API key."""
    sent = raw("wsapi.session.logon.response", "spot")
    key = json.loads(sent)["result"]["apiKey"].encode()
    assert key not in VENUE.redact(sent)


@pytest.mark.parametrize("data", ["null", "[]", '"soon"', "17"])
def test_a_refusal_says_what_it_can(data):
    """Whatever stands where a refusal could say when to ask again, it is a refusal."""
    frame = f'{{"id":3,"status":429,"error":{{"code":-1003,"msg":"no","data":{data}}}}}'
    ack = VENUE.decode(frame, AT).ack
    assert (ack.id, ack.status, ack.code, ack.error, ack.retry_at) == (3, 429, -1003, "no", None)


def test_numbers_written_as_text_are_numbers():
    """An answer may give our number, and that of the subscription, as text; another's name is nobody's."""
    ack = VENUE.decode('{"id":"7","status":200,"result":{"subscriptionId":"4"}}', AT).ack
    assert (ack.id, subscription(ack)) == (7, 4)
    assert VENUE.decode('{"id":"another","status":200,"result":{}}', AT).ack.id == -1


def test_no_conversions_need_no_list():
    """A page may leave out the list that would be empty; one that says nothing at all proves nothing."""
    assert VENUE.decode_page("dust", b'{"total":0}', AT) == []
    with pytest.raises(VenueUnavailable):
        VENUE.decode_page("dust", b"{}", AT)
