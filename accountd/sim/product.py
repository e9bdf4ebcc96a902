"""What a product of the venue brings to the server: REST paths, sockets, listen keys, truth and a trader."""

import json
from collections import Counter
from typing import TYPE_CHECKING, Any

from accountd.sim.model import Account

if TYPE_CHECKING:
    from accountd.sim.connection import Connection
    from accountd.sim.exchange import Exchange
    from accountd.sim.keys import ListenKeys
    from accountd.sim.limits import WeightLimit
    from accountd.sim.rest import HttpRequest
    from accountd.sim.server import SimServer
    from accountd.sim.socket import Session
    from accountd.sim.trader import Deeds


class Product:
    """One product beside USDⓈ-M on a server: `SimServer(exchange, products=[...])`.

    Accounts, API keys and the clock are those of `exchange`; what the product trades is its own affair.
    A server asks its products in order and takes the first that answers; USDⓈ-M comes last.
    `limit` may be the server's own (a shared pool). Counts `requests` by "METHOD path"; `forbidden` holds
    those that would change something. Ping times in seconds, None for the server's.
    """

    name = ""
    ping_interval: float | None = None
    pong_timeout: float | None = None

    def __init__(self, exchange: "Exchange", limit: "WeightLimit") -> None:
        self.exchange, self.limit = exchange, limit
        self.requests: Counter[str] = Counter()
        self.forbidden: Counter[str] = Counter()
        self.keys: ListenKeys | None = None
        self.server: SimServer | None = None

    def open(self, server: "SimServer") -> None:
        """Begin: the server listens now."""
        self.server = server

    def close(self) -> None:
        """End: the server stops."""
        self.server = None

    def serves(self, path: str) -> bool:
        """Tell whether a REST path is this product's."""
        return False

    def answer(self, request: "HttpRequest", as_of_ms: int | None = None) -> Any:
        """Return the JSON body of a reply, or a whole Reply; raises Refused with what the venue says."""
        raise KeyError(request.path)

    def headers(self, path: str) -> dict[str, str]:
        """Return the headers of every reply on a path: the used weight."""
        return {"X-MBX-USED-WEIGHT-1M": str(self.limit.used)}

    def limits(self) -> "list[WeightLimit]":
        """Return every pool of weight that the product counts."""
        return [self.limit]

    def session(self, connection: "Connection", target: str) -> "Session | None":
        """Return the session of a WebSocket URL (path and query), None if it is not this product's."""
        return None

    def push(self, key: str, event: dict[str, Any]) -> None:
        """Send an event to every stream of this product that is subscribed to a listen key."""
        if self.server is not None:
            self.server.push(key, event, self)

    def key_expired(self, account: Account, key: str) -> dict[str, Any]:
        """Return the event that tells the end of a listen key."""
        return {"e": "listenKeyExpired", "E": self.exchange.clock.now(), "listenKey": key}

    def heard(self, account: Account, event: str) -> bool:
        """Tell whether some session would receive an event of the account."""
        key = self.keys.current(account) if self.keys else None
        sessions = self.server.sessions if self.server else ()
        return key is not None and any(s.product is self and s.wants(key, event) for s in sessions)

    def keep_house(self) -> None:
        """Do what the passing of time asks for; called ten times a second and before each REST request."""

    def truth(self, account: str) -> dict[str, Any]:
        """Return all that happened on an account in this product."""
        raise KeyError(account)

    def burst(self, account: str, fills: int, symbol: str) -> int:
        """Make fills at once; return how many."""
        raise KeyError(self.name)

    def traders(self, account: str, seed: int, rate: float) -> "list[Deeds]":
        """Return the traders that act on an account in this product, `rate` deeds a second in all."""
        return []

    def backfill(self, account: str, days: float, steps: int, seed: int) -> None:
        """Write `steps` random deeds spread over the last `days` before now."""
        now, span = self.exchange.clock.now(), int(days * 86_400_000)
        traders = self.traders(account, seed, 1)
        for number in range(steps if traders else 0):
            with self.exchange.clock.pinned(now - span + span * number // steps):
                traders[number % len(traders)].step()

    def counters(self) -> dict[str, Any]:
        """Return what was asked of this product."""
        return {
            "requests": dict(self.requests),
            "forbidden": dict(self.forbidden),
            "weight_total": self.limit.total,
            "weight_peak": self.limit.peak,
        }


def encode(event: dict[str, Any]) -> bytes:
    """Encode an event as the venue does: no spaces, UTF-8 as it is."""
    return json.dumps(event, ensure_ascii=False, separators=(",", ":")).encode()
