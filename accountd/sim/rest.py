"""The REST door: routes, weights, keys, signatures, and the count of everything that is asked for."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from accountd.sim import endpoints, market, refusals, signing
from accountd.sim.exchange import Exchange
from accountd.sim.keys import ListenKeys
from accountd.sim.limits import WeightLimit
from accountd.sim.model import Account, Credential
from accountd.sim.query import Query

LISTEN_KEY = "/fapi/v1/listenKey"
ANYONE = Account("", Credential(""), "")


@dataclass(frozen=True)
class Route:
    """An endpoint: what answers, what it weighs with and without a symbol, and whether it is signed."""

    answer: Callable[[Query], Any]
    weight: int
    weight_all: int | None = None
    signed: bool = True

    def cost(self, params: dict[str, str]) -> int:
        """Return the weight of a request."""
        return self.weight if self.weight_all is None or params.get("symbol") else self.weight_all


ROUTES: dict[str, Route] = {
    "/fapi/v1/time": Route(endpoints.server_time, 1, signed=False),
    "/fapi/v1/premiumIndex": Route(market.premium_index, 1, 10, signed=False),
    "/fapi/v1/ticker/price": Route(market.ticker_price, 1, 2, signed=False),
    "/fapi/v2/ticker/price": Route(market.ticker_price, 1, 2, signed=False),
    "/fapi/v1/accountConfig": Route(endpoints.account_config, 5),
    "/fapi/v1/symbolConfig": Route(endpoints.symbol_config, 5),
    "/fapi/v3/account": Route(endpoints.account_v3, 5),
    "/fapi/v2/account": Route(endpoints.account_v2, 5),
    "/fapi/v3/balance": Route(endpoints.balance, 5),
    "/fapi/v2/balance": Route(endpoints.balance, 5),
    "/fapi/v3/positionRisk": Route(endpoints.position_risk_v3, 5),
    "/fapi/v2/positionRisk": Route(endpoints.position_risk_v2, 5),
    "/fapi/v1/openOrders": Route(endpoints.open_orders, 1, 40),
    "/fapi/v1/openOrder": Route(endpoints.open_order, 1),
    "/fapi/v1/order": Route(endpoints.order, 1),
    "/fapi/v1/allOrders": Route(endpoints.all_orders_of_all, 5),
    "/fapi/v1/openAlgoOrders": Route(endpoints.open_algo_orders, 1, 40),
    "/fapi/v1/algoOrder": Route(endpoints.algo_order, 1),
    "/fapi/v1/allAlgoOrders": Route(endpoints.all_algo_orders, 5),
    "/fapi/v1/userTrades": Route(endpoints.user_trades, 5),
    "/fapi/v1/income": Route(endpoints.income, 30),
    "/fapi/v1/forceOrders": Route(endpoints.force_orders, 20, 50),
    "/fapi/v1/orderAmendment": Route(endpoints.order_amendment, 1),
    "/fapi/v1/commissionRate": Route(market.commission_rate, 20),
    "/fapi/v1/leverageBracket": Route(market.leverage_bracket, 1),
    "/fapi/v1/positionSide/dual": Route(market.position_mode, 30),
    "/fapi/v1/multiAssetsMargin": Route(market.multi_assets_margin, 30),
    "/fapi/v1/rateLimit/order": Route(market.order_rate_limit, 1),
}


@dataclass(frozen=True)
class HttpRequest:
    """A request as it came: raw query string and body, header names in lower case."""

    method: str
    path: str
    query: str
    headers: dict[str, str]
    body: str = ""


def account_of(exchange: Exchange, request: HttpRequest) -> Account:
    """Return the account of the API key in a request's header; Refused -2014 or -2015."""
    api_key = request.headers.get("x-mbx-apikey", "")
    if not (16 <= len(api_key) <= 128 and api_key.isalnum()):
        raise refusals.key_format()
    account = exchange.by_key(api_key)
    if account is None:
        raise refusals.key_unknown()
    return account


class RestApi:
    """Answers REST requests from the exchange's truth.

    `symbolless_all_orders` False makes the symbol of allOrders mandatory, as before 2026-08-25.
    Counts `requests` by "METHOD path"; `forbidden` holds those that would change something.
    Another futures product names its own paths and rows.
    """

    listen_key = LISTEN_KEY
    info_path = "/fapi/v1/exchangeInfo"
    all_orders_path = "/fapi/v1/allOrders"
    routes = ROUTES

    def __init__(
        self,
        exchange: Exchange,
        keys: ListenKeys,
        limit: WeightLimit,
        *,
        symbolless_all_orders: bool = True,
    ) -> None:
        self.exchange, self.keys, self.limit = exchange, keys, limit
        self.symbolless_all_orders = symbolless_all_orders
        self.requests: Counter[str] = Counter()
        self.forbidden: Counter[str] = Counter()

    def answer(self, request: HttpRequest, as_of_ms: int | None = None) -> Any:
        """Return the JSON body of the reply; raises Refused with what the venue says instead."""
        name = f"{request.method} {request.path}"
        self.requests[name] += 1
        if request.path == self.listen_key and request.method in ("POST", "PUT", "DELETE"):
            return self._listen_key(request)
        if request.method != "GET":
            self.forbidden[name] += 1
            self.limit.charge(1)
            raise refusals.key_unknown()
        params = signing.parameters(request.query, "")
        if request.path == self.info_path:
            self.limit.charge(1)
            return self.info(Query(params, self.exchange, ANYONE))
        route = self._route(request.path)
        if route is None:
            self.limit.charge(1)
            raise refusals.unknown_path(request.method, request.path)
        self.limit.charge(route.cost(params))
        account = self._signed(request) if route.signed else ANYONE
        return route.answer(Query(params, self.exchange, account, as_of_ms))

    def info(self, query: Query) -> Any:
        """Return exchangeInfo."""
        return market.exchange_info(query, self.limit.limit)

    def _route(self, path: str) -> Route | None:
        if path == self.all_orders_path and not self.symbolless_all_orders:
            return Route(endpoints.all_orders, 5)
        return self.routes.get(path)

    def _signed(self, request: HttpRequest) -> Account:
        account = account_of(self.exchange, request)
        signing.check(account.credential, request.query, request.body, self.exchange.clock.now())
        return account

    def _listen_key(self, request: HttpRequest) -> Any:
        self.limit.charge(1)
        account = account_of(self.exchange, request)
        if request.method == "POST":
            return {"listenKey": self.keys.create(account)}
        if request.method == "PUT":
            return {"listenKey": self.keys.renew(account)}
        self.forbidden["DELETE " + self.listen_key] += 1
        self.keys.delete(account)
        return {}
