"""Binance margin, cross and isolated: official samples without loss and in any order, doors and tokens."""

import json
from datetime import UTC, datetime
from decimal import Decimal as D

import pytest

from accountd.core.told import Balance, Fill, Notice, Order, Transfer
from accountd.errors import SettingsError
from accountd.venues import open_venue
from accountd.venues.base import Reply, from_ms, urls_of
from accountd.venues.doors import ListenKeyDoor, StreamOptions, TokenDoor
from tests.venues.meaning import agrees, same
from tests.venues.retelling import drive, one_state_in_any_order, paged, streamed
from tests.venues.tape import AT, frame, load, names, raw

CROSS, ISOLATED = open_venue("binance-margin"), open_venue("binance-isolated-margin")
VENUES = {"margin": CROSS, "isolated": ISOLATED}
EVENTS = names("margin", "event.*")


# The venue's field -> the attribute that carries its meaning. What is not named here carries none for the
# record: principal and rate of interest, borrowing switches, netted and converted amounts, iceberg parts.
ORDER = {
    "clientOrderId": ("client_order_id", same), "cummulativeQuoteQty": ("filled_quote", D),
    "executedQty": ("filled_quantity", D), "orderId": ("order_id", str), "origQty": ("quantity", D),
    "price": ("price", D), "side": ("side", same), "status": ("status", same),
    "stopPrice": ("stop_price", D), "symbol": ("symbol", same), "time": ("created_at", from_ms),
    "timeInForce": ("time_in_force", same), "type": ("type", same), "updateTime": ("updated_at", from_ms),
}  # fmt: skip
TRADE = {
    "commission": ("commission", D), "commissionAsset": ("commission_asset", same), "id": ("trade_id", str),
    "isMaker": ("is_maker", same), "orderId": ("order_id", str), "price": ("price", D),
    "qty": ("quantity", D), "symbol": ("symbol", same), "time": ("traded_at", from_ms),
}  # fmt: skip
INTEREST = {
    "txId": ("transfer_id", str), "interestAccuredTime": ("occurred_at", from_ms),
    "interest": ("amount", lambda told: -D(told)), "type": ("info", same),
}  # fmt: skip
LOAN = {
    "txId": ("transfer_id", str), "timestamp": ("occurred_at", from_ms), "type": ("info", same),
}  # fmt: skip


@pytest.mark.parametrize("market", VENUES)
@pytest.mark.parametrize("name", EVENTS)
def test_every_official_event_is_known(name, market):
    """Every published event decodes to something typed under its own name and time, wrapped or bare."""
    sample, venue = load(name, "margin"), VENUES[market]
    event = sample.get("event", sample)
    for form in (event, {"subscriptionId": 3, "event": event}, {"stream": "x", "data": event}):
        decoded = venue.decode(frame(form), AT)
        assert decoded.kind == event["e"]
        assert decoded.event_time == from_ms(int(event["E"]))
        assert decoded.told
        assert not [row for row in decoded.told if getattr(row, "kind", "") in ("unknown", "undecodable")]
        assert venue.decode_kept(decoded.kind, frame(form), AT) == decoded.told


def test_the_risk_of_cross_margin_is_told():
    """A margin level calls with its status and level; a normal one calls nobody; a debt is a hint."""
    level = load("event.MARGIN_LEVEL_STATUS_CHANGE", "margin")
    (call,) = CROSS.decode(frame(level), AT).told
    assert (call.kind, call.market) == ("margin.call", "margin")
    assert call.detail == {"status": "MARGIN_CALL", "margin_level": "1.1"}
    forced = CROSS.decode(frame(level | {"s": "FORCE_LIQUIDATION"}), AT).told
    assert [row.kind for row in forced] == ["margin.call", "liquidation.level"]
    (quiet,) = CROSS.decode(frame(level | {"s": "NORMAL"}), AT).told
    assert quiet.kind == "leftover"
    (new,) = CROSS.decode(frame(level | {"s": "SOMETHING_NEW"}), AT).told
    assert new.kind == "margin.call"
    (debt,) = CROSS.decode(raw("event.USER_LIABILITY_CHANGE", "margin"), AT).told
    assert (debt.kind, debt.market) == ("balance.hint", "margin")
    assert debt.detail == {
        "asset": "BTC", "reason": "BORROW", "principal": "0.00000100", "interest": "0.00000000",
    }  # fmt: skip


def test_a_key_that_expired_names_itself():
    """The time of the sample is text; the key is what the session compares with its own."""
    decoded = CROSS.decode(raw("event.listenKeyExpired", "margin"), AT)
    assert decoded.control == "key_expired"
    assert decoded.listen_key == load("event.listenKeyExpired", "margin")["listenKey"]
    ended = CROSS.decode(raw("event.eventStreamTerminated.listenToken-expired", "margin"), AT)
    assert (ended.control, ended.subscription) == ("terminated", 0)


PAGES = {
    "open_orders": ("rest.margin.openOrders", Order, ORDER),
    "orders": ("rest.margin.allOrders", Order, ORDER),
    "order": ("rest.margin.order", Order, ORDER),
    "fills": ("rest.margin.myTrades", Fill, TRADE),
    "interest": ("rest.margin.interestHistory", Transfer, INTEREST),
    "loans": ("rest.margin.borrow-repay.GET", Transfer, LOAN),
    "repayments": ("rest.margin.borrow-repay.GET", Transfer, LOAN),
}


@pytest.mark.parametrize("market", VENUES)
@pytest.mark.parametrize("kind", PAGES)
def test_an_official_page_loses_nothing(kind, market):
    """Every field of meaning of every row stands where it belongs, in the market of the venue."""
    name, shape, table = PAGES[kind]
    body = load(name, "margin")
    rows = body["rows"] if isinstance(body, dict) and "rows" in body else body
    rows = rows if isinstance(rows, list) else [rows]
    page = VENUES[market].decode_page(kind, raw(name, "margin"), AT)
    told = [row for row in page if isinstance(row, shape)]
    assert len(told) == len(rows)
    for one, row in zip(told, rows, strict=True):
        agrees(one, row, table)
        assert one.market == market


def test_balances_are_what_is_there():
    """Cross tells an asset once, free and locked; what is owed is no balance; zeros are left out."""
    told = CROSS.decode_page("account", raw("rest.margin.account", "margin"), AT)
    held = {row.asset: (row.total, row.free, row.locked) for row in told if isinstance(row, Balance)}
    assert held == {
        "BTC": (D("0.004995"), D("0.004995"), 0),
        "BNB": (D("2346.5"), D("2346.5"), 0),
    }
    assert told[-1].keys == {("BTC", ""), ("BNB", "")}


def test_an_isolated_balance_is_named_by_pair_and_asset():
    """The same asset in two pairs is two balances, and a snapshot lists them all."""
    row = load("rest.margin.isolated.account", "margin")["assets"][0]
    base, quote = row["baseAsset"] | {"free": "0.5"}, row["quoteAsset"] | {"free": "10", "locked": "2"}
    pairs = [row | {"baseAsset": base, "quoteAsset": quote}]
    pairs += [
        row | {"symbol": "ETHUSDT", "baseAsset": base | {"asset": "ETH", "free": "0"}, "quoteAsset": quote}
    ]
    told = ISOLATED.decode_page("account", frame({"assets": pairs}), AT)
    held = {one.asset: (one.total, one.locked) for one in told if isinstance(one, Balance)}
    assert held == {"BTCUSDT:BTC": (D("0.5"), 0), "BTCUSDT:USDT": (12, 2), "ETHUSDT:USDT": (12, 2)}
    assert {name for name, _ in told[-1].keys} == set(held)
    official = ISOLATED.decode_page("account", raw("rest.margin.isolated.account", "margin"), AT)
    assert [type(one).__name__ for one in official] == ["Snapshot"]


def test_amounts_are_signed():
    """Borrowed money comes, repaid money goes with its interest, interest is owed."""
    body = raw("rest.margin.borrow-repay.GET", "margin")
    (borrowed,), (repaid,) = CROSS.decode_page("loans", body, AT), CROSS.decode_page("repayments", body, AT)
    assert (borrowed.kind, borrowed.amount, borrowed.asset) == ("borrow", D("14.00000000"), "BNB")
    assert (repaid.kind, repaid.amount) == ("repay", D("-14.00000000"))
    (pair,) = ISOLATED.decode_page("loans", body, AT)
    assert (pair.asset, pair.symbol) == ("BNBUSDT:BNB", "BNBUSDT")
    (owed,) = ISOLATED.decode_page("interest", raw("rest.margin.interestHistory", "margin"), AT)
    assert (owed.kind, owed.amount, owed.asset) == ("interest", D("-0.00024995"), "BNBUSDT:USDT")
    assert owed.transfer_id == "1352286576452864727"
    failed = load("rest.margin.borrow-repay.GET", "margin")["rows"][0] | {"status": "FAILED"}
    assert CROSS.decode_page("loans", frame({"rows": [failed], "total": 1}), AT) == []


def test_transfers_are_told_on_both_sides():
    """Times may be in seconds; a transfer between two pairs leaves one and comes to the other."""
    into, between, plain = load("rest.margin.transfer.GET", "margin")["rows"]
    body = raw("rest.margin.transfer.GET", "margin")
    told = CROSS.decode_page("moves", body, AT)
    assert [(row.asset, row.amount) for row in told] == [
        ("BNB", D("0.1")), ("USDT", D("-5")), ("EOS", D("1")),
    ]  # fmt: skip
    assert told[0].occurred_at == datetime.fromtimestamp(into["timestamp"], UTC)
    assert told[0].info == "SPOT > ISOLATED_MARGIN"
    (left, came) = ISOLATED.decode_page("moves", frame({"rows": [between], "total": 1}), AT)
    assert [(row.asset, row.amount, row.transfer_id) for row in (left, came)] == [
        ("BNBUSDT:USDT", D("-5"), "5239810406"), ("BTCUSDT:USDT", D("5"), "5239810406"),
    ]  # fmt: skip
    (named,) = ISOLATED.decode_page("moves@EOSUSDT", frame({"rows": [plain], "total": 1}), AT)
    assert (named.asset, named.amount, named.symbol) == ("EOSUSDT:EOS", 1, "EOSUSDT")
    milliseconds = into | {"timestamp": into["timestamp"] * 1000}
    assert CROSS.decode_page("moves", frame({"rows": [milliseconds], "total": 1}), AT)[0] == told[0]


def test_the_capital_flow_tells_what_nothing_else_tells():
    """Loans, transfers and trades are told by their own histories; liquidations and fees are told here."""
    assert CROSS.decode_page("capital_flow", raw("rest.margin.capital-flow", "margin"), AT) == []
    row = load("rest.margin.capital-flow", "margin")[0]
    fee, back = (
        row | {"type": "LIQUIDATION_FEE", "amount": "2.5"},
        row | {"type": "COMMISSION_RETURN", "id": 9007199254740993, "amount": "0.1", "note": "x"},
    )
    told = ISOLATED.decode_page("capital_flow", frame([fee, back]), AT)
    assert [(one.kind, one.amount, one.asset) for one in told] == [
        ("liquidation_fee", D("-2.5"), "BTCUSDT:USDT"), ("commission_return", D("0.1"), "BTCUSDT:USDT"),
    ]  # fmt: skip
    assert (told[1].transfer_id, told[1].info) == ("9007199254740993", "x")
    (signed,) = CROSS.decode_page("capital_flow", frame([fee | {"amount": "-2.5"}]), AT)
    assert signed.amount == D("-2.5")


def report(**changes):
    """Return the official execution report, as margin has it too."""
    return load("event.executionReport.NEW", "spot")["event"] | changes


def test_a_trade_is_told_alike_by_stream_and_rest():
    """REST tells no quote amount: it is price times quantity, cut where the venue's own amounts end."""
    base = report()["T"]
    trade = {
        "commission": "0.0003", "commissionAsset": "ETH", "id": 9, "isBuyer": True, "isMaker": False,
        "orderId": 4293153, "price": "0.04841000", "qty": "0.00030000", "symbol": "ETHBTC",
        "isIsolated": False, "time": base + 5, "isBestMatch": True,
    }  # fmt: skip
    streamed_trade = report(
        x="TRADE", X="PARTIALLY_FILLED", l="0.00030000", L="0.04841000", Y="0.00001452", Z="0.00001452",
        z="0.00030000", n="0.0003", N="ETH", t=9, T=base + 5,
    )  # fmt: skip
    order = load("rest.margin.order", "margin") | {
        "symbol": "ETHBTC", "orderId": 4293153, "clientOrderId": report()["c"], "side": "BUY",
        "price": "0.10264410", "origQty": "1", "executedQty": "0.0003", "status": "PARTIALLY_FILLED",
        "cummulativeQuoteQty": "0.00001452", "time": base, "updateTime": base + 5, "stopPrice": "0",
    }  # fmt: skip
    tellings = [
        *streamed(CROSS, report(), streamed_trade, load("event.outboundAccountPosition", "spot")),
        *paged(CROSS, fills=[trade], orders=[order], open_orders=[order]),
    ]
    state = one_state_in_any_order(tellings)
    (fill,) = state["fills"].values()
    assert fill["quote_quantity"] == D("0.00001452")


def test_every_official_page_in_any_order_makes_one_state():
    """All official samples of a market, told in any order and twice, end in one state."""
    kinds = {kind: raw(name, "margin") for kind, (name, _, _) in PAGES.items()}
    money = {kind: raw(f"rest.margin.{name}", "margin") for kind, name in
             (("moves", "transfer.GET"), ("capital_flow", "capital-flow"))}  # fmt: skip
    for venue, account in ((CROSS, "rest.margin.account"), (ISOLATED, "rest.margin.isolated.account")):
        kinds.pop("open_orders", None)  # of another account than the orders beside it
        tellings = paged(venue, account=raw(account, "margin"), **kinds, **money)
        tellings += streamed(venue, *(raw(name, "margin") for name in EVENTS))
        state = one_state_in_any_order(tellings)
        assert len(state["transfers"]) in (6, 7)
        assert len(state["orders"]) == 3


def test_lanes_name_the_pair():
    """A position is of the pair whose subscription brought it; without a known one it is only a hint."""
    event = load("event.outboundAccountPosition", "spot")
    sent, lanes = frame(event | {"subscriptionId": 4}), {4: "ETHUSDT", 5: "BTCUSDT"}
    decoded = ISOLATED.decode(sent, AT, lanes)
    assert [row.asset for row in decoded.told] == ["ETHUSDT:ETH"]
    assert decoded.kind == "outboundAccountPosition@ETHUSDT"
    assert ISOLATED.decode_kept(decoded.kind, sent, AT) == decoded.told
    (hint,) = ISOLATED.decode(frame(event | {"subscriptionId": 9}), AT, lanes).told
    assert isinstance(hint, Notice)
    assert hint.kind == "balance.hint"
    assert [row.asset for row in CROSS.decode(sent, AT, {4: ""}).told] == ["ETH"]


def test_doors_and_tokens():
    """One door by token, and for cross one by listen key; a token ends in ms or µs; no reply is kept."""
    live = urls_of(CROSS.hosts, "live")
    trades, risk = CROSS.doors(live, StreamOptions())
    assert isinstance(trades, TokenDoor)
    assert isinstance(risk, ListenKeyDoor)
    assert trades.url == "wss://ws-api.binance.com:443/ws-api/v3"
    assert risk.url("a/b") == "wss://margin-stream.binance.com/ws/a%2Fb"
    assert drive(trades.lanes(), None)[0] == ("",)
    (pairs,) = ISOLATED.doors(live, StreamOptions())
    call = pairs.token("BTCUSDT")
    assert (call.method, call.path) == ("POST", "/sapi/v1/userListenToken")
    assert call.params == (("isIsolated", "true"), ("symbol", "BTCUSDT"))
    assert (call.keyed, call.signed, call.keep) == (True, False, False)
    body = load("rest.userListenToken.POST.response", "margin")
    for end in (body["expirationTime"], body["expirationTime"] * 1000):
        reply = Reply(body=frame(body | {"expirationTime": end}), fetched_at=AT)
        token = trades.parse(reply)
        assert (token.value, token.expires) == (body["token"], from_ms(body["expirationTime"]))
    assert body["token"] not in repr(token)
    request = trades.subscribe("secret")
    wanted = load("wsapi.userDataStream.subscribe.listenToken.request", "margin")
    assert (request.method, dict(request.params)) == (wanted["method"], {"listenToken": "secret"})
    renewal = risk.keepalive("k")
    assert (renewal.method, renewal.params) == ("PUT", (("listenKey", "k"),))
    own = urls_of(CROSS.hosts, "live", "http://127.0.0.1:1", "ws://127.0.0.1:2", "ws://127.0.0.1:3")
    trades, risk = CROSS.doors(own, StreamOptions())
    assert (trades.url, risk.url("k")) == ("ws://127.0.0.1:3/ws-api/v3", "ws://127.0.0.1:2/ws/k")
    with pytest.raises(SettingsError, match="live"):
        urls_of(CROSS.hosts, "testnet")


def test_the_bare_answer_to_a_token_is_an_answer():
    """The documents' form without an envelope answers the request that waits."""
    decoded = CROSS.decode(raw("wsapi.userDataStream.subscribe.listenToken.response", "margin"), AT)
    assert decoded.control == "ack"
    assert decoded.ack.result["subscriptionId"] == 1


@pytest.mark.parametrize("name", names("spot", "wsapi.*response*"))
def test_every_official_answer_is_an_answer(name):
    """Whatever the WebSocket API answers reaches the request that waits; none of it is taken for an event."""
    sample = load(name, "spot")
    numbered = sample | {"id": 7}
    ack = CROSS.decode(frame(numbered), AT).ack
    assert (ack.id, ack.status) == (7, sample["status"])
    assert (ack.error is None) == ("result" in sample)


def test_only_reads_and_keys_are_allowed():
    """Nothing but reads, the making of a token, and the making and renewing of the risk key may be sent."""
    writes = {pair for pair in CROSS.allowed if pair[0] != "GET"}
    assert writes == {
        ("POST", "/sapi/v1/userListenToken"), ("POST", "/sapi/v1/margin/listen-key"),
        ("PUT", "/sapi/v1/margin/listen-key"),
    }  # fmt: skip
    assert {pair for pair in ISOLATED.allowed if pair[0] != "GET"} == {("POST", "/sapi/v1/userListenToken")}
    for venue in VENUES.values():
        assert {asked.pool or "binance-spot" for asked in venue.table.values()} <= set(venue.pools)
        assert {door.token("").pool for door in venue.doors(urls_of(venue.hosts, "live"), StreamOptions())
                if isinstance(door, TokenDoor)} <= set(venue.pools)  # fmt: skip


@pytest.mark.parametrize(
    "name", ["rest.userListenToken.POST.response", "rest.margin.listen-key.POST.response"]
)
def test_no_secret_survives_redaction(name):
    """Tokens and keys are gone from whatever names them."""
    secret = next(value for value in load(name, "margin").values() if isinstance(value, str))
    assert secret.encode() not in CROSS.redact(raw(name, "margin"))
    assert secret.encode() not in CROSS.redact(json.dumps({"listenToken": secret}).encode())
