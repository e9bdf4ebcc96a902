"""The user-data events of Binance spot and margin, from event to what it tells.

Venue pages: binance-spot-api-docs user-data-stream (events, conditional fields) and faqs (SOR, STP, amend).
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from decimal import Decimal
from operator import attrgetter
from typing import Any

from accountd.core.told import Balance, Fill, Notice, Order, Told
from accountd.venues.base import KEY_EXPIRED, SHUTDOWN, TERMINATED, Decoded, moment
from accountd.venues.binance_spot_wire import (
    CONDITIONAL,
    AccountPosition,
    BalanceUpdate,
    ExecutionReport,
    ExternalLock,
    ListenKeyExpired,
    ListStatus,
    ServerShutdown,
    StreamTerminated,
    total,
)
from accountd.venues.wire import check, need, product

AMENDED = "REPLACED"
NOT_SET = ("", "NONE", None)
SOR = "SOR"
ZERO = Decimal(0)

_optional = attrgetter(*(letter for letter in CONDITIONAL if letter not in "FgQ"))
OPTIONAL = len(CONDITIONAL) - len("FgQ")

Reader = Callable[[Any, str], Decoded]


def plain_asset(lane: str, asset: str) -> str:
    """Return the name of an asset's balance where all lanes share one wallet."""
    return asset


def allocation_name(number: int) -> str:
    """Return the trade id of an allocation: their numbers overlap with those of trades."""
    return f"alloc-{number}"


class SpotEvents:
    """Reads the events of one market. ``asset_of`` names a lane's balance of an asset (isolated pairs).

    ``routed`` collects the symbols whose orders the venue routed (SOR): their fills are allocations.
    """

    def __init__(self, market: str, asset_of: Callable[[str, str], str] = plain_asset) -> None:
        self.market = market
        self.asset_of = asset_of
        self.routed: set[str] = set()

    def readers(self) -> dict[type, Reader]:
        """Return what reads each event; it is told the lane too."""
        return {
            ExecutionReport: self.report,
            AccountPosition: self.balances,
            BalanceUpdate: self.moved,
            ExternalLock: self.locked,
            ListStatus: self.listed,
            StreamTerminated: terminated,
            ServerShutdown: shutdown,
            ListenKeyExpired: key_expired,
        }

    def report(self, r: ExecutionReport, lane: str = "") -> Decoded:
        """Tell the order, its fill if it traded, and what else the report says of it."""
        check(r.q, r.p, r.P, r.l, r.z, r.L, r.n, r.Z, r.Y, r.Q, r.A)
        need(r.s, r.x, r.X)
        made, traded = moment(r.E), moment(r.T)
        # A cancel bears the name of the request in c; an amendment gives the order a new name.
        name = r.C if r.C and r.C != "null" and r.x != AMENDED else r.c
        order = Order(
            market=self.market,
            symbol=r.s,
            kind="order",
            order_id=str(r.i),
            status=r.X,
            updated_at=traded,
            client_order_id=name or None,
            side=r.S,
            type=r.o,
            time_in_force=r.f,
            price=r.p,
            stop_price=r.P,
            quantity=r.q,
            filled_quantity=r.z,
            filled_quote=r.Z if r.Z is not None and r.Z >= ZERO else None,
            created_at=moment(r.O) if r.O > 0 else None,
            reason=next((word for word in (r.eR, r.r) if word not in NOT_SET), None),
            execution_type=r.x,
            last_quantity=r.l,
            prevented=r.A,
        )
        told: list[Told] = [order]
        fill = self._fill(r, traded, order.client_order_id)
        if fill is not None:
            told.append(fill)
        more = conditional(r)
        if more:
            told.append(Notice(kind="order.detail", symbol=r.s, market=self.market, at=made, detail=more))
        return Decoded(kind="executionReport", event_time=made, told=told)

    def _fill(self, r: ExecutionReport, traded: datetime, name: str | None) -> Fill | None:
        """Return the execution of a report: a trade, or an allocation where the order was routed."""
        if r.uS or r.k == SOR:
            self.routed.add(r.s)
        if r.x == "TRADE" and r.l is None:
            raise ValueError("a trade without a quantity")
        if not r.l or r.x == "TRADE_PREVENTION":
            return None
        if r.t >= 0:
            number = str(r.t)
        elif r.a is not None and r.a >= 0:
            number = allocation_name(r.a)
            self.routed.add(r.s)
        elif r.x == "TRADE":
            raise ValueError("a trade without a number")
        else:
            return None
        if r.L is None or not r.S:
            raise ValueError("a trade without price or side")
        return Fill(
            market=self.market,
            symbol=r.s,
            trade_id=number,
            order_id=str(r.i),
            side=r.S,
            price=r.L,
            quantity=r.l,
            quote_quantity=product(r.L, r.l) if r.Y is None else r.Y,
            traded_at=traded,
            client_order_id=name,
            commission=r.n,
            commission_asset=r.N,
            is_maker=r.m,
        )

    def balances(self, event: AccountPosition, lane: str = "") -> Decoded:
        """Tell the balances that the event names; those that it does not name stay."""
        made = moment(event.E)
        as_of = made if event.u is None else moment(event.u)
        told: list[Told] = []
        for row in event.B:
            check(row.f, row.l)
            need(row.a)
            told.append(
                Balance(
                    market=self.market,
                    asset=self.asset_of(lane, row.a),
                    total=total(row.f, row.l),
                    free=row.f,
                    locked=row.l,
                    as_of=as_of,
                    seen_at=made,
                )
            )
        return Decoded(kind="outboundAccountPosition", event_time=made, told=told)

    def moved(self, event: BalanceUpdate, lane: str = "") -> Decoded:
        """Hint at a movement of money: a difference may already be in a balance told, so it is not added."""
        return self._hint("balanceUpdate", "transfer.hint", event, lane)

    def locked(self, event: ExternalLock, lane: str = "") -> Decoded:
        """Hint at a balance that something outside locked or released."""
        return self._hint("externalLockUpdate", "balance.hint", event, lane)

    def _hint(self, kind: str, what: str, event: BalanceUpdate | ExternalLock, lane: str) -> Decoded:
        check(event.d)
        made = moment(event.E)
        detail = {"asset": self.asset_of(lane, event.a), "amount": f"{event.d:f}"}
        at = made if event.T is None else moment(event.T)
        told: list[Told] = [Notice(kind=what, market=self.market, detail=detail, at=at)]
        return Decoded(kind=kind, event_time=made, told=told)

    def listed(self, event: ListStatus, lane: str = "") -> Decoded:
        """Tell an order list; its orders have reports of their own."""
        made = moment(event.E)
        detail = {
            "order_list_id": str(event.g), "contingency": event.c, "list_status": event.l,
            "order_status": event.L, "reason": event.r, "client_id": event.C,
            "orders": [{"symbol": o.s, "order_id": str(o.i), "client_order_id": o.c} for o in event.O],
        }  # fmt: skip
        notice = Notice(kind="order.list", symbol=event.s, market=self.market, detail=detail, at=made)
        return Decoded(kind="listStatus", event_time=made, told=[notice])


def conditional(r: ExecutionReport) -> dict[str, object]:
    """Return what a report says beyond the order's columns, under names that can be read."""
    if r.g == -1 and not r.F and not r.Q and _optional(r).count(None) == OPTIONAL:
        return {}
    found: dict[str, object] = {}
    for letter, name in CONDITIONAL.items():
        value = getattr(r, letter)
        if value is None or value == "" or (value in (0, -1) and letter in "FgQ"):
            continue
        if isinstance(value, Decimal):
            found[name] = f"{value:f}"
        else:
            found[name] = value if isinstance(value, bool) else str(value)
    if not found:
        return found
    also = {"order_id": str(r.i), "execution_id": None if r.I is None else str(r.I), "prevention": r.V}
    return {**also, **found}


def terminated(event: StreamTerminated, lane: str = "") -> Decoded:
    """Say that a subscription ended; which one, the envelope says."""
    made = None if event.E is None else moment(event.E)
    notice = Notice(kind="stream.ended", at=made)
    return Decoded(kind="eventStreamTerminated", event_time=made, told=[notice], control=TERMINATED)


def shutdown(event: ServerShutdown, lane: str = "") -> Decoded:
    """Say that the connection is about to end."""
    made = None if event.E is None else moment(event.E)
    notice = Notice(kind="stream.ending", at=made)
    return Decoded(kind="serverShutdown", event_time=made, told=[notice], control=SHUTDOWN)


def key_expired(event: ListenKeyExpired, lane: str = "") -> Decoded:
    """Say that the listen key is gone."""
    made = None if event.E is None else moment(event.E)
    return Decoded(
        kind="listenKeyExpired",
        event_time=made,
        told=[Notice(kind="key.expired", at=made)],
        control=KEY_EXPIRED,
        listen_key=event.listenKey,
    )
