"""The registers of spot and margin: wallets, prices, numbers, balances, and who listens to the events."""

import random
from collections.abc import Callable, Iterable
from dataclasses import replace
from decimal import Decimal

from accountd.sim.exchange import Exchange
from accountd.sim.model import ZERO, Account, Versions
from accountd.sim.spot_events import Event, Prevention, account_position, execution_report
from accountd.sim.spot_model import SPOT_SYMBOLS, STEP, Holding, SpotFill, SpotOrder, SpotSymbol, Wallet

Listener = Callable[[Wallet, Event], None]

FEE = Decimal("0.001")
BNB_DISCOUNT = Decimal("0.75")
WEALTH = {
    "USDT": Decimal("1000000"),
    "USDC": Decimal("500000"),
    "BTC": Decimal("20"),
    "ETH": Decimal("300"),
    "BNB": Decimal("500"),
    "测试币": Decimal("100000"),
}


class Insufficient(ValueError):
    """The wallet has not enough free balance."""


class SpotEngine:
    """Holds the truth about wallets; accounts, keys, names and the clock are those of `venue`."""

    def __init__(
        self,
        venue: Exchange,
        symbols: Iterable[SpotSymbol] = SPOT_SYMBOLS,
        *,
        wealth: dict[str, Decimal] | None = None,
    ) -> None:
        self.venue, self.clock = venue, venue.clock
        self.rng = random.Random(f"spot {venue.seed}")
        self.symbols = {symbol.name: symbol for symbol in symbols}
        self.prices = {symbol.name: symbol.start_price for symbol in self.symbols.values()}
        self.wealth = WEALTH if wealth is None else wealth
        self.wallets: dict[tuple[str, str, str], Wallet] = {}
        self._listeners: list[Listener] = []
        self._ids: dict[str, int] = {}

    def wallet(self, account: Account | str, market: str = "spot", pair: str = "") -> Wallet:
        """Return a wallet, opened with its first wealth on first use (spot only); KeyError if unknown."""
        name = account if isinstance(account, str) else account.name
        key = (self.venue.accounts[name].name, market, pair)
        if key not in self.wallets:
            self.wallets[key] = Wallet(name, market, pair)
            if market == "spot":
                for asset, amount in self.wealth.items():
                    self._endow(self.wallets[key], asset, amount)
        return self.wallets[key]

    def _endow(self, wallet: Wallet, asset: str, amount: Decimal) -> None:
        wallet.holdings.setdefault(asset, Versions()).set(self.clock.engine(), Holding(amount))

    def listen(self, listener: Listener) -> None:
        """Call `listener(wallet, event)` for every event from now on."""
        self._listeners.append(listener)

    def unlisten(self, listener: Listener) -> None:
        """Stop calling a listener."""
        self._listeners.remove(listener)

    def emit(self, wallet: Wallet, event: Event) -> None:
        """Tell every listener an event."""
        for listener in tuple(self._listeners):
            listener(wallet, event)

    def word(self, length: int = 22) -> str:
        """Draw a client id or a token from the seed."""
        alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
        return "".join(self.rng.choices(alphabet, k=length))

    def next_id(self, counter: str, step: int = 1) -> int:
        """Return the next number of a counter; counters start at the same number, so ids overlap."""
        self._ids[counter] = self._ids.get(counter, 1000) + step
        return self._ids[counter]

    def locked(self, wallet: Wallet, asset: str) -> Decimal:
        """Return what the open orders and the outside lock of an asset; the legs of a list lock once."""
        lists: dict[int, Decimal] = {}
        total = wallet.external.get(asset, ZERO)
        for order in wallet.open_orders():
            symbol = self.symbols[order.symbol]
            if order.status == "PENDING_NEW" or asset not in (symbol.base, symbol.quote):
                continue
            if asset == (symbol.quote if order.side == "BUY" else symbol.base):
                lock = order.remaining * (order.price if order.side == "BUY" else 1)
                if order.list_id < 0:
                    total += lock
                else:
                    lists[order.list_id] = max(lists.get(order.list_id, ZERO), lock)
        return total + sum(lists.values(), ZERO)

    def book(self, wallet: Wallet, deltas: dict[str, Decimal], at_ms: int) -> list[tuple[str, Holding]]:
        """Add signed amounts to the totals of assets and set free and locked anew; return the balances."""
        changed = []
        for asset, delta in deltas.items():
            held = wallet.holding(asset)
            total, locked = held.total + delta, self.locked(wallet, asset).quantize(STEP)
            now = replace(held, free=total - locked, locked=locked)
            wallet.holdings.setdefault(asset, Versions()).set(at_ms, now)
            changed.append((asset, now))
        wallet.updated_ms = at_ms
        return changed

    def settle(self, wallet: Wallet, deltas: dict[str, Decimal], at_ms: int) -> None:
        """Book signed amounts and tell the balances of their assets as outboundAccountPosition."""
        changed = self.book(wallet, deltas, at_ms)
        self.emit(wallet, account_position(changed, at_ms, at_ms))

    def sides(self, order: SpotOrder) -> dict[str, Decimal]:
        """Return both assets of an order's symbol, with nothing to add."""
        symbol = self.symbols[order.symbol]
        return {symbol.base: ZERO, symbol.quote: ZERO}

    def save(self, wallet: Wallet, order: SpotOrder) -> SpotOrder:
        """Make a version of an order the newest."""
        key = (order.symbol, order.order_id)
        wallet.orders.setdefault(key, Versions()).set(order.updated_ms, order)
        if order.open:
            wallet.open_ids[key] = None
        else:
            wallet.open_ids.pop(key, None)
        return order

    def report(
        self,
        wallet: Wallet,
        order: SpotOrder,
        execution: str,
        *,
        fill: SpotFill | None = None,
        client_id: str | None = None,
        original_id: str = "",
        reject: str = "NONE",
        prevention: Prevention | None = None,
    ) -> int:
        """Tell an executionReport; return its execution id, which rises with gaps."""
        number = self.next_id(f"execution {order.symbol}", self.rng.choice((1, 1, 2)))
        event = execution_report(
            order,
            execution,
            order.updated_ms,
            number,
            fill=fill,
            client_id=client_id,
            original_id=original_id,
            reject=reject,
            prevention=prevention,
        )
        self.emit(wallet, event)
        return number

    def commission(
        self, wallet: Wallet, symbol: SpotSymbol, side: str, quantity: Decimal, quote: Decimal
    ) -> tuple[Decimal, str]:
        """Return what a fill costs: in the asset received, or in BNB where the wallet pays with it."""
        if wallet.fee_asset == "BNB":
            worth = quote if symbol.quote != "BTC" else quote * self.prices["BTCUSDT"]
            return (worth * FEE * BNB_DISCOUNT / self.prices["BNBUSDT"]).quantize(STEP), "BNB"
        received, asset = (quantity, symbol.base) if side == "BUY" else (quote, symbol.quote)
        return (received * FEE).quantize(STEP), asset
