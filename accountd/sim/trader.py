"""A seeded trader: a stream of orders, fills, cancels and transfers that is the same for the same seed."""

import asyncio
import random
from decimal import Decimal

from accountd.sim.accounting import sign
from accountd.sim.exchange import Exchange
from accountd.sim.model import Account, Order, Symbol

RARE = 0.02
MAX_OPEN = 12
ALGO_TYPES = ("STOP", "STOP_MARKET", "TAKE_PROFIT", "TAKE_PROFIT_MARKET", "TRAILING_STOP_MARKET")


class Deeds:
    """Does things at a rate: `step()` does one, `run()` does `rate` a second until cancelled or `stop()`."""

    def __init__(self, rate: float) -> None:
        self.rate = rate
        self.steps = 0
        self._stopping = False

    async def run(self, steps: int | None = None) -> None:
        """Act at the rate, catching up after a late wake-up; end after `steps` if given."""
        loop = asyncio.get_running_loop()
        started, done = loop.time(), 0
        while not self._stopping and (steps is None or done < steps):
            due = int((loop.time() - started) * self.rate) - done
            for _ in range(min(due, 200 if steps is None else steps - done)):
                self.step()
                done += 1
            await asyncio.sleep(min(0.05, 1 / self.rate))

    def stop(self) -> None:
        """Let `run()` end after its present step."""
        self._stopping = True

    def step(self) -> None:
        """Do one thing."""


class Trader(Deeds):
    """Trades on one futures account; `conditional` False places no conditional orders."""

    def __init__(
        self,
        exchange: Exchange,
        account: Account | str = "main",
        *,
        seed: int = 0,
        rate: float = 5.0,
        symbols: list[str] | None = None,
        rare: float = RARE,
    ) -> None:
        super().__init__(rate)
        self.exchange, self.account = exchange, exchange.account(account)
        self.rng = random.Random(f"{seed} {self.account.name}")
        self.rare = rare
        self.conditional = True
        self.symbols = symbols or list(exchange.symbols)

    def step(self) -> None:
        """Do one thing: place, fill, cancel, amend, take, fire, or now and then fund or transfer."""
        self.steps += 1
        if self.rng.random() < self.rare:
            self._rare()
            return
        symbol = self.exchange.symbols[self.rng.choice(self.symbols)]
        orders = self.exchange.open_orders(self.account, symbol.name)
        moves = [self._market, self._limit, self._immediate]
        weights = [3, 4 if len(orders) < MAX_OPEN else 0, 1]
        if orders:
            moves += [self._fill, self._part, self._cancel, self._amend]
            weights += [5, 4, 2, 1]
        if self.conditional and len(self.exchange.open_algos(self.account)) < MAX_OPEN:
            moves.append(self._algo)
            weights.append(1)
        self.rng.choices(moves, weights)[0](symbol)
        if self.rng.random() < 0.3:
            self.exchange.drift(symbol.name, Decimal(self.rng.randrange(-30, 31)) / 10000)

    def _quantity(self, symbol: Symbol) -> Decimal:
        worth = Decimal(self.rng.randrange(20, 2000)) / self.exchange.marks[symbol.name]
        step = Decimal(1).scaleb(-symbol.quantity_places)
        return max(step, worth.quantize(step))

    def _price(self, symbol: Symbol, side: str, percent: Decimal) -> Decimal:
        step = Decimal(1).scaleb(-symbol.price_places)
        away = self.exchange.marks[symbol.name] * (1 - sign(side) * percent / 100)
        return max(step, away.quantize(step))

    def _side(self) -> tuple[str, str]:
        side = self.rng.choice(("BUY", "SELL"))
        return side, self.rng.choice(("LONG", "SHORT")) if self.account.hedge else "BOTH"

    def _pick(self, symbol: Symbol) -> Order:
        return self.rng.choice(self.exchange.open_orders(self.account, symbol.name))

    def _market(self, symbol: Symbol) -> None:
        side, position_side = self._side()
        pieces = self.rng.choice((1, 1, 2, 3))
        quantity = self._quantity(symbol)
        self.exchange.place(
            self.account, symbol.name, side, quantity, position_side=position_side, pieces=pieces
        )

    def _limit(self, symbol: Symbol) -> None:
        side, position_side = self._side()
        price = self._price(symbol, side, Decimal(self.rng.randrange(5, 300)) / 100)
        quantity = self._quantity(symbol)
        self.exchange.place(self.account, symbol.name, side, quantity, price, position_side=position_side)

    def _immediate(self, symbol: Symbol) -> None:
        side, position_side = self._side()
        price = self._price(symbol, side, Decimal(self.rng.choice((-1, 1))))
        quantity, force = self._quantity(symbol), self.rng.choice(("IOC", "FOK", "GTX"))
        self.exchange.place(
            self.account,
            symbol.name,
            side,
            quantity,
            price,
            time_in_force=force,
            position_side=position_side,
        )

    def _fill(self, symbol: Symbol) -> None:
        self.exchange.fill(self.account, self._pick(symbol))

    def _part(self, symbol: Symbol) -> None:
        order = self._pick(symbol)
        step = Decimal(1).scaleb(-symbol.quantity_places)
        part = (order.remaining * self.rng.randrange(1, 10) / 10).quantize(step)
        self.exchange.fill(self.account, order, min(order.remaining, max(step, part)))

    def _cancel(self, symbol: Symbol) -> None:
        self.exchange.cancel(self.account, self._pick(symbol))

    def _amend(self, symbol: Symbol) -> None:
        order = self._pick(symbol)
        price = self._price(symbol, order.side, Decimal(self.rng.randrange(5, 300)) / 100)
        self.exchange.amend(self.account, order, order.filled + self._quantity(symbol), price)

    def _algo(self, symbol: Symbol) -> None:
        side, position_side = self._side()
        kind = self.rng.choice(ALGO_TYPES)
        away = Decimal(self.rng.randrange(10, 200)) / 100
        trigger = self._price(symbol, side, away if kind.startswith("TAKE") else -away)
        self.exchange.algo(
            self.account,
            symbol.name,
            side,
            kind,
            self._quantity(symbol),
            trigger,
            position_side=position_side,
        )

    def _rare(self) -> None:
        amount = Decimal(self.rng.randrange(1, 500_000_000)) / 100_000_000
        moves = ("fund", "deposit", "withdraw", "leverage", "cancel_algo", "reject_algo", "dust")
        move = self.rng.choice(moves)
        algos = self.exchange.open_algos(self.account)
        if move == "fund":
            rate = Decimal(self.rng.randrange(-5, 6)) / 10000
            self.exchange.fund(self.rng.choice(self.symbols), rate)
        elif move in ("deposit", "withdraw"):
            self.exchange.transfer(self.account, amount if move == "deposit" else -amount)
        elif move == "leverage":
            self.exchange.set_leverage(self.account, self.rng.choice(self.symbols), self.rng.randrange(1, 51))
        elif move == "dust":
            self.exchange.transfer(self.account, Decimal("0.00000001"))
        elif algos:
            end = self.exchange.cancel_algo if move == "cancel_algo" else self.exchange.reject_algo
            end(self.account, self.rng.choice(algos))


def backfill(exchange: Exchange, account: Account | str, days: float, steps: int, seed: int = 0) -> None:
    """Write `steps` random deeds spread over the last `days` before now, as history before the start.

    Call it before anything else happens on the exchange: the engine's clock never runs backwards.
    """
    trader = Trader(exchange, account, seed=seed)
    now, span = exchange.clock.now(), int(days * 86_400_000)
    for number in range(steps):
        with exchange.clock.pinned(now - span + span * number // steps):
            trader.step()
