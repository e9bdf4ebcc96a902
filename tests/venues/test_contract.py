"""The official samples of Binance USDⓈ-M, field by field: nothing that means something is lost."""

import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal as D

import pytest

from accountd.core.told import Balance, Fill, Notice, Order, Position, Snapshot, SymbolConfig, Transfer
from accountd.venues import VENUES, open_venue
from accountd.venues.base import from_ms
from tests.venues.meaning import (
    ALGO_UPDATE,
    BALANCE_UPDATE,
    FILL_UPDATE,
    ORDER_UPDATE,
    PAGES,
    POSITION_UPDATE,
    agrees,
)
from tests.venues.tape import AT, TAPES, frame, load, raw, wrap

VENUE = open_venue("binance-usdm")
KEYS = ("/listenKey", "/userDataStream", "/userListenToken", "/margin/listen-key")
EVENTS = sorted(path.stem for path in TAPES.glob("event_*.json"))


def decode(event):
    """Decode plain values as a frame."""
    return VENUE.decode(frame(event), AT)


def trade(**changes):
    """Return the official order sample turned into a trade."""
    event = load("event_ORDER_TRADE_UPDATE")
    filled = {"x": "TRADE", "X": "PARTIALLY_FILLED", "l": "0.0004", "z": "0.0004", "L": "7103.0512345678"}
    event["o"] |= filled | {
        "t": 9007199254740993,
        "n": "0.00028412",
        "rp": "-1.5",
        "m": True,
        "ap": "7103.05",
    }
    event["o"] |= changes
    return event


@pytest.mark.parametrize("name", EVENTS)
def test_every_official_event_is_known(name):
    """Every published user-data event decodes to something typed under its own name."""
    decoded = VENUE.decode(raw(name), AT)
    assert decoded.kind == load(name)["e"]
    assert decoded.event_time == from_ms(load(name)["E"])
    assert decoded.told
    assert not any(isinstance(row, Notice) and row.kind in ("unknown", "undecodable") for row in decoded.told)


@pytest.mark.parametrize("name", EVENTS)
def test_wrapped_raw_and_text_frames_tell_the_same(name):
    """A frame means the same raw, inside a combined stream, as text, and with E written as text."""
    event = load(name)
    plain = decode(event)
    for other in (
        wrap(event),
        wrap(event).decode(),
        frame(event).decode(),
        frame(event | {"E": str(event["E"])}),
    ):
        assert VENUE.decode(other, AT) == plain
    turned = json.dumps({"data": event, "stream": "s"}).encode()
    assert VENUE.decode(turned, AT) == plain


@pytest.mark.parametrize("name", EVENTS)
def test_new_fields_change_nothing(name):
    """Fields that the venue adds, at the top or inside, are ignored."""
    event = load(name)
    more = {key: (value | {"zz": [1]} if isinstance(value, dict) else value) for key, value in event.items()}
    if name.split("_", 1)[1] in ("STRATEGY_UPDATE", "GRID_UPDATE", "CONDITIONAL_ORDER_TRIGGER_REJECT"):
        more = event  # shown whole, so what is added is shown too
    assert decode(more | {"new": {"a": 1.5}}) == decode(event)


def test_order_update_loses_nothing():
    """ORDER_TRADE_UPDATE carries every field of meaning into the order."""
    event = load("event_ORDER_TRADE_UPDATE")
    (order,) = decode(event).told
    agrees(order, event["o"], ORDER_UPDATE)
    assert order.created_at == order.updated_at == from_ms(event["o"]["T"])
    assert (order.market, order.kind, order.source) == ("usdm", "order", "stream")


def test_trade_is_order_and_fill_exactly():
    """A trade tells the order and a fill whose quote quantity is the exact product."""
    event = trade()
    order, fill = decode(event).told
    agrees(order, event["o"], ORDER_UPDATE)
    agrees(fill, event["o"], FILL_UPDATE)
    assert order.created_at is None
    assert fill.trade_id == "9007199254740993"
    assert fill.quote_quantity == D("2.84122049382712")


@pytest.mark.parametrize(
    "changes", [{"x": "CANCELED"}, {"l": "0"}, {"t": 0}, {"x": "EXPIRED"}, {"x": "AMENDMENT", "M": "7"}]
)
def test_what_did_not_trade_is_no_fill(changes):
    """Only an execution with a quantity and a trade id is a fill."""
    assert [type(row) for row in decode(trade(**changes)).told] == [Order]


def test_commission_not_told_is_none():
    """N and n are missing when there was no commission: None, not zero."""
    event = trade()
    del event["o"]["N"], event["o"]["n"]
    fill = decode(event).told[1]
    assert fill.commission is None
    assert fill.commission_asset is None


@pytest.mark.parametrize("name", ["autoclose-1", "adl_autoclose", "settlement_autoclose-9"])
def test_forced_closes_are_told_as_liquidation(name):
    """Liquidation, auto-deleveraging and settlement are recognised by their client order id."""
    told = decode(trade(c=name, x="CALCULATED")).told
    assert [type(row) for row in told] == [Order, Fill, Notice]
    assert told[2].kind == "liquidation"


def test_words_of_tomorrow_are_kept_as_told():
    """Unknown statuses, types, execution types and reasons pass through."""
    (order,) = decode(trade(x="TELEPORTED", X="HALF_DONE", o="SIDEWAYS", f="XYZ")).told
    assert (order.execution_type, order.status, order.type, order.time_in_force) == (
        "TELEPORTED", "HALF_DONE", "SIDEWAYS", "XYZ",
    )  # fmt: skip


def test_numbers_may_be_numbers():
    """Amounts written as JSON numbers keep every digit."""
    text = frame(trade()).replace(b'"7103.0512345678"', b"7103.05123456780000000000001")
    fill = VENUE.decode(text, AT).told[1]
    assert fill.price == D("7103.05123456780000000000001")


def test_account_update_loses_nothing():
    """ACCOUNT_UPDATE tells each asset's wallet balance and each side's position."""
    event = load("event_ACCOUNT_UPDATE")
    told = decode(event).told
    for row, sent in zip(told[:2], event["a"]["B"], strict=True):
        assert isinstance(row, Balance)
        agrees(row, sent, BALANCE_UPDATE)
        assert (row.free, row.locked, row.reason) == (None, None, "ORDER")
    for row, sent in zip(told[2:], event["a"]["P"], strict=True):
        assert isinstance(row, Position)
        agrees(row, sent, POSITION_UPDATE)
    assert {row.as_of for row in told} == {from_ms(event["T"])}
    assert {row.seen_at for row in told} == {from_ms(event["E"])}


@pytest.mark.parametrize("reason", ["DEPOSIT", "WITHDRAW", "FUNDING_FEE", "AUTO_EXCHANGE", "TOMORROW"])
def test_money_from_outside_hints_at_a_transfer(reason):
    """Every reason that moves money asks for a look at the income history, with its symbol if told."""
    event = load("event_ACCOUNT_UPDATE")
    event["a"] |= {"m": reason, "S": "BTCUSDT", "P": []}
    hint = decode(event).told[-1]
    assert (hint.kind, hint.symbol) == ("transfer.hint", "BTCUSDT")


def test_algo_update_loses_nothing():
    """ALGO_UPDATE tells a conditional order, under ``o`` or ``ao``; what it filled only once it fired."""
    event = load("event_ALGO_UPDATE")
    (order,) = decode(event).told
    agrees(order, event["o"], ALGO_UPDATE)
    assert (order.kind, order.filled_quantity, order.average_price) == ("algo", None, None)
    fired = event["o"] | {"ai": "8886774", "aq": "0.01", "ap": "750.1", "X": "FINISHED", "rm": ""}
    other = {key: value for key, value in event.items() if key != "o"} | {"ao": fired}
    (order,) = decode(other).told
    assert (order.actual_order_id, order.filled_quantity, order.average_price) == (
        "8886774",
        D("0.01"),
        D("750.1"),
    )
    assert order.reason is None


def test_config_update_tells_leverage_or_mode():
    """ACCOUNT_CONFIG_UPDATE tells the leverage of a symbol, or the multi-assets switch."""
    event = load("event_ACCOUNT_CONFIG_UPDATE")
    assert decode(event).told == [
        SymbolConfig(market="usdm", symbol="BTCUSDT", as_of=from_ms(event["T"]), leverage=D(25))
    ]
    (notice,) = decode({"e": event["e"], "E": 1, "T": 1, "ai": {"j": True}}).told
    assert (notice.kind, notice.detail) == ("config", {"multi_assets": True})


def test_margin_call_keeps_its_positions():
    """MARGIN_CALL keeps every figure as text."""
    (notice,) = VENUE.decode(raw("event_MARGIN_CALL"), AT).told
    assert notice.kind == "margin.call"
    assert notice.symbol == "ETHUSDT"
    assert notice.detail == {
        "cross_wallet_balance": "3.16812045",
        "positions": [
            {
                "symbol": "ETHUSDT", "position_side": "LONG", "quantity": "1.327", "margin_type": "CROSS",
                "isolated_wallet": "0", "mark_price": "187.17127", "unrealized_pnl": "-1.166074",
                "maintenance_margin": "1.614445",
            }
        ],
    }  # fmt: skip


def test_trade_lite_is_only_a_hint():
    """TRADE_LITE tells no fill: it lacks commission and status, and the full event follows."""
    (notice,) = VENUE.decode(raw("event_TRADE_LITE"), AT).told
    assert (notice.kind, notice.symbol, notice.detail["trade_id"]) == ("hint", "BTCUSDT", "109100866")


def test_key_expiry_is_control_without_the_key():
    """listenKeyExpired is a control that names the key to the session and to nobody else."""
    decoded = VENUE.decode(raw("event_listenKeyExpired"), AT)
    key = load("event_listenKeyExpired")["listenKey"]
    assert (decoded.control, decoded.listen_key) == ("key_expired", key)
    assert key not in repr(decoded)
    assert VENUE.decode(b'{"e":"listenKeyExpired"}', AT).control == "key_expired"


@pytest.mark.parametrize(("name", "kind", "table"), PAGES)
def test_every_page_loses_nothing(name, kind, table):
    """Every REST page carries each field of meaning of each row."""
    rows = load(name)
    rows = rows["assets"] if kind == "account" else rows if isinstance(rows, list) else [rows]
    told = [row for row in VENUE.decode_page(kind, raw(name), AT) if not isinstance(row, Snapshot)]
    assert len(told) == len(rows)
    for row, sent in zip(told, rows, strict=True):
        agrees(row, sent, table)
        if not isinstance(row, SymbolConfig):
            assert row.source == "rest"
        if isinstance(row, Balance | Position):
            assert row.as_of == AT


@pytest.mark.parametrize(
    ("name", "kind", "dataset", "keys"),
    [
        ("GET_fapi_v3_positionRisk", "positions", "positions", {("ADAUSDT", "BOTH")}),
        ("GET_fapi_v1_openOrders", "open_orders", "orders", {("BTCUSDT", "1917641")}),
        ("GET_fapi_v1_openAlgoOrders", "open_algo_orders", "algo_orders", {("BNBUSDT", "2148627")}),
    ],
)
def test_lists_of_all_say_what_is_absent(name, kind, dataset, keys):
    """A page that lists everything open says so, unless a row of it could not be read."""
    snapshot = VENUE.decode_page(kind, raw(name), AT)[-1]
    assert snapshot == Snapshot(market="usdm", dataset=dataset, as_of=AT, keys=frozenset(keys))
    torn = VENUE.decode_page(kind, frame([*load(name), {"symbol": 5}]), AT)
    assert isinstance(torn[-1], Notice)
    assert torn[-1].kind == "undecodable"


def test_balances_of_both_asset_modes():
    """Locked is total less free, None where more is free, assets are shared, or nobody asked."""
    single = VENUE.decode_page("account", raw("GET_fapi_v3_account.docs"), AT)
    assert [row.locked for row in single] == [D("0E-8"), None]
    multi = VENUE.decode_page("account.multi_assets", raw("GET_fapi_v3_account.docs"), AT)
    assert [row.locked for row in multi] == [None, None]
    assert multi[0].free == D("23.72469206")
    assert all(
        row.free is None for row in VENUE.decode_page("account.totals", raw("GET_fapi_v3_account"), AT)
    )


def test_a_row_newer_than_the_replica_lag_keeps_its_time():
    """A balance is as of its own update time where that is later than the page."""
    early = datetime(2020, 1, 1, tzinfo=UTC)
    (row,) = VENUE.decode_page("account", raw("GET_fapi_v3_account"), early)
    assert row.as_of == from_ms(1625474304765)


def test_stream_and_rest_tell_the_same_trade():
    """A fill and an order read the same from the stream and from REST, whatever the printed scale."""
    event = trade(l="0.002", L="7819.01", n="0.0781901", rp="-0.91539999", m=False, t=698759, i=25851813)
    event["o"] |= {"S": "SELL", "ps": "SHORT", "T": 1569514978020, "c": "x"}
    fill = decode(event).told[1]
    (row,) = VENUE.decode_page("fills", raw("GET_fapi_v1_userTrades"), AT)
    fill.client_order_id, fill.source = None, "rest"
    assert fill == row


def test_income_kinds_and_blanks():
    """Income is a transfer whose kind is the income type in lower case and whose blanks are None."""
    (row,) = VENUE.decode_page("income", raw("GET_fapi_v1_income"), AT)
    assert isinstance(row, Transfer)
    assert (row.kind, row.symbol, row.trade_id, row.amount) == ("transfer", None, None, D("-0.375"))


def test_listen_keys_are_named_by_create_and_keepalive():
    """Both listen-key replies name the key; an empty object names none."""
    from accountd.venues.base import Reply, urls_of
    from accountd.venues.doors import StreamOptions

    (door,) = VENUE.doors(urls_of(VENUE.hosts, "live"), StreamOptions())
    for name in ("POST_fapi_v1_listenKey", "PUT_fapi_v1_listenKey"):
        assert door.parse(Reply(body=raw(name), fetched_at=AT)) == load(name)["listenKey"]
    assert door.parse(Reply(body=b"{}", fetched_at=AT)) is None


@pytest.mark.parametrize("name", sorted(VENUES))
def test_nothing_that_changes_an_account_is_allowed(name):
    """Every venue may read, and may extend a listen key; it trades and deletes nothing."""
    for method, path in open_venue(name).allowed:
        assert method == "GET" or (method in ("POST", "PUT") and path.endswith(KEYS))


def test_snapshots_are_believed_as_of_the_lag():
    """A snapshot fetched now speaks of ``lag`` ago."""
    from accountd.venues.base import Page, Reply

    flow = VENUE.canary(timedelta(seconds=10))
    next(flow)
    page = flow.send(Reply(body=raw("GET_fapi_v3_account"), fetched_at=AT))
    assert isinstance(page, Page)
    assert page.as_of == AT - timedelta(seconds=10)
    assert VENUE.decode_page(page.kind, page.reply.body, page.as_of) == page.told
