"""The simulated options accounts: market orders that fill at once, positions, a bill, and exercises."""

from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from accountd.sim.exchange import Exchange
from accountd.sim.model import ZERO, Account

Row = dict[str, Any]
Event = dict[str, Any]
CONTRACTS = ("BTC-270326-90000-C", "BTC-270326-60000-P", "ETH-270326-4000-C")
FEE = Decimal("0.0003")
STEP = Decimal("0.00000001")
DAY_MS = 86_400_000


@dataclass
class OptionsAccount:
    """What one account did: rows as REST shows them, in the order in which it happened."""

    owner: Account
    cash: Decimal = Decimal("10000")
    orders: list[Row] = field(default_factory=list)
    trades: list[Row] = field(default_factory=list)
    bill: list[Row] = field(default_factory=list)
    exercises: list[Row] = field(default_factory=list)
    positions: dict[str, tuple[Decimal, Decimal]] = field(default_factory=dict)


class OptionsExchange:
    """The options of another exchange's accounts. `listen` hears every event; a fee is negative."""

    def __init__(self, exchange: Exchange) -> None:
        self.exchange, self.clock = exchange, exchange.clock
        self.accounts = {name: OptionsAccount(account) for name, account in exchange.accounts.items()}
        self.listener: Callable[[Account, Event], None] | None = None
        self._number = 4611875134427365000

    def _next(self) -> int:
        self._number += 1
        return self._number

    def _emit(self, account: OptionsAccount, event: Event) -> None:
        if self.listener is not None:
            self.listener(account.owner, event)

    def _book(self, account: OptionsAccount, kind: str, amount: Decimal, now: int) -> None:
        account.cash += amount
        row = {"id": self._next(), "asset": "USDT", "amount": f"{amount:f}", "type": kind, "createDate": now}
        account.bill.append(row)

    def place(self, name: str, symbol: str, side: str, quantity: Decimal, price: Decimal) -> Row:
        """Buy or sell at a price; the order fills at once, and the fee and the premium are booked."""
        account, now, number = self.accounts[name], self.clock.engine(), self._next()
        order: Row = {
            "orderId": number,
            "symbol": symbol,
            "price": f"{price:f}",
            "quantity": f"{quantity:f}",
            "executedQty": f"{quantity:f}",
            "side": side,
            "type": "LIMIT",
            "timeInForce": "GTC",
            "reduceOnly": False,
            "createTime": now,
            "updateTime": now,
            "status": "FILLED",
            "avgPrice": f"{price:f}",
            "clientOrderId": f"c{number}",
            "quoteAsset": "USDT",
        }
        fee = (price * quantity * FEE).quantize(STEP)
        trade: Row = {
            "id": self._next(),
            "tradeId": len([t for t in account.trades if t["symbol"] == symbol]) + 1,
            "orderId": number,
            "symbol": symbol,
            "price": f"{price:f}",
            "quantity": f"{quantity:f}",
            "fee": f"{-fee:f}",
            "realizedProfit": "0.00000000",
            "side": side,
            "type": "LIMIT",
            "liquidity": "TAKER",
            "time": now,
            "quoteAsset": "USDT",
        }
        self._book(account, "FEE", -fee, now)
        self._book(account, "CONTRACT", -price * quantity if side == "BUY" else price * quantity, now)
        account.orders.append(order)
        account.trades.append(trade)
        self._hold(account, symbol, quantity if side == "BUY" else -quantity, price)
        self._tell(account, order, trade, now)
        return order

    def _hold(self, account: OptionsAccount, symbol: str, change: Decimal, price: Decimal) -> None:
        held, entry = account.positions.get(symbol, (ZERO, ZERO))
        if held * change >= 0:
            entry = (entry * abs(held) + price * abs(change)) / abs(held + change)
        elif abs(change) > abs(held):
            entry = price
        account.positions[symbol] = (held + change, entry.quantize(STEP) if held + change else ZERO)

    def _tell(self, account: OptionsAccount, order: Row, trade: Row, now: int) -> None:
        body = {
            "s": order["symbol"], "c": order["clientOrderId"], "S": order["side"], "o": "LIMIT", "f": "GTC",
            "q": order["quantity"], "p": order["price"], "ap": order["avgPrice"], "x": "TRADE",
            "X": "FILLED", "i": order["orderId"], "l": trade["quantity"], "z": order["executedQty"],
            "L": trade["price"], "N": "USDT", "n": trade["fee"], "T": now, "t": trade["tradeId"], "b": "0",
            "a": "0", "m": False, "R": False, "ot": "LIMIT", "rp": "0", "V": "EXPIRE_TAKER",
        }  # fmt: skip
        self._emit(account, {"e": "ORDER_TRADE_UPDATE", "T": now, "E": now + 1, "o": body})
        self._tell_wallet(account, "ORDER", now, order["symbol"])

    def _tell_wallet(self, account: OptionsAccount, reason: str, now: int, symbol: str = "") -> None:
        rows = []
        if symbol:
            held, entry = account.positions[symbol]
            rows.append({"s": symbol, "c": f"{held:f}", "p": f"{held * entry:f}", "a": f"{entry:f}"})
        balances = [{"a": "USDT", "b": f"{account.cash:f}", "bc": "0"}]
        head = {"e": "BALANCE_POSITION_UPDATE", "E": now + 1, "T": now}
        self._emit(account, head | {"m": reason, "B": balances, "P": rows})
        figures = {"eq": "0", "aeq": "0", "b": f"{account.cash:f}", "m": "0", "u": "0", "i": "0", "M": "0"}
        self._emit(account, {"e": "ACCOUNT_UPDATE", "E": now + 1, "T": now} | figures)

    def deposit(self, name: str, amount: Decimal) -> None:
        """Bring money in (positive) or out."""
        account, now = self.accounts[name], self.clock.engine()
        self._book(account, "TRANSFER", amount, now)
        self._tell_wallet(account, "DEPOSIT" if amount > 0 else "WITHDRAW", now)

    def exercise(self, name: str, symbol: str, amount: Decimal) -> None:
        """Settle a position at expiry for an amount."""
        account, now = self.accounts[name], self.clock.engine()
        held, _ = account.positions[symbol]
        row = {
            "id": str(self._next()),
            "currency": "USDT",
            "symbol": symbol,
            "exercisePrice": symbol.split("-")[2],
            "quantity": f"{abs(held):f}",
            "amount": f"{amount:f}",
            "fee": "0.00000000",
            "createDate": now,
            "positionSide": "LONG" if held > 0 else "SHORT",
            "quoteAsset": "USDT",
        }
        account.exercises.append(row)
        self._book(account, "DELIVERY", amount, now)
        account.positions[symbol] = (ZERO, ZERO)
        self._tell_wallet(account, "ORDER", now, symbol)
