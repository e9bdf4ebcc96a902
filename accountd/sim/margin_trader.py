"""A seeded trader of a margin wallet: trades as on spot, and borrows, repays, accrues and transfers."""

from decimal import Decimal

from accountd.sim.margin_exchange import MarginExchange
from accountd.sim.spot_model import Wallet
from accountd.sim.spot_trader import SpotTrader


class MarginTrader(SpotTrader):
    """Trades on one cross or isolated wallet."""

    def __init__(
        self,
        exchange: MarginExchange,
        wallet: Wallet,
        *,
        seed: int = 0,
        rate: float = 5.0,
        symbols: list[str] | None = None,
        rare: float = 0.08,
    ) -> None:
        tradable = [s.name for s in exchange.symbols.values() if s.margin and s.quote == "USDT"]
        pairs = [wallet.pair] if wallet.pair else symbols or tradable
        super().__init__(exchange, wallet, seed=seed, rate=rate, symbols=pairs, rare=rare)
        self.margin = exchange

    def exchange_money(self) -> None:
        """Borrow, repay, accrue interest, or move money in and out."""
        amount = Decimal(self.rng.randrange(1, 500_000_000)) / 100_000_000
        move = self.rng.choice(("borrow", "repay", "interest", "in", "out", "liquidate", "call"))
        debts = [a for a, v in self.wallet.holdings.items() if v.now.borrowed or v.now.interest]
        if move == "borrow":
            self.margin.borrow(self.wallet, "USDT", amount * 10)
        elif move == "repay" and debts:
            asset = self.rng.choice(debts)
            if self.wallet.holding(asset).free > amount:
                self.margin.repay(self.wallet, asset, amount)
        elif move == "interest" and debts:
            self.margin.accrue(self.wallet, self.rng.choice(debts))
        elif move in ("in", "out"):
            self.margin.margin_transfer(self.wallet, "USDT", amount if move == "in" else -amount)
        elif move == "liquidate":
            symbol = self.exchange.symbols[self.rng.choice(self.symbols)]
            self.margin.liquidate(self.wallet, symbol.name, self._quantity(symbol))
        else:
            self.margin.risk_level(self.wallet, self.rng.choice(("MARGIN_CALL", "NORMAL")))
