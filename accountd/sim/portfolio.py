"""Portfolio margin as a product of the server: papi, one listen key, one stream of three markets."""

from typing import TYPE_CHECKING, Any

from accountd.sim import refusals, signing
from accountd.sim.coinm import Coinm, CoinmTrader
from accountd.sim.connection import Connection
from accountd.sim.events import Event
from accountd.sim.keys import LIFETIME_MS, ListenKeys
from accountd.sim.limits import WeightLimit
from accountd.sim.margin_endpoints import MarginQuery
from accountd.sim.margin_exchange import MarginExchange
from accountd.sim.margin_trader import MarginTrader
from accountd.sim.model import Account
from accountd.sim.portfolio_events import debt, worded
from accountd.sim.portfolio_rest import MOVES, ROUTES, PortfolioQuery
from accountd.sim.product import Product
from accountd.sim.query import Query
from accountd.sim.rest import HttpRequest, account_of
from accountd.sim.socket import Session
from accountd.sim.spot import Spot
from accountd.sim.spot_model import Wallet
from accountd.sim.streams import StreamSession
from accountd.sim.trader import Deeds, Trader

if TYPE_CHECKING:
    from accountd.sim.server import SimServer

PAIRS = ("BTCUSDT", "ETHUSDT")
LISTEN_KEY = "/papi/v1/listenKey"
ROUTE = "/pm"


class Portfolio(Product):
    """Serves the USDⓈ-M, COIN-M and cross margin wallets of an exchange's accounts as one account each.

    `coinm` and `spot` are products of their own, listed behind this one for what is public; the spot
    product stands on a MarginExchange whose cross accounts are open.
    """

    name = "portfolio"

    def __init__(
        self, coinm: Coinm, spot: Spot, *, key_lifetime_ms: int = LIFETIME_MS, weight_limit: int = 6000
    ) -> None:
        super().__init__(coinm.exchange, WeightLimit(coinm.exchange.clock, weight_limit))
        if not isinstance(spot.spot, MarginExchange):
            raise TypeError("the spot product must stand on a MarginExchange")
        self.coinm, self.margin = coinm.coinm, spot.spot
        self.keys = ListenKeys(self.exchange, key_lifetime_ms)
        self._numbers = 0
        self.margin.listen_risk(self._on_debt)

    def open(self, server: "SimServer") -> None:
        """Listen to the three markets."""
        super().open(server)
        self.exchange.listen(self._on_usdm)
        self.coinm.listen(self._on_coinm)
        self.margin.listen(self._on_margin)

    def close(self) -> None:
        """Stop listening."""
        self.exchange.unlisten(self._on_usdm)
        self.coinm.unlisten(self._on_coinm)
        self.margin.unlisten(self._on_margin)
        super().close()

    def serves(self, path: str) -> bool:
        """Tell whether a path is one of portfolio margin."""
        return path.startswith("/papi/") or path == MOVES

    def answer(self, request: HttpRequest, as_of_ms: int | None = None) -> Any:
        """Return the JSON body of a reply; raises Refused."""
        name = f"{request.method} {request.path}"
        self.requests[name] += 1
        if request.path == LISTEN_KEY:
            return self._listen_key(request)
        route = ROUTES.get(request.path)
        params = signing.parameters(request.query, request.body)
        self.limit.charge(route.cost(params) if route else 1)
        if route is None:
            raise refusals.unknown_path(request.method, request.path)
        if request.method != "GET":
            self.forbidden[name] += 1
            raise refusals.key_unknown()
        owner = account_of(self.exchange, request)
        signing.check(owner.credential, request.query, request.body, self.exchange.clock.now())
        coins = self.coinm.accounts[owner.name]
        return route.answer(
            PortfolioQuery(
                Query(params, self.exchange, owner, as_of_ms),
                Query(params, self.coinm, coins, as_of_ms),
                MarginQuery(params, self.margin, owner, as_of_ms),
            )
        )

    def _listen_key(self, request: HttpRequest) -> Any:
        assert self.keys is not None
        self.limit.charge(1)
        account = account_of(self.exchange, request)
        if request.method == "POST":
            return {"listenKey": self.keys.create(account)}
        if request.method == "PUT":
            self.keys.renew(account)
        else:
            self.forbidden[f"DELETE {LISTEN_KEY}"] += 1
            self.keys.delete(account)
        return {}

    def session(self, connection: Connection, target: str) -> Session | None:
        """Return the session of a URL under /pm."""
        assert self.server is not None
        if not target.startswith(f"{ROUTE}/"):
            return None
        return StreamSession(self.server, connection, target.removeprefix(ROUTE), self, everywhere=True)

    def _tell(self, account: Account | str, event: Event | None) -> None:
        assert self.keys is not None
        key = self.keys.current(self.exchange.account(account))
        if key is not None and event is not None:
            self.push(key, event)

    def _on_usdm(self, account: Account, event: Event) -> None:
        self._tell(account, worded("UM", event))

    def _on_coinm(self, account: Account, event: Event) -> None:
        self._tell(account.name, worded("CM", event))

    def _on_margin(self, wallet: Wallet, event: Event) -> None:
        if wallet.market == "margin":
            self._tell(wallet.owner, event)

    def _on_debt(self, wallet: Wallet, event: Event) -> None:
        self._numbers += 1
        self._tell(wallet.owner, debt(event, self._numbers))

    def key_expired(self, account: Account, key: str) -> Event:
        """Return listenKeyExpired, which names no key here."""
        return {"e": "listenKeyExpired", "E": self.exchange.clock.now()}

    def truth(self, account: str) -> dict[str, Any]:
        """Return all that happened on an account, by market."""
        return {
            "usdm": self.exchange.truth(account),
            "coinm": self.coinm.truth(account),
            "margin": self.margin.truth(self.margin.wallet(account, "margin")),
        }

    def traders(self, account: str, seed: int, rate: float) -> list[Deeds]:
        """Return a trader for each market; they share the rate."""
        wallet = self.margin.wallet(account, "margin")
        pairs, each = list(PAIRS), rate / 3
        return [
            Trader(self.exchange, account, seed=seed, rate=each, symbols=pairs),
            CoinmTrader(self.coinm, account, seed=seed, rate=each),
            MarginTrader(self.margin, wallet, seed=seed, rate=each, symbols=pairs),
        ]

    def burst(self, account: str, fills: int, symbol: str) -> int:
        """Make fills at once on USDⓈ-M; return how many."""
        return len(self.exchange.burst(account, fills, symbol))
