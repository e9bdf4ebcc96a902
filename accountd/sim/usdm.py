"""USDⓈ-M as a product of the server: fapi, listen keys, private streams."""

from typing import TYPE_CHECKING, Any

from accountd.sim import refusals
from accountd.sim.events import Event, listen_key_expired
from accountd.sim.exchange import Exchange
from accountd.sim.keys import ListenKeys
from accountd.sim.limits import WeightLimit
from accountd.sim.model import Account
from accountd.sim.product import Product
from accountd.sim.rest import HttpRequest, RestApi
from accountd.sim.streams import StreamSession
from accountd.sim.trader import Deeds, Trader

PRO = "/pm-classic"
ONLY_PRO = ("PM_PRO_ACCOUNT_UPDATE", "riskLevelChange", "listenKeyExpired")

if TYPE_CHECKING:
    from accountd.sim.connection import Connection
    from accountd.sim.server import SimServer


class ProSession(StreamSession):
    """The extra stream of a Portfolio Margin Pro account, by the key of USDⓈ-M."""

    def wants(self, key: str, event: str) -> bool:
        """Tell whether the client subscribed to an event of a listen key, and this stream has it."""
        return event in ONLY_PRO and super().wants(key, event)


class Usdm(Product):
    """The product that takes every path and socket that no other product wants.

    With `served` False it is there but knows no path: every request and handshake gets 404.
    """

    name = "usdm"
    served = True

    def __init__(self, exchange: Exchange, keys: ListenKeys, limit: WeightLimit, api: RestApi) -> None:
        super().__init__(exchange, limit)
        self.keys, self.api = keys, api
        self.requests, self.forbidden = api.requests, api.forbidden

    def open(self, server: "SimServer") -> None:
        """Listen to the exchange."""
        super().open(server)
        self.exchange.listen(self._on_event)

    def close(self) -> None:
        """Stop listening."""
        self.exchange.unlisten(self._on_event)
        super().close()

    def serves(self, path: str) -> bool:
        """Tell that every path ends here, unknown ones too."""
        return True

    def answer(self, request: HttpRequest, as_of_ms: int | None = None) -> Any:
        """Return the JSON body of a reply; raises Refused."""
        if not self.served:
            raise refusals.unknown_path(request.method, request.path)
        return self.api.answer(request, as_of_ms)

    def session(self, connection: "Connection", target: str) -> StreamSession | None:
        """Return the session of any URL; it delivers only on `/private`."""
        assert self.server is not None
        if not self.served:
            return None
        if target.startswith(PRO):
            return ProSession(self.server, connection, target.removeprefix(PRO), self, everywhere=True)
        return StreamSession(self.server, connection, target, self)

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
        return self.exchange.truth(account)

    def traders(self, account: str, seed: int, rate: float) -> list[Deeds]:
        """Return the trader of the account."""
        return [Trader(self.exchange, account, seed=seed, rate=rate)]

    def burst(self, account: str, fills: int, symbol: str) -> int:
        """Make fills at once; return how many."""
        return len(self.exchange.burst(account, fills, symbol))
