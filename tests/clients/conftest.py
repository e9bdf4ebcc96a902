"""What the client tests share: a simulated exchange with some history."""

from decimal import Decimal

import pytest

from accountd.sim.app import build
from accountd.sim.server import SimServer


@pytest.fixture
async def sim():
    """Serve an exchange whose account has traded and holds open orders."""
    exchange = build(seed=11, history_days=2, history_steps=150)
    exchange.place("main", "BTCUSDT", "BUY", Decimal("0.010"), Decimal("60000"))
    exchange.algo("main", "BTCUSDT", "SELL", "STOP_MARKET", Decimal("0.010"), Decimal("50000"))
    async with SimServer(exchange) as server:
        yield server
