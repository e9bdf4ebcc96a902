"""What accountd holds true of one account, kept in memory for the working set and bounded."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Generic, TypeVar

from accountd.core.changes import (
    BalanceKey,
    FillKey,
    Held,
    OrderEvent,
    OrderKey,
    PositionKey,
    TransferKey,
    Wanted,
    other_side,
)
from accountd.core.configs import Configs
from accountd.core.doubts import Doubts
from accountd.core.told import Absent, Balance, Fill, Happened, Order, Position, Telling, Transfer

K = TypeVar("K")
V = TypeVar("V")

EventKey = tuple[str | None, str, Decimal | None, Decimal | None, Decimal | None]
AMENDED, PREVENTED = "REPLACED", "TRADE_PREVENTION"
MODIFIED = "AMENDMENT"  # on futures: an order may be given its former price and quantity again


class Recent(OrderedDict[K, V], Generic[K, V]):
    """A mapping that forgets its least recently told keys beyond ``limit`` (the database remembers)."""

    def __init__(self, limit: int) -> None:
        super().__init__()
        self.limit = limit

    def trim(self) -> None:
        while len(self) > self.limit:
            self.popitem(last=False)


def order_key(order: Order | Happened) -> OrderKey:
    """Return the key of an order, or of what happened to it, within its account."""
    return (order.market, order.symbol, order.kind, order.order_id)


def event_key(execution: str | None, status: str, filled: Decimal | None, price: Decimal | None,
              quantity: Decimal | None, at: datetime) -> EventKey:  # fmt: skip
    """Return what makes two order events the same event, however often and by whatever it is told.

    An amendment that keeps its place makes the order smaller every time. What prevented a trade, and what
    gave an order another price, is told by its moment.
    """
    if execution == AMENDED:
        return (execution, "", None, None, quantity)
    if execution == PREVENTED:
        return (execution, at.isoformat(), None, None, None)
    if execution == MODIFIED:
        return (execution, at.isoformat(), filled, price, quantity)
    return (execution, status, filled, price, quantity)


class Beliefs:
    """One account's beliefs. ``seq`` and ``head`` are the journal's; both move only in fold.

    ``loaded_seq`` is where the journal was when the beliefs were read from the record: some of what was
    known before (which instants are settled, what a symbol is set to) is not in it and was forgotten.
    """

    def __init__(self, account_id: str, seq: int, head: bytes, limit: int = 10_000) -> None:
        self.account_id = account_id
        self.account_bytes = account_id.encode()
        self.seq = self.loaded_seq = seq
        self.head = head
        self.orders: Recent[OrderKey, Order] = Recent(limit)
        self.events: dict[OrderKey, set[EventKey]] = {}
        self.open: dict[OrderKey, Order] = {}
        self.unexplained: Recent[OrderKey, set[str]] = Recent(1_000)  # what REST showed and no event told
        self.nameless: Recent[OrderKey, list[FillKey]] = Recent(1_000)
        self.fills: Recent[FillKey, Fill] = Recent(limit)
        self.otherwise: Recent[tuple[str, ...], None] = Recent(1_000)  # tellings that differ, known already
        self.contested: dict[str, dict[str, object]] = {}  # subject and detail of each open conflict
        self.doubts = Doubts()
        self.transfers: Recent[TransferKey, Transfer] = Recent(limit)
        self.balances: dict[BalanceKey, Balance] = {}
        self.positions: dict[PositionKey, Position] = {}
        self.configs = Configs()

    def look_up(self, tellings: Sequence[Telling], look: Callable[[Wanted], Held]) -> None:
        """Have all that is told of in memory; ``look`` finds what is held of it."""
        wanted = self.wanted(tellings)
        if not (wanted.orders or wanted.fills or wanted.transfers):
            return
        held = look(wanted)
        self.remember(held)
        if held.fills:  # it may be the other side of a trade with oneself
            sides = Wanted(fills=self.wanted(tellings).fills - wanted.fills)
            if sides.fills:
                self.remember(look(sides))

    def wanted(self, tellings: Iterable[Telling]) -> Wanted:
        """List the keys told of that are not in memory, so that the store can look them up in bulk."""
        want = Wanted()
        for telling in tellings:
            for told in telling.told:
                kind = type(told)
                if kind is Order or kind is Happened:
                    self._want_order(told, want)  # type: ignore[arg-type]
                elif kind is Fill:
                    self._want_fill(told, want)  # type: ignore[arg-type]
                elif kind is Absent:
                    self._want_absent(told, want)  # type: ignore[arg-type]
                elif kind is Transfer:
                    self._want_transfer(told, want)  # type: ignore[arg-type]
        return want

    def _want_order(self, told: Order | Happened, want: Wanted) -> None:
        key = order_key(told)
        if key not in self.orders:
            want.orders.add(key)

    def _want_transfer(self, told: Transfer, want: Wanted) -> None:
        key = (told.market, told.kind, told.transfer_id, told.asset)
        if key not in self.transfers:
            want.transfers.add(key)

    def _want_absent(self, told: Absent, want: Wanted) -> None:
        if told.key not in self.orders:
            want.orders.add(told.key)

    def _want_fill(self, told: Fill, want: Wanted) -> None:
        key = (told.market, told.symbol, told.trade_id)
        held = self.fills.get(key)
        if held is None:
            want.fills.add(key)
        elif held.order_id != told.order_id:
            side = (told.market, told.symbol, other_side(told.trade_id, told.side))
            if side not in self.fills:
                want.fills.add(side)
        order = (told.market, told.symbol, "order", told.order_id)
        if order not in self.orders:
            want.orders.add(order)

    def remember(self, held: Held) -> None:
        """Take in what the store found."""
        for order in held.orders:
            key = order_key(order)
            self.orders[key] = order
            self.events[key] = set()
        for event in held.order_events:
            self.remember_event(event)
        for fill in held.fills:
            self.fills[(fill.market, fill.symbol, fill.trade_id)] = fill
        for transfer in held.transfers:
            key = (transfer.market, transfer.kind, transfer.transfer_id, transfer.asset)
            self.transfers[key] = transfer

    def remember_event(self, event: OrderEvent) -> None:
        """Take in one past event of a held order."""
        self.events.setdefault(event.key, set()).add(
            event_key(
                event.execution_type, event.status, event.filled_quantity, event.price, event.quantity,
                event.event_time,
            )
        )  # fmt: skip

    def trim(self) -> None:
        """Forget what was told longest ago, beyond the limits; open orders are looked up again when told."""
        orders = self.orders
        while len(orders) > orders.limit:
            key, _ = orders.popitem(last=False)
            self.events.pop(key, None)
        self.fills.trim()
        self.unexplained.trim()
        self.transfers.trim()
