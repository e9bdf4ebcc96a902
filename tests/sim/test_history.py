"""REST history: windows, pages, retention, order, and what is no longer shown."""

from decimal import Decimal

import pytest

from accountd.sim.clock import Clock
from accountd.sim.exchange import Exchange

DAY = 86_400_000


@pytest.fixture
def past(exchange, hand):
    """Do a deed at a time so many days ago, oldest first."""

    def at(days):
        return exchange.clock.pinned(hand.ms - int(days * DAY))

    return at


@pytest.fixture
def exchange(hand):
    """An exchange whose account is empty, so that history may come before anything else."""
    exchange = Exchange(seed=5, clock=Clock(hand))
    exchange.add_account("main", deposit=Decimal(0))
    return exchange


def rest(exchange, price="1"):
    """Place a limit order that rests."""
    return exchange.place("main", "BTCUSDT", "BUY", Decimal("1"), Decimal(price))


async def test_trades_page_by_id_without_holes(exchange, client):
    """Paging by fromId gives every trade once, ascending, also when all share a millisecond."""
    exchange.burst("main", 25)
    seen, next_id = [], 0
    while True:
        rows = await client.rows("/fapi/v1/userTrades", symbol="BTCUSDT", fromId=next_id, limit=10)
        seen += [r["id"] for r in rows]
        if len(rows) < 10:
            break
        next_id = rows[-1]["id"] + 1
    assert seen == [f["trade_id"] for f in exchange.truth("main")["fills"]]


async def test_trades_without_a_window_are_the_last_seven_days(exchange, client, past):
    """Without times only the last seven days are told; a window finds older ones; 90 days is the end."""
    for days in (100, 30, 3):
        with past(days):
            exchange.place("main", "BTCUSDT", "BUY", Decimal("0.001"))
    start = exchange.clock.now() - 31 * DAY
    assert len(await client.rows("/fapi/v1/userTrades", symbol="BTCUSDT")) == 1
    rows = await client.rows(
        "/fapi/v1/userTrades", symbol="BTCUSDT", startTime=start, endTime=start + 7 * DAY
    )
    assert len(rows) == 1
    assert len(await client.rows("/fapi/v1/userTrades", symbol="BTCUSDT", fromId=1)) == 2


@pytest.mark.parametrize(
    ("path", "params", "code"),
    [
        ("/fapi/v1/userTrades", {}, -1102),
        ("/fapi/v1/userTrades", {"symbol": "NOPE"}, -1121),
        ("/fapi/v1/userTrades", {"symbol": "BTCUSDT", "fromId": 1, "startTime": 1}, -1128),
        ("/fapi/v1/userTrades", {"symbol": "BTCUSDT", "startTime": 1, "endTime": 7 * DAY + 2}, -1127),
        ("/fapi/v1/userTrades", {"symbol": "BTCUSDT", "limit": 1001}, -1130),
        ("/fapi/v1/userTrades", {"symbol": "BTCUSDT", "limit": "x"}, -1130),
        ("/fapi/v1/allOrders", {"symbol": "BTCUSDT", "startTime": 1, "endTime": 7 * DAY + 2}, -1127),
        ("/fapi/v1/allAlgoOrders", {}, -1102),
        ("/fapi/v1/income", {"limit": 1001}, -1130),
        ("/fapi/v1/order", {"symbol": "BTCUSDT"}, -1102),
        ("/fapi/v1/order", {"symbol": "BTCUSDT", "orderId": 1}, -2013),
        ("/fapi/v1/openOrder", {"symbol": "BTCUSDT", "orderId": 1}, -2013),
        ("/fapi/v1/algoOrder", {}, -1102),
        ("/fapi/v1/algoOrder", {"algoId": 1}, -2013),
        ("/fapi/v1/commissionRate", {}, -1102),
        ("/fapi/v1/forceOrders", {"autoCloseType": "X"}, -1130),
    ],
)
async def test_wrong_parameters_have_their_codes(path, params, code, client):
    """Each wrong parameter is refused with HTTP 400 and the documented code."""
    reply = await client.get(path, **params)
    assert (reply.status_code, reply.json()["code"]) == (400, code)


async def test_orders_that_ended_unfilled_vanish_after_three_days(exchange, client, past):
    """Cancelled and expired orders without a fill are gone after 3 days, all others after 90."""
    with past(95):
        exchange.place("main", "BTCUSDT", "BUY", Decimal("1"))
    with past(4):
        gone, kept = rest(exchange), rest(exchange)
        exchange.fill("main", kept, Decimal("0.5"))
        exchange.cancel("main", gone)
        exchange.cancel("main", kept)
        standing = rest(exchange)
    with past(2):
        fresh = rest(exchange)
        exchange.cancel("main", fresh)
    rows = await client.rows("/fapi/v1/allOrders", symbol="BTCUSDT")
    assert [r["orderId"] for r in rows] == [kept.order_id, standing.order_id, fresh.order_id]
    reply = await client.get("/fapi/v1/order", symbol="BTCUSDT", orderId=gone.order_id)
    assert reply.json()["code"] == -2013
    shown = {o["order_id"]: o["shown"] for o in exchange.truth("main")["orders"]}
    assert list(shown.values()) == [False, False, True, True, True]


async def test_all_orders_from_an_id(exchange, client):
    """orderId is an inclusive cursor and the page starts there."""
    orders = [rest(exchange) for _ in range(5)]
    rows = await client.rows("/fapi/v1/allOrders", symbol="BTCUSDT", orderId=orders[2].order_id, limit=2)
    assert [r["orderId"] for r in rows] == [o.order_id for o in orders[2:4]]


async def test_the_symbol_of_all_orders_is_optional_unless_switched_off(sim, exchange, client):
    """Without a symbol all orders are told, or -1102 when the venue is set to its older self."""
    rest(exchange)
    exchange.place("main", "ETHUSDT", "BUY", Decimal("1"), Decimal("1"))
    assert {r["symbol"] for r in await client.rows("/fapi/v1/allOrders")} == {"BTCUSDT", "ETHUSDT"}
    sim.api.symbolless_all_orders = False
    assert (await client.get("/fapi/v1/allOrders")).json()["code"] == -1102
    assert len(await client.rows("/fapi/v1/allOrders", symbol="BTCUSDT")) == 1


async def test_income_is_ascending_with_both_ends_inclusive(exchange, client, past):
    """Income filters by type and symbol; a row exactly at either end is told; three months are kept."""
    with past(91):
        exchange.transfer("main", Decimal("9"))
    for days in (3, 2, 1):
        with past(days):
            exchange.transfer("main", Decimal(days))
    exchange.place("main", "BTCUSDT", "BUY", Decimal("0.010"))
    now = exchange.clock.now()
    rows = await client.rows("/fapi/v1/income", incomeType="TRANSFER", startTime=1)
    assert [r["income"] for r in rows] == ["3.00000000", "2.00000000", "1.00000000"]
    rows = await client.rows("/fapi/v1/income", startTime=now - 3 * DAY, endTime=now - DAY)
    assert len(rows) == 3
    rows = await client.rows("/fapi/v1/income", symbol="BTCUSDT")
    assert [(r["incomeType"], r["asset"]) for r in rows] == [("COMMISSION", "USDT")]
    assert rows[0]["tradeId"] == str(exchange.truth("main")["fills"][0]["trade_id"])


async def test_tran_ids_are_unique_only_within_a_type(exchange, client):
    """Profit and commission of one trade share their tranId; within a type it never repeats."""
    for side in ("BUY", "SELL", "BUY", "SELL"):
        exchange.place("main", "BTCUSDT", side, Decimal("0.010"))
        exchange.drift("BTCUSDT", Decimal("0.01"))
    exchange.transfer("main", Decimal("1"))
    rows = await client.rows("/fapi/v1/income", limit=1000)
    keys = [(r["incomeType"], r["tranId"]) for r in rows]
    assert len(set(keys)) == len(keys)
    assert len({number for _, number in keys}) < len(keys)


async def test_positions_and_account_show_only_what_is_there(exchange, client):
    """v3 shows symbols with a position or open orders; a closed one vanishes; v2 shows all."""
    exchange.transfer("main", Decimal("1000"))
    exchange.place("main", "BTCUSDT", "BUY", Decimal("0.010"))
    waiting = exchange.place("main", "ETHUSDT", "BUY", Decimal("1"), Decimal("1"))
    rows = {r["symbol"]: r["positionAmt"] for r in await client.rows("/fapi/v3/positionRisk")}
    assert rows == {"BTCUSDT": "0.010", "ETHUSDT": "0.000"}
    exchange.cancel("main", waiting)
    exchange.place("main", "BTCUSDT", "SELL", Decimal("0.010"))
    assert await client.rows("/fapi/v3/positionRisk") == []
    assert (await client.rows("/fapi/v3/account"))["positions"] == []
    assert len(await client.rows("/fapi/v2/positionRisk")) == len(exchange.symbols)


async def test_conditional_orders_stay_out_of_open_orders(exchange, client):
    """An untriggered conditional order is only in openAlgoOrders, and leaves it when it ends."""
    algo = exchange.algo("main", "BTCUSDT", "SELL", "STOP", Decimal("1"), Decimal("1"))
    assert await client.rows("/fapi/v1/openOrders") == []
    assert len(await client.rows("/fapi/v1/openAlgoOrders")) == 1
    exchange.cancel_algo("main", algo)
    assert await client.rows("/fapi/v1/openAlgoOrders") == []
    told = await client.rows("/fapi/v1/algoOrder", clientAlgoId=algo.client_algo_id)
    assert told["algoStatus"] == "CANCELED"


async def test_the_truth_is_served_too(exchange, http):
    """GET /sim/truth gives the same as in process, decimals as strings, with the counters."""
    exchange.burst("main", 3)
    told = (await http.get("/sim/truth", params={"account": "main"})).json()
    assert told.pop("counters")["weight_total"] == 0
    assert told == exchange.truth("main")
    assert (await http.get("/sim/truth", params={"account": "nobody"})).status_code == 404
