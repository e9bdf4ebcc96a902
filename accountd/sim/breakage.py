"""What the faults do: replies in place of the true ones, and cuts, expiries and garbage at once."""

import asyncio
import json
import math
from typing import TYPE_CHECKING, Any

from accountd.sim import refusals
from accountd.sim.connection import Connection, Reply
from accountd.sim.keys import ListenKeys
from accountd.sim.limits import WeightLimit
from accountd.sim.model import Account
from accountd.sim.product import Product
from accountd.sim.spot_events import server_shutdown

if TYPE_CHECKING:
    from accountd.sim.server import SimServer

HTML = b"<html><head><title>502 Bad Gateway</title></head><body><h1>502 Bad Gateway</h1></body></html>\n"
GARBAGE = {
    "binary": b"\x00\x01\x02\xff",
    "utf8": b'{"e":"ORDER_TRADE_UPDATE","o":"\xff\xfe"}',
    "json": b'{"e":"ORDER_TRADE_UPDATE","E":1,"o":{"s":"BTC',
    "text": b"pong",
    "number": b"123456789012345678901234567890",
    "array": b"[]",
}


class Breakage:
    """Carries out the faults of one server."""

    def __init__(self, server: "SimServer") -> None:
        self.server = server
        faults = server.faults
        for name in ("close", "rst", "fin", "half_open", "refuse", "expire_key", "garbage", "clock_skew"):
            faults.on(name, getattr(self, name))
        faults.on("invalidate_key", self.invalidate_key)
        faults.on("replace_key", self.replace_key)
        faults.on("blackhole", self.blackhole)
        faults.on("ban", self.ban)
        faults.on("server_shutdown", self.server_shutdown)
        faults.on("clear", self.clear)

    def instead_of(self, product: Product, subject: str) -> Reply | None:
        """Return the reply that a fault puts in place of the true one."""
        faults = self.server.faults
        fault = faults.take("rate_limit", subject)
        if fault:
            retry = fault.options.get("retry_after", 1)
            product.requests[subject] += 1
            return refusal(refusals.too_many(product.limit.limit, retry))
        fault = faults.take("http_5xx", subject)
        if fault:
            status = int(fault.options.get("status", 503))
            body = {"code": -1000, "msg": "Unknown error, please check your request or try again later."}
            product.requests[subject] += 1
            return Reply(status, json.dumps(body).encode())
        fault = faults.take("html", subject)
        if fault:
            headers = {"Content-Type": "text/html"}
            product.requests[subject] += 1
            return Reply(int(fault.options.get("status", 502)), HTML, headers)
        return None

    def _streams(self) -> list[Connection]:
        return [session.connection for session in list(self.server.sessions)]

    def close(self, code: int = 1001, reason: str = "") -> int:
        """Close every session with a close frame; return how many."""
        sessions = list(self.server.sessions)
        for session in sessions:
            session.close(code, reason)
        return len(sessions)

    def server_shutdown(self, seconds: float | None = None) -> int:
        """Announce the end of every session, and close them after `seconds` if given."""
        sessions = list(self.server.sessions)
        for session in sessions:
            session.announce(server_shutdown(self.server.exchange.clock.now()))
        if seconds is not None:
            for session in sessions:
                asyncio.get_running_loop().call_later(seconds, session.close, 1001)
        return len(sessions)

    def rst(self) -> int:
        """Reset every stream connection."""
        return self._each(Connection.reset)

    def fin(self) -> int:
        """End every stream connection without a close frame."""
        return self._each(Connection.cut)

    def half_open(self) -> int:
        """Forget every stream connection: it reads on but never answers."""
        return self._each(Connection.mute)

    def _each(self, cut: Any) -> int:
        connections = self._streams()
        for connection in connections:
            cut(connection)
        return len(connections)

    def blackhole(self, seconds: float | None = None, where: str = "all") -> int:
        """Freeze what is connected, for ever, and let new traffic vanish for `seconds`."""
        self.server.faults.start("blackhole", seconds=seconds, where=where)
        streams = self._streams()
        others = [c for c in self.server.connections if c.session is None]
        chosen = {"stream": streams, "rest": others, "all": streams + others}[where]
        for connection in chosen:
            connection.freeze()
        return len(chosen)

    def refuse(self, seconds: float = 1.0) -> None:
        """Close the listener for a time in seconds; established connections live on."""
        self.server.close_listener()
        self.server.spawn(self._reopen(seconds))

    async def _reopen(self, seconds: float) -> None:
        await asyncio.sleep(seconds)
        await self.server.open_listener()

    def _keys(self, account: str | None) -> list[tuple[Product, ListenKeys, Account]]:
        accounts = self.server.exchange.accounts
        owners = [accounts[account]] if account else list(accounts.values())
        held = [(product, product.keys) for product in self.server.products]
        return [(product, keys, owner) for product, keys in held if keys for owner in owners]

    def expire_key(self, account: str | None = None, told: bool | str = True) -> int:
        """Expire listen keys: `told` True once, "twice" twice, False in silence."""
        count = 0
        for product, keys, owner in self._keys(account):
            key = keys.remove(owner)
            if key is None:
                continue
            count += 1
            for _ in range({"twice": 2, True: 1}.get(told, 0)):
                product.push(key, product.key_expired(owner, key))
        return count

    def invalidate_key(self, account: str | None = None) -> int:
        """Remove listen keys as another client's DELETE does: the stream falls silent."""
        return self.expire_key(account, told=False)

    def replace_key(self, account: str | None = None) -> int:
        """Put a new listen key in place of the living one, as another program on the account does."""
        count = 0
        for _product, keys, owner in self._keys(account):
            if keys.remove(owner):
                keys.create(owner)
                count += 1
        return count

    def garbage(self, kind: str = "json", n: int = 1) -> int:
        """Send nonsense to every session: binary, utf8, json (torn), text, number, array, event or big."""
        now = self.server.exchange.clock.now()
        unknown = {"e": "NEW_KIND_OF_EVENT", "E": now, "T": now, "x": {"s": "BTCUSDT", "v": "1.5"}}
        big = {"e": "NEW_KIND_OF_EVENT", "E": now, "x": "a" * (1 << 20)}
        made = {"event": json.dumps(unknown).encode(), "big": json.dumps(big).encode()}
        raw = (GARBAGE | made)[kind]
        sessions = list(self.server.sessions)
        for session in sessions:
            for _ in range(n):
                session.send_garbage(raw, binary=kind == "binary")
        return len(sessions)

    def clock_skew(self, seconds: float) -> None:
        """Put the venue's clock this far from its source, in seconds."""
        self.server.exchange.clock.skew_ms = int(seconds * 1000)

    def ban(self, seconds: float = 120.0) -> None:
        """Ban the address: 418 with the time of its end in ms."""
        for limit in self._limits():
            limit.ban(math.ceil(seconds * 1000))

    def clear(self) -> None:
        """Lift every lasting fault and the ban; cut connections stay cut."""
        self.server.faults.clear()
        for limit in self._limits():
            limit.pardon()

    def _limits(self) -> list[WeightLimit]:
        return [limit for product in self.server.products for limit in product.limits()]


def refusal(refused: refusals.Refused) -> Reply:
    """Encode an error reply, with Retry-After where one is told."""
    reply = Reply(refused.status, json.dumps(refused.body, separators=(",", ":")).encode())
    if refused.retry_after is not None:
        reply.headers["Retry-After"] = str(refused.retry_after)
    return reply
