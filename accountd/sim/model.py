"""What the simulated exchange remembers: symbols, accounts, orders, fills, income, positions."""

from bisect import bisect_right
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Generic, TypeVar

ZERO = Decimal(0)
CENTI_SAT = Decimal("0.00000001")
KEEP_VERSIONS = 8192

T = TypeVar("T")


class Versions(Generic[T]):
    """One value and what it was before, so that a lagging REST replica can be played.

    Only the last few thousand versions are kept; before them the oldest kept one stands in.
    """

    __slots__ = ("_times", "_trimmed", "_values")

    def __init__(self) -> None:
        self._times: list[int] = []
        self._values: list[T] = []
        self._trimmed = False

    @property
    def now(self) -> T:
        """Return the newest version; IndexError if there is none."""
        return self._values[-1]

    def set(self, at_ms: int, value: T) -> None:
        """Make `value` the newest version as of `at_ms`."""
        self._times.append(at_ms)
        self._values.append(value)
        if len(self._times) > 2 * KEEP_VERSIONS:
            del self._times[:KEEP_VERSIONS], self._values[:KEEP_VERSIONS]
            self._trimmed = True

    def at(self, as_of_ms: int | None) -> T | None:
        """Return the version that held at `as_of_ms`, the newest for None; None if it did not exist yet."""
        if as_of_ms is None:
            return self._values[-1] if self._values else None
        index = bisect_right(self._times, as_of_ms)
        if index:
            return self._values[index - 1]
        return self._values[0] if self._trimmed else None


@dataclass(frozen=True, slots=True)
class Symbol:
    """A perpetual contract; precisions are decimal places."""

    name: str
    base: str
    quote: str
    price_places: int
    quantity_places: int
    start_price: Decimal


@dataclass(frozen=True, slots=True)
class Credential:
    """An API key with either an HMAC secret or an RSA or Ed25519 public key in PEM."""

    api_key: str
    secret: str | None = field(default=None, repr=False)
    public_key: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Order:
    """One version of a plain order; prices in quote, quantities in base, times in ms."""

    symbol: str
    order_id: int
    client_order_id: str
    side: str
    position_side: str
    type: str
    time_in_force: str
    quantity: Decimal
    price: Decimal
    status: str
    filled: Decimal
    quote: Decimal
    reduce_only: bool
    close_position: bool
    created_ms: int
    updated_ms: int
    algo_id: int = 0
    expiry_reason: str = "0"

    @property
    def open(self) -> bool:
        """Tell whether the order can still fill."""
        return self.status in ("NEW", "PARTIALLY_FILLED")

    @property
    def remaining(self) -> Decimal:
        """Return the unfilled quantity in base."""
        return self.quantity - self.filled


@dataclass(frozen=True, slots=True)
class AlgoOrder:
    """One version of a conditional order; `order_id` is the plain order it fired, 0 before."""

    algo_id: int
    client_algo_id: str
    symbol: str
    side: str
    position_side: str
    type: str
    time_in_force: str
    quantity: Decimal
    trigger_price: Decimal
    price: Decimal
    status: str
    reduce_only: bool
    close_position: bool
    created_ms: int
    updated_ms: int
    trigger_ms: int = 0
    order_id: int = 0
    executed: Decimal = ZERO
    executed_price: Decimal = ZERO
    reason: str = ""
    active: bool = True


@dataclass(frozen=True, slots=True)
class Fill:
    """One execution; price, quote and commission as booked."""

    symbol: str
    trade_id: int
    order_id: int
    client_order_id: str
    side: str
    position_side: str
    price: Decimal
    quantity: Decimal
    quote: Decimal
    commission: Decimal
    commission_asset: str
    realized_pnl: Decimal
    maker: bool
    time_ms: int


@dataclass(frozen=True, slots=True)
class Income:
    """One row of the income history; amount signed, from the account's view."""

    type: str
    symbol: str
    amount: Decimal
    asset: str
    tran_id: int
    trade_id: str
    time_ms: int


@dataclass(frozen=True, slots=True)
class Position:
    """One version of a position; quantity signed, entry in quote, realized since it was opened."""

    symbol: str
    side: str
    quantity: Decimal = ZERO
    entry: Decimal = ZERO
    fees: Decimal = ZERO
    realized: Decimal = ZERO
    updated_ms: int = 0


@dataclass(frozen=True, slots=True)
class Wallet:
    """One version of the wallet balance of an asset."""

    asset: str
    balance: Decimal
    updated_ms: int


@dataclass
class Book:
    """All that one account did in one symbol, in the order in which it happened."""

    orders: dict[int, Versions[Order]] = field(default_factory=dict)
    open_ids: dict[int, None] = field(default_factory=dict)
    fills: list[Fill] = field(default_factory=list)


@dataclass
class Account:
    """A futures account with its keys, money and history."""

    name: str
    credential: Credential
    alias: str
    hedge: bool = False
    fee_asset: str | None = None
    books: dict[str, Book] = field(default_factory=dict)
    algos: dict[int, Versions[AlgoOrder]] = field(default_factory=dict)
    open_algos: dict[int, None] = field(default_factory=dict)
    incomes: list[Income] = field(default_factory=list)
    wallets: dict[str, Versions[Wallet]] = field(default_factory=dict)
    positions: dict[tuple[str, str], Versions[Position]] = field(default_factory=dict)
    leverage: dict[str, int] = field(default_factory=dict)
    amendments: list[dict[str, object]] = field(default_factory=list)
    tran_ids: dict[str, int] = field(default_factory=dict)

    def book(self, symbol: str) -> Book:
        """Return the account's book of a symbol, a new one on first use."""
        return self.books.setdefault(symbol, Book())

    def position(self, symbol: str, side: str) -> Position:
        """Return the newest version of a position, flat if there never was one."""
        versions = self.positions.get((symbol, side))
        return versions.now if versions else Position(symbol, side)

    def balance(self, asset: str) -> Decimal:
        """Return the wallet balance of an asset."""
        versions = self.wallets.get(asset)
        return versions.now.balance if versions else ZERO


SYMBOLS = (
    Symbol("BTCUSDT", "BTC", "USDT", 2, 3, Decimal("64000.00")),
    Symbol("ETHUSDT", "ETH", "USDT", 2, 3, Decimal("3100.00")),
    Symbol("SOLUSDT", "SOL", "USDT", 4, 2, Decimal("145.0000")),
    Symbol("DOGEUSDT", "DOGE", "USDT", 6, 0, Decimal("0.123450")),
    Symbol("BTCUSDC", "BTC", "USDC", 1, 3, Decimal("64010.0")),
    Symbol("测试币USDT", "测试币", "USDT", 5, 1, Decimal("1.23450")),
)
