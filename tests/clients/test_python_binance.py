"""python-binance works against the simulated exchange."""

import asyncio
from decimal import Decimal

import pytest
from binance import AsyncClient, BinanceSocketManager


@pytest.fixture
async def client(sim):
    """Point python-binance at the simulated exchange; its own constructor takes no futures address."""
    credential = sim.exchange.accounts["main"].credential
    client = AsyncClient(credential.api_key, credential.secret)
    client.FUTURES_URL = f"{sim.rest_url}/fapi"
    yield client
    await client.close_connection()


async def test_account_orders_and_trades_are_read(sim, client):
    """Account, balances, orders, trades and income as python-binance reads them equal the truth."""
    truth = sim.exchange.truth("main")
    account = await client.futures_account()
    assert {a["asset"]: a["walletBalance"] for a in account["assets"]} == truth["balances"]
    orders = await client.futures_get_all_orders(symbol="BTCUSDT", limit=1000)
    trades = await client.futures_account_trades(symbol="BTCUSDT", limit=1000)
    income = await client.futures_income_history(limit=1000)
    fills = [f for f in truth["fills"] if f["symbol"] == "BTCUSDT"]
    assert [t["id"] for t in trades] == [f["trade_id"] for f in fills]
    assert len(orders) == len([o for o in truth["orders"] if o["symbol"] == "BTCUSDT"])
    told = [(r["incomeType"], r["tranId"], Decimal(r["income"])) for r in income]
    assert told == [(t["type"], t["tran_id"], Decimal(t["amount"])) for t in truth["transfers"]]


async def test_a_symbol_in_chinese_is_signed(sim, client):
    """A symbol outside ASCII survives percent-encoding and the signature check."""
    trades = await client.futures_account_trades(symbol="测试币USDT", limit=1000)
    wanted = [f for f in sim.exchange.truth("main")["fills"] if f["symbol"] == "测试币USDT"]
    assert wanted
    assert [t["id"] for t in trades] == [f["trade_id"] for f in wanted]


async def test_events_are_streamed(sim, client):
    """python-binance creates a listen key and receives the events of a fill on /private/ws."""
    manager = BinanceSocketManager(client)
    manager.FSTREAM_URL = f"{sim.stream_url}/"
    names = []
    async with asyncio.timeout(5), manager.futures_user_socket() as stream:
        await sim.subscribed("main")
        sim.exchange.place("main", "ETHUSDT", "BUY", Decimal("0.100"))
        while "ACCOUNT_UPDATE" not in names:
            names.append((await stream.recv())["e"])
        # Its socket closes only after one more message or ten seconds.
        asyncio.get_running_loop().call_later(0.1, sim.exchange.transfer, "main", Decimal("1"))
    assert names == ["ORDER_TRADE_UPDATE", "TRADE_LITE", "ORDER_TRADE_UPDATE", "ACCOUNT_UPDATE"]
