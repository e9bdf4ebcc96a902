"""The simulated venue on loopback: REST and WebSocket on one port, faults on command, truth on request."""

import asyncio
import json
from collections import Counter
from collections.abc import Iterable
from types import TracebackType
from typing import Any, Self

from accountd.sim import refusals
from accountd.sim.breakage import Breakage, refusal
from accountd.sim.connection import Connection, Reply
from accountd.sim.control import Control
from accountd.sim.events import Event
from accountd.sim.exchange import Exchange
from accountd.sim.faults import Faults
from accountd.sim.keys import LIFETIME_MS, ListenKeys
from accountd.sim.limits import WeightLimit
from accountd.sim.model import Account
from accountd.sim.product import Product, encode
from accountd.sim.rest import HttpRequest, RestApi
from accountd.sim.socket import Session
from accountd.sim.usdm import Usdm

HOUSEKEEPING = 0.1


class SimServer:
    """Serves an exchange: `async with SimServer(exchange) as sim: sim.rest_url, sim.stream_url, sim.faults`.

    Times are in seconds except `key_lifetime_ms`. `expiry_told` False lets listen keys die in silence.
    `strict_ids` True refuses control messages whose id is a string, as documented.
    USDⓈ-M is always served; `products` are served beside it and asked first. A product may count on
    `weight`, the pool of USDⓈ-M, made with `WeightLimit(exchange.clock, 2400)`.
    Public: exchange, faults, products, keys, limit, api (these three of USDⓈ-M), sessions, connections,
    counts.
    """

    def __init__(
        self,
        exchange: Exchange,
        host: str = "127.0.0.1",
        port: int = 0,
        *,
        key_lifetime_ms: int = LIFETIME_MS,
        weight_limit: int = 2400,
        ping_interval: float = 180.0,
        pong_timeout: float = 600.0,
        max_age: float = 86_400.0,
        symbolless_all_orders: bool = True,
        compress: bool = True,
        expiry_told: bool = True,
        strict_ids: bool = False,
        products: Iterable[Product] = (),
        weight: WeightLimit | None = None,
    ) -> None:
        self.exchange, self.host, self.port = exchange, host, port
        self.ping_interval, self.pong_timeout, self.max_age = ping_interval, pong_timeout, max_age
        self.compress, self.expiry_told, self.strict_ids = compress, expiry_told, strict_ids
        self.faults = Faults(exchange.seed)
        self.keys = ListenKeys(exchange, key_lifetime_ms)
        self.limit = weight or WeightLimit(exchange.clock, weight_limit)
        self.api = RestApi(exchange, self.keys, self.limit, symbolless_all_orders=symbolless_all_orders)
        self.usdm = Usdm(exchange, self.keys, self.limit, self.api)
        self.products: tuple[Product, ...] = (*products, self.usdm)
        self.control = Control(self)
        self.connections: set[Connection] = set()
        self.sessions: set[Session] = set()
        self.counts: Counter[str] = Counter()
        self.stirred = asyncio.Event()
        self._breakage = Breakage(self)
        self._listener: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def rest_url(self) -> str:
        """Return the REST base, `http://host:port`."""
        return f"http://{self.host}:{self.port}"

    @property
    def stream_url(self) -> str:
        """Return the stream base, `ws://host:port`."""
        return f"ws://{self.host}:{self.port}"

    async def __aenter__(self) -> Self:
        """Listen; with port 0 the port becomes a free one."""
        await self.open_listener()
        for product in self.products:
            product.open(self)
        self.spawn(self._keep_house())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop listening and cut every connection."""
        for product in self.products:
            product.close()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self.close_listener()
        for connection in list(self.connections):
            connection.transport.abort()
        for _ in range(3):
            await asyncio.sleep(0)

    def spawn(self, work: Any) -> None:
        """Run a coroutine until the server stops."""
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def open_listener(self) -> None:
        """Accept connections on the port."""
        loop = asyncio.get_running_loop()
        self._listener = await loop.create_server(lambda: Connection(self), self.host, self.port, backlog=512)
        self.port = self._listener.sockets[0].getsockname()[1]

    def close_listener(self) -> None:
        """Refuse new connections; established ones live on."""
        if self._listener:
            self._listener.close()
            self._listener = None

    def blackholed(self, kind: str) -> bool:
        """Tell whether new traffic of a kind ("rest" or "stream") vanishes."""
        fault = self.faults.active("blackhole")
        return fault is not None and fault.options.get("where", "all") in ("all", kind)

    def product(self, name: str) -> Product:
        """Return a product by name; KeyError if it is not served."""
        return {product.name: product for product in self.products}[name]

    def product_of(self, path: str) -> Product:
        """Return the product that answers for a REST path."""
        return next(product for product in self.products if product.serves(path))

    def session(self, connection: Connection, target: str) -> Session:
        """Return the session of a WebSocket URL."""
        found = (product.session(connection, target) for product in self.products)
        return next((session for session in found if session is not None), None) or Session(
            self, connection, target
        )

    async def subscribed(
        self, account: Account | str = "main", event: str = "ACCOUNT_UPDATE", product: str = "usdm"
    ) -> None:
        """Wait until some session is subscribed to an event of the account."""
        owner, of = self.exchange.account(account), self.product(product)
        while not of.heard(owner, event):
            self.stirred.clear()
            await self.stirred.wait()

    def push(self, key: str, event: Event, product: Product | None = None) -> None:
        """Send an event to every session of a product (of any, for None) subscribed to a listen key."""
        name = event["e"]
        wanted = [s for s in self.sessions if product in (None, s.product) and s.wants(key, name)]
        if not wanted:
            return
        raw = encode(self.odd(event))
        for session in wanted:
            session.deliver(key, name, raw)

    def odd(self, event: Event) -> Event:
        """Return an event, with fields nobody knows if a fault says so."""
        return {**event, "zz": {"new": [1, "2"]}} if self.faults.take("extra_fields") else event

    def answer(self, request: HttpRequest) -> Reply:
        """Answer one HTTP request, through the REST faults."""
        if request.path.startswith("/sim/"):
            return self.control.answer(request)
        product = self.product_of(request.path)
        self.keep_house()
        subject = f"{request.method} {request.path}"
        broken = self._breakage.instead_of(product, subject)
        reply = broken or self._honest(product, request)
        slow = self.faults.take("slow_rest", subject)
        reply.delay = slow.amount if slow else 0.0
        reply.torn = broken is None and self.faults.take("torn_json", subject) is not None
        reply.headers |= product.headers(request.path)
        self.limit.statuses[reply.status] += 1
        return reply

    def _honest(self, product: Product, request: HttpRequest) -> Reply:
        stale = self.faults.take("stale_rest", f"{request.method} {request.path}")
        as_of = self.exchange.clock.now() - int(stale.amount * 1000) if stale else None
        try:
            body = product.answer(request, as_of)
            return body if isinstance(body, Reply) else json_reply(200, body)
        except refusals.Refused as refused:
            return refusal(refused)

    def keep_house(self) -> None:
        """End the listen keys whose hour is over, told or untold, and let every product see the time."""
        for product in self.products:
            for account, key in product.keys.run_out() if product.keys else ():
                if self.expiry_told:
                    product.push(key, product.key_expired(account, key))
            product.keep_house()

    async def _keep_house(self) -> None:
        shortest = min([self.ping_interval, *(p.ping_interval or self.ping_interval for p in self.products)])
        while True:
            await asyncio.sleep(min(HOUSEKEEPING, shortest / 4))
            self.keep_house()
            now = asyncio.get_running_loop().time()
            for session in list(self.sessions):
                if now - session.opened >= self.max_age:
                    session.close(1001)
                elif session.pinged > session.answered and now - session.pinged >= session.pong_timeout:
                    session.connection.transport.abort()
                elif now - session.pinged >= session.ping_interval and session.pinged <= session.answered:
                    session.ping()

    def counters(self) -> dict[str, Any]:
        """Return what was asked of the venue: requests, weights, forbidden requests, connects, sessions."""
        requests, forbidden = Counter[str](), Counter[str]()
        for product in self.products:
            requests.update(product.requests)
            forbidden.update(product.forbidden)
        return {
            "requests": dict(requests),
            "statuses": dict(self.limit.statuses),
            "forbidden_requests": sum(forbidden.values()),
            "forbidden": dict(forbidden),
            "products": {product.name: product.counters() for product in self.products},
            "weight_total": self.limit.total,
            "weight_peak": self.limit.peak,
            "connects": self.counts["connects"],
            "sessions": self.counts["sessions"],
            "sessions_open": len(self.sessions),
            "listen_keys": {
                "created": self.keys.created,
                "renewed": self.keys.renewed,
                "deleted": self.keys.deleted,
            },
            "faults": list(self.faults.injected),
        }


def json_reply(status: int, body: Any) -> Reply:
    """Encode a JSON reply."""
    return Reply(status, json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode())
