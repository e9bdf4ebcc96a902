"""The official samples of Binance COIN-M, field by field, and how its history is asked for."""

from datetime import timedelta
from decimal import Decimal as D
from functools import partial

import pytest

from accountd.core.told import (
    ALGO_ORDERS,
    FILLS,
    ORDERS,
    TRANSFERS,
    Balance,
    Fill,
    Notice,
    Position,
    Snapshot,
)
from accountd.errors import BadRequest, SettingsError
from accountd.venues import open_venue
from accountd.venues.base import from_ms, urls_of
from accountd.venues.doors import StreamOptions
from tests.venues import tape
from tests.venues.meaning import (
    ASSET_ROW,
    BALANCE_UPDATE,
    FILL_UPDATE,
    INCOME_ROW,
    ORDER_ROW,
    ORDER_UPDATE,
    POSITION_ROW,
    POSITION_UPDATE,
    TRADE_ROW,
    agrees,
    margin,
)
from tests.venues.retelling import drive, first_call, one_state_in_any_order, paged, streamed
from tests.venues.tape import AT, frame

VENUE = open_venue("binance-coinm")
(MARKET,) = VENUE.sections
load, raw = partial(tape.load, product="cm"), partial(tape.raw, product="cm")
COIN_POSITION = POSITION_ROW | {"marginType": ("margin_type", margin), "leverage": ("leverage", D)}
# What the venue calls base and quote of a trade in contracts: the base follows from price and contracts.
PAGES = [
    ("GET_dapi_v1_allOrders", "orders", ORDER_ROW),
    ("GET_dapi_v1_openOrders", "open_orders", ORDER_ROW),
    ("GET_dapi_v1_order", "order", ORDER_ROW),
    ("GET_dapi_v1_forceOrders", "orders", ORDER_ROW),
    ("GET_dapi_v1_userTrades", "fills", TRADE_ROW),
    ("GET_dapi_v1_income", "income", INCOME_ROW),
    ("GET_dapi_v1_positionRisk", "positions", COIN_POSITION),
    ("GET_dapi_v1_account", "account", ASSET_ROW),
]


def trade(**changes):
    """Return the official order sample turned into the trade that the REST sample tells."""
    event = load("event_ORDER_TRADE_UPDATE")
    event["o"] |= {
        "s": "BTCUSD_200626", "c": "mine", "S": "SELL", "x": "TRADE", "X": "FILLED", "i": 28, "t": 6,
        "q": "1", "l": "1", "z": "1", "L": "8800", "ap": "8800", "n": "0.00000454", "N": "BTC", "rp": "0",
        "m": False, "ps": "BOTH", "T": 1590743483586,
    } | changes  # fmt: skip
    return event


@pytest.mark.parametrize("name", tape.names("cm", "event_*"))
def test_every_official_event_is_known(name):
    """Every published event decodes under its own name, raw and wrapped, and is of this market."""
    decoded = VENUE.decode(raw(name), AT)
    assert decoded.kind == load(name)["e"]
    assert decoded.event_time == from_ms(load(name)["E"])
    assert decoded.told
    assert not any(isinstance(row, Notice) and row.kind in ("unknown", "undecodable") for row in decoded.told)
    assert all(row.market == "coinm" for row in decoded.told if not isinstance(row, Notice))
    assert VENUE.decode(tape.wrap(load(name)), AT) == decoded
    assert VENUE.decode_kept(decoded.kind, raw(name), AT) == decoded.told


def test_orders_and_wallets_lose_nothing():
    """ORDER_TRADE_UPDATE and ACCOUNT_UPDATE carry every field of meaning."""
    event = load("event_ORDER_TRADE_UPDATE")
    (order,) = VENUE.decode(raw("event_ORDER_TRADE_UPDATE"), AT).told
    agrees(order, event["o"], ORDER_UPDATE)
    account = load("event_ACCOUNT_UPDATE")
    told = VENUE.decode(raw("event_ACCOUNT_UPDATE"), AT).told
    for row, sent in zip(told[:2], account["a"]["B"], strict=True):
        assert isinstance(row, Balance)
        agrees(row, sent, BALANCE_UPDATE)
    for row, sent in zip(told[2:], account["a"]["P"], strict=True):
        assert isinstance(row, Position)
        agrees(row, sent, POSITION_UPDATE)


@pytest.mark.parametrize(("symbol", "value"), [("BTCUSD_PERP", D(300)), ("ETHUSD_PERP", D(30))])
def test_a_contract_is_worth_dollars_whatever_the_price(symbol, value):
    """A fill keeps price and contracts; its quote value is contracts times 100 (BTC) or 10 US dollars."""
    fill = VENUE.decode(frame(trade(s=symbol, l="3", z="3", q="3")), AT).told[1]
    agrees(fill, trade(s=symbol, l="3")["o"], FILL_UPDATE)
    assert (fill.price, fill.quantity, fill.quote_quantity) == (D(8800), D(3), value)


@pytest.mark.parametrize(("name", "kind", "table"), PAGES)
def test_every_page_loses_nothing(name, kind, table):
    """Every REST page carries each field of meaning of each row."""
    rows = load(name)
    rows = rows["assets"] if kind == "account" else rows if isinstance(rows, list) else [rows]
    told = [row for row in VENUE.decode_page(kind, raw(name), AT) if not isinstance(row, Snapshot)]
    for row, sent in zip(told, rows, strict=True):
        agrees(row, sent, table)
        assert row.market == "coinm"


def test_stream_and_rest_tell_the_same_trade():
    """A fill reads the same from the stream and from REST, though only REST tells its value."""
    fill = VENUE.decode(frame(trade()), AT).told[1]
    (row,) = VENUE.decode_page("fills", raw("GET_dapi_v1_userTrades"), AT)
    fill.client_order_id, fill.source = None, "rest"
    assert fill == row
    older = load("GET_dapi_v1_userTrades")
    del older[0]["quoteQty"]
    assert VENUE.decode_page("fills", frame(older), AT)[0].quote_quantity == D(100)


def test_the_samples_make_one_state_in_any_order():
    """However often and in whatever order the samples are told, one state is believed."""
    events = [load(name) for name in tape.names("cm", "event_*")]
    # No list of all positions: it is years younger than the events that it would overrule.
    told = ("orders", "fills", "income", "account.totals")
    pages = {kind: raw(name) for name, kind, _ in PAGES if kind in told}
    tellings = streamed(VENUE, *events, trade()) + paged(VENUE, **pages)
    state = one_state_in_any_order(tellings)
    assert state["fills"]["coinm", "BTCUSD_200626", "6"]["client_order_id"] == "mine"
    assert state["positions"]["coinm", "BTCUSD_200925", "SHORT"]["quantity"] == D(-10)
    assert state["balances"]["coinm", "BTC"]["total"] == D("122624.12345678")


def test_addresses_of_each_environment():
    """COIN-M has hosts of its own in each environment and one form of stream address."""
    for environment, host in (
        ("live", "dstream.binance.com"), ("testnet", "dstream.binancefuture.com"),
        ("demo", "demo-dstream.binance.com"),
    ):  # fmt: skip
        urls = urls_of(VENUE.hosts, environment)
        (door,) = VENUE.doors(urls, StreamOptions(form="combined", events=("X",)))
        assert door.url("a/b") == f"wss://{host}/ws/a%2Fb"
    with pytest.raises(SettingsError):
        urls_of(VENUE.hosts, "moon")
    assert urls_of(VENUE.hosts, "live", "http://127.0.0.1:1").sapi == "http://127.0.0.1:1"


def test_the_pool_is_that_of_usdm():
    """COIN-M's requests count against the pool of USDⓈ-M."""
    mine, theirs = set(VENUE.pools), set(open_venue("binance-usdm").pools)
    assert mine == theirs
    assert MARKET.fills("S", AT, AT).send(None).pool in theirs


def test_snapshot_tells_wallet_and_positions():
    """A snapshot asks for mode, wallet and positions; a refused mode keeps no money waiting."""
    bodies = {
        "/dapi/v1/positionSide/dual": raw("GET_dapi_v1_positionSide_dual"),
        "/dapi/v1/account": raw("GET_dapi_v1_account"),
        "/dapi/v1/positionRisk": raw("GET_dapi_v1_positionRisk"),
    }
    state, calls, pages = drive(VENUE.snapshot(timedelta(0)), lambda call: bodies[call.path])
    assert state.hedge_mode
    assert sum(call.weight for call in calls) == 36
    assert [page.kind for page in pages] == ["account", "positions"]
    bodies["/dapi/v1/positionSide/dual"] = BadRequest(code=-1)
    state, _, pages = drive(VENUE.snapshot(timedelta(0)), lambda call: bodies[call.path])
    assert not state.hedge_mode
    assert len(pages) == 2


def test_orders_of_all_symbols_are_not_asked_for():
    """Without a symbol the venue answers nothing, so nothing is asked and nothing proven."""
    swept, calls, _ = drive(MARKET.orders(None, AT, AT), lambda _: [])
    assert (swept.supported, calls) == (False, [])


def test_where_there_is_no_algo_service_there_are_no_algo_orders():
    """A path that does not exist yet stops no sweep; any other refusal does."""

    def answer(call):
        missing = call.path in ("/dapi/v1/openAlgoOrders", "/dapi/v1/allAlgoOrders")
        return BadRequest(status=404) if missing else raw("GET_dapi_v1_openOrders")

    swept, calls, _ = drive(MARKET.open_orders(timedelta(0)), answer)
    assert (len(calls), swept.symbols) == (2, {"BTCUSD_200925"})
    swept, _, _ = drive(MARKET.algo_orders("BTCUSD_PERP", AT, AT), answer)
    assert swept.unproven == []
    for flow in (MARKET.open_orders(timedelta(0)), MARKET.algo_orders("S", AT, AT)):
        with pytest.raises(BadRequest):
            drive(flow, lambda _: BadRequest(status=400, code=-1121))


def test_windows_and_page_sizes():
    """Orders come a hundred a page in weeks, trades in weeks, income in a year."""
    start = AT - timedelta(days=20)
    _, calls, _ = drive(MARKET.orders("BTCUSD_PERP", start, AT), lambda _: [])
    assert len(calls) == 3
    assert dict(calls[0].params)["limit"] == "100"
    _, calls, _ = drive(MARKET.fills("BTCUSD_PERP", start, AT), lambda _: [])
    assert len(calls) == 3
    _, calls, _ = drive(MARKET.transfers(AT - timedelta(days=300), AT), lambda _: [])
    assert len(calls) == 1
    assert MARKET.retention[FILLS].window < timedelta(days=7)
    assert MARKET.retention[TRANSFERS].keeps > timedelta(days=200)
    assert MARKET.retention[ORDERS].keeps_unfilled == MARKET.retention[ALGO_ORDERS].keeps_unfilled


def test_exchange_info_declares_the_limit_and_the_symbols():
    """The weight limit and each symbol's margin asset come from exchangeInfo."""
    info, _, _ = drive(MARKET.exchange_info(), lambda _: raw("GET_dapi_v1_exchangeInfo"))
    assert info.limits == {"binance-futures": 2400}
    symbol = next(iter(info.symbols.values()))
    assert (symbol.margin_asset, symbol.status) == ("BTC", "TRADING")


def test_every_call_is_on_the_allow_list():
    """No flow asks for anything that the allow-list does not name, and everything stays under /dapi."""
    flows = [
        VENUE.snapshot(timedelta(0)), VENUE.canary(timedelta(0)), VENUE.server_time(), VENUE.rights(),
        MARKET.open_orders(timedelta(0)), MARKET.orders("S", AT, AT), MARKET.algo_orders("S", AT, AT),
        MARKET.fills("S", AT, AT), MARKET.transfers(AT, AT), MARKET.order("S", "1"), MARKET.algo_order("1"),
        MARKET.exchange_info(),
    ]  # fmt: skip
    for call in map(first_call, flows):
        assert (call.method, call.path) in VENUE.allowed
        assert call.path.startswith("/dapi/") or call.base == "sapi"


def test_a_frame_that_is_no_fill_and_a_fill_without_price():
    """A trade that lacks its price is undecodable, not invented."""
    event = trade()
    del event["o"]["L"]
    assert VENUE.decode(frame(event), AT).kind == "undecodable"
    assert not any(isinstance(row, Fill) for row in VENUE.decode(frame(trade(x="NEW")), AT).told)
