"""The official samples of Binance portfolio margin, field by field, and how its three markets are read."""

from datetime import timedelta
from decimal import Decimal as D
from functools import partial

import pytest

from accountd.core.told import ALGO_ORDERS, BALANCES, FILLS, POSITIONS, Fill, Notice, Order, Snapshot
from accountd.errors import BadRequest
from accountd.venues import open_venue
from accountd.venues.base import from_ms, urls_of
from accountd.venues.doors import StreamOptions
from tests.venues import tape
from tests.venues.meaning import ALGO_UPDATE, BALANCE_UPDATE, ORDER_UPDATE, POSITION_UPDATE, agrees
from tests.venues.meaning_portfolio import PAGES, REPORT, STRATEGY_UPDATE
from tests.venues.retelling import (
    believed,
    drive,
    first_call,
    one_state_in_any_order,
    paged,
    streamed,
)
from tests.venues.tape import AT, frame

VENUE = open_venue("binance-portfolio")
USDM, COINM, MARGIN = VENUE.sections
load, raw = partial(tape.load, product="pm"), partial(tape.raw, product="pm")
EVENTS = tape.names("pm", "*event_*")


def decode(name, **changes):
    """Decode an official event, changed."""
    return VENUE.decode(frame(load(f"event_{name}") | changes), AT)


@pytest.mark.parametrize("name", EVENTS)
def test_every_official_event_is_known(name):
    """Every event of both streams decodes under its own name, raw and wrapped."""
    decoded = VENUE.decode(raw(name), AT)
    assert decoded.kind == load(name)["e"]
    assert decoded.event_time == from_ms(load(name)["E"])
    assert decoded.told
    assert not any(isinstance(row, Notice) and row.kind in ("unknown", "undecodable") for row in decoded.told)
    assert VENUE.decode(tape.wrap(load(name)), AT) == decoded
    assert VENUE.decode_kept(decoded.kind, raw(name), AT) == decoded.told


@pytest.mark.parametrize(
    "name",
    [
        "ACCOUNT_UPDATE", "ORDER_TRADE_UPDATE", "ALGO_UPDATE", "ACCOUNT_CONFIG_UPDATE",
        "CONDITIONAL_ORDER_TRADE_UPDATE",
    ],
)  # fmt: skip
def test_the_business_unit_is_the_market(name):
    """``fs`` says which futures market an event is of; an event of none is not guessed at."""
    for unit, market in (("UM", "usdm"), ("CM", "coinm")):
        rows = [row for row in decode(name, fs=unit).told if not isinstance(row, Notice)]
        assert {row.market for row in rows} == {market}
    for unit in (None, "XX"):
        assert decode(name, fs=unit).kind == "undecodable"


def test_futures_events_lose_nothing():
    """Orders, conditional orders of both services, wallets and positions carry every field of meaning."""
    (order,) = decode("ORDER_TRADE_UPDATE").told
    agrees(order, load("event_ORDER_TRADE_UPDATE")["o"], ORDER_UPDATE)
    (algo,) = decode("ALGO_UPDATE").told
    agrees(algo, load("event_ALGO_UPDATE")["ao"], ALGO_UPDATE)
    (strategy,) = decode("CONDITIONAL_ORDER_TRADE_UPDATE").told
    agrees(strategy, load("event_CONDITIONAL_ORDER_TRADE_UPDATE")["so"], STRATEGY_UPDATE)
    sent = load("event_ACCOUNT_UPDATE")["a"]
    told = decode("ACCOUNT_UPDATE").told
    for row, body in zip(told, [*sent["B"], *sent["P"]], strict=True):
        agrees(row, body, BALANCE_UPDATE if "wb" in body else POSITION_UPDATE)


def test_margin_events_are_of_the_margin_market():
    """executionReport and outboundAccountPosition tell margin orders and balances."""
    order, detail = decode("executionReport").told
    agrees(order, load("event_executionReport"), REPORT)
    assert (order.market, detail.market) == ("margin", "margin")
    (balance,) = decode("outboundAccountPosition").told
    assert (balance.market, balance.free, balance.locked, balance.total) == (
        "margin", D("10000.000000"), D("0.000000"), D("10000.000000"),
    )  # fmt: skip
    traded = {"x": "TRADE", "X": "FILLED", "l": "1", "z": "1", "L": "0.1", "Y": "0.1", "t": 77, "N": "BNB"}
    fills = [row for row in decode("executionReport", **traded).told if isinstance(row, Fill)]
    assert [(row.market, row.trade_id, row.quote_quantity) for row in fills] == [("margin", "77", D("0.1"))]


def test_a_debt_that_changes_asks_for_its_history():
    """liabilityChange keeps every figure, knows that T is no time, and asks for loans and interest."""
    decoded = decode("liabilityChange")
    (hint,) = decoded.told
    assert (hint.kind, hint.market) == ("transfer.hint", "margin")
    assert hint.detail == {
        "reason": "liability", "asset": "BTC", "type": "BORROW", "transaction_id": 1352286576452864727,
        "principal": "1.03453430", "interest": "0", "liability": "1.03476851",
    }  # fmt: skip
    assert decoded.event_time == hint.at == from_ms(1573200697110)


def test_open_order_loss_is_shown_whole():
    """openOrderLoss changes no belief and keeps each asset's amount."""
    (notice,) = decode("openOrderLoss").told
    assert notice.detail["body"] == [
        {"asset": "BUSD", "amount": "-0.1232313"}, {"asset": "BNB", "amount": "-12.1232313"},
    ]  # fmt: skip
    assert decode("openOrderLoss", O=[1]).told[0].detail["body"] == []


@pytest.mark.parametrize(
    ("level", "rings"),
    [("MARGIN_CALL", "margin.call"), ("REDUCE_ONLY", "margin.call"), ("FORCE_LIQUIDATION", "liquidation")],
)
def test_risk_levels_ring(level, rings):
    """riskLevelChange rings as a margin call, forced liquidation as a liquidation, with all its figures."""
    decoded = decode("riskLevelChange", s=level)
    assert decoded.told[0].detail == {
        "uni_mmr": "1.99999999", "risk_level": level, "equity_usd": "30.23416728",
        "actual_equity_usd": "30.23416728", "maintenance_margin_usd": "15.11708371",
    }  # fmt: skip
    _, changes = believed(streamed(VENUE, load("event_riskLevelChange") | {"s": level}))
    (alert,) = changes.alerts
    assert (alert.type, alert.data["risk_level"]) == (rings, level)


def test_a_ratio_that_fell_rings():
    """uniMMRDrop is a margin call with what it tells under the names of the other risk events."""
    (notice,) = VENUE.decode(frame({"e": "uniMMRDrop", "E": 5, "u": "1.4"}), AT).told
    assert (notice.kind, notice.detail) == ("margin.call", {"event": "uniMMRDrop", "uni_mmr": "1.4"})


def test_the_pro_account_is_shown_whole():
    """PM_PRO_ACCOUNT_UPDATE keeps every figure under a name."""
    (notice,) = VENUE.decode(raw("pro_event_PM_PRO_ACCOUNT_UPDATE"), AT).told
    assert set(notice.detail["body"].values()) == {
        "1.99999999", "30.23416728", "20.6783833", "15.11708371", "3.98972738",
    }  # fmt: skip


@pytest.mark.parametrize(("name", "kind", "market", "table"), PAGES)
def test_every_page_loses_nothing(name, kind, market, table):
    """Every REST page carries each field of meaning of each row, under its market."""
    rows = load(name)
    rows = rows if isinstance(rows, list) else [rows]
    told = [row for row in VENUE.decode_page(kind, raw(name), AT) if not isinstance(row, Snapshot)]
    for row, sent in zip(told, rows, strict=True):
        agrees(row, sent, table)
        assert row.market == market


def test_one_row_tells_three_wallets():
    """A balance row tells margin (free, locked), USDⓈ-M and COIN-M."""
    told = VENUE.decode_page("balances", raw("GET_papi_v1_balance"), AT)
    assert [(row.market, row.asset, row.total, row.free, row.locked) for row in told] == [
        ("margin", "USDT", D("103.00000000"), D("100.00000000"), D("3.00000000")),
        ("usdm", "USDT", D("0.00000000"), None, None),
        ("coinm", "USDT", D("23.72469206"), None, None),
    ]


def test_debts_are_transfers():
    """Interest and repayments are negative, loans positive; one that failed moved nothing."""
    (interest,) = VENUE.decode_page("margin.interest", raw("GET_papi_v1_margin_marginInterestHistory"), AT)
    assert (interest.kind, interest.amount, interest.info) == ("interest", D("-0.00024995"), "ON_BORROW")
    (negative,) = VENUE.decode_page("portfolio.interest", raw("GET_papi_v1_portfolio_interest-history"), AT)
    assert (negative.transfer_id, negative.amount) == ("negative-balance:1670227200000", D("-24.4440"))
    (loan,) = VENUE.decode_page("margin.loans", raw("GET_papi_v1_margin_marginLoan"), AT)
    assert (loan.kind, loan.transfer_id, loan.amount) == ("borrow", "12807067523", D("0.84624403"))
    (repaid,) = VENUE.decode_page("margin.repayments", raw("GET_papi_v1_margin_repayLoan"), AT)
    assert (repaid.kind, repaid.asset, repaid.amount) == ("repay", "BNB", D("-14.00000000"))
    row = {"asset": "USDT", "amount": "5", "tranId": 9, "timestamp": 1, "status": "CONFIRMED"}
    moves = [row | {"type": word} for word in ("MAIN_PORTFOLIO_MARGIN", "PORTFOLIO_MARGIN_MAIN")]
    told = VENUE.decode_page("margin.moves", frame({"rows": moves, "total": 2}), AT)
    assert [(one.kind, one.transfer_id, one.amount) for one in told] == [
        ("transfer", "9", D(5)), ("transfer", "9", D(-5)),
    ]  # fmt: skip
    for kind, name in (("margin.loans", "marginLoan"), ("margin.repayments", "repayLoan")):
        page = load(f"GET_papi_v1_margin_{name}")
        page["rows"][0]["status"] = "FAILED"
        assert VENUE.decode_page(kind, frame(page), AT) == []


def test_the_samples_make_one_state_in_any_order():
    """However often and in whatever order the samples are told, one state is believed."""
    events = [load(name) for name in EVENTS]
    trade = load("event_ORDER_TRADE_UPDATE")
    trade["o"] |= {
        "s": "BTCUSDT", "i": 270093109, "t": 67880589, "x": "TRADE", "X": "FILLED", "q": "0.010",
        "l": "0.010", "z": "0.010", "L": "28511.00", "n": "0.11404400", "rp": "2.58500000",
        "ps": "BOTH", "T": 1680688557875,
    }  # fmt: skip
    # Snapshots say when they were taken: years after the events of the samples.
    kinds = [
        (name, kind)
        for name, kind, _, _ in PAGES
        if not any(word in kind for word in ("open", "positions", "config"))
    ]
    pages = {kind.replace(".", "__"): raw(name) for name, kind in kinds}
    state = one_state_in_any_order(streamed(VENUE, *events, trade) + paged(VENUE, **pages))
    assert state["fills"]["usdm", "BTCUSDT", "67880589"]["client_order_id"] == "TEST"
    assert {market for market, *_ in state["orders"]} == {"usdm", "coinm", "margin"}
    assert {market for market, *_ in state["fills"]} == {"usdm", "coinm", "margin"}


def test_one_socket_and_hosts():
    """One key opens one socket; public questions go to the hosts of each market, or where REST goes."""
    live = urls_of(VENUE.hosts, "live")
    (door,) = VENUE.doors(live, StreamOptions())
    assert door.url("K") == "wss://fstream.binance.com/pm/ws/K"
    assert door.keepalive("K").method == "POST"  # PUT would not tell of a key that replaced ours
    assert (door.create.path, door.create.keyed, door.create.keep) == ("/papi/v1/listenKey", True, False)
    hosts = {section.market: live.of(first_call(section.exchange_info()).base) for section in VENUE.sections}
    assert hosts == {
        "usdm": "https://fapi.binance.com", "coinm": "https://dapi.binance.com",
        "margin": "https://api.binance.com",
    }  # fmt: skip
    own = urls_of(VENUE.hosts, "live", "http://127.0.0.1:1")
    assert {own.of(name) for name in ("rest", "sapi", "usdm", "coinm", "spot")} == {"http://127.0.0.1:1"}


def test_three_markets_and_what_each_has():
    """Margin has neither positions nor conditional orders; each market names its own windows."""
    assert [section.market for section in VENUE.sections] == ["usdm", "coinm", "margin"]
    assert POSITIONS not in MARGIN.retention
    assert ALGO_ORDERS not in MARGIN.retention
    assert all(BALANCES in section.retention for section in VENUE.sections)
    start = AT - timedelta(days=3)
    for section, calls in ((USDM, 1), (COINM, 4), (MARGIN, 4)):
        assert len(drive(section.fills("S", start, AT), lambda _: [])[1]) == calls
        assert drive(section.orders(None, start, AT), lambda _: [])[0].supported is False
        assert section.retention[FILLS].keeps >= timedelta(days=89)


def test_snapshot_tells_all_three_markets():
    """One snapshot is 36 weight for balances and positions of all markets."""
    bodies = {
        "/papi/v1/um/accountConfig": raw("GET_papi_v1_um_accountConfig"),
        "/papi/v1/um/symbolConfig": raw("GET_papi_v1_um_symbolConfig"),
        "/papi/v1/balance": raw("GET_papi_v1_balance"),
        "/papi/v1/um/positionRisk": raw("GET_papi_v1_um_positionRisk"),
        "/papi/v1/cm/positionRisk": raw("GET_papi_v1_cm_positionRisk"),
    }
    state, calls, pages = drive(VENUE.snapshot(timedelta(0)), lambda call: bodies[call.path])
    assert (state.hedge_mode, state.can_trade, state.modes) == (
        True, True, ("portfolio margin", "hedge mode"),
    )  # fmt: skip
    assert sum(call.weight for call in calls) == 36
    assert [page.kind for page in pages] == ["balances", "um.positions", "cm.positions", "um.symbol_config"]
    state, _, _ = drive(
        VENUE.snapshot(timedelta(0)),
        lambda call: BadRequest(code=-1) if "Config" in call.path else bodies[call.path],
    )
    assert state.can_trade is None


def test_conditional_coinm_orders_are_looked_up_by_number():
    """A conditional COIN-M order is found in the list that begins with its number, or is gone."""
    sample = raw("GET_papi_v1_cm_conditional_allOrders")
    found, calls, pages = drive(COINM.algo_order("123445"), lambda _: sample)
    assert (found, calls[0].path) == (True, "/papi/v1/cm/conditional/allOrders")
    assert isinstance(pages[0].told[0], Order)
    assert drive(COINM.algo_order("123444"), lambda _: sample)[0] is False
    swept, _, _ = drive(COINM.open_orders(timedelta(0)), lambda _: sample if "cond" in _.path else [])
    assert swept.rows == 1


def test_loans_are_asked_for_by_asset():
    """Loans and repayments are asked for the assets that are held, owed, or bore interest."""

    (held,) = load("GET_papi_v1_balance")
    nothing = dict.fromkeys(held, "0") | {"asset": "DOGE", "updateTime": 0}
    bodies = {
        "margin.interest": raw("GET_papi_v1_margin_marginInterestHistory"),
        "portfolio.interest": [],
        "balances": [held, held | {"asset": "ETH"}, nothing],
    }

    def answer(call):
        return bodies.get(call.kind, {"rows": [], "total": 0})

    swept, calls, _ = drive(MARGIN.transfers(AT - timedelta(days=1), AT), answer)
    asked = [(call.kind, dict(call.params)["asset"]) for call in calls if "asset" in dict(call.params)]
    assert asked == [
        (kind, asset) for asset in ("ETH", "USDT") for kind in ("margin.loans", "margin.repayments")
    ]
    assert swept.unproven == []


def test_margin_symbols_are_ranked_by_what_is_held():
    """A pair whose assets are held is likely, one with neither comes last."""
    info, _, _ = drive(MARGIN.exchange_info(), lambda _: {
        "symbols": [{"symbol": "BNBBTC", "baseAsset": "BNB", "quoteAsset": "BTC", "status": "TRADING"}]
    })  # fmt: skip
    symbol = info.symbols["BNBBTC"]
    assert [MARGIN.rank(symbol, held) for held in ({"BNB", "BTC"}, {"BTC"}, {"XRP"})] == [0, 1, 2]


def test_open_margin_orders_may_need_a_symbol():
    """Where the list of open margin orders needs a symbol it is left out; another refusal is not."""
    swept, _, _ = drive(MARGIN.open_orders(timedelta(0)), lambda _: BadRequest(code=-1102))
    assert swept.rows == 0
    with pytest.raises(BadRequest):
        drive(MARGIN.open_orders(timedelta(0)), lambda _: BadRequest(code=-1100))


def test_every_call_is_on_the_allow_list():
    """No flow asks for anything that the allow-list does not name."""
    flows = [VENUE.snapshot(timedelta(0)), VENUE.canary(timedelta(0)), VENUE.server_time(), VENUE.rights()]
    for market in VENUE.sections:
        flows += [
            market.open_orders(timedelta(0)), market.orders("S", AT, AT), market.fills("S", AT, AT),
            market.transfers(AT, AT), market.order("S", "1"), market.exchange_info(),
        ]  # fmt: skip
    flows += [one for m in (USDM, COINM) for one in (m.algo_orders("S", AT, AT), m.algo_order("1"))]
    for call in map(first_call, flows):
        assert (call.method, call.path) in VENUE.allowed
        assert call.signed == (call.base in ("rest", "sapi"))
