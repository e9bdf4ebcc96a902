"""What the tests of the simulated exchange share: a clock by hand, a venue, a client."""

import asyncio
import json
import time

import httpx
import pytest
import websockets

from accountd.sim.clock import Clock
from accountd.sim.exchange import Exchange
from accountd.sim.server import SimServer
from tests.sim.signer import Client


class HandClock:
    """A source of ms that moves only when told."""

    def __init__(self):
        self.ms = int(time.time() * 1000)

    def __call__(self):
        return self.ms

    def move(self, seconds):
        """Move forward by seconds."""
        self.ms += int(seconds * 1000)


@pytest.fixture
def hand():
    """A clock moved by hand."""
    return HandClock()


@pytest.fixture
def exchange(hand):
    """An exchange on the hand-moved clock with the account `main`."""
    exchange = Exchange(seed=5, clock=Clock(hand))
    exchange.add_account("main")
    return exchange


@pytest.fixture
def account(exchange):
    """The account `main`."""
    return exchange.accounts["main"]


@pytest.fixture
async def sim(exchange):
    """The exchange, served."""
    async with SimServer(exchange) as server:
        yield server


@pytest.fixture
async def http(sim):
    """A plain HTTP client of the venue."""
    async with httpx.AsyncClient(base_url=sim.rest_url, timeout=10, verify=False) as client:
        yield client


@pytest.fixture
def client(http, account, exchange):
    """The account's signing client, its clock right."""
    return Client(http, account.credential, now=exchange.clock.now)


@pytest.fixture
async def key(client):
    """A living listen key."""
    return await client.listen_key()


@pytest.fixture
async def stream(sim, key):
    """A raw private stream of the account."""
    async with websockets.connect(f"{sim.stream_url}/private/ws?listenKey={key}", max_queue=None) as socket:
        yield Reader(socket)


class Reader:
    """Reads events with a deadline."""

    def __init__(self, socket):
        self.socket = socket

    async def next(self):
        """Return the next event."""
        return json.loads(await self.raw())

    async def raw(self):
        """Return the next frame as it came."""
        async with asyncio.timeout(10):
            return await self.socket.recv()

    async def until_pong(self):
        """Return every event that arrives before the answer to a ping: all that was sent so far."""
        pong, got = await self.socket.ping(), []
        async with asyncio.timeout(10):
            await pong
            while True:
                try:
                    got.append(json.loads(await asyncio.wait_for(self.socket.recv(), 0.02)))
                except TimeoutError:
                    return got
