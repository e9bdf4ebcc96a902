"""The venue's registers: accounts, prices, counters, and who listens to its events."""

import random
from collections.abc import Callable, Iterable
from decimal import Decimal

from accountd.sim import events
from accountd.sim.accounting import booked, money
from accountd.sim.clock import Clock
from accountd.sim.model import (
    SYMBOLS,
    ZERO,
    Account,
    Credential,
    Income,
    Order,
    Position,
    Symbol,
    Versions,
    Wallet,
)

Listener = Callable[[Account, events.Event], None]

MAKER_RATE = Decimal("0.0002")
TAKER_RATE = Decimal("0.0004")
BNB_PRICE = Decimal("600")
WORD = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"


class Engine:
    """Holds the truth and tells it; moving it is left to the classes that build on this one."""

    def __init__(
        self,
        seed: int = 0,
        clock: Clock | None = None,
        symbols: Iterable[Symbol] = SYMBOLS,
        *,
        big_ids: bool = False,
        trade_lite: bool = True,
    ) -> None:
        self.seed = seed
        self.rng = random.Random(seed)
        self.clock = clock or Clock()
        self.symbols = {symbol.name: symbol for symbol in symbols}
        self.marks = {symbol.name: symbol.start_price for symbol in self.symbols.values()}
        self.trade_lite = trade_lite
        self.accounts: dict[str, Account] = {}
        self._listeners: list[Listener] = []
        self._first_id = (1 << 53) + 1000 if big_ids else 1000
        self._ids: dict[str, int] = {}

    def add_account(
        self,
        name: str = "main",
        credential: Credential | None = None,
        deposit: Decimal = Decimal("100000"),
        *,
        hedge: bool = False,
        fee_asset: str | None = None,
    ) -> Account:
        """Open an account; without a credential one is drawn from the seed; the deposit is USDT.

        Raises ValueError if the name or the API key is taken.
        """
        credential = credential or Credential(self.word(64), self.word(64))
        if name in self.accounts or self.by_key(credential.api_key):
            raise ValueError(f"the account {name} or its key exists already")
        account = Account(name, credential, self.word(4), hedge=hedge, fee_asset=fee_asset)
        self.accounts[name] = account
        if deposit:
            self.transfer(account, deposit)
        return account

    def account(self, account: Account | str) -> Account:
        """Return an account by name (or itself); KeyError if unknown."""
        return account if isinstance(account, Account) else self.accounts[account]

    def by_key(self, api_key: str) -> Account | None:
        """Return the account of an API key."""
        found = (a for a in self.accounts.values() if a.credential.api_key == api_key)
        return next(found, None)

    def listen(self, listener: Listener) -> None:
        """Call `listener(account, event)` for every event from now on."""
        self._listeners.append(listener)

    def unlisten(self, listener: Listener) -> None:
        """Stop calling a listener."""
        self._listeners.remove(listener)

    def emit(self, account: Account, event: events.Event) -> None:
        """Tell every listener an event."""
        for listener in tuple(self._listeners):
            listener(account, event)

    def word(self, length: int) -> str:
        """Draw a key or client id from the seed."""
        return "".join(self.rng.choices(WORD, k=length))

    def next_id(self, counter: str) -> int:
        """Return the next number of a counter; every counter starts at the same number, so ids overlap."""
        self._ids[counter] = self._ids.get(counter, self._first_id) + 1
        return self._ids[counter]

    def transfer(
        self, account: Account | str, amount: Decimal, asset: str = "USDT", reason: str | None = None
    ) -> Income:
        """Move money in (positive) or out; told as ACCOUNT_UPDATE and a TRANSFER income row."""
        account, now = self.account(account), self.clock.engine()
        row = self._book_income(account, "TRANSFER", "", amount, asset, now)
        balance = self._pay(account, asset, amount, now)
        word = reason or ("DEPOSIT" if amount > 0 else "WITHDRAW")
        self.emit(account, events.account_update(word, now, [events.balance_row(asset, balance, amount)], []))
        return row

    def _pay(self, account: Account, asset: str, amount: Decimal, at_ms: int) -> Decimal:
        balance = account.balance(asset) + amount
        account.wallets.setdefault(asset, Versions()).set(at_ms, Wallet(asset, balance, at_ms))
        return balance

    def _book_income(
        self,
        account: Account,
        kind: str,
        symbol: str,
        amount: Decimal,
        asset: str,
        at_ms: int,
        trade_id: str = "",
        tran_id: int | None = None,
    ) -> Income:
        number = self._next_tran(account, kind) if tran_id is None else tran_id
        row = Income(kind, symbol, amount, asset, number, trade_id, at_ms)
        account.incomes.append(row)
        return row

    def _next_tran(self, account: Account, kind: str) -> int:
        account.tran_ids[kind] = account.tran_ids.get(kind, self._first_id) + 1
        return account.tran_ids[kind]

    def _commission(
        self, account: Account, symbol: Symbol, quote: Decimal, maker: bool
    ) -> tuple[Decimal, str]:
        fee = quote * (MAKER_RATE if maker else TAKER_RATE)
        if account.fee_asset == "BNB":
            return booked(fee / BNB_PRICE), "BNB"
        return booked(fee), symbol.quote

    def _set_position(self, account: Account, position: Position) -> None:
        versions = account.positions.setdefault((position.symbol, position.side), Versions())
        versions.set(position.updated_ms, position)

    def _position_rows(self, account: Account, symbol: Symbol) -> list[events.Event]:
        sides = ("BOTH", "LONG", "SHORT") if account.hedge else ("BOTH",)
        mark = self.marks[symbol.name]
        return [events.position_row(account.position(symbol.name, side), symbol, mark) for side in sides]

    def notionals(self, account: Account, symbol: str) -> tuple[str, str]:
        """Return the bid and ask notional of the account's open orders in a symbol, in quote."""
        book = account.book(symbol)
        total = {"BUY": ZERO, "SELL": ZERO}
        for order_id in book.open_ids:
            order = book.orders[order_id].now
            total[order.side] += order.remaining * order.price
        return tuple(money(v) if v else "0" for v in total.values())  # type: ignore[return-value]

    def _save_order(self, account: Account, order: Order) -> None:
        book = account.book(order.symbol)
        book.orders.setdefault(order.order_id, Versions()).set(order.updated_ms, order)
        if order.open:
            book.open_ids[order.order_id] = None
        else:
            book.open_ids.pop(order.order_id, None)

    def _tell_order(self, account: Account, order: Order, execution: str) -> None:
        symbol = self.symbols[order.symbol]
        notionals = self.notionals(account, order.symbol)
        self.emit(
            account,
            events.order_trade_update(order, symbol, execution, order.updated_ms, notionals=notionals),
        )
