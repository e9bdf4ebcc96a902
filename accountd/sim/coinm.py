"""COIN-M as a product of the server: dapi, listen keys of its own, private streams without a route."""

from decimal import Decimal
from typing import TYPE_CHECKING, Any

from accountd.sim.coinm_exchange import CoinmExchange
from accountd.sim.coinm_rest import CoinmRest
from accountd.sim.connection import Connection
from accountd.sim.events import Event, listen_key_expired
from accountd.sim.exchange import Exchange
from accountd.sim.keys import LIFETIME_MS, ListenKeys
from accountd.sim.limits import WeightLimit
from accountd.sim.model import Account, Symbol
from accountd.sim.product import Product
from accountd.sim.rest import HttpRequest
from accountd.sim.socket import Session
from accountd.sim.streams import StreamSession, parse_target
from accountd.sim.trader import Deeds, Trader

if TYPE_CHECKING:
    from accountd.sim.server import SimServer


class CoinmTrader(Trader):
    """Trades whole contracts."""

    def _quantity(self, symbol: Symbol) -> Decimal:
        return Decimal(self.rng.randrange(1, 30))


class Coinm(Product):
    """Serves the COIN-M wallets of an exchange's accounts.

    `limit` may be the pool of USDⓈ-M, which counts both since 2026-06-30. `algo_service` False serves no
    conditional orders, as before that day.
    """

    name = "coinm"

    def __init__(
        self,
        exchange: Exchange,
        coinm: CoinmExchange | None = None,
        *,
        limit: WeightLimit | None = None,
        key_lifetime_ms: int = LIFETIME_MS,
        algo_service: bool = True,
    ) -> None:
        super().__init__(exchange, limit or WeightLimit(exchange.clock, 2400))
        self.coinm = coinm or CoinmExchange(exchange)
        self.keys = ListenKeys(self.coinm, key_lifetime_ms)
        self.api = CoinmRest(self.coinm, self.keys, self.limit)
        self.requests, self.forbidden = self.api.requests, self.api.forbidden
        self.algo_service = algo_service
        if not algo_service:
            self.api.routes = {k: v for k, v in self.api.routes.items() if "lgoOrder" not in k}

    def open(self, server: "SimServer") -> None:
        """Listen to the exchange."""
        super().open(server)
        self.coinm.listen(self._on_event)

    def close(self) -> None:
        """Stop listening."""
        self.coinm.unlisten(self._on_event)
        super().close()

    def serves(self, path: str) -> bool:
        """Tell whether a path is one of COIN-M."""
        return path.startswith("/dapi/")

    def answer(self, request: HttpRequest, as_of_ms: int | None = None) -> Any:
        """Return the JSON body of a reply; raises Refused."""
        return self.api.answer(request, as_of_ms)

    def session(self, connection: Connection, target: str) -> Session | None:
        """Return the session of a listen key that this product has given out."""
        assert self.server is not None and self.keys is not None
        parsed = parse_target(target)
        if parsed and any(self.keys.owner(key) or key in self.keys.dead for key in parsed[2]):
            return StreamSession(self.server, connection, target, self, everywhere=True)
        return None

    def _on_event(self, account: Account, event: Event) -> None:
        assert self.keys is not None
        key = self.keys.current(account)
        if key is not None:
            self.push(key, event)

    def key_expired(self, account: Account, key: str) -> Event:
        """Return listenKeyExpired."""
        return listen_key_expired(key, self.exchange.clock.now())

    def truth(self, account: str) -> dict[str, Any]:
        """Return all that happened on an account."""
        return self.coinm.truth(account)

    def trader(self, account: str, seed: int, rate: float) -> CoinmTrader:
        """Return a trader of the account; conditional orders need their service."""
        trader = CoinmTrader(self.coinm, account, seed=seed, rate=rate)
        if not self.algo_service:
            trader.conditional = False
        return trader

    def traders(self, account: str, seed: int, rate: float) -> list[Deeds]:
        """Return the trader of the account."""
        return [self.trader(account, seed, rate)]

    def burst(self, account: str, fills: int, symbol: str) -> int:
        """Make fills at once; return how many."""
        return len(self.coinm.burst(account, fills, symbol))
