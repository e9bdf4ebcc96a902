"""The user-data events of Binance portfolio margin: USDⓈ-M, COIN-M and margin in one stream.

Venue pages: derivatives/portfolio-margin/user-data-streams and its Event-* pages, and
derivatives/portfolio-margin-pro for the extra stream. Futures events name their market in ``fs``, what is
left is of the margin wallet or of the account as a whole.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import msgspec

from accountd.core.told import Notice, Order
from accountd.venues.base import Decoded, from_ms
from accountd.venues.binance_contracts import COINM, USDM
from accountd.venues.binance_frames import Frames, Reader
from accountd.venues.binance_futures_events import FuturesEvents
from accountd.venues.binance_futures_rows import moment
from accountd.venues.binance_risk import NONE, figures, risk_readers
from accountd.venues.binance_spot_events import SpotEvents
from accountd.venues.binance_spot_wire import (
    AccountPosition,
    BalanceUpdate,
    ExecutionReport,
    ExternalLock,
    ListStatus,
)
from accountd.venues.wire import check, plain, text

MARGIN = "margin"
UNITS = {"UM": USDM, "CM": COINM}
LIABILITY = {
    "a": "asset", "t": "type", "T": "transaction_id", "p": "principal", "i": "interest", "l": "liability",
}  # fmt: skip


class StrategyBody(msgspec.Struct, gc=False):
    """`so` of CONDITIONAL_ORDER_TRADE_UPDATE; the attributes are the venue's letters."""

    s: str
    si: int | str
    os: str
    T: int
    ut: int = 0
    c: str | None = None
    S: str | None = None
    st: str | None = None
    f: str | None = None
    q: Decimal | None = None
    p: Decimal | None = None
    sp: Decimal | None = None
    R: bool | None = None
    ps: str | None = None
    i: int | str = 0


class StrategyOrder(msgspec.Struct, tag="CONDITIONAL_ORDER_TRADE_UPDATE", tag_field="e", gc=False):
    """A conditional order of the older service changed; COIN-M still uses it."""

    E: int
    so: StrategyBody
    fs: str | None = None


class LiabilityChange(msgspec.Struct, tag="liabilityChange", tag_field="e", gc=False):
    """The margin wallet owes more or less of an asset; ``T`` is a transaction's number, no time."""

    E: int
    a: msgspec.Raw = NONE
    t: msgspec.Raw = NONE
    T: msgspec.Raw = NONE
    p: msgspec.Raw = NONE
    i: msgspec.Raw = NONE
    l: msgspec.Raw = NONE  # noqa: E741  # the venue's name


class OpenOrderLoss(msgspec.Struct, tag="openOrderLoss", tag_field="e", gc=False):
    """What the open margin orders would lose, by asset."""

    E: int
    O: msgspec.Raw = msgspec.Raw(b"[]")  # noqa: E741  # the venue's name


FUTURES = FuturesEvents(USDM, UNITS)
SPOT = SpotEvents(MARGIN)


def portfolio_frames() -> Frames:
    """Return the frames of the one stream of a portfolio margin account, and of the Pro stream."""
    readers = FUTURES.readers() | risk_readers()
    readers |= {
        StrategyOrder: _strategy,
        LiabilityChange: _liability,
        OpenOrderLoss: _open_order_loss,
        ExecutionReport: _laneless(SPOT.report),
        AccountPosition: _laneless(SPOT.balances),
        BalanceUpdate: _laneless(SPOT.moved),
        ExternalLock: _laneless(SPOT.locked),
        ListStatus: _laneless(SPOT.listed),
    }
    return Frames(readers)


def _laneless(read: Callable[[Any, str], Decoded]) -> Reader:
    return lambda event: read(event, "")


def _strategy(event: StrategyOrder) -> Decoded:
    o, made = event.so, from_ms(event.E)
    check(o.q, o.p, o.sp)
    order = Order(
        market=FUTURES.market_of(event.fs),
        symbol=o.s,
        kind="algo",
        order_id=str(o.si),
        status=o.os,
        updated_at=from_ms(moment(o.ut, o.T)),
        client_order_id=o.c,
        side=o.S,
        position_side=o.ps,
        type=o.st,
        time_in_force=o.f,
        price=o.p,
        stop_price=o.sp,
        quantity=o.q,
        reduce_only=o.R,
        created_at=from_ms(o.T) if o.T else None,
        actual_order_id=text(o.i),
    )
    return Decoded(kind="CONDITIONAL_ORDER_TRADE_UPDATE", event_time=made, told=[order])


def _liability(event: LiabilityChange) -> Decoded:
    made = from_ms(event.E)
    detail = {"reason": "liability", **figures(event, LIABILITY)}
    hint = Notice(kind="transfer.hint", market=MARGIN, detail=detail, at=made)
    return Decoded(kind="liabilityChange", event_time=made, told=[hint])


def _open_order_loss(event: OpenOrderLoss) -> Decoded:
    made = from_ms(event.E)
    told = plain.decode(event.O) or []
    rows = [{"asset": row.get("a"), "amount": row.get("o")} for row in told if isinstance(row, dict)]
    detail = {"event": "openOrderLoss", "body": rows}
    notice = Notice(kind="leftover", market=MARGIN, detail=detail, at=made)
    return Decoded(kind="openOrderLoss", event_time=made, told=[notice])
