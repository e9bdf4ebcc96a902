"""The official Python SDK works against the simulated exchange."""

import asyncio
from decimal import Decimal

import pytest
from binance_common.configuration import ConfigurationRestAPI, ConfigurationWebSocketStreams
from binance_sdk_derivatives_trading_usds_futures.derivatives_trading_usds_futures import (
    DerivativesTradingUsdsFutures,
)


@pytest.fixture
def client(sim):
    """Point the SDK at the simulated exchange."""
    credential = sim.exchange.accounts["main"].credential
    return DerivativesTradingUsdsFutures(
        config_rest_api=ConfigurationRestAPI(
            api_key=credential.api_key, api_secret=credential.secret, base_path=sim.rest_url
        ),
        config_ws_streams=ConfigurationWebSocketStreams(stream_url=sim.stream_url),
    )


async def test_listen_key_is_created_and_renewed(sim, client):
    """The SDK creates a listen key and renews the same one."""
    made = await asyncio.to_thread(lambda: client.rest_api.start_user_data_stream().data())
    renewed = await asyncio.to_thread(lambda: client.rest_api.keepalive_user_data_stream().data())
    assert made.listen_key == sim.keys.current(sim.exchange.accounts["main"])
    assert renewed.listen_key == made.listen_key


async def test_account_and_positions_are_read(sim, client):
    """The SDK parses account, balances and positions, and they equal the truth."""
    truth = sim.exchange.truth("main")
    account = await asyncio.to_thread(lambda: client.rest_api.account_information_v3().data())
    balances = await asyncio.to_thread(lambda: client.rest_api.futures_account_balance_v3().data())
    risk = await asyncio.to_thread(lambda: client.rest_api.position_information_v3().data())
    assert {a.asset: a.wallet_balance for a in account.assets} == truth["balances"]
    assert {b.asset: b.balance for b in balances} == truth["balances"]
    held = {p["symbol"]: Decimal(p["quantity"]) for p in truth["positions"]}
    told = {p.symbol: Decimal(p.position_amt) for p in risk if Decimal(p.position_amt)}
    assert held
    assert told == held


async def test_orders_and_trades_are_read(sim, client):
    """The SDK parses orders and trades, and they equal the truth."""
    truth = sim.exchange.truth("main")
    orders = await asyncio.to_thread(lambda: client.rest_api.all_orders(symbol="BTCUSDT", limit=1000).data())
    trades = await asyncio.to_thread(
        lambda: client.rest_api.account_trade_list(symbol="BTCUSDT", limit=1000).data()
    )
    open_orders = await asyncio.to_thread(lambda: client.rest_api.current_all_open_orders().data())
    assert {o.order_id for o in orders} == {
        o["order_id"] for o in truth["orders"] if o["symbol"] == "BTCUSDT"
    }
    assert {t.id for t in trades} == {f["trade_id"] for f in truth["fills"] if f["symbol"] == "BTCUSDT"}
    assert len(open_orders) == len(sim.exchange.open_orders("main"))


async def test_events_are_streamed(sim, client):
    """The SDK's user-data stream receives and parses the events of a fill."""
    key = (await asyncio.to_thread(lambda: client.rest_api.start_user_data_stream().data())).listen_key
    seen, done = [], asyncio.Event()
    connection = await client.websocket_streams.create_connection()
    try:
        stream = await connection.user_data(key)

        def heard(event):
            seen.append(type(event.actual_instance).__name__)
            if "AccountUpdate" in seen and "OrderTradeUpdate" in seen:
                done.set()

        stream.on("message", heard)
        async with asyncio.timeout(5):
            await sim.subscribed("main")
            sim.exchange.place("main", "ETHUSDT", "BUY", Decimal("0.100"))
            await done.wait()
    finally:
        await connection.close_connection(close_session=True)
    assert seen.count("AccountUpdate") == 1
    assert "TradeLite" in seen
