"""What happened to single orders of Binance spot: amendments, and matches that self-trade prevention stopped.

Venue pages: binance-spot-api-docs rest-api ("Query Order Amendments", "Query Prevented Matches").
"""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal

import msgspec

from accountd.core.beliefs import AMENDED, PREVENTED
from accountd.core.told import Happened, Told
from accountd.venues.base import moment
from accountd.venues.binance_pages import PageKind, every_row
from accountd.venues.wire import check, need


class AmendmentRow(msgspec.Struct, rename="camel", gc=False):
    """One row of GET order/amendments."""

    symbol: str
    order_id: int
    new_qty: Decimal
    time: int


class PreventedRow(msgspec.Struct, rename="camel", gc=False):
    """One row of GET myPreventedMatches: which of the two orders lost something, its quantity says."""

    symbol: str
    taker_order_id: int
    maker_order_id: int
    transact_time: int
    maker_symbol: str = ""
    maker_prevented_quantity: Decimal | None = None
    taker_prevented_quantity: Decimal | None = None


def amendment(row: AmendmentRow, as_of: datetime, market: str) -> Told:
    """Tell that an order was made smaller."""
    check(row.new_qty)
    need(row.symbol)
    return Happened(
        market=market, symbol=row.symbol, kind="order", order_id=str(row.order_id), execution_type=AMENDED,
        at=moment(row.time), quantity=row.new_qty,
    )  # fmt: skip


def prevented(row: PreventedRow, as_of: datetime, market: str) -> list[Told]:
    """Tell each of the two orders that lost something because they would have met."""
    check(row.maker_prevented_quantity, row.taker_prevented_quantity)
    need(row.symbol)
    sides = (
        (row.symbol, row.taker_order_id, row.taker_prevented_quantity),
        (row.maker_symbol or row.symbol, row.maker_order_id, row.maker_prevented_quantity),
    )
    if not (row.maker_prevented_quantity or row.taker_prevented_quantity):
        raise ValueError("a prevented match that took nothing from anybody")
    return [
        Happened(
            market=market, symbol=symbol, kind="order", order_id=str(number), execution_type=PREVENTED,
            at=moment(row.transact_time),
        )
        for symbol, number, lost in sides
        if lost
    ]  # fmt: skip


def life_pages(market: str) -> dict[str, PageKind]:
    """Return the kinds of pages that tell of single orders."""
    return {
        "amendments": PageKind(market=market, split=every_row, row=AmendmentRow, tell=amendment),
        "prevented": PageKind(market=market, split=every_row, row=PreventedRow, tell=prevented),
    }
