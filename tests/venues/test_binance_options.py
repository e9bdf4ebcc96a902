"""The official samples of Binance Options, field by field, and how its history is asked for."""

from datetime import timedelta
from decimal import Decimal as D
from functools import partial

import pytest

from accountd.core.told import ALGO_ORDERS, ORDERS, Balance, Fill, Notice, Position, Snapshot
from accountd.venues import open_venue
from accountd.venues.base import Reply, from_ms, urls_of
from accountd.venues.doors import StreamOptions
from tests.venues import tape
from tests.venues.meaning import FILL_UPDATE, ORDER_UPDATE, absent, agrees, same
from tests.venues.retelling import drive, first_call, one_state_in_any_order, paged, streamed
from tests.venues.tape import AT, frame

VENUE = open_venue("binance-options")
(MARKET,) = VENUE.sections
load, raw = partial(tape.load, product="options"), partial(tape.raw, product="options")


def paid(value):
    """Return a commission as the record has it: told as negative when it was paid."""
    return -D(value)


ORDER_ROW = {
    "orderId": ("order_id", str),
    "symbol": ("symbol", same),
    "price": ("price", D),
    "quantity": ("quantity", D),
    "executedQty": ("filled_quantity", D),
    "side": ("side", same),
    "type": ("type", same),
    "timeInForce": ("time_in_force", same),
    "reduceOnly": ("reduce_only", same),
    "createTime": ("created_at", from_ms),
    "updateTime": ("updated_at", from_ms),
    "status": ("status", lambda word: {"ACCEPTED": "NEW"}.get(word, word)),
    "avgPrice": ("average_price", D),
    "clientOrderId": ("client_order_id", absent),
}
TRADE_ROW = {
    "tradeId": ("trade_id", str),
    "orderId": ("order_id", str),
    "symbol": ("symbol", same),
    "price": ("price", D),
    "quantity": ("quantity", D),
    "fee": ("commission", paid),
    "quoteAsset": ("commission_asset", same),
    "realizedProfit": ("realized_pnl", D),
    "side": ("side", same),
    "liquidity": ("is_maker", lambda word: word == "MAKER"),
    "time": ("traded_at", from_ms),
}
PAGES = [
    ("GET_eapi_v1_historyOrders", "orders", ORDER_ROW),
    ("GET_eapi_v1_openOrders", "open_orders", ORDER_ROW),
    ("GET_eapi_v1_order", "order", ORDER_ROW),
    ("GET_eapi_v1_userTrades", "fills", TRADE_ROW),
    (
        "GET_eapi_v1_position",
        "positions",
        {
            "symbol": ("symbol", same),
            "quantity": ("quantity", D),
            "entryPrice": ("entry_price", D),
            "unrealizedPNL": ("unrealized_pnl", D),
        },
    ),
    (
        "GET_eapi_v1_marginAccount",
        "account",
        {"asset": ("asset", same), "marginBalance": ("total", D), "available": ("free", D)},
    ),
    (
        "GET_eapi_v1_bill",
        "bill",
        {
            "id": ("transfer_id", str),
            "asset": ("asset", same),
            "amount": ("amount", D),
            "type": ("kind", lambda word: {"FEE": "commission"}.get(word, word.lower())),
            "createDate": ("occurred_at", from_ms),
        },
    ),
    (
        "GET_eapi_v1_exerciseRecord",
        "exercises",
        {
            "id": ("transfer_id", str),
            "currency": ("asset", same),
            "symbol": ("symbol", same),
            "amount": ("amount", D),
            "createDate": ("occurred_at", from_ms),
        },
    ),
]


def trade(**changes):
    """Return the official order sample turned into the trade that the REST sample tells."""
    event = load("event_ORDER_TRADE_UPDATE")
    event["o"] |= {
        "s": "BTC-200730-9000-C", "c": "mine", "S": "BUY", "o": "LIMIT", "x": "TRADE", "X": "FILLED",
        "i": 4611875134427365000, "t": 239, "q": "1", "l": "1", "z": "1", "L": "100", "p": "100",
        "n": "-1.04378629", "rp": "0", "T": 1592465880683,
    } | changes  # fmt: skip
    return event


@pytest.mark.parametrize("name", tape.names("options", "event_*"))
def test_every_official_event_is_known(name):
    """Every published event decodes under its own name, raw and wrapped, with E as number or text."""
    sent = load(name)
    event = sent.get("data", sent)
    decoded = VENUE.decode(raw(name), AT)
    assert decoded.kind == event["e"]
    assert decoded.event_time == from_ms(int(event["E"]))
    assert decoded.told
    assert not any(isinstance(row, Notice) and row.kind in ("unknown", "undecodable") for row in decoded.told)
    assert all(row.market == "options" for row in decoded.told if not isinstance(row, Notice))
    for other in (event, event | {"E": str(event["E"])}):
        assert VENUE.decode(frame(other), AT) == decoded
        assert VENUE.decode(tape.wrap(other), AT) == decoded


def test_orders_lose_nothing_and_fees_are_positive():
    """ORDER_TRADE_UPDATE carries each field; a commission told as negative is a fee that was paid."""
    event = load("event_ORDER_TRADE_UPDATE")
    (order,) = VENUE.decode(raw("event_ORDER_TRADE_UPDATE"), AT).told
    agrees(order, event["o"], ORDER_UPDATE)
    fill = VENUE.decode(frame(trade()), AT).told[1]
    agrees(fill, trade()["o"], FILL_UPDATE | {"n": ("commission", paid)})
    assert fill.commission == D("1.04378629")
    rebate = VENUE.decode(frame(trade(n="0.5")), AT).told[1]
    assert rebate.commission == D("-0.5")
    free = VENUE.decode(frame(trade(n="0")), AT).told[1]
    assert str(free.commission) == "0"


def test_one_name_means_something_else_here():
    """ACCOUNT_UPDATE has another shape than on USDⓈ-M: each venue reads its own and not the other's."""
    sent = raw("event_ACCOUNT_UPDATE")
    (balance,) = VENUE.decode(sent, AT).told
    body = load("event_ACCOUNT_UPDATE")["data"]
    assert balance == Balance(
        market="options",
        asset="USDT",
        total=D(body["b"]),
        as_of=from_ms(body["T"]),
        seen_at=from_ms(body["E"]),
    )
    assert open_venue("binance-usdm").decode(sent, AT).kind == "undecodable"


def test_balances_and_positions_of_the_stream():
    """BALANCE_POSITION_UPDATE tells balances and signed positions; money from outside asks for the bill."""
    event = load("event_BALANCE_POSITION_UPDATE")
    balance, position = VENUE.decode(frame(event), AT).told
    assert (balance.asset, balance.total, balance.reason) == ("USDT", D("10000471.37940900"), "ORDER")
    assert isinstance(position, Position)
    assert (position.symbol, position.position_side) == ("BTC-251123-126000-C", "BOTH")
    assert (position.quantity, position.entry_price) == (D("-0.1"), D(1200))
    hint = VENUE.decode(frame(event | {"m": "DEPOSIT"}), AT).told[-1]
    assert (hint.kind, hint.market) == ("transfer.hint", "options")


def test_risk_levels_ring_unless_normal():
    """RISK_LEVEL_CHANGE is a margin call with its figures; back to normal is none."""
    event = load("event_RISK_LEVEL_CHANGE")
    (notice,) = VENUE.decode(frame(event), AT).told
    assert notice.kind == "margin.call"
    assert notice.detail == {
        "risk_level": "REDUCE_ONLY", "margin_balance": "1534.11708371",
        "maintenance_margin": "254789.11708371",
    }  # fmt: skip
    (notice,) = VENUE.decode(frame(event | {"s": "NORMAL"}), AT).told
    assert notice.kind == "leftover"


def test_the_sensitivities_are_shown_whole():
    """GREEK_UPDATE changes no belief and keeps every figure."""
    (notice,) = VENUE.decode(raw("event_GREEK_UPDATE"), AT).told
    assert notice.detail == {"event": "GREEK_UPDATE", "body": load("event_GREEK_UPDATE")["G"]}


@pytest.mark.parametrize(("name", "kind", "table"), PAGES)
def test_every_page_loses_nothing(name, kind, table):
    """Every REST page carries each field of meaning of each row."""
    rows = load(name)
    rows = rows["asset"] if kind == "account" else rows if isinstance(rows, list) else [rows]
    told = [row for row in VENUE.decode_page(kind, raw(name), AT) if not isinstance(row, Snapshot)]
    for row, sent in zip(told, rows, strict=True):
        agrees(row, sent, table)
        assert row.market == "options"


def test_an_exercise_says_what_was_exercised():
    """An exercise keeps side, quantity, price and fee beside its amount."""
    (row,) = VENUE.decode_page("exercises", raw("GET_eapi_v1_exerciseRecord"), AT)
    assert row.kind == "exercise"
    assert row.info == "side=LONG quantity=1.00000000 exercise_price=25000.00000000 fee=0.00000000"


def test_a_short_position_is_negative_however_printed():
    """A short position printed without a sign, as the older system did, is negative all the same."""
    rows = load("GET_eapi_v1_position")
    (position, _) = VENUE.decode_page("positions", frame([rows[0] | {"quantity": "0.1"}]), AT)
    assert position.quantity == D("-0.1")


def test_stream_and_rest_tell_the_same_trade():
    """A fill reads the same from the stream and from REST."""
    fill = VENUE.decode(frame(trade()), AT).told[1]
    (row,) = VENUE.decode_page("fills", raw("GET_eapi_v1_userTrades"), AT)
    assert isinstance(row, Fill)
    fill.client_order_id, fill.source = None, "rest"
    assert fill == row


def test_the_samples_make_one_state_in_any_order():
    """However often and in whatever order the samples are told, one state is believed."""
    events = [raw(name) for name in tape.names("options", "event_*")]
    kinds = ("orders", "fills", "account", "bill", "exercises")
    pages = {kind: raw(name) for name, kind, _ in PAGES if kind in kinds}
    state = one_state_in_any_order(streamed(VENUE, *events, frame(trade())) + paged(VENUE, **pages))
    key = ("options", "BTC-200730-9000-C", "239")
    assert state["fills"][key]["client_order_id"] == "mine"
    assert state["positions"]["options", "BTC-251123-126000-C", "BOTH"]["quantity"] == D("-0.1")


def test_keys_and_addresses():
    """The key is that of /eapi, the host that of USDⓈ-M; a renewal that names no key changes none."""
    (door,) = VENUE.doors(urls_of(VENUE.hosts, "live"), StreamOptions())
    assert door.url("K") == "wss://fstream.binance.com/private/ws/K"
    assert (door.create.method, door.create.path) == ("POST", "/eapi/v1/listenKey")
    body = raw("POST_eapi_v1_listenKey")
    assert door.parse(Reply(body=body, fetched_at=AT)) == load("POST_eapi_v1_listenKey")["listenKey"]
    assert door.parse(Reply(body=raw("PUT_eapi_v1_listenKey"), fetched_at=AT)) is None
    for environment in ("testnet", "demo"):
        assert urls_of(VENUE.hosts, environment).stream == "wss://fstream.binancefuture.com"


def test_orders_are_kept_for_five_days():
    """Order history ends after five days; conditional orders do not exist and are not swept."""
    assert MARKET.retention[ORDERS].keeps == timedelta(days=5)
    assert ALGO_ORDERS not in MARKET.retention
    swept, calls, _ = drive(MARKET.orders(None, AT, AT), lambda _: [])
    assert (swept.supported, calls) == (False, [])


def test_transfers_are_the_bill_and_the_exercises():
    """Both histories are read in windows of a week, and what either misses is not proven."""
    start = AT - timedelta(days=10)
    swept, calls, _ = drive(MARKET.transfers(start, AT), lambda _: [])
    assert [call.kind for call in calls] == ["bill", "bill", "exercises", "exercises"]
    assert dict(calls[0].params)["currency"] == "USDT"
    assert swept.unproven == []
    swept, _, _ = drive(MARKET.transfers(AT, AT), lambda call: [{}] if call.kind == "exercises" else [])
    assert len(swept.unproven) == 1


def test_exchange_info_names_the_contracts():
    """Contracts come from optionSymbols, with their underlying's asset."""
    info, _, _ = drive(MARKET.exchange_info(), lambda _: raw("GET_eapi_v1_exchangeInfo"))
    assert info.limits == {"binance-options": 2400}
    symbol = info.symbols["BTC-220815-50000-C"]
    assert (symbol.base_asset, symbol.quote_asset, symbol.status) == ("BTC", "USDT", "TRADING")


def test_snapshot_says_whether_the_account_may_trade():
    """A snapshot is two calls of eight weight."""
    bodies = {
        "/eapi/v1/marginAccount": raw("GET_eapi_v1_marginAccount"),
        "/eapi/v1/position": raw("GET_eapi_v1_position"),
    }
    state, calls, pages = drive(VENUE.snapshot(timedelta(0)), lambda call: bodies[call.path])
    assert (state.can_trade, sum(call.weight for call in calls)) == (True, 8)
    assert [page.kind for page in pages] == ["account", "positions"]


def test_every_call_is_on_the_allow_list():
    """No flow asks for anything that the allow-list does not name."""
    flows = [
        VENUE.snapshot(timedelta(0)), VENUE.canary(timedelta(0)), VENUE.server_time(), VENUE.rights(),
        MARKET.open_orders(timedelta(0)), MARKET.orders("S", AT, AT), MARKET.fills("S", AT, AT),
        MARKET.transfers(AT, AT), MARKET.order("S", "1"), MARKET.exchange_info(),
    ]  # fmt: skip
    for call in map(first_call, flows):
        assert (call.method, call.path) in VENUE.allowed
        assert call.path.startswith("/eapi/") or call.base == "sapi"
    assert drive(MARKET.algo_orders("S", AT, AT), None)[1] == []
    assert drive(MARKET.algo_order("1"), None)[0] is False
