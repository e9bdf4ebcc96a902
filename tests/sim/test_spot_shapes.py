"""The simulated spot speaks in the shapes of the official samples, key by key and type by type."""

from decimal import Decimal

import httpx
import pytest
import websockets

from accountd.sim.server import SimServer
from accountd.sim.spot import Spot
from tests.sim.signer import Client
from tests.sim.spot_stage import WsClient, sample
from tests.sim.test_shapes import same_shape

D = Decimal
REST = {
    "rest.account": ("/api/v3/account", {}),
    "rest.account.commission": ("/api/v3/account/commission", {"symbol": "BTCUSDT"}),
    "rest.openOrders": ("/api/v3/openOrders", {"symbol": "ETHUSDT"}),
    "rest.order": ("/api/v3/order", {"symbol": "ETHUSDT", "orderId": "FIRST"}),
    "rest.allOrders": ("/api/v3/allOrders", {"symbol": "ETHUSDT"}),
    "rest.myTrades": ("/api/v3/myTrades", {"symbol": "BTCUSDT"}),
    "rest.orderList": ("/api/v3/orderList", {"orderListId": "LIST"}),
    "rest.openOrderList": ("/api/v3/openOrderList", {}),
    "rest.allOrderList": ("/api/v3/allOrderList", {}),
    "rest.myAllocations": ("/api/v3/myAllocations", {"symbol": "BTCUSDT"}),
    "rest.myPreventedMatches": ("/api/v3/myPreventedMatches", {"symbol": "BNBUSDT", "orderId": "STP"}),
    "rest.order.amendments": ("/api/v3/order/amendments", {"symbol": "BNBUSDT", "orderId": "STP"}),
    "rest.rateLimit.order": ("/api/v3/rateLimit/order", {}),
    "rest.time": ("/api/v3/time", {}),
    "sapi.account.apiRestrictions": ("/sapi/v1/account/apiRestrictions", {}),
    "sapi.account.status": ("/sapi/v1/account/status", {}),
    "sapi.account.info": ("/sapi/v1/account/info", {}),
    "sapi.system.status": ("/sapi/v1/system/status", {}),
    "sapi.capital.deposit.hisrec": ("/sapi/v1/capital/deposit/hisrec", {}),
    "sapi.capital.withdraw.history": ("/sapi/v1/capital/withdraw/history", {}),
    "sapi.asset.transfer.GET": ("/sapi/v1/asset/transfer", {"type": "UMFUTURE_MAIN"}),
    "sapi.asset.dribblet": ("/sapi/v1/asset/dribblet", {}),
    "sapi.asset.assetDividend": ("/sapi/v1/asset/assetDividend", {}),
}


@pytest.fixture
def spot(exchange):
    """A wallet with a bit of everything: orders, a list, a prevented match, moves of money."""
    spot = Spot(exchange)
    market, wallet = spot.spot, spot.spot.wallet("main")
    market.place(wallet, "BTCUSDT", "BUY", D("0.01"))
    market.sor(wallet, "BTCUSDT", "BUY", D("0.02"))
    spot.first = market.place(wallet, "ETHUSDT", "BUY", D("0.5"), D("3000"))
    spot.listed = market.oco(wallet, "BTCUSDT", "SELL", D("0.01"), D("1"))
    spot.stp = market.place(wallet, "BNBUSDT", "BUY", D("3"), D("590"))
    market.amend(wallet, spot.stp, D("2"))
    market.prevent(wallet, spot.stp, D("1"))
    market.deposit(wallet, "BTC", D("1"))
    market.withdraw(wallet, "USDT", D("10"))
    market.transfer(wallet, "USDT", D("5"))
    market.dust(wallet, "USDT", D("1"))
    market.dividend(wallet, "BNB", D("0.1"))
    return spot


@pytest.mark.parametrize("name", REST)
async def test_a_rest_answer_has_the_shape_of_the_sample(name, spot, exchange, account):
    """Every spot and wallet endpoint answers with the keys and types of its official sample."""
    path, params = REST[name]
    ids = {"FIRST": spot.first.order_id, "LIST": spot.listed.list_id, "STP": spot.stp.order_id}
    params = {key: ids.get(value, value) for key, value in params.items()}
    async with (
        SimServer(exchange, products=[spot]) as server,
        httpx.AsyncClient(base_url=server.rest_url, verify=False) as http,
    ):
        told = await Client(http, account.credential, now=exchange.clock.now).rows(path, **params)
    wanted = sample(name)
    if name == "sapi.capital.withdraw.history":
        wanted[0].pop("withdrawOrderId")
    if name == "rest.allOrderList":
        told = told[:1]
    same_shape(told, wanted)


@pytest.fixture
async def told(spot, exchange, account):
    """Events as a subscribed client gets them: `await told(deed)` returns those of one deed by name."""
    async with (
        SimServer(exchange, products=[spot]) as server,
        websockets.connect(f"{server.stream_url}/ws-api/v3", max_queue=None) as socket,
    ):
        client = WsClient(socket, account.credential, exchange.clock.now)
        assert await client.subscribe() == 0

        async def after(deed):
            await client.until_pong()
            deed()
            return await client.until_pong()

        yield after


async def test_events_have_the_shapes_of_the_samples(spot, told):
    """NEW, position, list status, balance update and external lock look like their official samples."""
    market, wallet = spot.spot, spot.spot.wallet("main")
    new, position = await told(lambda: market.place(wallet, "ETHUSDT", "BUY", D("0.5"), D("3000")))
    wanted = sample("event.executionReport.NEW")
    del wanted["event"]["v"]
    same_shape(new, wanted)
    same_shape(position, sample("event.outboundAccountPosition"))
    status, *_ = await told(lambda: market.oco(wallet, "BTCUSDT", "SELL", D("0.01"), D("1")))
    same_shape(status, sample("event.listStatus"))
    update, _ = await told(lambda: market.deposit(wallet, "BTC", D("1")))
    same_shape(update, sample("event.balanceUpdate"))
    lock, _ = await told(lambda: market.external_lock(wallet, "USDT", D("1")))
    same_shape(lock, sample("event.externalLockUpdate"))


async def test_a_market_order_is_told_as_in_the_documents(spot, told):
    """A market order in two pieces: NEW, two TRADEs, one position; one time, the execution id rising."""
    wallet = spot.spot.wallet("main")
    events = await told(lambda: spot.spot.place(wallet, "ETHUSDT", "BUY", D("0.5"), pieces=2))
    reports = [one["event"] for one in events[:-1]]
    assert [(one["x"], one["X"]) for one in reports] == [
        ("NEW", "NEW"),
        ("TRADE", "PARTIALLY_FILLED"),
        ("TRADE", "FILLED"),
    ]
    assert len({one["T"] for one in reports} | {events[-1]["event"]["u"]}) == 1
    ids = [one["I"] for one in reports]
    assert ids == sorted(set(ids))
    assert D(reports[1]["Y"]) == D(reports[1]["l"]) * D(reports[1]["L"])
    assert reports[0]["N"] is None
    assert reports[1]["N"] == "ETH"


async def test_conditional_fields_come_under_their_condition(spot, told):
    """A cancel swaps client ids, an amend makes one, an allocation has no trade id, an expiry a reason."""
    market, wallet = spot.spot, spot.spot.wallet("main")
    order = market.place(wallet, "ETHUSDT", "BUY", D("0.5"), D("3000"))
    replaced = (await told(lambda: market.amend(wallet, order, D("0.4"))))[0]["event"]
    assert (replaced["x"], replaced["C"], replaced["q"]) == ("REPLACED", order.client_order_id, "0.40000000")
    canceled = (await told(lambda: market.cancel(wallet, order)))[0]["event"]
    assert canceled["C"] == replaced["c"] != canceled["c"]
    routed = (await told(lambda: market.sor(wallet, "BTCUSDT", "BUY", D("0.02"))))[1]["event"]
    assert (routed["t"], routed["b"], routed["k"], routed["uS"]) == (
        -1,
        "ONE_PARTY_TRADE_REPORT",
        "SOR",
        True,
    )
    assert routed["a"] > 0
    part = await told(
        lambda: market.place(
            wallet, "ETHUSDT", "BUY", D("0.5"), D("3200"), time_in_force="IOC", fills=D("0.1")
        )
    )
    ended = part[2]["event"]
    assert (ended["X"], ended["z"], ended["eR"]) == (
        "EXPIRED",
        "0.10000000",
        "UNFILLED_IOC_QUANTITY_EXPIRED",
    )


async def test_a_prevented_match_is_told(spot, told):
    """DECREMENT takes from both orders and ends the one that has nothing left."""
    market, wallet = spot.spot, spot.spot.wallet("main")
    maker = market.place(wallet, "ETHUSDT", "BUY", D("0.5"), D("3000"))
    events = await told(lambda: market.prevent(wallet, maker, D("0.2"), "DECREMENT"))
    _new, made, took, _position = (one["event"] for one in events)
    assert (made["x"], made["X"], made["A"], made["B"]) == (
        "TRADE_PREVENTION",
        "NEW",
        "0.20000000",
        "0.20000000",
    )
    assert (took["X"], took["U"], took["v"]) == ("EXPIRED_IN_MATCH", maker.order_id, made["v"])
