"""The demo's exchange: the simulated venue, its trader, and the levers that the demo pulls."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any, Self

from accountd.sim import app
from accountd.sim.server import SimServer
from accountd.sim.trader import Trader

ACCOUNT = "demo"
EVENTS_A_DEED = 2.5  # an order placed, filled or cancelled makes two or three events
HISTORY_DAYS = 0.5
HISTORY_DEEDS = 40
DEMO_WEIGHT = 6_000  # request weight per minute, as in the venue's own demo environment


class Exchange:
    """One account at a simulated venue, with some history from before the demo."""

    def __init__(self, server: SimServer, trader: Trader) -> None:
        self.server = server
        self.trader = trader
        self.trading: asyncio.Task[None] | None = None
        credential = server.exchange.account(ACCOUNT).credential
        self.api_key = credential.api_key
        self.api_secret = credential.secret or ""
        self.before = self._count()
        self.rest_url = server.rest_url
        self.stream_url = server.stream_url

    @classmethod
    @contextlib.asynccontextmanager
    async def started(cls, seed: int, rate: float) -> AsyncIterator[Self]:
        """Serve an exchange until the block ends; `rate` is about how many events a second are traded."""
        exchange = app.build(seed, (ACCOUNT,), history_days=HISTORY_DAYS, history_steps=HISTORY_DEEDS)
        async with SimServer(exchange, weight_limit=DEMO_WEIGHT) as server:
            started = cls(server, Trader(exchange, ACCOUNT, seed=seed, rate=rate / EVENTS_A_DEED))
            try:
                yield started
            finally:
                await started.hold()

    def trade(self) -> None:
        """Begin to trade."""
        self.trading = asyncio.create_task(self.trader.run(), name="trader")

    async def hold(self) -> None:
        """Stop trading."""
        self.trader.stop()
        if self.trading is not None:
            await self.trading
            self.trading = None

    def cut(self) -> None:
        """Break every stream and refuse new ones; REST goes on, as it does when a stream host is down."""
        self.server.faults.inject("handshake_status", code=503)
        self.server.faults.inject("rst")

    def expire_key(self) -> None:
        """End the listen key without a word."""
        self.server.faults.inject("expire_key", account=ACCOUNT, told=False)

    def restore(self) -> None:
        """Let streams connect again."""
        self.server.faults.inject("clear")

    @property
    def fills(self) -> int:
        """Return how many fills there have been since the demo began."""
        return self._count() - self.before

    def _count(self) -> int:
        return sum(len(book.fills) for book in self.server.exchange.account(ACCOUNT).books.values())

    def truth(self) -> dict[str, Any]:
        """Return everything that happened."""
        return self.server.exchange.truth(ACCOUNT)
