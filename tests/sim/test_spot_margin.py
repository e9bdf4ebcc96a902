"""The simulated margin: accounts, history windows, listen tokens, and the cross risk stream."""

from decimal import Decimal

import httpx
import pytest
import websockets

from accountd.sim.app import build
from accountd.sim.margin_trader import MarginTrader
from accountd.sim.products import build_spot
from accountd.sim.server import SimServer
from tests.sim.conftest import Reader
from tests.sim.signer import Client
from tests.sim.spot_stage import WsClient, sample
from tests.sim.test_shapes import same_shape

D = Decimal
DAY = 86_400_000
ROOT = "/sapi/v1/margin"
TOKEN = "/sapi/v1/userListenToken"


@pytest.fixture
async def margin(exchange):
    """Served cross and isolated accounts."""
    margin, spot = build_spot(exchange, ("margin", "isolated"))
    async with SimServer(exchange, products=[margin, spot]):
        yield margin


@pytest.fixture
def cross(margin):
    """The cross wallet of `main`."""
    return margin.margin.wallet("main", "margin")


@pytest.fixture
def isolated(margin):
    """The isolated wallet of `main` for BTCUSDT."""
    return margin.margin.wallet("main", "isolated", "BTCUSDT")


@pytest.fixture
async def client(margin, account, exchange):
    """The account's signing client."""
    async with httpx.AsyncClient(base_url=margin.server.rest_url, timeout=10, verify=False) as http:
        yield Client(http, account.credential, now=exchange.clock.now)


async def code(client, path, **params):
    """Return the error code of a refused request."""
    return (await client.get(f"{ROOT}/{path}", **params)).json()["code"]


async def token(client, **params):
    """Make a listen token, unsigned as the documents say."""
    reply = await client.http.post(TOKEN, params=params, headers=client.headers)
    assert reply.status_code == 200, reply.text
    return reply.json()


ISOLATED = {"isIsolated": "TRUE"}
SHAPES = [
    ("account", {}, "rest.margin.account"),
    ("isolated/account", {}, "rest.margin.isolated.account"),
    ("isolated/accountLimit", {}, "rest.margin.isolated.accountLimit"),
    ("tradeCoeff", {}, "rest.margin.tradeCoeff"),
    ("openOrders", {}, "rest.margin.openOrders"),
    ("allOrders", {"symbol": "BTCUSDT"}, "rest.margin.allOrders"),
    ("order", {"symbol": "BTCUSDT", "orderId": "ORDER"}, "rest.margin.order"),
    ("myTrades", {"symbol": "BTCUSDT"}, "rest.margin.myTrades"),
    ("openOrderList", {}, "rest.margin.openOrderList"),
    ("rateLimit/order", {}, "rest.margin.rateLimit.order"),
    ("interestHistory", {"isolatedSymbol": "BTCUSDT"}, "rest.margin.interestHistory"),
    ("borrow-repay", {"type": "BORROW", "isolatedSymbol": "BTCUSDT"}, "rest.margin.borrow-repay.GET"),
    ("capital-flow", {"symbol": "BTCUSDT"}, "rest.margin.capital-flow"),
    ("forceLiquidationRec", {}, "rest.margin.forceLiquidationRec"),
]


@pytest.mark.parametrize(("path", "params", "name"), SHAPES)
async def test_a_rest_answer_has_the_shape_of_the_sample(path, params, name, client, margin, cross, isolated):
    """Every margin endpoint answers with the keys and types of its official sample."""
    market = margin.margin
    order = market.place(cross, "BTCUSDT", "BUY", D("0.01"), D("60000"))
    market.place(cross, "BTCUSDT", "BUY", D("0.01"))
    market.oco(cross, "BTCUSDT", "SELL", D("0.01"), D("1"))
    market.liquidate(cross, "BTCUSDT", D("0.01"))
    market.borrow(isolated, "USDT", D("1000"))
    params = {key: order.order_id if value == "ORDER" else value for key, value in params.items()}
    same_shape(await client.rows(f"{ROOT}/{path}", **params), sample(name, "margin"))


async def test_cross_and_isolated_are_told_apart(client, margin, cross, isolated):
    """isIsolated TRUE with a symbol answers of that pair's account; without a symbol it is -1102."""
    margin.margin.place(cross, "BTCUSDT", "BUY", D("0.01"))
    margin.margin.place(isolated, "BTCUSDT", "BUY", D("0.02"))
    mine = await client.rows(f"{ROOT}/myTrades", symbol="BTCUSDT")
    pairs = await client.rows(f"{ROOT}/myTrades", symbol="BTCUSDT", **ISOLATED)
    assert [(row["qty"], row["isIsolated"]) for row in mine] == [("0.01000000", False)]
    assert [(row["qty"], row["isIsolated"]) for row in pairs] == [("0.02000000", True)]
    assert await code(client, "openOrders", **ISOLATED) == -1102
    assert await code(client, "openOrders", symbol="BNBUSDT", **ISOLATED) == -3003
    every = await client.rows(f"{ROOT}/isolated/account")
    assert {row["symbol"] for row in every["assets"]} == {"BTCUSDT", "ETHUSDT"}
    assert await code(client, "isolated/account", symbols="A,B,C,D,E,F") == -1130


async def test_an_account_without_margin_is_told_so(client, exchange, margin):
    """-3003 where no margin account was ever opened."""
    other = exchange.add_account("other")
    stranger = Client(client.http, other.credential, now=exchange.clock.now)
    assert await code(stranger, "account") == -3003


async def test_the_capital_flow_has_a_week_and_an_exclusive_start(client, margin, cross, exchange, hand):
    """More than seven days is -4047; fromId means greater; a trade is income, expense and commission."""
    margin.margin.place(cross, "BTCUSDT", "BUY", D("0.01"))
    margin.margin.borrow(cross, "USDT", D("10"))
    rows = await client.rows(f"{ROOT}/capital-flow")
    assert [row["type"] for row in rows[-4:]] == [
        "BUY_INCOME",
        "BUY_EXPENSE",
        "TRADING_COMMISSION",
        "BORROW",
    ]
    after = await client.rows(f"{ROOT}/capital-flow", fromId=rows[-2]["id"])
    assert after == rows[-1:]
    now = exchange.clock.now()
    wide = await client.get(f"{ROOT}/capital-flow", startTime=now - 7 * DAY - 1, endTime=now)
    assert (wide.status_code, wide.json()) == (400, sample("rest.margin.error.-4047", "margin"))
    hand.move(8 * 86_400)
    assert await client.rows(f"{ROOT}/capital-flow") == []


async def test_loans_page_downwards_and_need_a_type(client, margin, cross):
    """borrow-repay is newest first in pages of current and size; repayment pays the interest first."""
    for amount in (100, 200, 300):
        margin.margin.borrow(cross, "USDT", D(amount))
    assert await code(client, "borrow-repay") == -1102
    page = await client.rows(f"{ROOT}/borrow-repay", type="BORROW", size=2)
    assert (page["total"], [row["amount"] for row in page["rows"]]) == (3, ["300.00000000", "200.00000000"])
    owed = cross.holding("USDT").interest
    margin.margin.repay(cross, "USDT", D("50"))
    row = (await client.rows(f"{ROOT}/borrow-repay", type="REPAY"))["rows"][0]
    assert D(row["interest"]) == owed > 0
    assert D(row["principal"]) + D(row["interest"]) == D(row["amount"]) == 50
    by_id = await client.rows(f"{ROOT}/borrow-repay", type="REPAY", txId=row["txId"])
    assert by_id["rows"] == [row]


async def test_transfers_count_seconds(client, margin, cross):
    """margin/transfer tells ROLL_IN and ROLL_OUT with both places, its time in seconds as in the sample."""
    margin.margin.margin_transfer(cross, "USDT", D("-5"))
    row = (await client.rows(f"{ROOT}/transfer"))["rows"][0]
    assert (row["type"], row["transFrom"], row["transTo"]) == ("ROLL_OUT", "MARGIN", "SPOT")
    assert row["timestamp"] == margin.exchange.clock.now() // 1000
    pair = (await client.rows(f"{ROOT}/transfer", isolatedSymbol="BTCUSDT"))["rows"][0]
    assert pair["toSymbol"] == "BTCUSDT"


async def test_the_day_is_the_default_of_orders_and_trades(client, margin, cross, hand):
    """Without a window only the last 24 hours are told; orderId and fromId reach further."""
    order = margin.margin.place(cross, "BTCUSDT", "BUY", D("0.01"))
    hand.move(25 * 3600)
    assert await client.rows(f"{ROOT}/allOrders", symbol="BTCUSDT") == []
    assert await client.rows(f"{ROOT}/myTrades", symbol="BTCUSDT") == []
    assert len(await client.rows(f"{ROOT}/allOrders", symbol="BTCUSDT", orderId=order.order_id)) == 1
    assert len(await client.rows(f"{ROOT}/myTrades", symbol="BTCUSDT", fromId=1)) == 1
    assert await code(client, "allOrders", symbol="BTCUSDT", limit=501) == -1130


async def test_a_token_subscribes_to_its_own_account_alone(
    client, margin, cross, isolated, account, exchange
):
    """Cross and each isolated pair have a subscription; only its number tells whose an event is."""
    told = await token(client)
    same_shape(told, sample("rest.userListenToken.POST.response", "margin"))
    pair = await token(client, isIsolated="true", symbol="BTCUSDT")
    async with websockets.connect(f"{margin.server.stream_url}/ws-api/v3", max_queue=None) as socket:
        ws = WsClient(socket, account.credential, exchange.clock.now)
        first = await ws.ask("userDataStream.subscribe.listenToken", listenToken=told["token"])
        assert first["result"]["expirationTime"] == told["expirationTime"] * 1000
        second = await ws.ask("userDataStream.subscribe.listenToken", listenToken=pair["token"])
        numbers = [one["result"]["subscriptionId"] for one in (first, second)]
        margin.margin.place(cross, "BTCUSDT", "BUY", D("0.01"), D("60000"))
        margin.margin.place(isolated, "BTCUSDT", "BUY", D("0.01"), D("60000"))
        events = await ws.until_pong()
        bad = await ws.ask("userDataStream.subscribe.listenToken", listenToken="x")
    assert [one["subscriptionId"] for one in events] == [numbers[0]] * 2 + [numbers[1]] * 2
    assert bad["error"]["code"] == -1209


async def test_a_token_ends_or_is_prolonged(client, margin, cross, account, exchange, hand):
    """A new token on the same connection keeps the number; without one the stream ends and says so."""
    async with websockets.connect(f"{margin.server.stream_url}/ws-api/v3", max_queue=None) as socket:
        ws = WsClient(socket, account.credential, exchange.clock.now)
        for _ in range(2):
            made = await token(client, validity=60_000)
            reply = await ws.ask("userDataStream.subscribe.listenToken", listenToken=made["token"])
            assert reply["result"]["subscriptionId"] == 0
            hand.move(50)
            margin.server.keep_house()
        margin.margin.deposit(cross, "USDT", D("1"))
        assert len(await ws.until_pong()) == 2
        hand.move(20)
        margin.server.keep_house()
        ended = await ws.next()
        same_shape(ended, sample("event.eventStreamTerminated.listenToken-expired", "margin"))
        made = await token(client)
        await ws.ask("userDataStream.subscribe.listenToken", listenToken=made["token"])
        assert margin.server.faults.inject("expire_token", told=False) == 1
        margin.margin.deposit(cross, "USDT", D("1"))
        assert await ws.until_pong() == []


async def test_the_risk_stream_has_a_listen_key(client, margin, cross, isolated):
    """Loans and margin levels of cross come on it, unwrapped; isolated accounts have none."""
    reply = await client.http.post(f"{ROOT}/listen-key", headers=client.headers)
    same_shape(reply.json(), sample("rest.margin.listen-key.POST.response", "margin"))
    key = reply.json()["listenKey"]
    renewed = await client.http.put(f"{ROOT}/listen-key", params={"listenKey": key}, headers=client.headers)
    assert renewed.json() == {}
    async with websockets.connect(f"{margin.server.stream_url}/ws/{key}", max_queue=None) as socket:
        reader = Reader(socket)
        await reader.until_pong()
        margin.margin.borrow(isolated, "USDT", D("1"))
        margin.margin.borrow(cross, "USDT", D("1"))
        margin.margin.risk_level(cross)
        events = await reader.until_pong()
        margin.server.faults.inject("expire_key")
        same_shape(await reader.next(), sample("event.listenKeyExpired", "margin"))
    assert [one.get("t", one["e"]) for one in events] == ["BORROW", "INTEREST", "MARGIN_LEVEL_STATUS_CHANGE"]
    same_shape(events[0], sample("event.USER_LIABILITY_CHANGE", "margin"))
    same_shape(events[2], sample("event.MARGIN_LEVEL_STATUS_CHANGE", "margin"))


async def test_deleting_the_risk_key_weighs_three_thousand(client, margin):
    """DELETE is counted as forbidden and with its documented weight per account."""
    await client.http.post(f"{ROOT}/listen-key", headers=client.headers)
    reply = await client.http.delete(f"{ROOT}/listen-key", headers=client.headers)
    assert reply.headers["X-SAPI-USED-UID-WEIGHT-1M"] == "3001"
    assert margin.forbidden[f"DELETE {ROOT}/listen-key"] == 1


def test_the_trader_leaves_every_balance_explained():
    """After 2,000 deeds on cross and on a pair, fills and moves make every balance and every debt."""
    margin, _spot = build_spot(build(4), ("margin", "isolated"))
    for wallet in margin.wallets("main"):
        trader = MarginTrader(margin.margin, wallet, seed=2)
        for _ in range(1000):
            trader.step()
        assert {move.kind for move in wallet.moves} >= {"borrow", "repay", "interest", "transfer"}
        for asset, versions in wallet.holdings.items():
            held = versions.now
            assert held.total == margin.margin.explained_balance(wallet, asset)
            owed = [m for m in wallet.moves if m.asset == asset and m.kind in ("borrow", "repay", "interest")]
            total = sum(m.amount if m.kind != "interest" else -m.amount for m in owed)
            assert held.borrowed + held.interest == total
