"""The whole simulated exchange: plain and conditional orders, funding, liquidation, and the truth."""

from dataclasses import asdict
from decimal import Decimal
from typing import Any

from accountd.sim import events
from accountd.sim.accounting import booked, sign
from accountd.sim.conditional import Conditional
from accountd.sim.model import ZERO, Account, Income, Order

DAY_MS = 86_400_000
ENDED_UNFILLED = ("CANCELED", "EXPIRED", "EXPIRED_IN_MATCH")


class Exchange(Conditional):
    """Everything that can happen to an account, in process; the server only shows it.

    Arguments: `seed` of every draw, `clock`, `symbols`, `big_ids` for numbers above 2**53,
    `trade_lite` to tell fills early as well.
    """

    def fund(self, symbol: str, rate: Decimal) -> list[Income]:
        """Pay funding in a symbol: longs pay `rate` of their worth at the mark price to shorts."""
        rows = []
        contract, now = self.symbols[symbol], self.clock.engine()
        for account in self.accounts.values():
            for (name, _side), versions in list(account.positions.items()):
                amount = booked(-self.worth(contract, self.marks[symbol], versions.now.quantity) * rate)
                if name != symbol or not amount:
                    continue
                rows.append(self._book_income(account, "FUNDING_FEE", symbol, amount, contract.quote, now))
                balance = self._pay(account, contract.quote, amount, now)
                row = events.balance_row(contract.quote, balance, amount)
                self.emit(account, events.account_update("FUNDING_FEE", now, [row], [], symbol))
        return rows

    def income(self, account: Account | str, kind: str, amount: Decimal, asset: str = "USDT") -> Income:
        """Credit (or debit) an income of any documented type, told as ACCOUNT_UPDATE ADJUSTMENT."""
        account, now = self.account(account), self.clock.engine()
        row = self._book_income(account, kind, "", amount, asset, now)
        balance = self._pay(account, asset, amount, now)
        update = events.account_update("ADJUSTMENT", now, [events.balance_row(asset, balance, amount)], [])
        self.emit(account, update)
        return row

    def set_leverage(self, account: Account | str, symbol: str, leverage: int) -> None:
        """Change the leverage of a symbol, told as ACCOUNT_CONFIG_UPDATE."""
        account = self.account(account)
        account.leverage[symbol] = leverage
        self.emit(account, events.leverage_update(symbol, leverage, self.clock.engine()))

    def margin_call(self, account: Account | str, symbol: str, side: str = "BOTH") -> None:
        """Send MARGIN_CALL for a position."""
        account, contract = self.account(account), self.symbols[symbol]
        position, wallet = account.position(symbol, side), account.balance(contract.quote)
        mark, now = self.marks[symbol], self.clock.engine()
        self.emit(account, events.margin_call(position, contract, mark, wallet, now))

    def liquidate(
        self, account: Account | str, symbol: str, position_side: str = "BOTH", *, adl: bool = False
    ) -> Order:
        """Close a position by force with an `autoclose-` (or `adl_autoclose`) order.

        Raises ValueError if the position is flat.
        """
        account, now = self.account(account), self.clock.engine()
        held = account.position(symbol, position_side).quantity
        if not held:
            raise ValueError(f"no position in {symbol}")
        self.margin_call(account, symbol, position_side)
        order = Order(
            symbol=symbol,
            order_id=self.next_id(f"order {symbol}"),
            client_order_id="adl_autoclose" if adl else f"autoclose-{now}{self.rng.randrange(10**6):06d}",
            side="SELL" if held > 0 else "BUY",
            position_side=position_side,
            type="LIMIT",
            time_in_force="IOC",
            quantity=abs(held),
            price=self.marks[symbol],
            status="NEW",
            filled=ZERO,
            quote=ZERO,
            reduce_only=False,
            close_position=False,
            created_ms=now,
            updated_ms=now,
        )
        self._save_order(account, order)
        self._tell_order(account, order, "NEW")
        self.fill(account, order, maker=False)
        return self.order(account, symbol, order.order_id)

    def tick(self, symbol: str, price: Decimal) -> None:
        """Move the price; resting orders and conditional orders that it reaches fire."""
        super().tick(symbol, price)
        self.check_triggers(symbol)

    def drift(self, symbol: str, fraction: Decimal) -> None:
        """Move the price by a signed fraction of itself, rounded to the tick."""
        step = Decimal(1).scaleb(-self.symbols[symbol].price_places)
        self.tick(symbol, max(step, (self.marks[symbol] * (1 + fraction)).quantize(step)))

    def order_shown(self, order: Order) -> bool:
        """Tell whether REST still shows an order: 3 days if ended unfilled, 90 days at most."""
        age = self.clock.now() - order.created_ms
        gone = order.status in ENDED_UNFILLED and not order.filled and age > 3 * DAY_MS
        return not gone and age <= 90 * DAY_MS

    def truth(self, account: Account | str) -> dict[str, Any]:
        """Return all that happened on an account, decimals as strings, times in ms.

        Keys: account, time, fills, orders, algo_orders, balances, positions, transfers. `shown` on an
        order says whether the venue's REST still shows it; transfers are all income rows.
        """
        account = self.account(account)
        fills = [f for book in account.books.values() for f in book.fills]
        orders = [v.now for book in account.books.values() for v in book.orders.values()]
        return {
            "account": account.name,
            "time": self.clock.now(),
            "fills": [printed(asdict(f)) for f in sorted(fills, key=lambda f: f.time_ms)],
            "orders": [printed(asdict(o)) | {"shown": self.order_shown(o)} for o in orders],
            "algo_orders": [printed(asdict(v.now)) for v in account.algos.values()],
            "balances": {asset: f"{v.now.balance:f}" for asset, v in account.wallets.items()},
            "positions": [printed(asdict(v.now)) for v in account.positions.values() if v.now.quantity],
            "transfers": [printed(asdict(i)) for i in account.incomes],
        }

    def explained_balance(self, account: Account | str, asset: str) -> Decimal:
        """Return the sum of every income row in an asset: what the balance must be."""
        return sum((i.amount for i in self.account(account).incomes if i.asset == asset), ZERO)

    def explained_position(self, account: Account | str, symbol: str, side: str = "BOTH") -> Decimal:
        """Return the signed sum of the fills of a position: what its quantity must be."""
        fills = self.account(account).book(symbol).fills
        return sum((f.quantity * sign(f.side) for f in fills if f.position_side == side), ZERO)


def printed(row: dict[str, Any]) -> dict[str, Any]:
    """Turn the decimals of a row into strings."""
    return {key: f"{value:f}" if isinstance(value, Decimal) else value for key, value in row.items()}
