"""The user-data events of Binance Options; names are shared with USDⓈ-M, meanings are not.

Venue pages: derivatives/options-trading/user-data-streams and its Event-* pages. A commission is told as
negative when it was paid; amounts are in USDT unless an asset is named.
"""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal

import msgspec

from accountd.core.told import Balance, Fill, Notice, Position, Told
from accountd.venues.base import Decoded, from_ms
from accountd.venues.binance_frames import Reader, leftover
from accountd.venues.binance_futures_events import FuturesEvents, key_expired
from accountd.venues.binance_futures_wire import KeyExpired, OrderBody, OrderUpdate
from accountd.venues.wire import check, negated, plain

MARKET = "options"
SETTLED_IN = "USDT"
SIDE = "BOTH"  # an option is held once, long or short by its sign
NORMAL = "NORMAL"


class AccountData(msgspec.Struct, tag="ACCOUNT_UPDATE", tag_field="e", gc=False):
    """The account in figures: when money or a position moved, and every ten seconds with a position."""

    E: int
    b: Decimal
    T: int | None = None


class AssetBody(msgspec.Struct, gc=False):
    """One asset of BALANCE_POSITION_UPDATE."""

    a: str
    b: Decimal


class OptionBody(msgspec.Struct, gc=False):
    """One position of BALANCE_POSITION_UPDATE."""

    s: str
    c: Decimal
    a: Decimal | None = None


class BalancePosition(msgspec.Struct, tag="BALANCE_POSITION_UPDATE", tag_field="e", gc=False):
    """Balances and positions that changed, absolute."""

    E: int
    T: int | None = None
    m: str | None = None
    B: list[AssetBody] = []
    P: list[OptionBody] = []


class Greeks(msgspec.Struct, tag="GREEK_UPDATE", tag_field="e", gc=False):
    """The sensitivities of each underlying."""

    E: int
    G: msgspec.Raw = msgspec.Raw(b"[]")


class RiskLevel(msgspec.Struct, tag="RISK_LEVEL_CHANGE", tag_field="e", gc=False):
    """The account's risk level; told to market makers only."""

    E: int
    s: str
    mb: msgspec.Raw = msgspec.Raw(b"null")
    mm: msgspec.Raw = msgspec.Raw(b"null")


class OptionsEvents(FuturesEvents):
    """Reads the events of an options account."""

    def __init__(self) -> None:
        super().__init__(MARKET)

    def readers(self) -> dict[type, Reader]:
        """Return who reads what, for `Frames`."""
        return {
            OrderUpdate: self.order,
            AccountData: _account,
            BalancePosition: _balance_position,
            Greeks: lambda e: leftover("GREEK_UPDATE", from_ms(e.E), e.G),
            RiskLevel: _risk,
            KeyExpired: key_expired,
        }

    def fill(self, o: OrderBody, market: str, traded: datetime) -> Fill:
        """Return the execution that an order update tells; what was paid is positive in the record."""
        fill = super().fill(o, market, traded)
        fill.commission = negated(o.n)
        return fill


def _account(event: AccountData) -> Decoded:
    check(event.b)
    made = from_ms(event.E)
    as_of = made if event.T is None else from_ms(event.T)
    balance = Balance(market=MARKET, asset=SETTLED_IN, total=event.b, as_of=as_of, seen_at=made)
    return Decoded(kind="ACCOUNT_UPDATE", event_time=made, told=[balance])


def _balance_position(event: BalancePosition) -> Decoded:
    made = from_ms(event.E)
    as_of = made if event.T is None else from_ms(event.T)
    told: list[Told] = []
    for row in event.B:
        check(row.b)
        told.append(
            Balance(market=MARKET, asset=row.a, total=row.b, as_of=as_of, seen_at=made, reason=event.m)
        )
    for p in event.P:
        check(p.c, p.a)
        told.append(
            Position(
                market=MARKET,
                symbol=p.s,
                position_side=SIDE,
                as_of=as_of,
                seen_at=made,
                quantity=p.c,
                entry_price=p.a,
                reason=event.m,
            )
        )
    if event.m != "ORDER":
        detail = {"reason": event.m, "assets": [row.a for row in event.B]}
        told.append(Notice(kind="transfer.hint", detail=detail, at=as_of, market=MARKET))
    return Decoded(kind="BALANCE_POSITION_UPDATE", event_time=made, told=told)


def _risk(event: RiskLevel) -> Decoded:
    made = from_ms(event.E)
    figures = {"margin_balance": plain.decode(event.mb), "maintenance_margin": plain.decode(event.mm)}
    detail = {"risk_level": event.s, **figures}
    kind = "leftover" if event.s == NORMAL else "margin.call"
    notice = Notice(kind=kind, detail=detail, at=made, market=MARKET)
    return Decoded(kind="RISK_LEVEL_CHANGE", event_time=made, told=[notice])
