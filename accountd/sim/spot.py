"""Spot as a product of the server: /api/v3, /sapi, the WebSocket API, and listen keys where they live on."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from accountd.sim import refusals, signing
from accountd.sim.connection import Connection, Reply
from accountd.sim.exchange import Exchange
from accountd.sim.keys import LIFETIME_MS, ListenKeys
from accountd.sim.limits import WeightLimit
from accountd.sim.model import Account
from accountd.sim.product import Product
from accountd.sim.rest import HttpRequest
from accountd.sim.socket import Session
from accountd.sim.spot_events import Event
from accountd.sim.spot_exchange import SpotExchange
from accountd.sim.spot_model import Wallet
from accountd.sim.spot_rest import API_WEIGHT, SpotRest
from accountd.sim.spot_trader import SpotTrader
from accountd.sim.streams import StreamSession, parse_target
from accountd.sim.trader import Deeds
from accountd.sim.ws_api import WsApiSession

if TYPE_CHECKING:
    from accountd.sim.server import SimServer

LISTEN_KEY = "/api/v3/userDataStream"
GONE = (
    b"<html>\r\n<head><title>410 Gone</title></head>\r\n<body>\r\n<center><h1>410 Gone</h1></center>\r\n"
    b"<hr><center>nginx</center>\r\n</body>\r\n</html>\r\n"
)


@dataclass(frozen=True)
class ListenToken:
    """A token that subscribes to a wallet until a time in ms."""

    wallet: Wallet
    expires_ms: int


class Spot(Product):
    """Serves the spot wallets of an exchange's accounts.

    `mode` "binance" pushes over the WebSocket API and answers 410 to listen keys; "us" the reverse.
    `bare_token_reply` answers a token subscription without its envelope, as the documents print it.
    """

    name = "spot"

    def __init__(
        self,
        exchange: Exchange,
        spot: SpotExchange | None = None,
        *,
        mode: str = "binance",
        weight_limit: int = API_WEIGHT,
        key_lifetime_ms: int = LIFETIME_MS,
        ping_interval: float = 20.0,
        pong_timeout: float = 60.0,
        bare_token_reply: bool = False,
    ) -> None:
        super().__init__(exchange, WeightLimit(exchange.clock, weight_limit))
        if mode not in ("binance", "us"):
            raise ValueError("mode is binance or us")
        self.spot = spot or SpotExchange(exchange)
        self.pushes = mode == "binance"
        self.keys = None if self.pushes else ListenKeys(exchange, key_lifetime_ms)
        self.ping_interval, self.pong_timeout = ping_interval, pong_timeout
        self.bare_token_reply = bare_token_reply
        self.rest = SpotRest(self.spot, self.limit, self.requests, self.forbidden)
        self.tokens: dict[str, ListenToken] = {}

    def open(self, server: "SimServer") -> None:
        """Listen to the exchange and take the faults of this product."""
        super().open(server)
        self.spot.listen(self._on_event)
        faults = server.faults
        faults.on("terminate_stream", self.terminate_stream)
        faults.on("kill_subscription", self.kill_subscription)
        faults.on("revoke_key", self.revoke_key)
        faults.on("restore_key", self.restore_key)

    def close(self) -> None:
        """Stop listening."""
        self.spot.unlisten(self._on_event)
        super().close()

    def limits(self) -> list[WeightLimit]:
        """Return the pools of /api/v3 and of every /sapi endpoint."""
        return [self.limit, *self.rest.sapi.pools.values()]

    def headers(self, path: str) -> dict[str, str]:
        """Return the used weights as the venue tells them."""
        if path.startswith("/sapi/"):
            return self.rest.sapi.headers(path)
        used = str(self.limit.used)
        return {"X-MBX-USED-WEIGHT": used, "X-MBX-USED-WEIGHT-1M": used}

    def serves(self, path: str) -> bool:
        """Tell whether a path is one of spot or of the wallet."""
        return path.startswith(("/api/v3/", "/sapi/"))

    def answer(self, request: HttpRequest, as_of_ms: int | None = None) -> Any:
        """Return the JSON body of a reply, or the page that stands where listen keys were."""
        if request.path == LISTEN_KEY:
            return self._listen_key(request)
        return self.rest.answer(request, as_of_ms)

    def _listen_key(self, request: HttpRequest) -> Any:
        name = f"{request.method} {request.path}"
        self.requests[name] += 1
        if self.keys is None:
            return Reply(410, GONE, {"Content-Type": "text/html"})
        self.limit.charge(1)
        account = self.rest.account(request)
        if request.method == "POST":
            return {"listenKey": self.keys.create(account)}
        if request.method == "DELETE":
            self.forbidden[name] += 1
        given = signing.parameters(request.query, request.body).get("listenKey")
        if not given:
            raise refusals.missing("listenKey")
        if given != self.keys.current(account):
            raise refusals.no_listen_key()
        if request.method == "PUT":
            self.keys.renew(account)
        elif request.method == "DELETE":
            self.keys.delete(account)
        return {}

    def session(self, connection: Connection, target: str) -> Session | None:
        """Return a session of the WebSocket API, or of a listen key that this product has given out."""
        assert self.server is not None
        if urlsplit(target).path.rstrip("/") == "/ws-api/v3":
            return WsApiSession(self.server, connection, target, self)
        parsed = parse_target(target)
        if self.keys is None or parsed is None:
            return None
        if any(self.keys.owner(key) or key in self.keys.dead for key in parsed[2]):
            return StreamSession(self.server, connection, target, self, everywhere=True)
        return None

    def sessions(self) -> list[WsApiSession]:
        """Return the open sessions of the WebSocket API."""
        found = self.server.sessions if self.server else ()
        return [s for s in found if isinstance(s, WsApiSession) and s.spot is self]

    def _on_event(self, wallet: Wallet, event: Event) -> None:
        listening = [s for s in self.sessions() if s.subscriptions.of(wallet)]
        if listening and self.server:
            event = self.server.odd(event)
        for session in listening:
            session.tell_event(wallet, event)
        key = self.keys.current(self.exchange.account(wallet.owner)) if self.keys else None
        if key is not None and wallet.market == "spot":
            self.push(key, event)

    def heard(self, account: Account, event: str) -> bool:
        """Tell whether some session is subscribed to the account's spot wallet."""
        wallet = self.spot.wallet(account)
        return any(s.subscriptions.of(wallet) for s in self.sessions()) or super().heard(account, event)

    def keep_house(self) -> None:
        """End the subscriptions whose token is over, told or untold."""
        now = self.exchange.clock.now()
        for session in self.sessions():
            told = session.server.expiry_told
            for number in session.subscriptions.run_out(now):
                if told:
                    session.send_terminated(number)

    def _numbers(self, session: WsApiSession, account: str | None, market: str | None) -> list[int]:
        held = session.subscriptions.active.items()
        return [
            number
            for number, one in held
            if account in (None, one.wallet.owner) and market in (None, one.wallet.market)
        ]

    def terminate_stream(self, account: str | None = None, market: str | None = None) -> int:
        """End subscriptions and tell it by eventStreamTerminated; return how many."""
        return sum(s.terminate(self._numbers(s, account, market), told=True) for s in self.sessions())

    def kill_subscription(self, account: str | None = None, market: str | None = None) -> int:
        """End subscriptions in silence: the connection lives, its pings are answered, no event comes."""
        return sum(s.terminate(self._numbers(s, account, market), told=False) for s in self.sessions())

    def revoke_key(self, account: str | None = None) -> None:
        """Take the API key away: requests are refused with -2015, its subscriptions fall silent."""
        owners = [account] if account else list(self.exchange.accounts)
        for name in owners:
            self.rest.revoked.add(self.exchange.accounts[name].credential.api_key)
            self.kill_subscription(name)

    def restore_key(self, account: str | None = None) -> None:
        """Give the API key back."""
        for name in [account] if account else list(self.exchange.accounts):
            self.rest.revoked.discard(self.exchange.accounts[name].credential.api_key)

    def truth(self, account: str) -> dict[str, Any]:
        """Return all that happened to the account's spot wallet."""
        return self.spot.truth(self.spot.wallet(account))

    def traders(self, account: str, seed: int, rate: float) -> list[Deeds]:
        """Return the trader of the account's spot wallet."""
        return [SpotTrader(self.spot, self.spot.wallet(account), seed=seed, rate=rate)]

    def burst(self, account: str, fills: int, symbol: str) -> int:
        """Make fills at once; return how many."""
        return len(self.spot.burst(self.spot.wallet(account), fills, symbol))
