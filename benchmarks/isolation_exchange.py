"""Two exchanges in a process of their own: one that is well and trades, one that is broken in some way."""

import argparse
import asyncio
import contextlib
import json
import sys

from websockets.exceptions import ConnectionClosed

from tests.second_spot_exchange import SecondSpot

STEP = 0.01  # seconds between fills of the healthy account
JSON = {"Content-Type": "application/json"}
REFUSALS = {
    "key refused": (401, JSON, b'{"code":-2015,"msg":"Invalid API-key, IP, or permissions for action."}'),
    "429 storm": (429, {**JSON, "Retry-After": "1"}, b'{"code":-1003,"msg":"Too much request weight used."}'),
    "418 ban": (418, {**JSON, "Retry-After": "1"}, b'{"code":-1003,"msg":"Way too many requests."}'),
    "torn JSON": (200, JSON, b'[{"symbol":"BTCUSDT","orderId":'),
    "huge replies": (200, JSON, b"[" + b'{"symbol":"BTCUSDT","orderId":1},' * 400_000 + b"{}]"),
}
STREAMS = {"garbage flood": '{"e":"executionReport","E":', "huge frames": '{"e":"' + "x" * 8_000_000 + '"}'}
WAYS = (*REFUSALS, *STREAMS, "endless reconnects", "blackhole", "slow REST")


class Broken(SecondSpot):
    """An exchange of listen keys that is broken in one way."""

    def __init__(self, way: str) -> None:
        super().__init__(classic=True, wallet=False)
        self.way = way
        self.rest.slow = {"blackhole": 3600.0, "slow REST": 1.5}.get(way, 0.0)
        if way in REFUSALS:
            self.rest.answer = self._refuse

    def _refuse(self, method, target, api_key):
        public = any(name in target for name in ("/time", "/exchangeInfo"))
        if public and self.way != "429 storm":
            return type(self.rest).answer(self.rest, method, target, api_key)
        return REFUSALS[self.way]

    async def _serve(self, socket):
        if self.way == "endless reconnects":
            socket.transport.abort()
            return
        frame = STREAMS.get(self.way)
        flood = asyncio.create_task(self._flood(socket, frame)) if frame else None
        try:
            await super()._serve(socket)
        finally:
            if flood is not None:
                flood.cancel()

    async def _flood(self, socket, frame):
        with contextlib.suppress(ConnectionClosed):
            while True:
                await socket.send(frame)
                await asyncio.sleep(0)  # the healthy exchange lives in this process too


async def trade(spot: SecondSpot) -> None:
    """Fill small orders at a steady pace."""
    while True:
        order = spot.ledger.place("BTCUSDT", "BUY", "0.001", "60000")
        spot.ledger.fill(order, "0.001")
        await asyncio.sleep(STEP)


async def main(way: str) -> None:
    """Serve until the other end closes our input."""
    healthy = SecondSpot()
    broken = Broken(way) if way else SecondSpot(classic=True)
    async with healthy, broken:
        print(json.dumps([healthy.rest.url, healthy.ws_url, broken.rest.url, broken.ws_url]), flush=True)
        trading = asyncio.create_task(trade(healthy))
        await asyncio.to_thread(sys.stdin.read)
        trading.cancel()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--way", default="", help="how the other exchange is broken")
    asyncio.run(main(parser.parse_args().way))
