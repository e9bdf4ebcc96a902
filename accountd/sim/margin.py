"""Margin as a product of the server: /sapi/v1/margin, listen tokens, and the cross risk stream."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from accountd.sim import margin_endpoints as endpoints
from accountd.sim import refusals, signing
from accountd.sim.connection import Connection
from accountd.sim.keys import LIFETIME_MS, ListenKeys
from accountd.sim.limits import WeightLimit
from accountd.sim.margin_endpoints import MarginQuery
from accountd.sim.margin_exchange import MarginExchange
from accountd.sim.margin_trader import MarginTrader
from accountd.sim.model import Account
from accountd.sim.product import Product
from accountd.sim.rest import HttpRequest
from accountd.sim.socket import Session
from accountd.sim.spot import ListenToken, Spot
from accountd.sim.spot_events import Event
from accountd.sim.spot_model import Wallet
from accountd.sim.streams import StreamSession, parse_target
from accountd.sim.trader import Deeds

if TYPE_CHECKING:
    from accountd.sim.server import SimServer

TOKEN = "/sapi/v1/userListenToken"
RISK_KEY = "/sapi/v1/margin/listen-key"
LONGEST_MS = 86_400_000


@dataclass(frozen=True)
class MarginRoute:
    """An endpoint: what answers, its weight, and whether it counts per account."""

    answer: Callable[[MarginQuery], Any]
    weight: int
    uid: bool = False


ROUTES: dict[str, MarginRoute] = {
    f"/sapi/v1/margin/{path}": route
    for path, route in {
        "account": MarginRoute(endpoints.account, 10),
        "isolated/account": MarginRoute(endpoints.isolated_account, 10),
        "isolated/accountLimit": MarginRoute(endpoints.account_limit, 1),
        "tradeCoeff": MarginRoute(endpoints.trade_coefficients, 10),
        "openOrders": MarginRoute(endpoints.open_orders, 10),
        "order": MarginRoute(endpoints.order, 10),
        "allOrders": MarginRoute(endpoints.all_orders, 200),
        "myTrades": MarginRoute(endpoints.my_trades, 10),
        "openOrderList": MarginRoute(endpoints.open_order_lists, 10),
        "orderList": MarginRoute(endpoints.order_list, 10),
        "allOrderList": MarginRoute(endpoints.all_order_lists, 200),
        "myPreventedMatches": MarginRoute(endpoints.prevented_matches, 10),
        "rateLimit/order": MarginRoute(endpoints.order_rate_limit, 20),
        "interestHistory": MarginRoute(endpoints.interest_history, 1),
        "borrow-repay": MarginRoute(endpoints.loans, 10),
        "capital-flow": MarginRoute(endpoints.capital_flow, 100),
        "transfer": MarginRoute(endpoints.transfers, 1),
        "forceLiquidationRec": MarginRoute(endpoints.forced, 1),
    }.items()
}


class Margin(Product):
    """Serves the margin wallets of a spot product's exchange; list it before that product.

    `token_lifetime_ms` caps how long a listen token lives. `transfer_seconds` False tells the times of
    margin/transfer in ms. `refused_tokens` are pairs that get none, `risk_refused` refuses the risk key.
    """

    name = "margin"

    def __init__(
        self,
        spot: Spot,
        *,
        token_lifetime_ms: int = LONGEST_MS,
        key_lifetime_ms: int = LIFETIME_MS,
        transfer_seconds: bool = True,
    ) -> None:
        super().__init__(spot.exchange, spot.limit)
        if not isinstance(spot.spot, MarginExchange):
            raise TypeError("the spot product must stand on a MarginExchange")
        self.spot, self.margin = spot, spot.spot
        self.token_lifetime_ms, self.transfer_seconds = token_lifetime_ms, transfer_seconds
        self.keys = ListenKeys(spot.exchange, key_lifetime_ms)
        self.tokens_made = 0
        self.refused_tokens: set[str] = set()
        self.risk_refused = False
        self.margin.listen_risk(self._on_risk)

    def open(self, server: "SimServer") -> None:
        """Take the faults of this product."""
        super().open(server)
        server.faults.on("expire_token", self.expire_token)

    def limits(self) -> list[WeightLimit]:
        """Return no pool of its own: those of /sapi belong to spot."""
        return []

    def headers(self, path: str) -> dict[str, str]:
        """Return the used weights of an endpoint."""
        return self.spot.rest.sapi.headers(path)

    def serves(self, path: str) -> bool:
        """Tell whether a path is one of margin."""
        return path.startswith("/sapi/v1/margin/") or path == TOKEN

    def answer(self, request: HttpRequest, as_of_ms: int | None = None) -> Any:
        """Return the JSON body of a reply; raises Refused."""
        name = f"{request.method} {request.path}"
        self.requests[name] += 1
        params = signing.parameters(request.query, request.body)
        if name == f"POST {TOKEN}":
            return self._token(self._charged(request, 1), params)
        if request.path == RISK_KEY:
            return self._risk_key(request, params)
        route, rest = ROUTES.get(request.path), self.spot.rest
        if route is None:
            raise refusals.unknown_path(request.method, request.path)
        if request.method != "GET":
            self.forbidden[name] += 1
            raise refusals.key_unknown()
        rest.sapi.pool(request.path, None).charge(route.weight)
        account = rest.signed(request)
        query = MarginQuery(params, self.margin, account, as_of_ms, transfer_seconds=self.transfer_seconds)
        return route.answer(query)

    def _charged(self, request: HttpRequest, weight: int) -> Account:
        account = self.spot.rest.account(request)
        self.spot.rest.sapi.pool(request.path, account).charge(weight)
        return account

    def _token(self, account: Account, params: dict[str, str]) -> Any:
        pair = params.get("symbol", "") if params.get("isIsolated", "").lower() == "true" else ""
        if params.get("isIsolated", "").lower() == "true" and not pair:
            raise refusals.missing("symbol")
        found = [w for w in self.margin.opened(account, "isolated" if pair else "margin") if w.pair == pair]
        if not found or found[0].disabled or pair in self.refused_tokens:
            raise refusals.Refused(400, -3003, "Margin account does not exist.")
        asked = int(params.get("validity") or LONGEST_MS)
        if not 0 < asked <= LONGEST_MS:
            raise refusals.bad_value("validity")
        ends = self.exchange.clock.now() + min(asked, self.token_lifetime_ms)
        token = self.margin.word(70)
        self.spot.tokens[token] = ListenToken(found[0], ends)
        self.tokens_made += 1
        return {"token": token, "expirationTime": ends}

    def _risk_key(self, request: HttpRequest, params: dict[str, str]) -> Any:
        assert self.keys is not None
        account = self._charged(request, 3000 if request.method == "DELETE" else 1)
        if not self.margin.opened(account, "margin"):
            raise refusals.Refused(400, -3003, "Margin account does not exist.")
        if self.risk_refused:
            raise refusals.key_unknown()
        if request.method == "POST":
            return {"listenKey": self.keys.create(account)}
        if request.method == "DELETE":
            self.forbidden[f"DELETE {RISK_KEY}"] += 1
            self.keys.delete(account)
        elif params.get("listenKey") != self.keys.current(account):
            raise refusals.no_listen_key()
        else:
            self.keys.renew(account)
        return {}

    def session(self, connection: Connection, target: str) -> Session | None:
        """Return the session of a listen key that this product has given out."""
        assert self.server is not None and self.keys is not None
        parsed = parse_target(target)
        if parsed and any(self.keys.owner(key) or key in self.keys.dead for key in parsed[2]):
            return StreamSession(self.server, connection, target, self, everywhere=True)
        return None

    def key_expired(self, account: Account, key: str) -> Event:
        """Return the end of a listen key; the official sample tells its time as text."""
        return {"e": "listenKeyExpired", "E": str(self.exchange.clock.now()), "listenKey": key}

    def _on_risk(self, wallet: Wallet, event: Event) -> None:
        assert self.keys is not None
        key = self.keys.current(self.exchange.account(wallet.owner))
        if key is not None:
            self.push(key, event)

    def wallets(self, account: str) -> list[Wallet]:
        """Return the cross and isolated wallets of an account."""
        return self.margin.opened(account, "margin") + self.margin.opened(account, "isolated")

    def heard(self, account: Account, event: str) -> bool:
        """Tell whether every margin wallet of the account is subscribed to."""
        wallets, sessions = self.wallets(account.name), self.spot.sessions()
        return all(any(s.subscriptions.of(w) for s in sessions) for w in wallets)

    def expire_token(self, account: str | None = None, told: bool = True) -> int:
        """End the subscriptions by token, told or in silence, and every token; return how many."""
        count = 0
        for name in list(self.spot.tokens):
            if account in (None, self.spot.tokens[name].wallet.owner):
                del self.spot.tokens[name]
        for session in self.spot.sessions():
            active = session.subscriptions.active.values()
            chosen = [one.number for one in active if one.way == "token"]
            count += session.terminate(chosen, told=told)
        return count

    def truth(self, account: str) -> dict[str, Any]:
        """Return all that happened to the margin wallets: `margin`, and `isolated` by pair."""
        cross = self.margin.opened(account, "margin")
        return {
            "account": account,
            "margin": self.margin.truth(cross[0]) if cross else None,
            "isolated": {w.pair: self.margin.truth(w) for w in self.margin.opened(account, "isolated")},
        }

    def traders(self, account: str, seed: int, rate: float) -> list[Deeds]:
        """Return a trader for each margin wallet; they share the rate."""
        wallets = self.wallets(account)
        return [MarginTrader(self.margin, w, seed=seed, rate=rate / len(wallets)) for w in wallets]

    def burst(self, account: str, fills: int, symbol: str) -> int:
        """Make fills at once in the cross wallet; return how many."""
        return len(self.margin.burst(self.margin.wallet(account, "margin"), fills, symbol))
