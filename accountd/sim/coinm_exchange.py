"""The simulated COIN-M futures: contracts of a fixed number of dollars, margin and profit in base coin."""

from dataclasses import replace
from decimal import Decimal
from typing import Any

from accountd.sim.accounting import ENTRY_STEP, booked, money, sign
from accountd.sim.events import Event
from accountd.sim.exchange import Exchange
from accountd.sim.model import ZERO, Account, Credential, Fill, Income, Position, Symbol

# `quote` is the asset that margin is kept in.
SYMBOLS = (
    Symbol("BTCUSD_PERP", "BTC", "BTC", 1, 0, Decimal("64000.0")),
    Symbol("BTCUSD_270326", "BTC", "BTC", 1, 0, Decimal("64800.0")),
    Symbol("ETHUSD_PERP", "ETH", "ETH", 2, 0, Decimal("3100.00")),
)
DEPOSITS = {"BTC": Decimal(100), "ETH": Decimal(1000)}


def contract_size(symbol: str) -> Decimal:
    """Return how many US dollars one contract is worth."""
    return Decimal(100) if symbol.startswith("BTC") else Decimal(10)


class CoinmExchange(Exchange):
    """The COIN-M wallets of another exchange's accounts: same names, same keys, same clock."""

    def __init__(self, exchange: Exchange, *, deposit: bool = True) -> None:
        big = exchange.next_id("coinm") > 1 << 53
        super().__init__(exchange.seed + 1, exchange.clock, SYMBOLS, big_ids=big, trade_lite=False)
        for name, account in exchange.accounts.items():
            self.add_account(name, account.credential, DEPOSITS["BTC"] if deposit else ZERO)
            if deposit:
                self.transfer(name, DEPOSITS["ETH"], "ETH")

    def add_account(
        self,
        name: str = "main",
        credential: Credential | None = None,
        deposit: Decimal = Decimal(100),
        *,
        hedge: bool = False,
        fee_asset: str | None = None,
    ) -> Account:
        """Open an account; the deposit is BTC."""
        return super().add_account(name, credential, deposit, hedge=hedge, fee_asset=fee_asset)

    def transfer(
        self, account: Account | str, amount: Decimal, asset: str = "BTC", reason: str | None = None
    ) -> Income:
        """Move coins in (positive) or out; told as ACCOUNT_UPDATE and a TRANSFER income row."""
        return super().transfer(account, amount, asset, reason)

    def worth(self, symbol: Symbol, price: Decimal, quantity: Decimal) -> Decimal:
        """Return what contracts are worth at a price, in base coin."""
        return quantity * contract_size(symbol.name) / price

    def settle(self, position: Position, fill: Fill) -> tuple[Position, Decimal]:
        """Apply a fill; the profit is the difference of the worths at entry and at the fill."""
        change = fill.quantity * sign(fill.side)
        before, after = position.quantity, position.quantity + change
        closing = min(abs(before), abs(change)) if before * change < 0 else ZERO
        profit = booked(self.gain(position, closing, fill.price)) if closing else ZERO
        if not closing:
            coins = (abs(before) / position.entry if before else ZERO) + abs(change) / fill.price
            entry = (abs(after) / coins).quantize(ENTRY_STEP)
        elif abs(change) > abs(before):
            entry = fill.price
        else:
            entry = position.entry if after else ZERO
        realized = ZERO if not closing and not before else position.realized + profit
        moved = replace(
            position, quantity=after, entry=entry, realized=realized, fees=ZERO, updated_ms=fill.time_ms
        )
        return moved, profit

    def gain(self, position: Position, contracts: Decimal, price: Decimal) -> Decimal:
        """Return the profit of closing some contracts of a position at a price, in base coin."""
        if not position.quantity:
            return ZERO
        direction = 1 if position.quantity > 0 else -1
        return contracts * contract_size(position.symbol) * (1 / position.entry - 1 / price) * direction

    def _position_rows(self, account: Account, symbol: Symbol) -> list[Event]:
        rows = super()._position_rows(account, symbol)
        for row in rows:
            position = account.position(symbol.name, row["ps"])
            row["up"] = money(self.gain(position, abs(position.quantity), self.marks[symbol.name]))
        return rows

    def emit(self, account: Account, event: Event) -> None:
        """Tell an event as COIN-M words it."""
        super().emit(account, worded(event, account, self.symbols))


def worded(event: dict[str, Any], account: Account, symbols: dict[str, Symbol]) -> Event:
    """Return a USDⓈ-M event as COIN-M tells it: with the account's alias, and the margin's asset."""
    told = {"e": event["e"], "E": event["E"]} | ({"T": event["T"]} if "T" in event else {})
    told |= {"i": account.alias} if event["e"] in ("ACCOUNT_UPDATE", "ORDER_TRADE_UPDATE") else {}
    told |= event
    if event["e"] == "ORDER_TRADE_UPDATE":
        body = {key: value for key, value in event["o"].items() if key not in ("si", "ss", "gtd")}
        told["o"] = body | {"ma": symbols[body["s"]].quote}
    return told
