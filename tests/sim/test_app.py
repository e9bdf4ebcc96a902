"""The exchange as one command: it serves, trades, and stops when told."""

import asyncio

import httpx

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
    async with asyncio.timeout(5):
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
    await asyncio.wait_for(trader.run(steps=500), 5)
    assert trader.steps == 500
    assert exchange.truth("main")["fills"]
