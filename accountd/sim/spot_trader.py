"""A seeded trader of spot and margin: orders of every kind, fills, cancels, lists, moves of money."""

import random
from decimal import Decimal

from accountd.sim.spot_engine import Insufficient
from accountd.sim.spot_exchange import SpotExchange
from accountd.sim.spot_model import SOR_SYMBOLS, SpotOrder, SpotSymbol, Wallet
from accountd.sim.trader import Deeds

MAX_OPEN = 10
STP_MODES = ("EXPIRE_TAKER", "EXPIRE_MAKER", "EXPIRE_BOTH", "DECREMENT")


class SpotTrader(Deeds):
    """Trades on one wallet; `step()` does one thing, `run()` does `rate` things a second."""

    def __init__(
        self,
        exchange: SpotExchange,
        wallet: Wallet,
        *,
        seed: int = 0,
        rate: float = 5.0,
        symbols: list[str] | None = None,
        rare: float = 0.04,
    ) -> None:
        super().__init__(rate)
        self.exchange, self.wallet, self.rare = exchange, wallet, rare
        self.rng = random.Random(f"{seed} {wallet.owner} {wallet.market} {wallet.pair}")
        self.symbols = symbols or list(exchange.symbols)

    def step(self) -> None:
        """Do one thing; what the wallet cannot pay for is left undone."""
        self.steps += 1
        try:
            self._step()
        except Insufficient:
            self.exchange.drift(self.rng.choice(self.symbols), Decimal("0.0001"))

    def _step(self) -> None:
        if self.rng.random() < self.rare:
            self._rare()
            return
        symbol = self.exchange.symbols[self.rng.choice(self.symbols)]
        moves, weights = [self._market, self._limit, self._immediate, self._stop], [4, 4, 1, 1]
        if len(self.wallet.open_ids) >= MAX_OPEN:
            weights[1] = weights[3] = 0
        else:
            moves += [self._oco, self._oto]
            weights += [1, 1]
        if self.wallet.open_orders(symbol.name):
            moves.append(self._cancel)
            weights.append(2)
        if self._resting(symbol):
            moves += [self._fill, self._part, self._amend, self._replace, self._prevent]
            weights += [5, 4, 1, 1, 1]
        if symbol.name in SOR_SYMBOLS and self.wallet.market == "spot":
            moves.append(self._sor)
            weights.append(1)
        self.rng.choices(moves, weights)[0](symbol)
        if self.rng.random() < 0.3:
            self.exchange.drift(symbol.name, Decimal(self.rng.randrange(-30, 31)) / 10000)

    def _resting(self, symbol: SpotSymbol) -> list[SpotOrder]:
        return [o for o in self.wallet.open_orders(symbol.name) if o.working_ms is not None]

    def _pick(self, symbol: SpotSymbol) -> SpotOrder:
        return self.rng.choice(self._resting(symbol))

    def _side(self) -> str:
        return self.rng.choice(("BUY", "SELL"))

    def _quantity(self, symbol: SpotSymbol) -> Decimal:
        step = Decimal(1).scaleb(-symbol.quantity_places)
        price = self.exchange.prices[symbol.name]
        worth = Decimal(self.rng.randrange(20, 2000)) / (price * (64000 if symbol.quote == "BTC" else 1))
        return max(step * 2, worth.quantize(step))

    def _price(self, symbol: SpotSymbol, side: str, percent: Decimal) -> Decimal:
        step = Decimal(1).scaleb(-symbol.price_places)
        away = self.exchange.prices[symbol.name] * (1 - (1 if side == "BUY" else -1) * percent / 100)
        return max(step, away.quantize(step))

    def _away(self) -> Decimal:
        return Decimal(self.rng.randrange(5, 300)) / 100

    def _market(self, symbol: SpotSymbol) -> None:
        pieces = self.rng.choice((1, 1, 2, 3))
        self.exchange.place(self.wallet, symbol.name, self._side(), self._quantity(symbol), pieces=pieces)

    def _limit(self, symbol: SpotSymbol) -> None:
        side = self._side()
        price, quantity = self._price(symbol, side, self._away()), self._quantity(symbol)
        self.exchange.place(self.wallet, symbol.name, side, quantity, price)

    def _immediate(self, symbol: SpotSymbol) -> None:
        side, quantity, force = self._side(), self._quantity(symbol), self.rng.choice(("IOC", "FOK"))
        price = self._price(symbol, side, Decimal(self.rng.choice((-1, 1))))
        part = self.rng.choice((None, Decimal(1).scaleb(-symbol.quantity_places)))
        self.exchange.place(self.wallet, symbol.name, side, quantity, price, time_in_force=force, fills=part)

    def _stop(self, symbol: SpotSymbol) -> None:
        side = self._side()
        price, quantity = self._price(symbol, side, -self._away()), self._quantity(symbol)
        order = self.exchange.place(
            self.wallet, symbol.name, side, quantity, price, stop_price=price, type="STOP_LOSS_LIMIT"
        )
        if self.rng.random() < 0.5:
            self.exchange.trigger(self.wallet, order)

    def _fill(self, symbol: SpotSymbol) -> None:
        self.exchange.fill(self.wallet, self._pick(symbol))

    def _part(self, symbol: SpotSymbol) -> None:
        order, step = self._pick(symbol), Decimal(1).scaleb(-symbol.quantity_places)
        part = (order.remaining * self.rng.randrange(1, 10) / 10).quantize(step)
        self.exchange.fill(self.wallet, order, max(step, part))

    def _cancel(self, symbol: SpotSymbol) -> None:
        self.exchange.cancel(self.wallet, self.rng.choice(self.wallet.open_orders(symbol.name)))

    def _amend(self, symbol: SpotSymbol) -> None:
        order, step = self._pick(symbol), Decimal(1).scaleb(-symbol.quantity_places)
        if order.remaining >= 2 * step:
            self.exchange.amend(self.wallet, order, order.quantity - step)

    def _replace(self, symbol: SpotSymbol) -> None:
        order = self._pick(symbol)
        if order.list_id < 0:
            price = self._price(symbol, order.side, self._away())
            quantity = self._quantity(symbol) * self.rng.choice((1, 1, 1, 100_000))
            self.exchange.cancel_replace(self.wallet, order, quantity, price)

    def _prevent(self, symbol: SpotSymbol) -> None:
        order = self._pick(symbol)
        if order.list_id < 0:
            mode, quantity = self.rng.choice(STP_MODES), self._quantity(symbol)
            self.exchange.prevent(self.wallet, order, quantity, mode)

    def _oco(self, symbol: SpotSymbol) -> None:
        self.exchange.oco(self.wallet, symbol.name, self._side(), self._quantity(symbol), self._away())

    def _oto(self, symbol: SpotSymbol) -> None:
        side, quantity = self._side(), self._quantity(symbol)
        price, then = (self._price(symbol, one, self._away()) for one in ("BUY", "SELL"))
        if side == "SELL":
            price, then = then, price
        self.exchange.oto(self.wallet, symbol.name, side, quantity, price, then)

    def _sor(self, symbol: SpotSymbol) -> None:
        self.exchange.sor(self.wallet, symbol.name, self._side(), self._quantity(symbol))

    def _rare(self) -> None:
        self.exchange_money()

    def exchange_money(self) -> None:
        """Deposit, withdraw, transfer, convert dust, take a dividend, lock or free from outside."""
        amount = Decimal(self.rng.randrange(1, 500_000_000)) / 100_000_000
        asset = self.rng.choice(("USDT", "BTC", "BNB"))
        small = amount / 1000 if asset == "BTC" else amount
        held = self.wallet.external.get("USDT", Decimal(0))
        move = self.rng.choice(("deposit", "withdraw", "in", "out", "dust", "dividend", "lock"))
        small = small.quantize(Decimal("0.00000001"))
        if move == "deposit":
            self.exchange.deposit(self.wallet, asset, small)
        elif move == "withdraw":
            self.exchange.withdraw(self.wallet, asset, small)
        elif move in ("in", "out"):
            self.exchange.transfer(self.wallet, "USDT", amount if move == "in" else -amount)
        elif move == "dust":
            self.exchange.dust(self.wallet, "USDT", amount)
        elif move == "dividend":
            self.exchange.dividend(self.wallet, "BNB", amount)
        else:
            self.exchange.external_lock(self.wallet, "USDT", -held if held else amount)
