"""The REST door of spot: routes, weights and pools of /api/v3 and /sapi, keys and signatures."""

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from accountd.sim import refusals, signing, spot_endpoints, spot_money
from accountd.sim.clock import Clock
from accountd.sim.limits import WeightLimit
from accountd.sim.model import Account
from accountd.sim.rest import ANYONE, HttpRequest, account_of
from accountd.sim.spot_exchange import SpotExchange
from accountd.sim.spot_query import SpotQuery

API_WEIGHT = 6000
IP_WEIGHT = 12_000
UID_WEIGHT = 180_000


@dataclass(frozen=True)
class SpotRoute:
    """An endpoint: what answers, its weight, what it weighs with a certain parameter, and its security.

    `by` is (parameter, weight when it is given). `uid` counts per account instead of per address.
    """

    answer: Callable[[SpotQuery], Any]
    weight: int
    by: tuple[str, int] | None = None
    signed: bool = True
    uid: bool = False

    def cost(self, params: dict[str, str]) -> int:
        """Return the weight of a request."""
        return self.by[1] if self.by and params.get(self.by[0]) else self.weight


API: dict[str, SpotRoute] = {
    "/api/v3/ping": SpotRoute(spot_endpoints.ping, 1, signed=False),
    "/api/v3/time": SpotRoute(spot_endpoints.server_time, 1, signed=False),
    "/api/v3/exchangeInfo": SpotRoute(spot_endpoints.exchange_info, 20, signed=False),
    "/api/v3/ticker/price": SpotRoute(spot_endpoints.ticker_price, 4, ("symbol", 2), signed=False),
    "/api/v3/account": SpotRoute(spot_endpoints.account, 20),
    "/api/v3/account/commission": SpotRoute(spot_endpoints.commission, 20),
    "/api/v3/openOrders": SpotRoute(spot_endpoints.open_orders, 80, ("symbol", 6)),
    "/api/v3/order": SpotRoute(spot_endpoints.order, 4),
    "/api/v3/allOrders": SpotRoute(spot_endpoints.all_orders, 20),
    "/api/v3/myTrades": SpotRoute(spot_endpoints.my_trades, 20, ("orderId", 5)),
    "/api/v3/orderList": SpotRoute(spot_endpoints.order_list, 4),
    "/api/v3/openOrderList": SpotRoute(spot_endpoints.open_order_lists, 6),
    "/api/v3/allOrderList": SpotRoute(spot_endpoints.all_order_lists, 20),
    "/api/v3/myPreventedMatches": SpotRoute(spot_endpoints.prevented_matches, 20, ("preventedMatchId", 2)),
    "/api/v3/myAllocations": SpotRoute(spot_endpoints.my_allocations, 20),
    "/api/v3/order/amendments": SpotRoute(spot_endpoints.order_amendments, 4),
    "/api/v3/rateLimit/order": SpotRoute(spot_endpoints.order_rate_limit, 40),
}
SAPI: dict[str, SpotRoute] = {
    "/sapi/v1/system/status": SpotRoute(spot_money.system_status, 1, signed=False),
    "/sapi/v1/account/status": SpotRoute(spot_money.account_status, 1),
    "/sapi/v1/account/info": SpotRoute(spot_money.account_info, 1),
    "/sapi/v1/capital/deposit/hisrec": SpotRoute(spot_money.deposits, 1),
    "/sapi/v1/capital/withdraw/history": SpotRoute(spot_money.withdrawals, 18_000, uid=True),
    "/sapi/v1/asset/transfer": SpotRoute(spot_money.transfers, 1),
    "/sapi/v1/asset/dribblet": SpotRoute(spot_money.dust, 1),
    "/sapi/v1/asset/assetDividend": SpotRoute(spot_money.dividends, 10),
}


class SapiLimits:
    """The pools of /sapi: each endpoint its own, per address or per account."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.pools: dict[tuple[str, str], WeightLimit] = {}

    def pool(self, path: str, account: Account | None) -> WeightLimit:
        """Return the pool of an endpoint, of one account if it counts per account."""
        key = (path, account.name if account else "")
        if key not in self.pools:
            self.pools[key] = WeightLimit(self.clock, UID_WEIGHT if account else IP_WEIGHT)
        return self.pools[key]

    def headers(self, path: str) -> dict[str, str]:
        """Return the used weights of an endpoint as the venue's headers tell them."""
        found = {}
        for (name, account), pool in self.pools.items():
            if name == path:
                found[f"X-SAPI-USED-{'UID' if account else 'IP'}-WEIGHT-1M"] = str(pool.used)
        return found


class SpotRest:
    """Answers /api/v3 and /sapi from the exchange's truth.

    `rights` holds what apiRestrictions tells beyond the defaults, by account name; `revoked` the API keys
    that are no longer valid. Counts `requests` and `forbidden` by "METHOD path".
    """

    def __init__(
        self, exchange: SpotExchange, limit: WeightLimit, requests: Counter[str], forbidden: Counter[str]
    ) -> None:
        self.exchange, self.limit = exchange, limit
        self.requests, self.forbidden = requests, forbidden
        self.sapi = SapiLimits(exchange.clock)
        self.rights: dict[str, dict[str, Any]] = {}
        self.revoked: set[str] = set()

    def answer(self, request: HttpRequest, as_of_ms: int | None = None) -> Any:
        """Return the JSON body of a reply; raises Refused with what the venue says instead."""
        name = f"{request.method} {request.path}"
        self.requests[name] += 1
        route = API.get(request.path)
        if route is None and request.path == "/sapi/v1/account/apiRestrictions":
            route = SpotRoute(self._restrictions, 1)
        return self.through(request, route or SAPI.get(request.path), as_of_ms)

    def through(
        self,
        request: HttpRequest,
        route: SpotRoute | None,
        as_of_ms: int | None,
        methods: tuple[str, ...] = ("GET",),
    ) -> Any:
        """Answer a request by its route, if its method is one of `methods`; raises Refused."""
        if route is None:
            self.limit.charge(1)
            raise refusals.unknown_path(request.method, request.path)
        if request.method not in methods:
            self.forbidden[f"{request.method} {request.path}"] += 1
            self.limit.charge(1)
            raise refusals.key_unknown()
        params = signing.parameters(request.query, request.body)
        account = ANYONE
        if request.path.startswith("/sapi/"):
            owner = self.account(request) if route.uid else None
            self.sapi.pool(request.path, owner).charge(route.cost(params))
        else:
            self.limit.charge(route.cost(params))
        if route.signed:
            account = self.signed(request)
        return route.answer(SpotQuery(params, self.exchange, account, as_of_ms))

    def account(self, request: HttpRequest) -> Account:
        """Return the account of the request's key; Refused -2014 or -2015."""
        if request.headers.get("x-mbx-apikey", "") in self.revoked:
            raise refusals.key_unknown()
        return account_of(self.exchange.venue, request)

    def signed(self, request: HttpRequest) -> Account:
        """Return the account of a signed request; raises Refused."""
        account = self.account(request)
        now = self.exchange.clock.now()
        signing.check(account.credential, request.query, request.body, now, spot=True)
        return account

    def _restrictions(self, query: SpotQuery) -> Any:
        return spot_money.RIGHTS | self.rights.get(query.account.name, {})


TWINS: Mapping[str, SpotRoute] = {
    "ping": API["/api/v3/ping"],
    "time": API["/api/v3/time"],
    "exchangeInfo": API["/api/v3/exchangeInfo"],
    "account.status": API["/api/v3/account"],
    "account.commission": API["/api/v3/account/commission"],
    "account.rateLimits.orders": API["/api/v3/rateLimit/order"],
    "openOrders.status": API["/api/v3/openOrders"],
    "order.status": API["/api/v3/order"],
    "allOrders": API["/api/v3/allOrders"],
    "myTrades": API["/api/v3/myTrades"],
    "orderList.status": API["/api/v3/orderList"],
    "openOrderLists.status": API["/api/v3/openOrderList"],
    "allOrderLists": API["/api/v3/allOrderList"],
    "myPreventedMatches": API["/api/v3/myPreventedMatches"],
    "myAllocations": API["/api/v3/myAllocations"],
    "order.amendments": API["/api/v3/order/amendments"],
}
