"""The REST rows that Binance's futures have in common, from row to what it tells.

Venue pages: derivatives/{usds-margined-futures,coin-margined-futures,portfolio-margin}, account and trade
REST. A reader takes a row, the venue time that its page speaks of, and the market.
"""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal

import msgspec

from accountd.core.told import (
    ALGO_ORDERS,
    ORDERS,
    POSITIONS,
    REST,
    Balance,
    Fill,
    Order,
    Position,
    SymbolConfig,
    Transfer,
)
from accountd.venues.base import from_ms
from accountd.venues.binance_contracts import COINM, quote_value
from accountd.venues.binance_pages import PageKind, every_row, page_kinds, single_row
from accountd.venues.wire import EXACT, check, margin, text


class AssetRow(msgspec.Struct, rename="camel", gc=False):
    """One asset of GET account."""

    asset: str
    wallet_balance: Decimal
    available_balance: Decimal | None = None
    update_time: int = 0


class AccountBody(msgspec.Struct, gc=False):
    """GET account; its positions are left to positionRisk, which also tells prices."""

    assets: list[msgspec.Raw]


class PositionRow(msgspec.Struct, rename="camel", gc=False):
    """One row of GET positionRisk."""

    symbol: str
    position_amt: Decimal
    position_side: str = "BOTH"
    entry_price: Decimal | None = None
    break_even_price: Decimal | None = None
    un_realized_profit: Decimal | None = None
    margin_type: str | None = None
    leverage: Decimal | None = None
    update_time: int = 0


class SymbolConfigRow(msgspec.Struct, rename="camel", gc=False):
    """One row of GET symbolConfig."""

    symbol: str
    margin_type: str | None = None
    leverage: Decimal | None = None


class OrderRow(msgspec.Struct, rename="camel", gc=False):
    """One row of GET order, openOrders and allOrders."""

    symbol: str
    order_id: int | str
    status: str
    update_time: int = 0
    time: int = 0
    client_order_id: str | None = None
    side: str | None = None
    position_side: str | None = None
    type: str | None = None
    time_in_force: str | None = None
    price: Decimal | None = None
    stop_price: Decimal | None = None
    orig_qty: Decimal | None = None
    executed_qty: Decimal | None = None
    avg_price: Decimal | None = None
    cum_quote: Decimal | None = None
    reduce_only: bool | None = None


class AlgoRow(msgspec.Struct, rename="camel", gc=False):
    """One row of GET algoOrder, openAlgoOrders and allAlgoOrders."""

    symbol: str
    algo_id: int | str
    algo_status: str
    update_time: int = 0
    create_time: int = 0
    client_algo_id: str | None = None
    order_type: str | None = None
    side: str | None = None
    position_side: str | None = None
    time_in_force: str | None = None
    quantity: Decimal | None = None
    price: Decimal | None = None
    trigger_price: Decimal | None = None
    actual_order_id: int | str | None = None
    actual_price: Decimal | None = None
    actual_qty: Decimal | None = None
    reduce_only: bool | None = None


class TradeRow(msgspec.Struct, rename="camel", gc=False):
    """One row of GET userTrades."""

    symbol: str
    id: int | str
    order_id: int | str
    side: str
    price: Decimal
    qty: Decimal
    time: int
    quote_qty: Decimal | None = None
    position_side: str | None = None
    commission: Decimal | None = None
    commission_asset: str | None = None
    realized_pnl: Decimal | None = None
    maker: bool | None = None


class IncomeRow(msgspec.Struct, rename="camel", gc=False):
    """One row of GET income."""

    income_type: str
    income: Decimal
    asset: str
    time: int
    tran_id: int | str
    symbol: str | None = None
    trade_id: int | str | None = None
    info: str | None = None


_account = msgspec.json.Decoder(AccountBody)


def balance(row: AssetRow, as_of: datetime, market: str) -> Balance:
    """Return an asset of the wallet; what is not available is locked."""
    check(row.wallet_balance, row.available_balance)
    return Balance(
        market=market,
        asset=row.asset,
        total=row.wallet_balance,
        as_of=latest(row.update_time, as_of),
        free=row.available_balance,
        locked=_locked(row.wallet_balance, row.available_balance),
        source=REST,
    )


def balance_shared(row: AssetRow, as_of: datetime, market: str) -> Balance:
    """With multi-assets mode on, what is available counts other assets too: nothing is locked in this one."""
    told = balance(row, as_of, market)
    told.locked = None
    return told


def balance_total(row: AssetRow, as_of: datetime, market: str) -> Balance:
    """Whether what is available says anything about this asset depends on a switch that was not asked for."""
    told = balance_shared(row, as_of, market)
    told.free = None
    return told


def _locked(total: Decimal, free: Decimal | None) -> Decimal | None:
    # Unrealized profit may make more available than the wallet holds.
    return EXACT.subtract(total, free) if free is not None and free <= total else None


def latest(told_ms: int, as_of: datetime) -> datetime:
    """Return the later of a row's own update time in ms and its page's time."""
    return max(from_ms(told_ms), as_of)


def moment(updated_ms: int, made_ms: int) -> int:
    """Return when an order was in its state: when it was updated, or at least made.

    Raises:
        ValueError: neither is told.
    """
    if not (updated_ms or made_ms):
        raise ValueError("an order without a time")
    return updated_ms or made_ms


def position(row: PositionRow, as_of: datetime, market: str) -> Position:
    """Return a position."""
    check(row.position_amt, row.entry_price, row.break_even_price, row.un_realized_profit, row.leverage)
    return Position(
        market=market,
        symbol=row.symbol,
        position_side=row.position_side,
        as_of=latest(row.update_time, as_of),
        quantity=row.position_amt,
        entry_price=row.entry_price,
        break_even_price=row.break_even_price,
        unrealized_pnl=row.un_realized_profit,
        margin_type=margin(row.margin_type),
        leverage=row.leverage,
        source=REST,
    )


def symbol_config(row: SymbolConfigRow, as_of: datetime, market: str) -> SymbolConfig:
    """Return a symbol's leverage and margin type."""
    check(row.leverage)
    return SymbolConfig(
        market=market,
        symbol=row.symbol,
        as_of=as_of,
        leverage=row.leverage,
        margin_type=margin(row.margin_type),
    )


def order(row: OrderRow, _: datetime, market: str) -> Order:
    """Return a plain order."""
    check(row.price, row.stop_price, row.orig_qty, row.executed_qty, row.avg_price, row.cum_quote)
    return Order(
        market=market,
        symbol=row.symbol,
        kind="order",
        order_id=str(row.order_id),
        status=row.status,
        updated_at=from_ms(moment(row.update_time, row.time)),
        client_order_id=row.client_order_id,
        side=row.side,
        position_side=row.position_side,
        type=row.type,
        time_in_force=row.time_in_force,
        price=row.price,
        stop_price=row.stop_price,
        quantity=row.orig_qty,
        filled_quantity=row.executed_qty,
        average_price=row.avg_price,
        filled_quote=row.cum_quote,
        reduce_only=row.reduce_only,
        created_at=from_ms(row.time) if row.time else None,
        source=REST,
    )


def algo(row: AlgoRow, _: datetime, market: str) -> Order:
    """Return a conditional order of the algo service."""
    check(row.quantity, row.price, row.trigger_price, row.actual_price, row.actual_qty)
    placed = text(row.actual_order_id or "")
    return Order(
        market=market,
        symbol=row.symbol,
        kind="algo",
        order_id=str(row.algo_id),
        status=row.algo_status,
        updated_at=from_ms(moment(row.update_time, row.create_time)),
        client_order_id=row.client_algo_id,
        side=row.side,
        position_side=row.position_side,
        type=row.order_type,
        time_in_force=row.time_in_force,
        price=row.price,
        stop_price=row.trigger_price,
        quantity=row.quantity,
        filled_quantity=row.actual_qty if placed else None,
        average_price=row.actual_price if placed else None,
        reduce_only=row.reduce_only,
        created_at=from_ms(row.create_time) if row.create_time else None,
        actual_order_id=placed,
        source=REST,
    )


def _worth(row: TradeRow, market: str) -> Decimal:
    """Return the quote value: as told on COIN-M; on USDⓈ-M what is told is rounded, the product is not."""
    if market == COINM and row.quote_qty is not None:
        return row.quote_qty
    return quote_value(market, row.symbol, row.price, row.qty)


def fill(row: TradeRow, _: datetime, market: str) -> Fill:
    """Return a trade."""
    check(row.price, row.qty, row.quote_qty, row.commission, row.realized_pnl)
    return Fill(
        market=market,
        symbol=row.symbol,
        trade_id=str(row.id),
        order_id=str(row.order_id),
        side=row.side,
        price=row.price,
        quantity=row.qty,
        quote_quantity=_worth(row, market),
        traded_at=from_ms(row.time),
        position_side=row.position_side,
        commission=row.commission,
        commission_asset=row.commission_asset,
        realized_pnl=row.realized_pnl,
        is_maker=row.maker,
        source=REST,
    )


def income(row: IncomeRow, _: datetime, market: str) -> Transfer:
    """Return a movement of money: its kind is the income type in lower case."""
    check(row.income)
    return Transfer(
        market=market,
        kind=row.income_type.lower(),
        transfer_id=str(row.tran_id),
        asset=row.asset,
        amount=row.income,
        occurred_at=from_ms(row.time),
        symbol=row.symbol or None,
        trade_id=text(row.trade_id or ""),
        info=row.info or None,
    )


def _assets(body: bytes) -> list[msgspec.Raw]:
    return _account.decode(body).assets


def order_pages(market: str, prefix: str = "") -> dict[str, PageKind]:
    """Return the pages of plain orders, trades, income and positions, which every futures product has."""

    pages = page_kinds(
        market,
        {
            "positions": (every_row, PositionRow, position, POSITIONS),
            "open_orders": (every_row, OrderRow, order, ORDERS),
            "orders": (every_row, OrderRow, order, None),
            "order": (single_row, OrderRow, order, None),
            "fills": (every_row, TradeRow, fill, None),
            "income": (every_row, IncomeRow, income, None),
        },
    )
    return {prefix + name: page for name, page in pages.items()}


def algo_pages(market: str, prefix: str = "") -> dict[str, PageKind]:
    """Return the pages of conditional orders in the venue's algo service."""
    pages = page_kinds(
        market,
        {
            "open_algo_orders": (every_row, AlgoRow, algo, ALGO_ORDERS),
            "algo_orders": (every_row, AlgoRow, algo, None),
            "algo_order": (single_row, AlgoRow, algo, None),
        },
    )
    return {prefix + name: page for name, page in pages.items()}


def account_pages(market: str) -> dict[str, PageKind]:
    """Return the pages of an account that has its own wallet."""
    return page_kinds(
        market,
        {
            "account": (_assets, AssetRow, balance, None),
            "account.multi_assets": (_assets, AssetRow, balance_shared, None),
            "account.totals": (_assets, AssetRow, balance_total, None),
        },
    )


def config_pages(market: str, prefix: str = "") -> dict[str, PageKind]:
    """Return the page of leverage and margin type by symbol."""
    return page_kinds(market, {f"{prefix}symbol_config": (every_row, SymbolConfigRow, symbol_config, None)})
