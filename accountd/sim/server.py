"""The simulated venue on loopback: REST and WebSocket on one port, faults on command, truth on request."""

import asyncio
import json
from collections import Counter
from types import TracebackType
from typing import Any, Self

from accountd.sim import refusals
from accountd.sim.breakage import Breakage, refusal
from accountd.sim.connection import Connection, Reply
from accountd.sim.control import Control
from accountd.sim.events import Event, listen_key_expired
from accountd.sim.exchange import Exchange
from accountd.sim.faults import Faults
from accountd.sim.keys import LIFETIME_MS, ListenKeys
from accountd.sim.limits import WeightLimit
from accountd.sim.model import Account
from accountd.sim.rest import HttpRequest, RestApi
from accountd.sim.streams import StreamSession

HOUSEKEEPING = 0.1


class SimServer:
    """Serves an exchange: `async with SimServer(exchange) as sim: sim.rest_url, sim.stream_url, sim.faults`.

    Times are in seconds except `key_lifetime_ms`. `expiry_told` False lets listen keys die in silence.
    `strict_ids` True refuses control messages whose id is a string, as documented.
    Public: exchange, faults, keys, limit, api, sessions, connections, counts.
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
    ) -> None:
        self.exchange, self.host, self.port = exchange, host, port
        self.ping_interval, self.pong_timeout, self.max_age = ping_interval, pong_timeout, max_age
        self.compress, self.expiry_told, self.strict_ids = compress, expiry_told, strict_ids
        self.faults = Faults(exchange.seed)
        self.keys = ListenKeys(exchange, key_lifetime_ms)
        self.limit = WeightLimit(exchange.clock, weight_limit)
        self.api = RestApi(exchange, self.keys, self.limit, symbolless_all_orders=symbolless_all_orders)
        self.control = Control(self)
        self.connections: set[Connection] = set()
        self.sessions: set[StreamSession] = set()
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
        self.exchange.listen(self._on_event)
        self.spawn(self._keep_house())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop listening and cut every connection."""
        self.exchange.unlisten(self._on_event)
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

    def _on_event(self, account: Account, event: Event) -> None:
        key = self.keys.current(account)
        if key is not None:
            self.push(key, event)

    async def subscribed(self, account: Account | str = "main", event: str = "ACCOUNT_UPDATE") -> None:
        """Wait until some session is subscribed to an event of the account."""
        owner = self.exchange.account(account)
        while not self._heard(self.keys.current(owner), event):
            self.stirred.clear()
            await self.stirred.wait()

    def _heard(self, key: str | None, event: str) -> bool:
        return key is not None and any(session.wants(key, event) for session in self.sessions)

    def push(self, key: str, event: Event) -> None:
        """Send an event to every session subscribed to a listen key."""
        name = event["e"]
        wanted = [s for s in self.sessions if s.wants(key, name)]
        if not wanted:
            return
        if self.faults.take("extra_fields"):
            event = {**event, "zz": {"new": [1, "2"]}}
        raw = json.dumps(event, ensure_ascii=False, separators=(",", ":")).encode()
        for session in wanted:
            session.deliver(key, name, raw)

    def answer(self, request: HttpRequest) -> Reply:
        """Answer one HTTP request, through the REST faults."""
        if request.path.startswith("/sim/"):
            return self.control.answer(request)
        self.expire_keys()
        subject = f"{request.method} {request.path}"
        broken = self._breakage.instead_of(subject)
        reply = broken or self._honest(request)
        slow = self.faults.take("slow_rest", subject)
        reply.delay = slow.amount if slow else 0.0
        reply.torn = broken is None and self.faults.take("torn_json", subject) is not None
        reply.headers["X-MBX-USED-WEIGHT-1M"] = str(self.limit.used)
        self.limit.statuses[reply.status] += 1
        return reply

    def _honest(self, request: HttpRequest) -> Reply:
        stale = self.faults.take("stale_rest", f"{request.method} {request.path}")
        as_of = self.exchange.clock.now() - int(stale.amount * 1000) if stale else None
        try:
            return json_reply(200, self.api.answer(request, as_of))
        except refusals.Refused as refused:
            return refusal(refused)

    def expire_keys(self) -> None:
        """End the listen keys whose hour is over, told or untold."""
        for _account, key in self.keys.run_out():
            if self.expiry_told:
                self.push(key, listen_key_expired(key, self.exchange.clock.now()))

    async def _keep_house(self) -> None:
        while True:
            await asyncio.sleep(min(HOUSEKEEPING, self.ping_interval / 4))
            self.expire_keys()
            now = asyncio.get_running_loop().time()
            for session in list(self.sessions):
                if now - session.opened >= self.max_age:
                    session.close(1001)
                elif session.pinged > session.answered and now - session.pinged >= self.pong_timeout:
                    session.connection.transport.abort()
                elif now - session.pinged >= self.ping_interval and session.pinged <= session.answered:
                    session.ping()

    def counters(self) -> dict[str, Any]:
        """Return what was asked of the venue: requests, weights, forbidden requests, connects, sessions."""
        return {
            "requests": dict(self.api.requests),
            "statuses": dict(self.limit.statuses),
            "forbidden_requests": sum(self.api.forbidden.values()),
            "forbidden": dict(self.api.forbidden),
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
