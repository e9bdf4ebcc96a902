"""What spot and margin of the simulated exchange remember: symbols, wallets, orders, fills, moves."""

from dataclasses import dataclass, field
from decimal import Decimal

from accountd.sim.model import ZERO, Versions

STEP = Decimal("0.00000001")
OPEN = ("NEW", "PARTIALLY_FILLED", "PENDING_NEW")


@dataclass(frozen=True, slots=True)
class SpotSymbol:
    """A spot pair; precisions are decimal places of what may be ordered."""

    name: str
    base: str
    quote: str
    price_places: int
    quantity_places: int
    start_price: Decimal
    margin: bool = True


SPOT_SYMBOLS = (
    SpotSymbol("BTCUSDT", "BTC", "USDT", 2, 5, Decimal("64000.00")),
    SpotSymbol("ETHUSDT", "ETH", "USDT", 2, 4, Decimal("3100.00")),
    SpotSymbol("BNBUSDT", "BNB", "USDT", 2, 3, Decimal("600.00")),
    SpotSymbol("ETHBTC", "ETH", "BTC", 5, 4, Decimal("0.04840")),
    SpotSymbol("BTCUSDC", "BTC", "USDC", 2, 5, Decimal("64010.00")),
    SpotSymbol("测试币USDT", "测试币", "USDT", 5, 1, Decimal("1.23450"), margin=False),
)
SOR_SYMBOLS = ("BTCUSDT", "BTCUSDC")


@dataclass(frozen=True, slots=True)
class SpotOrder:
    """One version of an order; prices in quote, quantities in base, times in ms; `quote` is what is filled.

    `working_ms` is None until the order is on the book; `prevented` is what self-trade prevention took.
    """

    symbol: str
    order_id: int
    client_order_id: str
    side: str
    type: str
    time_in_force: str
    quantity: Decimal
    price: Decimal
    status: str
    created_ms: int
    updated_ms: int
    filled: Decimal = ZERO
    quote: Decimal = ZERO
    stop_price: Decimal = ZERO
    iceberg: Decimal = ZERO
    quote_order_quantity: Decimal = ZERO
    list_id: int = -1
    working_ms: int | None = None
    stp_mode: str = "NONE"
    prevented: Decimal = ZERO
    prevented_match_id: int = -1
    expiry_reason: str = ""
    used_sor: bool = False
    strategy: tuple[int, int] | None = None
    trailing_delta: int = 0

    @property
    def open(self) -> bool:
        """Tell whether the order can still fill."""
        return self.status in OPEN

    @property
    def remaining(self) -> Decimal:
        """Return what can still fill, in base."""
        return self.quantity - self.filled - self.prevented


@dataclass(frozen=True, slots=True)
class SpotFill:
    """One execution; `trade_id` is -1 for an allocation, whose number is `allocation_id`."""

    symbol: str
    trade_id: int
    order_id: int
    client_order_id: str
    list_id: int
    side: str
    price: Decimal
    quantity: Decimal
    quote: Decimal
    commission: Decimal
    commission_asset: str
    maker: bool
    time_ms: int
    allocation_id: int = -1


@dataclass(frozen=True, slots=True)
class OrderList:
    """One version of an order list: its orders by id, in the order in which they were given."""

    list_id: int
    client_id: str
    contingency: str
    symbol: str
    order_ids: tuple[int, ...]
    list_status: str
    order_status: str
    created_ms: int
    updated_ms: int


@dataclass(frozen=True, slots=True)
class PreventedMatch:
    """One match that self-trade prevention stopped."""

    symbol: str
    match_id: int
    taker_order_id: int
    maker_order_id: int
    mode: str
    price: Decimal
    maker_prevented: Decimal
    time_ms: int


@dataclass(frozen=True, slots=True)
class Holding:
    """One version of a balance; `borrowed` and `interest` are zero on spot."""

    free: Decimal = ZERO
    locked: Decimal = ZERO
    borrowed: Decimal = ZERO
    interest: Decimal = ZERO

    @property
    def total(self) -> Decimal:
        """Return free and locked together."""
        return self.free + self.locked


@dataclass(frozen=True, slots=True)
class Move:
    """One change of a balance that is no trade: amount signed, `fee` what it cost beside, time in ms.

    `detail` holds what only this kind of move has.
    """

    kind: str
    number: int
    asset: str
    amount: Decimal
    time_ms: int
    fee: Decimal = ZERO
    detail: dict[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Flow:
    """One row of a margin wallet's capital flow; `number` is that of the trade or move behind it."""

    flow_id: int
    number: int
    asset: str
    kind: str
    amount: Decimal
    time_ms: int


@dataclass
class Wallet:
    """One spot, cross margin or isolated account of an owner, with its money and history.

    `market` is spot, margin or isolated; `pair` is the symbol of an isolated account.
    """

    owner: str
    market: str = "spot"
    pair: str = ""
    fee_asset: str | None = None
    updated_ms: int = 0
    disabled: bool = False  # an isolated account that its owner has closed
    holdings: dict[str, Versions[Holding]] = field(default_factory=dict)
    external: dict[str, Decimal] = field(default_factory=dict)
    orders: dict[tuple[str, int], Versions[SpotOrder]] = field(default_factory=dict)
    open_ids: dict[tuple[str, int], None] = field(default_factory=dict)
    lists: dict[int, Versions[OrderList]] = field(default_factory=dict)
    fills: list[SpotFill] = field(default_factory=list)
    prevented: list[PreventedMatch] = field(default_factory=list)
    amendments: list[dict[str, object]] = field(default_factory=list)
    moves: list[Move] = field(default_factory=list)
    flows: list[Flow] = field(default_factory=list)
    liquidations: list[SpotOrder] = field(default_factory=list)

    def holding(self, asset: str) -> Holding:
        """Return the newest balance of an asset."""
        versions = self.holdings.get(asset)
        return versions.now if versions else Holding()

    def open_orders(self, symbol: str | None = None) -> list[SpotOrder]:
        """Return the open orders, of one symbol or of all."""
        found = [self.orders[key].now for key in self.open_ids]
        return [order for order in found if symbol in (None, order.symbol)]
