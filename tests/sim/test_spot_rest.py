"""The simulated spot over REST: windows, pages, weights, refusals, listen keys, and what its trader does."""

from decimal import Decimal

import httpx
import pytest
import websockets

from accountd.sim.app import build
from accountd.sim.clock import Clock
from accountd.sim.server import SimServer
from accountd.sim.spot import Spot
from accountd.sim.spot_exchange import SpotExchange
from accountd.sim.spot_trader import SpotTrader
from tests.sim.conftest import Reader
from tests.sim.signer import Client
from tests.sim.spot_stage import sample
from tests.sim.test_shapes import same_shape

D = Decimal
HOUR = 3_600_000
DAY = 24 * HOUR


@pytest.fixture
async def spot(exchange):
    """A served spot."""
    spot = Spot(exchange)
    async with SimServer(exchange, products=[spot]):
        yield spot


@pytest.fixture
def wallet(spot):
    """The spot wallet of `main`."""
    return spot.spot.wallet("main")


@pytest.fixture
async def client(spot, account, exchange):
    """The account's signing client."""
    async with httpx.AsyncClient(base_url=spot.server.rest_url, timeout=10, verify=False) as http:
        yield Client(http, account.credential, now=exchange.clock.now)


async def code(client, path, **params):
    """Return the error code of a refused request."""
    return (await client.get(path, **params)).json()["code"]


@pytest.mark.parametrize("path", ["allOrders", "myTrades", "myAllocations", "allOrderList"])
async def test_a_window_is_a_day_at_most(path, client, exchange):
    """24 hours are allowed, one ms more is -1127, an end equal to its start is legal."""
    now, params = exchange.clock.now(), {} if path == "allOrderList" else {"symbol": "BTCUSDT"}
    ask = f"/api/v3/{path}"
    assert (await client.get(ask, startTime=now - DAY, endTime=now, **params)).status_code == 200
    assert (await client.get(ask, startTime=now, endTime=now, **params)).status_code == 200
    assert await code(client, ask, startTime=now - DAY - 1, endTime=now, **params) == -1127


async def test_trades_page_by_id(client, spot, wallet):
    """fromId is inclusive and ascending, 1000 at most; it excludes times; orderId selects its order."""
    spot.spot.burst(wallet, 7)
    every = await client.rows("/api/v3/myTrades", symbol="BTCUSDT")
    assert [row["id"] for row in every] == sorted(row["id"] for row in every)
    third = await client.rows("/api/v3/myTrades", symbol="BTCUSDT", fromId=every[2]["id"], limit=2)
    assert [row["id"] for row in third] == [every[2]["id"], every[3]["id"]]
    assert [row["id"] for row in await client.rows("/api/v3/myTrades", symbol="BTCUSDT", limit=2)] == [
        row["id"] for row in every[-2:]
    ]
    of_one = await client.rows("/api/v3/myTrades", symbol="BTCUSDT", orderId=every[0]["orderId"])
    assert of_one == every[:1]
    assert await code(client, "/api/v3/myTrades", symbol="BTCUSDT", fromId=1, startTime=1) == -1128
    assert await code(client, "/api/v3/myTrades", symbol="BTCUSDT", limit=1001) == -1130
    assert await code(client, "/api/v3/myTrades") == -1102
    assert await code(client, "/api/v3/myTrades", symbol="NOPE") == -1121


async def test_allocations_are_no_trades(client, spot, wallet):
    """The fills of smart order routing are in myAllocations, not in myTrades."""
    order = spot.spot.sor(wallet, "BTCUSDT", "BUY", D("0.02"))
    assert await client.rows("/api/v3/myTrades", symbol="BTCUSDT") == []
    rows = await client.rows("/api/v3/myAllocations", symbol="BTCUSDT", orderId=order.order_id)
    assert sum(D(row["qty"]) for row in rows) == D("0.02")
    page = await client.rows(
        "/api/v3/myAllocations", symbol="BTCUSDT", fromAllocationId=rows[1]["allocationId"]
    )
    assert page == rows[1:]


async def test_orders_page_by_id_and_by_the_time_of_their_last_change(client, spot, wallet, hand):
    """orderId is inclusive; times select by the last change, and then orderId is ignored."""
    first = spot.spot.place(wallet, "BTCUSDT", "BUY", D("0.01"), D("60000"))
    hand.move(3600)
    second = spot.spot.place(wallet, "BTCUSDT", "BUY", D("0.01"), D("61000"))
    hand.move(3600)
    first = spot.spot.cancel(wallet, first)
    ask = "/api/v3/allOrders"
    assert [row["orderId"] for row in await client.rows(ask, symbol="BTCUSDT", orderId=second.order_id)] == [
        second.order_id
    ]
    window = {"startTime": first.updated_ms - 1, "endTime": first.updated_ms + 1}
    rows = await client.rows(ask, symbol="BTCUSDT", orderId=second.order_id, **window)
    assert [row["orderId"] for row in rows] == [first.order_id]


async def test_order_lists_page_by_id_and_time(client, spot, wallet):
    """Without parameters the newest list comes first; fromId ascends and excludes times."""
    lists = [spot.spot.oco(wallet, "BTCUSDT", "SELL", D("0.01"), D("1")) for _ in range(3)]
    newest = await client.rows("/api/v3/allOrderList", limit=2)
    assert [row["orderListId"] for row in newest] == [lists[2].list_id, lists[1].list_id]
    page = await client.rows("/api/v3/allOrderList", fromId=lists[1].list_id)
    assert [row["orderListId"] for row in page] == [one.list_id for one in lists[1:]]
    assert await code(client, "/api/v3/allOrderList", fromId=1, startTime=1) == -1128
    spot.spot.cancel_list(wallet, lists[0])
    assert len(await client.rows("/api/v3/openOrderList")) == 2


async def test_one_order_is_found_or_refused(client, spot, wallet, hand):
    """By number or client id; -2039 if they disagree, -2013 if unknown, -2026 once archived."""
    order = spot.spot.place(wallet, "BTCUSDT", "BUY", D("0.01"), D("60000"))
    ask = "/api/v3/order"
    by_id = await client.rows(ask, symbol="BTCUSDT", origClientOrderId=order.client_order_id)
    assert by_id == await client.rows(ask, symbol="BTCUSDT", orderId=order.order_id)
    both = {"orderId": order.order_id, "origClientOrderId": "other"}
    assert await code(client, ask, symbol="BTCUSDT", **both) == -2039
    assert await code(client, ask, symbol="BTCUSDT", orderId=1) == -2013
    assert await code(client, ask, symbol="BTCUSDT") == -1102
    spot.spot.cancel(wallet, order)
    hand.move(91 * 86_400)
    assert await code(client, ask, symbol="BTCUSDT", orderId=order.order_id) == -2026
    assert await client.rows("/api/v3/allOrders", symbol="BTCUSDT") == []


WEIGHTS = [
    ("account", {}, 20),
    ("openOrders", {}, 80),
    ("openOrders", {"symbol": "BTCUSDT"}, 6),
    ("allOrders", {"symbol": "BTCUSDT"}, 20),
    ("myTrades", {"symbol": "BTCUSDT"}, 20),
    ("myTrades", {"symbol": "BTCUSDT", "orderId": 1}, 5),
    ("myPreventedMatches", {"symbol": "BTCUSDT", "preventedMatchId": 1}, 2),
    ("rateLimit/order", {}, 40),
    ("exchangeInfo", {}, 20),
    ("time", {}, 1),
]


@pytest.mark.parametrize(("path", "params", "weight"), WEIGHTS)
async def test_a_request_weighs_what_is_documented(path, params, weight, client, spot):
    """The used weight rises by the documented weight, and the header tells it."""
    reply = await client.get(f"/api/v3/{path}", **params)
    assert spot.limit.used == weight
    assert reply.headers["X-MBX-USED-WEIGHT-1M"] == str(weight)


async def test_withdrawals_are_limited_to_ten_a_minute_and_account(client, spot, exchange):
    """The eleventh call of a minute is 429; other endpoints and pools go on; times are UTC text."""
    spot.spot.withdraw(spot.spot.wallet("main"), "USDT", D("8.91"), D("0.004"))
    for _ in range(10):
        reply = await client.get("/sapi/v1/capital/withdraw/history")
    row = reply.json()[0]
    assert (row["amount"], row["transactionFee"]) == ("8.91", "0.004")
    assert len(row["applyTime"]) == len("2019-10-12 11:12:02")
    assert reply.headers["X-SAPI-USED-UID-WEIGHT-1M"] == "180000"
    assert (await client.get("/sapi/v1/capital/withdraw/history")).status_code == 429
    assert (await client.get("/sapi/v1/capital/deposit/hisrec")).status_code == 200


async def test_transfers_need_a_direction(client, spot, wallet):
    """asset/transfer answers one direction a call, newest first, in pages of current and size."""
    for amount in (1, 2, 3):
        spot.spot.transfer(wallet, "USDT", D(amount))
    spot.spot.transfer(wallet, "USDT", D(-4))
    ask = "/sapi/v1/asset/transfer"
    assert await code(client, ask) == -1102
    page = await client.rows(ask, type="UMFUTURE_MAIN", size=2, current=2)
    assert (page["total"], [row["amount"] for row in page["rows"]]) == (3, ["1"])
    out = await client.rows(ask, type="MAIN_UMFUTURE")
    assert [row["amount"] for row in out["rows"]] == ["4"]
    assert await client.rows(ask, type="MAIN_FUNDING") == {"total": 0}


async def test_deposits_have_a_window_and_an_offset(client, spot, wallet, exchange):
    """Ninety days at most (-1127), newest first, cut by offset and limit."""
    for amount in (1, 2, 3):
        spot.spot.deposit(wallet, "BTC", D(amount))
    ask, now = "/sapi/v1/capital/deposit/hisrec", exchange.clock.now()
    rows = await client.rows(ask, offset=1, limit=1)
    assert [row["amount"] for row in rows] == ["2"]
    assert await code(client, ask, startTime=now - 91 * DAY, endTime=now) == -1127


async def test_a_key_tells_its_rights(client, spot):
    """apiRestrictions tells a read-only key, or what a test gave it beyond."""
    assert (await client.rows("/sapi/v1/account/apiRestrictions"))["enableWithdrawals"] is False
    spot.rest.rights["main"] = {"enableWithdrawals": True}
    assert (await client.rows("/sapi/v1/account/apiRestrictions"))["enableWithdrawals"] is True


async def test_a_stale_replica_and_the_other_faults_reach_spot(client, spot, wallet, hand):
    """stale_rest shows the past, http_5xx and rate_limit stand in place of the answer."""
    spot.spot.place(wallet, "BTCUSDT", "BUY", D("0.01"))
    hand.move(5)
    spot.spot.place(wallet, "BTCUSDT", "BUY", D("0.02"))
    faults = spot.server.faults
    faults.inject("stale_rest", seconds=3, n=1)
    assert len(await client.rows("/api/v3/myTrades", symbol="BTCUSDT")) == 1
    assert len(await client.rows("/api/v3/myTrades", symbol="BTCUSDT")) == 2
    faults.inject("http_5xx", n=1, path="/api/v3/account")
    assert (await client.get("/api/v3/account")).status_code == 503
    faults.inject("rate_limit", n=1, retry_after=3)
    assert (await client.get("/api/v3/account")).headers["Retry-After"] == "3"
    assert spot.counters()["requests"]["GET /api/v3/account"] == 2


async def test_what_would_change_something_is_counted_and_refused(client, spot):
    """An order sent to the simulated spot is refused and counted as forbidden."""
    reply = await client.http.post("/api/v3/order", headers=client.headers)
    assert reply.status_code == 401
    assert spot.server.counters()["forbidden"] == {"POST /api/v3/order": 1}


async def test_listen_keys_are_gone(client):
    """POST /api/v3/userDataStream answers 410 with a page of HTML."""
    reply = await client.http.post("/api/v3/userDataStream", headers=client.headers)
    assert reply.status_code == 410
    assert reply.text.startswith("<html>")


async def test_binance_us_has_listen_keys(exchange, account):
    """In mode us a key is made and renewed, /ws/<key> tells unwrapped events, and the key can expire."""
    spot = Spot(exchange, mode="us")
    async with (
        SimServer(exchange, products=[spot]) as server,
        httpx.AsyncClient(base_url=server.rest_url, verify=False) as http,
    ):
        headers = {"X-MBX-APIKEY": account.credential.api_key}
        key = (await http.post("/api/v3/userDataStream", headers=headers)).json()["listenKey"]
        renewed = await http.put("/api/v3/userDataStream", params={"listenKey": key}, headers=headers)
        assert renewed.json() == {}
        wrong = await http.put("/api/v3/userDataStream", params={"listenKey": "x"}, headers=headers)
        assert wrong.json()["code"] == -1125
        async with websockets.connect(f"{server.stream_url}/ws/{key}", max_queue=None) as socket:
            await server.subscribed("main", "executionReport", "spot")
            spot.spot.deposit(spot.spot.wallet("main"), "BTC", D("1"))
            reader = Reader(socket)
            same_shape(await reader.next(), sample("legacy-listenKey.event.balanceUpdate"))
            await reader.next()
            server.faults.inject("server_shutdown")
            same_shape(await reader.next(), sample("event.serverShutdown.stream-raw"))
            server.faults.inject("expire_key")
            same_shape(await reader.next(), sample("legacy-listenKey.event.listenKeyExpired"))
        async with websockets.connect(f"{server.stream_url}/ws-api/v3") as socket:
            await socket.send('{"id":1,"method":"userDataStream.subscribe.signature"}')
            assert (await Reader(socket).next())["error"]["code"] == -1020


async def test_truth_and_bursts_by_product(client, spot):
    """The control surface tells the truth of a product and makes fills in it."""
    await client.http.post("/sim/burst", json={"product": "spot", "n": 3})
    truth = (await client.http.get("/sim/truth", params={"product": "spot"})).json()
    assert len(truth["fills"]) == 3
    assert truth["market"] == "spot"
    assert (await client.http.get("/sim/truth", params={"product": "none"})).status_code == 404


def test_the_trader_is_seeded_and_every_balance_is_explained():
    """The same seed does the same; after 3,000 deeds every balance is what fills and moves make it."""
    truths = []
    for _ in range(2):
        exchange = SpotExchange(build(3, clock=Clock(lambda: 1_700_000_000_000)))
        wallet = exchange.wallet("main")
        trader = SpotTrader(exchange, wallet, seed=1)
        for _step in range(3000):
            trader.step()
        truths.append(exchange.truth(wallet))
    assert truths[0] == truths[1]
    words = {order["status"] for order in truths[0]["orders"]}
    assert words >= {"NEW", "FILLED", "CANCELED", "EXPIRED", "EXPIRED_IN_MATCH"}
    assert {move["kind"] for move in truths[0]["moves"]} == {
        "deposit",
        "withdrawal",
        "transfer",
        "dust",
        "dividend",
    }
    for asset, versions in wallet.holdings.items():
        assert versions.now.total == exchange.explained_balance(wallet, asset)
        assert versions.now.free >= 0
