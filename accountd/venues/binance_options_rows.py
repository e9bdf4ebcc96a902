"""The REST rows of Binance Options, from row to what it tells.

Venue pages: derivatives/options-trading, account, trade and market-data REST.
"""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal

import msgspec

from accountd.core.told import ORDERS, POSITIONS, REST, Balance, Fill, Order, Position, Transfer
from accountd.venues.base import from_ms
from accountd.venues.binance_futures_rows import moment
from accountd.venues.binance_options_events import MARKET, SIDE
from accountd.venues.binance_pages import Pages, every_row, page_kinds, single_row
from accountd.venues.wire import EXACT, check, negated, product

# Words of older rows, in the record's own.
STATUSES = {"ACCEPTED": "NEW", "CANCELLED": "CANCELED"}
KINDS = {"FEE": "commission"}


class AssetRow(msgspec.Struct, rename="camel", gc=False):
    """One asset of GET marginAccount."""

    asset: str
    margin_balance: Decimal
    available: Decimal | None = None


class AccountBody(msgspec.Struct, gc=False):
    """GET marginAccount."""

    asset: list[msgspec.Raw]


class PositionRow(msgspec.Struct, rename="camel", gc=False):
    """One row of GET position."""

    symbol: str
    quantity: Decimal
    side: str = ""
    entry_price: Decimal | None = None
    unrealized_pnl: Decimal | None = msgspec.field(name="unrealizedPNL", default=None)


class OrderRow(msgspec.Struct, rename="camel", gc=False):
    """One row of GET order, openOrders and historyOrders."""

    symbol: str
    order_id: int | str
    status: str
    update_time: int
    create_time: int = 0
    client_order_id: str | None = None
    side: str | None = None
    type: str | None = None
    time_in_force: str | None = None
    price: Decimal | None = None
    quantity: Decimal | None = None
    executed_qty: Decimal | None = None
    avg_price: Decimal | None = None
    reduce_only: bool | None = None


class TradeRow(msgspec.Struct, rename="camel", gc=False):
    """One row of GET userTrades; ``id`` is a number of the whole account, ``tradeId`` the symbol's."""

    symbol: str
    trade_id: int | str
    order_id: int | str
    side: str
    price: Decimal
    quantity: Decimal
    time: int
    fee: Decimal | None = None
    quote_asset: str | None = None
    realized_profit: Decimal | None = None
    liquidity: str | None = None


class BillRow(msgspec.Struct, rename="camel", gc=False):
    """One row of GET bill."""

    id: int | str
    asset: str
    amount: Decimal
    type: str
    create_date: int


class ExerciseRow(msgspec.Struct, rename="camel", gc=False):
    """One row of GET exerciseRecord."""

    id: int | str
    symbol: str
    currency: str
    amount: Decimal
    create_date: int
    exercise_price: Decimal | None = None
    quantity: Decimal | None = None
    fee: Decimal | None = None
    position_side: str | None = None


_account = msgspec.json.Decoder(AccountBody)


def _assets(body: bytes) -> list[msgspec.Raw]:
    return _account.decode(body).asset


def balance(row: AssetRow, as_of: datetime, market: str) -> Balance:
    """Return an asset of the wallet; what is not available is locked."""
    check(row.margin_balance, row.available)
    free, total = row.available, row.margin_balance
    return Balance(
        market=market,
        asset=row.asset,
        total=total,
        as_of=as_of,
        free=free,
        locked=EXACT.subtract(total, free) if free is not None and free <= total else None,
        source=REST,
    )


def balance_total(row: AssetRow, as_of: datetime, market: str) -> Balance:
    """Return an asset's total alone."""
    told = balance(row, as_of, market)
    told.free = told.locked = None
    return told


def position(row: PositionRow, as_of: datetime, market: str) -> Position:
    """Return a position; short is negative however it was printed."""
    check(row.quantity, row.entry_price, row.unrealized_pnl)
    short = row.side == "SHORT" and row.quantity > 0
    return Position(
        market=market,
        symbol=row.symbol,
        position_side=SIDE,
        as_of=as_of,
        quantity=row.quantity.copy_negate() if short else row.quantity,
        entry_price=row.entry_price,
        unrealized_pnl=row.unrealized_pnl,
        source=REST,
    )


def order(row: OrderRow, _: datetime, market: str) -> Order:
    """Return an order; ``quantity`` is in contracts of one underlying each."""
    check(row.price, row.quantity, row.executed_qty, row.avg_price)
    return Order(
        market=market,
        symbol=row.symbol,
        kind="order",
        order_id=str(row.order_id),
        status=STATUSES.get(row.status, row.status),
        updated_at=from_ms(moment(row.update_time, row.create_time)),
        client_order_id=row.client_order_id or None,
        side=row.side,
        type=row.type,
        time_in_force=row.time_in_force,
        price=row.price,
        quantity=row.quantity,
        filled_quantity=row.executed_qty,
        average_price=row.avg_price,
        reduce_only=row.reduce_only,
        created_at=from_ms(row.create_time) if row.create_time else None,
        source=REST,
    )


def fill(row: TradeRow, _: datetime, market: str) -> Fill:
    """Return a trade; a fee is told as negative and was paid in the quote asset."""
    check(row.price, row.quantity, row.fee, row.realized_profit)
    return Fill(
        market=market,
        symbol=row.symbol,
        trade_id=str(row.trade_id),
        order_id=str(row.order_id),
        side=row.side,
        price=row.price,
        quantity=row.quantity,
        quote_quantity=product(row.price, row.quantity),
        traded_at=from_ms(row.time),
        commission=negated(row.fee),
        commission_asset=row.quote_asset,
        realized_pnl=row.realized_profit,
        is_maker=None if row.liquidity is None else row.liquidity == "MAKER",
        source=REST,
    )


def bill(row: BillRow, _: datetime, market: str) -> Transfer:
    """Return a movement of money: its kind is the bill's type in lower case, and commission for a fee.

    Every fee is told with its trade as well, as commission is on futures.
    """
    check(row.amount)
    return Transfer(
        market=market,
        kind=KINDS.get(row.type, row.type.lower()),
        transfer_id=str(row.id),
        asset=row.asset,
        amount=row.amount,
        occurred_at=from_ms(row.create_date),
    )


def exercise(row: ExerciseRow, _: datetime, market: str) -> Transfer:
    """Return a settlement at expiry, with what was exercised for how much; the money is in the bill too."""
    check(row.amount, row.exercise_price, row.quantity, row.fee)
    parts = (
        ("side", row.position_side),
        ("quantity", _written(row.quantity)),
        ("exercise_price", _written(row.exercise_price)),
        ("fee", _written(row.fee)),
    )
    return Transfer(
        market=market,
        kind="exercise",
        transfer_id=str(row.id),
        asset=row.currency,
        amount=row.amount,
        occurred_at=from_ms(row.create_date),
        symbol=row.symbol,
        info=" ".join(f"{name}={value}" for name, value in parts if value is not None),
    )


def _written(number: Decimal | None) -> str | None:
    return None if number is None else f"{number:f}"


PAGES = Pages(
    page_kinds(
        MARKET,
        {
            "account": (_assets, AssetRow, balance, None),
            "account.totals": (_assets, AssetRow, balance_total, None),
            "positions": (every_row, PositionRow, position, POSITIONS),
            "open_orders": (every_row, OrderRow, order, ORDERS),
            "orders": (every_row, OrderRow, order, None),
            "order": (single_row, OrderRow, order, None),
            "fills": (every_row, TradeRow, fill, None),
            "bill": (every_row, BillRow, bill, None),
            "exercises": (every_row, ExerciseRow, exercise, None),
        },
    )
)
