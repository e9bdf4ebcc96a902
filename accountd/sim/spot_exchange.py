"""The whole of spot: orders, deposits, withdrawals, transfers, dust, dividends, locks, and the truth."""

from dataclasses import asdict
from decimal import Decimal
from typing import Any

from accountd.sim.exchange import printed
from accountd.sim.model import ZERO
from accountd.sim.spot_events import balance_update, external_lock_update
from accountd.sim.spot_lists import SpotLists
from accountd.sim.spot_model import STEP, Move, SpotFill, Wallet

DAY_MS = 86_400_000


class SpotExchange(SpotLists):
    """Everything that can happen to a wallet, in process; the server only shows it."""

    def move(
        self,
        wallet: Wallet,
        kind: str,
        asset: str,
        amount: Decimal,
        *,
        fee: Decimal = ZERO,
        told: bool = True,
        **detail: object,
    ) -> Move:
        """Book a signed amount that is no trade, less a fee; told as balanceUpdate and account position."""
        now = self.clock.engine()
        row = Move(kind, self.next_id(f"move {kind}"), asset, amount, now, fee, dict(detail))
        wallet.moves.append(row)
        if told:
            self.emit(wallet, balance_update(asset, amount - fee, now))
        self.settle(wallet, {asset: amount - fee}, now)
        return row

    def deposit(self, wallet: Wallet, asset: str, amount: Decimal) -> Move:
        """Credit a deposit."""
        return self.move(wallet, "deposit", asset, amount, hash=self.word(64))

    def withdraw(self, wallet: Wallet, asset: str, amount: Decimal, fee: Decimal = Decimal("0.001")) -> Move:
        """Complete a withdrawal of an amount and, beside it, its fee."""
        return self.move(wallet, "withdrawal", asset, -amount, fee=fee, hash=self.word(64), id=self.word(32))

    def transfer(self, wallet: Wallet, asset: str, amount: Decimal, direction: str | None = None) -> Move:
        """Move money in (positive) or out of the wallet, between it and USDⓈ-M by default."""
        word = direction or ("UMFUTURE_MAIN" if amount > 0 else "MAIN_UMFUTURE")
        return self.move(wallet, "transfer", asset, amount, direction=word)

    def dividend(self, wallet: Wallet, asset: str, amount: Decimal) -> Move:
        """Pay a dividend, or take one back."""
        return self.move(wallet, "dividend", asset, amount, id=self.next_id("dividend row"))

    def dust(self, wallet: Wallet, asset: str, amount: Decimal) -> Move:
        """Convert an amount of an asset into BNB, less a service charge."""
        price = self.prices.get(f"{asset}USDT", Decimal(1))
        gross = (amount * price / self.prices["BNBUSDT"]).quantize(STEP)
        charge = (gross * Decimal("0.02")).quantize(STEP)
        now, got = self.clock.engine(), gross - charge
        number = self.next_id("move dust")
        detail = {"charge": charge, "got": got}
        row = Move("dust", number, asset, -amount, now, detail=dict(detail))
        wallet.moves += [row, Move("dust", number, "BNB", got, now, detail={"from": asset})]
        for name, delta in ((asset, -amount), ("BNB", got)):
            self.emit(wallet, balance_update(name, delta, now))
            self.settle(wallet, {name: delta}, now)
        return row

    def external_lock(self, wallet: Wallet, asset: str, delta: Decimal) -> None:
        """Lock (positive) or free a part of a balance from outside."""
        now = self.clock.engine()
        wallet.external[asset] = wallet.external.get(asset, ZERO) + delta
        self.emit(wallet, external_lock_update(asset, delta, now))
        self.settle(wallet, {asset: ZERO}, now)

    def burst(self, wallet: Wallet, fills: int, symbol: str = "BTCUSDT") -> list[SpotFill]:
        """Make single-fill market orders at once, bought and sold in turn."""
        start, step = len(wallet.fills), Decimal(1).scaleb(-self.symbols[symbol].quantity_places)
        for number in range(fills):
            self.place(wallet, symbol, "SELL" if number % 2 else "BUY", 2 * step)
        return wallet.fills[start:]

    def truth(self, wallet: Wallet) -> dict[str, Any]:
        """Return all that happened to a wallet, decimals as strings, times in ms.

        Keys: account, market, pair, time, fills (allocations too: trade_id -1), orders, lists, balances,
        moves (whatever changed a balance and is no fill), prevented.
        """
        balances = {asset: printed(asdict(v.now)) for asset, v in wallet.holdings.items()}
        return {
            "account": wallet.owner,
            "market": wallet.market,
            "pair": wallet.pair,
            "time": self.clock.now(),
            "fills": [printed(asdict(fill)) for fill in wallet.fills],
            "orders": [printed(asdict(versions.now)) for versions in wallet.orders.values()],
            "lists": [asdict(versions.now) for versions in wallet.lists.values()],
            "balances": balances,
            "moves": [printed({**asdict(row), "detail": printed(row.detail)}) for row in wallet.moves],
            "prevented": [printed(asdict(match)) for match in wallet.prevented],
        }

    def explained_balance(self, wallet: Wallet, asset: str) -> Decimal:
        """Return what the first wealth, the fills and the moves leave of an asset: what it must be."""
        total = self.wealth.get(asset, ZERO) if wallet.market == "spot" else ZERO
        total += sum((m.amount - m.fee for m in wallet.moves if m.asset == asset), ZERO)
        for fill in wallet.fills:
            symbol, sign = self.symbols[fill.symbol], 1 if fill.side == "BUY" else -1
            total += sign * fill.quantity if asset == symbol.base else ZERO
            total -= sign * fill.quote if asset == symbol.quote else ZERO
            total -= fill.commission if asset == fill.commission_asset else ZERO
        return total
