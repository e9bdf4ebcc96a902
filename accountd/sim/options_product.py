"""Options as a product of the server: eapi, listen keys of its own, private streams beside USDⓈ-M's."""

import random
from collections.abc import Callable
from decimal import Decimal
from typing import Any

from accountd.sim import refusals, signing
from accountd.sim.connection import Connection
from accountd.sim.exchange import Exchange
from accountd.sim.keys import LIFETIME_MS, ListenKeys
from accountd.sim.limits import WeightLimit
from accountd.sim.model import Account
from accountd.sim.options_exchange import CONTRACTS, DAY_MS, OptionsAccount, OptionsExchange
from accountd.sim.product import Product
from accountd.sim.query import Parameters
from accountd.sim.rest import HttpRequest, account_of
from accountd.sim.socket import Session
from accountd.sim.streams import StreamSession, parse_target
from accountd.sim.trader import Deeds

Row = dict[str, Any]
LISTEN_KEY = "/eapi/v1/listenKey"
KEPT = {"orders": 5 * DAY_MS, "trades": 90 * DAY_MS, "bill": 90 * DAY_MS, "exercises": 90 * DAY_MS}


class OptionsTrader(Deeds):
    """Buys and sells contracts on one account."""

    def __init__(self, options: OptionsExchange, account: str, *, seed: int = 0, rate: float = 5.0) -> None:
        super().__init__(rate)
        self.options, self.account = options, account
        self.rng = random.Random(f"{seed} {account}")

    def step(self) -> None:
        """Trade once, or now and then move money."""
        self.steps += 1
        if self.rng.random() < 0.05:
            self.options.deposit(self.account, Decimal(self.rng.randrange(-50, 200)))
            return
        quantity = Decimal(self.rng.randrange(1, 20)) / 10
        price = Decimal(self.rng.randrange(100, 2000))
        side = self.rng.choice(("BUY", "SELL"))
        self.options.place(self.account, self.rng.choice(CONTRACTS), side, quantity, price)


class Options(Product):
    """Serves the options accounts of an exchange's accounts."""

    name = "options"

    def __init__(
        self, exchange: Exchange, *, limit: WeightLimit | None = None, key_lifetime_ms: int = LIFETIME_MS
    ) -> None:
        super().__init__(exchange, limit or WeightLimit(exchange.clock, 400))
        self.options = OptionsExchange(exchange)
        self.keys = ListenKeys(exchange, key_lifetime_ms)
        self.options.listener = self._on_event
        self.routes: dict[str, tuple[Callable[[OptionsAccount, Parameters], Any], int]] = {
            "/eapi/v1/marginAccount": (self._account, 3),
            "/eapi/v1/position": (self._positions, 5),
            "/eapi/v1/openOrders": (lambda _, __: [], 40),
            "/eapi/v1/historyOrders": (self._orders, 3),
            "/eapi/v1/order": (self._order, 1),
            "/eapi/v1/userTrades": (self._trades, 5),
            "/eapi/v1/bill": (self._bill, 1),
            "/eapi/v1/exerciseRecord": (self._exercises, 5),
        }

    def serves(self, path: str) -> bool:
        """Tell whether a path is one of options."""
        return path.startswith("/eapi/")

    def answer(self, request: HttpRequest, as_of_ms: int | None = None) -> Any:
        """Return the JSON body of a reply; raises Refused."""
        name = f"{request.method} {request.path}"
        self.requests[name] += 1
        if request.path == LISTEN_KEY:
            return self._listen_key(request)
        if request.path == "/eapi/v1/time":
            return {"serverTime": self.exchange.clock.now()}
        if request.path == "/eapi/v1/exchangeInfo":
            return self._info()
        route = self.routes.get(request.path)
        self.limit.charge(route[1] if route else 1)
        if route is None:
            raise refusals.unknown_path(request.method, request.path)
        if request.method != "GET":
            self.forbidden[name] += 1
            raise refusals.key_unknown()
        owner = account_of(self.exchange, request)
        signing.check(owner.credential, request.query, request.body, self.exchange.clock.now())
        params = Parameters(signing.parameters(request.query, request.body))
        return route[0](self.options.accounts[owner.name], params)

    def _info(self) -> Row:
        limit = {
            "rateLimitType": "REQUEST_WEIGHT", "interval": "MINUTE", "intervalNum": 1,
            "limit": self.limit.limit,
        }  # fmt: skip
        symbols = [
            {"symbol": name, "underlying": f"{name[:3]}USDT", "quoteAsset": "USDT", "status": "TRADING"}
            for name in CONTRACTS
        ]
        return {"timezone": "UTC", "rateLimits": [limit], "optionSymbols": symbols}

    def _listen_key(self, request: HttpRequest) -> Any:
        assert self.keys is not None
        self.limit.charge(1)
        account = account_of(self.exchange, request)
        if request.method == "POST":
            ends = self.exchange.clock.now() + LIFETIME_MS
            return {"listenKey": self.keys.create(account), "expiration": ends}
        if request.method == "PUT":
            self.keys.renew(account)
        else:
            self.forbidden[f"DELETE {LISTEN_KEY}"] += 1
            self.keys.delete(account)
        return {}

    def _account(self, account: OptionsAccount, params: Parameters) -> Row:
        cash = f"{account.cash:f}"
        asset = {"asset": "USDT", "marginBalance": cash, "equity": cash, "available": cash}
        flags: Row = {"canTrade": True, "canDeposit": True, "canWithdraw": True, "reduceOnly": False}
        flags |= {"tradeGroupId": -1}
        return {"asset": [asset], "greek": [], "time": self.exchange.clock.now()} | flags

    def _positions(self, account: OptionsAccount, params: Parameters) -> list[Row]:
        return [
            {
                "symbol": symbol,
                "side": "LONG" if held > 0 else "SHORT",
                "quantity": f"{held:f}",
                "entryPrice": f"{entry:f}",
                "unrealizedPNL": "0",
                "quoteAsset": "USDT",
            }
            for symbol, (held, entry) in account.positions.items()
            if held
        ]

    def _orders(self, account: OptionsAccount, params: Parameters) -> list[Row]:
        return self._page(account.orders, "createTime", "orders", params, symbol=True)

    def _trades(self, account: OptionsAccount, params: Parameters) -> list[Row]:
        return self._page(account.trades, "time", "trades", params, symbol=True)

    def _bill(self, account: OptionsAccount, params: Parameters) -> list[Row]:
        if not params.params.get("currency"):
            raise refusals.missing("currency")
        return self._page(account.bill, "createDate", "bill", params)

    def _exercises(self, account: OptionsAccount, params: Parameters) -> list[Row]:
        return self._page(account.exercises, "createDate", "exercises", params)

    def _order(self, account: OptionsAccount, params: Parameters) -> Row:
        number = params.number("orderId")
        for row in account.orders:
            if row["orderId"] == number:
                return row
        raise refusals.no_order()

    def _page(
        self, rows: list[Row], field: str, kind: str, params: Parameters, *, symbol: bool = False
    ) -> list[Row]:
        """Return a page of a history: inside the times asked for, as long as the venue keeps it."""
        wanted = params.params.get("symbol")
        if symbol and not wanted:
            raise refusals.missing("symbol")
        now = self.exchange.clock.now()
        low = max(params.number("startTime") or 0, now - KEPT[kind])
        high = params.number("endTime") or now
        found = [r for r in rows if low <= r[field] <= high and (not symbol or r["symbol"] == wanted)]
        return found[: params.limit(100, 1000)]

    def session(self, connection: Connection, target: str) -> Session | None:
        """Return the session of a listen key that this product has given out."""
        assert self.server is not None and self.keys is not None
        parsed = parse_target(target)
        if parsed and any(self.keys.owner(key) or key in self.keys.dead for key in parsed[2]):
            return StreamSession(self.server, connection, target, self)
        return None

    def _on_event(self, account: Account, event: Row) -> None:
        assert self.keys is not None
        key = self.keys.current(account)
        if key is not None:
            self.push(key, event)

    def traders(self, account: str, seed: int, rate: float) -> list[Deeds]:
        """Return the trader of the account."""
        return [OptionsTrader(self.options, account, seed=seed, rate=rate)]

    def burst(self, account: str, fills: int, symbol: str) -> int:
        """Make fills at once; return how many."""
        for _ in range(fills):
            self.options.place(account, symbol, "BUY", Decimal("0.1"), Decimal(100))
        return fills

    def truth(self, account: str) -> Row:
        """Return all that happened on an account."""
        held = self.options.accounts[account]
        return {
            "account": account,
            "fills": held.trades,
            "orders": held.orders,
            "bill": held.bill,
            "exercises": held.exercises,
            "cash": f"{held.cash:f}",
            "positions": {symbol: f"{one[0]:f}" for symbol, one in held.positions.items()},
        }
