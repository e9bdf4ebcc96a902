"""A venue's public streams on loopback: routed, acknowledged, and silent where a stream is not served."""

import asyncio
import json
import time
from contextlib import asynccontextmanager, suppress

from websockets.asyncio.server import serve
from websockets.exceptions import ConnectionClosed

ROUTES = {"/public/stream": ("bookTicker", "depth"), "/market/stream": ("markPrice", "kline", "aggTrade")}


class PublicMarket:
    """Remembers each connection and control frame, and pushes to whoever is subscribed."""

    def __init__(self):
        self.url = ""
        self.open = []
        self.opened = 0
        self.controls = []

    async def serve_one(self, socket):
        path = socket.request.path.partition("?")[0]
        one = {"socket": socket, "path": path, "streams": set()}
        self.open.append(one)
        self.opened += 1
        try:
            async for frame in socket:
                told = json.loads(frame)
                self.controls.append((time.monotonic(), told["method"], tuple(told["params"])))
                if told["method"] == "SUBSCRIBE":
                    one["streams"].update(told["params"])
                else:
                    one["streams"].difference_update(told["params"])
                await socket.send(json.dumps({"result": None, "id": told["id"]}))
        except ConnectionClosed:
            pass
        finally:
            self.open.remove(one)

    def serving(self, stream):
        """List the connections on which a stream is really served."""
        kind = stream.partition("@")[2]
        return [
            one for one in self.open
            if stream in one["streams"] and kind.startswith(ROUTES.get(one["path"], ("",)))
        ]  # fmt: skip

    async def push(self, stream, data):
        """Send an event to every connection that has the stream; one that is just closing misses it."""
        for one in self.serving(stream):
            with suppress(ConnectionClosed):
                await one["socket"].send(json.dumps({"stream": stream, "data": data}))

    async def cut(self):
        """Drop every connection."""
        for one in list(self.open):
            one["socket"].transport.abort()
        await asyncio.sleep(0)

    async def until(self, true, seconds=10.0):
        """Wait until something is so."""
        end = time.monotonic() + seconds
        while not true():
            assert time.monotonic() < end, "waited in vain"
            await asyncio.sleep(0.01)


@asynccontextmanager
async def public_market():
    """Serve one."""
    market = PublicMarket()
    async with serve(market.serve_one, "127.0.0.1", 0) as server:
        port = next(iter(server.sockets)).getsockname()[1]
        market.url = f"ws://127.0.0.1:{port}"
        yield market
