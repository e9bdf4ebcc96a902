"""The REST rows of Binance USDⓈ-M futures, from page to what they tell.

Venue pages: derivatives/usds-margined-futures/account/rest-api and trade/rest-api.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime
from decimal import Decimal
from typing import Any, TypeVar

import msgspec

from accountd.core.told import (
    ALGO_ORDERS,
    ORDERS,
    POSITIONS,
    REST,
    Balance,
    Fill,
    Notice,
    Order,
    Position,
    Snapshot,
    SymbolConfig,
    Told,
    Transfer,
)
from accountd.errors import VenueUnavailable
from accountd.venues.base import from_ms
from accountd.venues.wire import EXACT, UNREADABLE, check, margin, product, text

MARKET = "usdm"
Row = TypeVar("Row")


class AssetRow(msgspec.Struct, rename="camel", gc=False):
    """One asset of GET /fapi/v3/account."""

    asset: str
    wallet_balance: Decimal
    available_balance: Decimal | None = None
    update_time: int = 0


class AccountBody(msgspec.Struct, gc=False):
    """GET /fapi/v3/account; its positions are left to positionRisk, which also tells prices."""

    assets: list[msgspec.Raw]


class PositionRow(msgspec.Struct, rename="camel", gc=False):
    """One row of GET /fapi/v3/positionRisk."""

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
    """One row of GET /fapi/v1/symbolConfig."""

    symbol: str
    margin_type: str | None = None
    leverage: Decimal | None = None


class OrderRow(msgspec.Struct, rename="camel", gc=False):
    """One row of GET /fapi/v1/order, openOrders and allOrders."""

    symbol: str
    order_id: int | str
    status: str
    update_time: int
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
    """One row of GET /fapi/v1/algoOrder, openAlgoOrders and allAlgoOrders."""

    symbol: str
    algo_id: int | str
    algo_status: str
    update_time: int
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
    """One row of GET /fapi/v1/userTrades."""

    symbol: str
    id: int | str
    order_id: int | str
    side: str
    price: Decimal
    qty: Decimal
    time: int
    position_side: str | None = None
    commission: Decimal | None = None
    commission_asset: str | None = None
    realized_pnl: Decimal | None = None
    maker: bool | None = None


class IncomeRow(msgspec.Struct, rename="camel", gc=False):
    """One row of GET /fapi/v1/income."""

    income_type: str
    income: Decimal
    asset: str
    time: int
    tran_id: int | str
    symbol: str | None = None
    trade_id: int | str | None = None
    info: str | None = None


_list = msgspec.json.Decoder(list[msgspec.Raw])
_account = msgspec.json.Decoder(AccountBody)


def decode_page(kind: str, body: bytes, as_of: datetime) -> list[Told]:
    """Return what a page tells; a row that makes no sense becomes a notice and spoils no other row.

    Raises:
        VenueUnavailable: the body as a whole makes no sense.
        KeyError: no page is of this kind.
    """
    split, row_type, tell = KINDS[kind]
    try:
        raws = split(body)
    except UNREADABLE as refusal:
        raise VenueUnavailable(f"{kind}: the reply makes no sense") from refusal
    decoder = _decoders[row_type]
    told: list[Told] = []
    for raw in raws:
        try:
            told.append(tell(decoder.decode(raw), as_of))
        except UNREADABLE as refusal:
            detail = {"page": kind, "reason": str(refusal)[:200]}
            told.append(Notice(kind="undecodable", detail=detail, at=as_of))
    dataset = SNAPSHOTS.get(kind)
    if dataset is not None and not any(isinstance(row, Notice) for row in told):
        # With an unreadable row it is not known what is absent.
        told.append(Snapshot(market=MARKET, dataset=dataset, as_of=as_of, keys=frozenset(_keys(told))))
    return told


def _keys(told: Iterable[Told]) -> Iterable[tuple[str, str]]:
    for row in told:
        if isinstance(row, Order):
            yield row.symbol, row.order_id
        elif isinstance(row, Position):
            yield row.symbol, row.position_side


def _balance(row: AssetRow, as_of: datetime) -> Balance:
    check(row.wallet_balance, row.available_balance)
    return Balance(
        market=MARKET,
        asset=row.asset,
        total=row.wallet_balance,
        as_of=_latest(row.update_time, as_of),
        free=row.available_balance,
        locked=_locked(row.wallet_balance, row.available_balance),
        source=REST,
    )


def _balance_multi(row: AssetRow, as_of: datetime) -> Balance:
    """With multi-assets mode on, what is available counts other assets too: nothing is locked in this one."""
    balance = _balance(row, as_of)
    balance.locked = None
    return balance


def _total(row: AssetRow, as_of: datetime) -> Balance:
    """Whether what is available says anything about this asset depends on a switch that was not asked for."""
    balance = _balance_multi(row, as_of)
    balance.free = None
    return balance


def _locked(total: Decimal, free: Decimal | None) -> Decimal | None:
    # Unrealized profit may make more available than the wallet holds.
    return EXACT.subtract(total, free) if free is not None and free <= total else None


def _latest(told_ms: int, as_of: datetime) -> datetime:
    return max(from_ms(told_ms), as_of)


def _position(row: PositionRow, as_of: datetime) -> Position:
    check(row.position_amt, row.entry_price, row.break_even_price, row.un_realized_profit, row.leverage)
    return Position(
        market=MARKET,
        symbol=row.symbol,
        position_side=row.position_side,
        as_of=_latest(row.update_time, as_of),
        quantity=row.position_amt,
        entry_price=row.entry_price,
        break_even_price=row.break_even_price,
        unrealized_pnl=row.un_realized_profit,
        margin_type=margin(row.margin_type),
        leverage=row.leverage,
        source=REST,
    )


def _symbol_config(row: SymbolConfigRow, as_of: datetime) -> SymbolConfig:
    check(row.leverage)
    return SymbolConfig(
        market=MARKET,
        symbol=row.symbol,
        as_of=as_of,
        leverage=row.leverage,
        margin_type=margin(row.margin_type),
    )


def _order(row: OrderRow, _: datetime) -> Order:
    check(row.price, row.stop_price, row.orig_qty, row.executed_qty, row.avg_price, row.cum_quote)
    return Order(
        market=MARKET,
        symbol=row.symbol,
        kind="order",
        order_id=str(row.order_id),
        status=row.status,
        updated_at=from_ms(row.update_time or row.time),
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


def _algo(row: AlgoRow, _: datetime) -> Order:
    check(row.quantity, row.price, row.trigger_price, row.actual_price, row.actual_qty)
    placed = text(row.actual_order_id or "")
    return Order(
        market=MARKET,
        symbol=row.symbol,
        kind="algo",
        order_id=str(row.algo_id),
        status=row.algo_status,
        updated_at=from_ms(row.update_time or row.create_time),
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


def _fill(row: TradeRow, _: datetime) -> Fill:
    check(row.price, row.qty, row.commission, row.realized_pnl)
    return Fill(
        market=MARKET,
        symbol=row.symbol,
        trade_id=str(row.id),
        order_id=str(row.order_id),
        side=row.side,
        price=row.price,
        quantity=row.qty,
        quote_quantity=product(row.price, row.qty),
        traded_at=from_ms(row.time),
        position_side=row.position_side,
        commission=row.commission,
        commission_asset=row.commission_asset,
        realized_pnl=row.realized_pnl,
        is_maker=row.maker,
        source=REST,
    )


def _transfer(row: IncomeRow, _: datetime) -> Transfer:
    check(row.income)
    return Transfer(
        market=MARKET,
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


def _one(body: bytes) -> list[msgspec.Raw]:
    return [msgspec.json.decode(body, type=msgspec.Raw)]


Split = Callable[[bytes], list[msgspec.Raw]]
# The kind of a page is its name in the journal: renaming one makes old journals unreadable.
KINDS: dict[str, tuple[Split, type, Callable[[Any, datetime], Told]]] = {
    "account": (_assets, AssetRow, _balance),
    "account.multi_assets": (_assets, AssetRow, _balance_multi),
    "account.totals": (_assets, AssetRow, _total),
    "positions": (_list.decode, PositionRow, _position),
    "symbol_config": (_list.decode, SymbolConfigRow, _symbol_config),
    "open_orders": (_list.decode, OrderRow, _order),
    "open_algo_orders": (_list.decode, AlgoRow, _algo),
    "orders": (_list.decode, OrderRow, _order),
    "algo_orders": (_list.decode, AlgoRow, _algo),
    "order": (_one, OrderRow, _order),
    "algo_order": (_one, AlgoRow, _algo),
    "fills": (_list.decode, TradeRow, _fill),
    "income": (_list.decode, IncomeRow, _transfer),
}
SNAPSHOTS = {"positions": POSITIONS, "open_orders": ORDERS, "open_algo_orders": ALGO_ORDERS}
_decoders: dict[type, msgspec.json.Decoder[Any]] = {
    row_type: msgspec.json.Decoder(row_type, strict=False) for _, row_type, _ in KINDS.values()
}
