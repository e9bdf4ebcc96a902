"""Runs the simulated exchange for the `sim` command and for demonstrations."""

import asyncio
import contextlib
from collections.abc import Callable
from decimal import Decimal

from accountd.sim.clock import Clock
from accountd.sim.exchange import Exchange
from accountd.sim.model import Credential
from accountd.sim.products import USDM, build_products
from accountd.sim.server import SimServer
from accountd.sim.trader import backfill

OnReady = Callable[[str, str, dict[str, Credential]], None]


def build(
    seed: int = 0,
    accounts: tuple[str, ...] = ("main",),
    *,
    history_days: float = 0,
    history_steps: int = 200,
    clock: Clock | None = None,
) -> Exchange:
    """Build an exchange with accounts whose keys come from the seed, and some history if asked for."""
    exchange = Exchange(seed, clock or Clock())
    now = exchange.clock.now()
    with exchange.clock.pinned(now - int(history_days * 86_400_000)):
        for name in accounts:
            exchange.add_account(name, deposit=Decimal("100000"))
    if history_days:
        for name in accounts:
            backfill(exchange, name, history_days, history_steps, seed)
    return exchange


def credentials(exchange: Exchange) -> dict[str, Credential]:
    """Return the keys of every account by name."""
    return {name: account.credential for name, account in exchange.accounts.items()}


async def serve(
    host: str = "127.0.0.1",
    port: int = 0,
    seed: int = 0,
    rate: float = 5.0,
    accounts: tuple[str, ...] = ("main",),
    *,
    history_days: float = 0,
    history_steps: int = 200,
    products: tuple[str, ...] = (USDM,),
    on_ready: OnReady | None = None,
    stop: asyncio.Event | None = None,
) -> None:
    """Serve and trade until `stop` is set or the task is cancelled.

    `products` are names of products.VENUES; ValueError for others.
    `rate` is deeds per second and account, 0 for a quiet exchange. `on_ready` hears the REST base, the
    stream base and the credentials. Raises OSError if the port is taken.
    """
    usdm_days = history_days if USDM in products else 0
    exchange = build(seed, accounts, history_days=usdm_days, history_steps=history_steps)
    beside = build_products(exchange, products)
    for product in beside if history_days else ():
        for name in accounts:
            product.backfill(name, history_days, history_steps, seed)
    async with SimServer(exchange, host, port, products=beside) as server:
        server.usdm.served = USDM in products
        trading = [*beside, *([server.usdm] if server.usdm.served else [])]
        traders = [
            one for p in trading for name in accounts if rate > 0 for one in p.traders(name, seed, rate)
        ]
        tasks = [asyncio.create_task(trader.run()) for trader in traders]
        if on_ready:
            on_ready(server.rest_url, server.stream_url, credentials(exchange))
        try:
            await (stop or asyncio.Event()).wait()
        finally:
            for task in tasks:
                task.cancel()
            for task in tasks:
                with contextlib.suppress(asyncio.CancelledError):
                    await task
