"""The exchange as one command: it serves, trades, and stops when told."""

import asyncio

import httpx
import pytest

from accountd.cli.sim import announce
from accountd.sim.app import build, serve
from accountd.sim.trader import Trader


async def test_serve_trades_until_it_is_stopped():
    """serve tells where it listens, trades at its rate, and ends within a moment of stop."""
    ready, stop = asyncio.Queue(), asyncio.Event()
    task = asyncio.create_task(
        serve(
            seed=2, rate=200, accounts=("main", "second"), on_ready=lambda *a: ready.put_nowait(a), stop=stop
        )
    )
    async with asyncio.timeout(10):
        rest_url, stream_url, credentials = await ready.get()
        async with httpx.AsyncClient(base_url=rest_url, verify=False) as http:
            fills = []
            for _ in range(200):
                await asyncio.sleep(0.02)
                fills = fills or (await http.get("/sim/truth?account=second")).json()["fills"]
                if fills:
                    break
        stop.set()
        await task
    assert fills
    assert set(credentials) == {"main", "second"}
    assert stream_url.startswith("ws://127.0.0.1:")


def test_the_same_seed_has_the_same_keys():
    """Demo credentials come from the seed, never from chance, and print without their secret."""
    one, two = (build(9).accounts["main"].credential for _ in range(2))
    assert one == two != build(8).accounts["main"].credential
    assert one.secret not in repr(one)


async def test_the_trader_keeps_its_rate():
    """Five hundred deeds at 5,000 a second take about a tenth of one."""
    exchange = build(1)
    trader = Trader(exchange, rate=5000)
    await asyncio.wait_for(trader.run(steps=500), 20)
    assert trader.steps == 500
    assert exchange.truth("main")["fills"]


async def test_serve_offers_the_products_it_is_asked_for():
    """With spot and margin alone, their paths and traders are there, with history; fapi is not."""
    ready, stop = asyncio.Queue(), asyncio.Event()
    options = {"seed": 2, "rate": 200, "products": ("spot", "margin"), "history_days": 1, "history_steps": 40}
    task = asyncio.create_task(serve(on_ready=lambda *a: ready.put_nowait(a), stop=stop, **options))
    async with asyncio.timeout(10):
        rest_url, _, _ = await ready.get()
        async with httpx.AsyncClient(base_url=rest_url, verify=False) as http:
            assert (await http.get("/fapi/v1/time")).status_code == 404
            assert (await http.get("/api/v3/time")).status_code == 200
            first = (await http.get("/sim/truth?product=margin")).json()["margin"]
            for _ in range(200):
                await asyncio.sleep(0.02)
                later = (await http.get("/sim/truth?product=margin")).json()["margin"]
                if len(later["orders"]) > len(first["orders"]):
                    break
        stop.set()
        await task
    assert 0 < len(first["orders"]) < len(later["orders"])


@pytest.mark.parametrize("products", [("nothing",), ("spot", "us")])
async def test_serve_refuses_what_it_cannot_serve(products):
    """An unknown product, or two that have the same paths, are refused before anything listens."""
    with pytest.raises(ValueError, match=r"product|paths"):
        await serve(products=products)


def test_announced_settings_name_the_venue(capsys):
    """One product keeps the account's name; with several each has an account of its own."""
    credentials = {"main": build(9).accounts["main"].credential}
    announce("http://x:1", "ws://x:1", credentials, ("spot",))
    announce("http://x:1", "ws://x:1", credentials, ("usdm", "margin"))
    lines = capsys.readouterr().out.splitlines()
    assert "ACCOUNTD_ACCOUNTS__MAIN__VENUE=binance-spot" in lines
    assert "ACCOUNTD_ACCOUNTS__MAIN__WS_API_URL=ws://x:1" in lines
    assert "ACCOUNTD_ACCOUNTS__MAIN_USDM__VENUE=binance-usdm" in lines
    assert "ACCOUNTD_ACCOUNTS__MAIN_MARGIN__VENUE=binance-margin" in lines
