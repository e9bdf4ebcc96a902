"""The REST rows of Binance portfolio margin that neither futures nor spot have.

Venue pages: derivatives/portfolio-margin, account and trade REST. One balance row speaks of three wallets;
a debt grows by interest and shrinks by repayment, neither of which has an event with an amount.
"""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal

import msgspec

from accountd.core.told import ALGO_ORDERS, ORDERS, REST, Balance, Order, Told, Transfer
from accountd.venues import binance_futures_rows as futures
from accountd.venues import binance_spot_rows as spot
from accountd.venues.base import from_ms
from accountd.venues.binance_contracts import COINM, USDM
from accountd.venues.binance_margin_rows import margin_trade
from accountd.venues.binance_pages import Pages, every_row, listed_rows, page_kinds, single_row
from accountd.venues.binance_portfolio_events import MARGIN
from accountd.venues.wire import EXACT, check, negated, text


class BalanceRow(msgspec.Struct, rename="camel", gc=False):
    """One asset of GET balance: the margin wallet and both futures wallets."""

    asset: str
    cross_margin_free: Decimal
    cross_margin_locked: Decimal
    um_wallet_balance: Decimal
    cm_wallet_balance: Decimal
    update_time: int = 0


class StrategyRow(msgspec.Struct, rename="camel", gc=False):
    """One row of GET conditional/openOrders, allOrders and orderHistory."""

    symbol: str
    strategy_id: int | str
    strategy_status: str
    update_time: int
    book_time: int = 0
    new_client_strategy_id: str | None = None
    strategy_type: str | None = None
    side: str | None = None
    position_side: str | None = None
    time_in_force: str | None = None
    orig_qty: Decimal | None = None
    price: Decimal | None = None
    stop_price: Decimal | None = None
    reduce_only: bool | None = None
    order_id: int | str = 0


class InterestRow(msgspec.Struct, rename="camel", gc=False):
    """One row of GET margin/marginInterestHistory and portfolio/interest-history, which has no number."""

    asset: str
    interest: Decimal
    interest_accured_time: int
    tx_id: int | str = ""
    type: str | None = None


class LoanRow(msgspec.Struct, rename="camel", gc=False):
    """One row of GET margin/marginLoan."""

    tx_id: int | str
    asset: str
    principal: Decimal
    timestamp: int
    status: str = ""


class RepayRow(msgspec.Struct, rename="camel", gc=False):
    """One row of GET margin/repayLoan; ``amount`` is principal and interest together."""

    tx_id: int | str
    asset: str
    amount: Decimal
    timestamp: int
    status: str = ""


class MoveRow(msgspec.Struct, rename="camel", gc=False):
    """One row of GET /sapi/v1/asset/transfer of one direction."""

    asset: str
    amount: Decimal
    type: str
    tran_id: int | str
    timestamp: int
    status: str = ""


DONE = ("CONFIRMED", "")
OUTWARD = "PORTFOLIO_MARGIN_"


def balances(row: BalanceRow, as_of: datetime, _: str) -> list[Told]:
    """Tell an asset's balance in each of the three wallets."""
    check(row.cross_margin_free, row.cross_margin_locked, row.um_wallet_balance, row.cm_wallet_balance)
    free, locked = row.cross_margin_free, row.cross_margin_locked
    at, asset = futures.latest(row.update_time, as_of), row.asset
    total = EXACT.add(free, locked)
    return [
        Balance(market=MARGIN, asset=asset, total=total, free=free, locked=locked, as_of=at, source=REST),
        Balance(market=USDM, asset=asset, total=row.um_wallet_balance, as_of=at, source=REST),
        Balance(market=COINM, asset=asset, total=row.cm_wallet_balance, as_of=at, source=REST),
    ]


def strategy(row: StrategyRow, _: datetime, market: str) -> Order:
    """Return a conditional order of the older service."""
    check(row.orig_qty, row.price, row.stop_price)
    return Order(
        market=market,
        symbol=row.symbol,
        kind="algo",
        order_id=str(row.strategy_id),
        status=row.strategy_status,
        updated_at=from_ms(futures.moment(row.update_time, row.book_time)),
        client_order_id=row.new_client_strategy_id,
        side=row.side,
        position_side=row.position_side,
        type=row.strategy_type,
        time_in_force=row.time_in_force,
        price=row.price,
        stop_price=row.stop_price,
        quantity=row.orig_qty,
        reduce_only=row.reduce_only,
        created_at=from_ms(row.book_time) if row.book_time else None,
        actual_order_id=text(row.order_id),
        source=REST,
    )


def interest(row: InterestRow, _: datetime, market: str) -> Transfer:
    """Return interest that fell due; where it has no number, asset and time name it."""
    check(row.interest)
    number = text(row.tx_id)
    return Transfer(
        market=market,
        kind="interest",
        transfer_id=number or f"negative-balance:{row.interest_accured_time}",
        asset=row.asset,
        amount=negated(row.interest) or row.interest,
        occurred_at=from_ms(row.interest_accured_time),
        info=row.type or None,
    )


def loan(row: LoanRow, _: datetime, market: str) -> list[Told]:
    """Tell what was borrowed; a loan that failed moved nothing."""
    check(row.principal)
    if row.status not in DONE:
        return []
    return [_debt("borrow", row.tx_id, row.asset, row.principal, row.timestamp, market)]


def repayment(row: RepayRow, _: datetime, market: str) -> list[Told]:
    """Tell what was repaid, principal and interest; one that failed moved nothing."""
    check(row.amount)
    if row.status not in DONE:
        return []
    paid = negated(row.amount) or row.amount
    return [_debt("repay", row.tx_id, row.asset, paid, row.timestamp, market)]


def move(row: MoveRow, _: datetime, market: str) -> list[Told]:
    """Tell a transfer between the margin wallet and another wallet of the owner."""
    check(row.amount)
    if row.status not in DONE:
        return []
    outward = row.type.startswith(OUTWARD)
    amount = (negated(row.amount) or row.amount) if outward else row.amount
    return [_debt("transfer", row.tran_id, row.asset, amount, row.timestamp, market)]


def _debt(kind: str, number: int | str, asset: str, amount: Decimal, at: int, market: str) -> Transfer:
    return Transfer(
        market=market,
        kind=kind,
        transfer_id=str(number),
        asset=asset,
        amount=amount,
        occurred_at=from_ms(at),
    )


PAGES = Pages(
    futures.order_pages(USDM, "um.")
    | futures.algo_pages(USDM, "um.")
    | futures.config_pages(USDM, "um.")
    | futures.order_pages(COINM, "cm.")
    | page_kinds(
        COINM,
        {
            "cm.open_algo_orders": (every_row, StrategyRow, strategy, ALGO_ORDERS),
            "cm.algo_orders": (every_row, StrategyRow, strategy, None),
        },
    )
    | page_kinds(
        MARGIN,
        {
            "balances": (every_row, BalanceRow, balances, None),
            "margin.open_orders": (every_row, spot.OrderRow, spot.order, ORDERS),
            "margin.orders": (every_row, spot.OrderRow, spot.order, None),
            "margin.order": (single_row, spot.OrderRow, spot.order, None),
            "margin.fills": (every_row, spot.TradeRow, margin_trade, None),
            "margin.interest": (listed_rows, InterestRow, interest, None),
            "portfolio.interest": (every_row, InterestRow, interest, None),
            "margin.loans": (listed_rows, LoanRow, loan, None),
            "margin.moves": (listed_rows, MoveRow, move, None),
            "margin.repayments": (listed_rows, RepayRow, repayment, None),
        },
    )
)
