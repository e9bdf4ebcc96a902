"""An exchange in a process of its own: one that is well and trades, one that is broken in some way, or only
the reader of a flood, which shows what the flood costs this machine by itself."""

import argparse
import asyncio
import contextlib
import json
import sys

from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from tests.second_exchange import KEY as USDM_KEY
from tests.second_exchange import SECRET as USDM_SECRET
from tests.second_exchange import Exchange
from tests.second_spot_exchange import SecondSpot
from tests.second_spot_keys import API_KEY, SECRET

STEP = 0.01  # seconds between fills of the healthy account
AT_ONCE = 20  # frames that a flood sends before it lets its own exchange answer
JSON = {"Content-Type": "application/json"}
REFUSALS = {
    "key refused": (401, JSON, b'{"code":-2015,"msg":"Invalid API-key, IP, or permissions for action."}'),
    "429 storm": (429, {**JSON, "Retry-After": "1"}, b'{"code":-1003,"msg":"Too much request weight used."}'),
    "418 ban": (418, {**JSON, "Retry-After": "1"}, b'{"code":-1003,"msg":"Way too many requests."}'),
    "torn JSON": (200, JSON, b'[{"symbol":"BTCUSDT","orderId":'),
    "huge replies": (200, JSON, b"[" + b'{"symbol":"BTCUSDT","orderId":1},' * 400_000 + b"{}]"),
}
READABLE = "readable flood"
BALANCE = (
    '{"e":"outboundAccountPosition","E":1763000000000,"u":1763000000000,'
    '"B":[{"a":"USDT","f":"100000","l":"0"}]}'
)
LEVERAGE = (
    '{"e":"ACCOUNT_CONFIG_UPDATE","E":1763000000000,"T":1763000000000,"ac":{"s":"BTCUSDT","l":20}}'
)
FLOODS = {
    "garbage flood": '{"e":"executionReport","E":',
    "unknown flood": '{"e":"somethingNew","E":1763000000000,"x":[1,2,3]}',
    READABLE: BALANCE,
    "ping flood": "",
    "huge frames": '{"e":"' + "x" * 8_000_000 + '"}',
}
SLOW = {"blackhole": 3600.0, "slow REST": 1.5}
WAYS = (*REFUSALS, *FLOODS, "endless reconnects", *SLOW)


async def flood(socket, way, frame):
    """Send one thing for ever, as fast as it is taken."""
    with contextlib.suppress(ConnectionClosed):
        while True:
            for _ in range(AT_ONCE):
                await (socket.ping() if way == "ping flood" else socket.send(frame))
            await asyncio.sleep(0)


@contextlib.asynccontextmanager
async def flooding(socket, way, frame):
    """Flood a connection meanwhile, if that is the way it is broken."""
    task = asyncio.create_task(flood(socket, way, frame)) if way in FLOODS else None
    try:
        yield
    finally:
        if task is not None:
            task.cancel()


class Spot(SecondSpot):
    """A spot exchange; with listen keys it is Binance.US."""

    def __init__(self, way="", classic=False):
        super().__init__(classic=classic, wallet=False)
        self.way = way
        self.rest.slow = SLOW.get(way, 0.0)
        if way in REFUSALS:
            self.rest.answer = self._refuse

    def settings(self):
        """Return the account's settings."""
        return {
            "VENUE": "binance-us" if self.classic else "binance-spot", "API_KEY": API_KEY,
            "API_SECRET": SECRET, "REST_URL": self.rest.url, "STREAM_URL": self.ws_url,
            "WS_API_URL": self.ws_url,
        }  # fmt: skip

    def trade(self):
        """Fill a small order."""
        self.ledger.fill(self.ledger.place("BTCUSDT", "BUY", "0.001", "60000"), "0.001")

    def _refuse(self, method, target, api_key):
        public = any(name in target for name in ("/time", "/exchangeInfo"))
        if public and self.way != "429 storm":
            return type(self.rest).answer(self.rest, method, target, api_key)
        return REFUSALS[self.way]

    async def _serve(self, socket):
        if self.way == "endless reconnects":
            socket.transport.abort()
            return
        async with flooding(socket, self.way, FLOODS.get(self.way)):
            await super()._serve(socket)


class Usdm(Exchange):
    """A futures exchange; of the ways to be broken it knows the floods."""

    def __init__(self, way=""):
        super().__init__()
        self.way = way

    def settings(self):
        """Return the account's settings."""
        return {
            "VENUE": "binance-usdm", "API_KEY": USDM_KEY, "API_SECRET": USDM_SECRET,
            "REST_URL": self.rest_url, "STREAM_URL": self.stream_url, "WS_API_URL": self.stream_url,
        }  # fmt: skip

    def trade(self):
        """Fill a small order."""
        self.happen("place", "BTCUSDT", "BUY", "0.001", "60000")
        self.happen("fill", self.ledger.numbers)

    async def _socket(self, connection):
        frame = LEVERAGE if self.way == READABLE else FLOODS.get(self.way)
        async with flooding(connection, self.way, frame):
            await super()._socket(connection)


VENUES = {"spot": Spot, "us": lambda way="": Spot(way, classic=True), "usdm": Usdm}


async def trade(exchange):
    """Fill small orders at a steady pace."""
    while True:
        exchange.trade()
        await asyncio.sleep(STEP)


async def read(url):
    """Read a flood and heed nothing."""
    async with connect(url, max_size=None, ping_interval=None) as socket:
        async for _ in socket:
            pass


async def main(told):
    """Serve, or read, until the other end closes our input."""
    if told.read:
        work = asyncio.create_task(read(told.read))
        print("{}", flush=True)
        await asyncio.to_thread(sys.stdin.read)
        work.cancel()
        return
    async with VENUES[told.venue](told.way) as exchange:
        print(json.dumps(exchange.settings()), flush=True)
        trading = None if told.way else asyncio.create_task(trade(exchange))
        await asyncio.to_thread(sys.stdin.read)
        if trading is not None:
            trading.cancel()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--venue", choices=VENUES)
    parser.add_argument("--way", default="", help="how the exchange is broken")
    parser.add_argument("--read", default="", help="read from this address")
    asyncio.run(main(parser.parse_args()))
