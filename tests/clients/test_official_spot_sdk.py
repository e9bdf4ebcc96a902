"""The official Python SDK of spot works against the simulated exchange."""

import asyncio
from decimal import Decimal

import pytest
from binance_common.configuration import ConfigurationRestAPI, ConfigurationWebSocketAPI
from binance_sdk_spot.spot import Spot as Sdk

from accountd.sim.app import build
from accountd.sim.server import SimServer
from accountd.sim.spot import Spot


@pytest.fixture
async def spot():
    """Serve spot wallets that have traded."""
    exchange = build(seed=12)
    spot = Spot(exchange)
    spot.backfill("main", 2, 300, 3)
    spot.spot.place(spot.spot.wallet("main"), "BTCUSDT", "BUY", Decimal("0.01"), Decimal("60000"))
    async with SimServer(exchange, products=[spot]):
        yield spot


@pytest.fixture
def client(spot):
    """Point the SDK at the simulated exchange."""
    credential, server = spot.exchange.accounts["main"].credential, spot.server
    return Sdk(
        config_rest_api=ConfigurationRestAPI(
            api_key=credential.api_key, api_secret=credential.secret, base_path=server.rest_url
        ),
        config_ws_api=ConfigurationWebSocketAPI(
            api_key=credential.api_key,
            api_secret=credential.secret,
            stream_url=f"{server.stream_url}/ws-api/v3",
        ),
    )


async def ask(call, **params):
    """Call the blocking REST client in a thread."""
    return await asyncio.to_thread(lambda: call(**params).data())


async def test_the_account_is_read(spot, client):
    """The SDK parses the account, and its balances equal the truth."""
    told = await ask(client.rest_api.get_account)
    balances = spot.truth("main")["balances"]
    assert {b.asset: (b.free, b.locked) for b in told.balances} == {
        asset: (f"{Decimal(b['free']):.8f}", f"{Decimal(b['locked']):.8f}") for asset, b in balances.items()
    }


async def test_orders_lists_and_trades_are_read(spot, client):
    """The SDK parses orders, open orders, order lists, trades and allocations, and they equal the truth."""
    truth, api = spot.truth("main"), client.rest_api
    orders = await ask(api.all_orders, symbol="BTCUSDT", limit=1000)
    trades = await ask(api.my_trades, symbol="BTCUSDT", limit=1000)
    allocations = await ask(api.my_allocations, symbol="BTCUSDT", limit=1000)
    resting = await ask(api.get_open_orders)
    lists = await ask(api.all_order_list, limit=1000)
    fills = [f for f in truth["fills"] if f["symbol"] == "BTCUSDT"]
    assert [o.order_id for o in orders] == [
        o["order_id"] for o in truth["orders"] if o["symbol"] == "BTCUSDT"
    ]
    assert [t.id for t in trades] == [f["trade_id"] for f in fills if f["trade_id"] >= 0]
    assert [a.allocation_id for a in allocations] == [f["allocation_id"] for f in fills if f["trade_id"] < 0]
    assert len(resting) == len(spot.spot.wallet("main").open_ids)
    assert {one.order_list_id for one in lists} == {one["list_id"] for one in truth["lists"]}


async def test_the_exchange_is_described(client):
    """The SDK parses exchange info and the time."""
    info = await ask(client.rest_api.exchange_info)
    assert {one.symbol for one in info.symbols} >= {"BTCUSDT", "ETHBTC"}
    assert (await ask(client.rest_api.time)).server_time


async def test_events_are_streamed_after_a_signed_subscription(spot, client):
    """The SDK subscribes with a signature and parses the events of a market order."""
    seen, done = [], asyncio.Event()
    connection = await client.websocket_api.create_connection()
    try:
        reply = await connection.user_data_stream_subscribe_signature()

        def heard(event):
            seen.append(type(event.actual_instance).__name__)
            if "OutboundAccountPosition" in seen:
                done.set()

        reply.stream.on("message", heard)
        async with asyncio.timeout(5):
            await spot.server.subscribed("main", "executionReport", "spot")
            spot.spot.place(spot.spot.wallet("main"), "ETHUSDT", "BUY", Decimal("0.1"))
            await done.wait()
        status = await connection.account_status()
    finally:
        await connection.close_connection(close_session=True)
    assert reply.response.data().result.subscription_id == 0
    assert seen == ["ExecutionReport", "ExecutionReport", "OutboundAccountPosition"]
    assert {b.asset for b in status.data().result.balances} >= {"BTC", "USDT"}
