"""How structs become rows of plain values, the same for both databases, in the order of the columns."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from functools import lru_cache
from typing import Any

import msgspec

from accountd.core.alerts import OutboxRow
from accountd.core.changes import Changes, FillKey, OrderEvent
from accountd.core.money import money_text
from accountd.core.told import Balance, Fill, Order, Position, Transfer
from accountd.store.types import time_text

Row = tuple[Any, ...]
_DIGITS = frozenset("0123456789")


class AccountRow(msgspec.Struct, kw_only=True):
    """An account as it is kept; ``is_new`` says that this start is its first."""

    account_id: str
    name: str
    venue: str
    environment: str
    created_at: datetime
    is_new: bool


class Head(msgspec.Struct):
    """Where an account's journal ends; ``epoch`` fences every earlier writer of the account."""

    seq: int
    head: bytes
    epoch: int


class Gap(msgspec.Struct, kw_only=True):
    """A hole in what is proven; ``to_time`` None: it still grows."""

    gap_id: str
    account_id: str
    dataset: str
    market: str
    symbol: str
    from_time: datetime
    to_time: datetime | None
    reason: str
    opened_at: datetime
    closed_at: datetime | None
    recovered: int


JOURNAL = ("account_id", "seq", "source", "kind", "event_time", "received_at", "session_id", "raw", "salt",
           "digest", "head", "live_since", "loaded_seq")  # fmt: skip
ORDERS = ("account_id", "market", "symbol", "kind", "order_id", "client_order_id", "side", "position_side",
          "type", "time_in_force", "status", "price", "stop_price", "quantity", "filled_quantity",
          "average_price", "filled_quote", "reduce_only", "created_at", "updated_at", "source",
          "actual_order_id", "reason", "missing_since", "journal_seq", "events")  # fmt: skip
ORDER_EVENTS = ("account_id", "market", "symbol", "kind", "order_id", "n", "execution_type", "status",
                "price", "quantity", "filled_quantity", "event_time", "source", "journal_seq")  # fmt: skip
FILLS = ("account_id", "market", "symbol", "trade_id", "order_id", "client_order_id", "side", "position_side",
         "price", "quantity", "quote_quantity", "commission", "commission_asset", "realized_pnl", "is_maker",
         "traded_at", "received_at", "source", "journal_seq", "committed_at")  # fmt: skip
BALANCES = ("account_id", "market", "asset", "free", "locked", "total", "reason", "updated_at", "source",
            "journal_seq", "n")  # fmt: skip
POSITIONS = ("account_id", "market", "symbol", "position_side", "quantity", "entry_price", "break_even_price",
             "unrealized_pnl", "margin_type", "leverage", "reason", "updated_at", "source", "journal_seq",
             "n")  # fmt: skip
CORRECTIONS = ("account_id", "market", "symbol", "trade_id", "correction_id", "kind", "order_id", "side",
               "position_side", "price", "quantity", "quote_quantity", "commission", "commission_asset",
               "realized_pnl", "is_maker", "traded_at", "received_at", "source", "journal_seq")  # fmt: skip
TRANSFERS = ("account_id", "market", "kind", "transfer_id", "asset", "amount", "symbol", "occurred_at",
             "source", "trade_id", "info", "journal_seq")  # fmt: skip
FINDINGS = ("finding_id", "account_id", "kind", "severity", "subject", "detail", "opened_at",
            "resolved_at")  # fmt: skip
OUTBOX = ("message_id", "account_id", "hook", "type", "body", "created_at", "next_attempt_at", "status",
          "reason", "attempts", "order_key", "event_at", "received_at", "committed_at",
          "summary_id")  # fmt: skip


def amount(value: Decimal | None) -> str | None:
    """Write money, or None; inlined for the common case because every row has ten of them."""
    if value is None:
        return None
    text = str(value)
    if text[0] in _DIGITS and "E" not in text:
        return text
    return money_text(value)


@lru_cache(maxsize=16_384)  # one event's times come again in its journal row, order, event and fill
def moment(value: datetime | None) -> str | None:
    """Write a time, or None."""
    return None if value is None else time_text(value)


def flag(value: bool | None) -> int | None:
    """Write a boolean as 0 or 1, or None."""
    return None if value is None else int(value)


def journal(changes: Changes) -> Iterator[Row]:
    """Map the frames and pages as received."""
    a = changes.account_id
    for r in changes.journal:
        yield (a, r.seq, r.source, r.kind, moment(r.event_time), moment(r.received_at), r.session_id, r.raw,
               r.salt, r.digest, r.head, moment(r.live_since), r.loaded_seq)  # fmt: skip


def orders(changes: Changes) -> Iterator[Row]:
    """Map the orders that are new or changed."""
    a = changes.account_id
    for o in changes.orders.values():
        yield _order(a, o)


def _order(a: str, o: Order) -> Row:
    return (
        a, o.market, o.symbol, o.kind, o.order_id, o.client_order_id, o.side, o.position_side, o.type,
        o.time_in_force, o.status, amount(o.price), amount(o.stop_price), amount(o.quantity),
        amount(o.filled_quantity), amount(o.average_price), amount(o.filled_quote), flag(o.reduce_only),
        moment(o.created_at), moment(o.updated_at), o.source, o.actual_order_id, o.reason,
        moment(o.missing_since), o.journal_seq, o.events,
    )  # fmt: skip


def order_events(changes: Changes) -> Iterator[Row]:
    """Map what happened to the orders."""
    a = changes.account_id
    for e in changes.order_events:
        yield (a, *e.key, e.n, e.execution_type, e.status, amount(e.price), amount(e.quantity),
               amount(e.filled_quantity), moment(e.event_time), e.source, e.journal_seq)  # fmt: skip


def fills(changes: Changes) -> Iterator[Row]:
    """Map the new fills, all but ``committed_at``, which comes last and is known last."""
    a = changes.account_id
    for f in changes.fills.values():
        yield (a, f.market, f.symbol, f.trade_id, f.order_id, f.client_order_id, f.side, f.position_side,
               amount(f.price), amount(f.quantity), amount(f.quote_quantity), amount(f.commission),
               f.commission_asset, amount(f.realized_pnl), flag(f.is_maker), moment(f.traded_at),
               moment(f.received_at), f.source, f.journal_seq)  # fmt: skip


def fill_corrections(changes: Changes) -> Iterator[Row]:
    """Map what was told of fills otherwise than first."""
    a = changes.account_id
    for c in changes.fill_corrections:
        t = c.told
        yield (a, *c.key, c.correction_id, c.kind, t.order_id, t.side, t.position_side, amount(t.price),
               amount(t.quantity), amount(t.quote_quantity), amount(t.commission), t.commission_asset,
               amount(t.realized_pnl), flag(t.is_maker), moment(t.traded_at), moment(c.received_at), c.source,
               c.journal_seq)  # fmt: skip


def fill_names(changes: Changes) -> Iterator[Row]:
    """Map the client order ids that fills learn: (id, key of the fill)."""
    named: dict[FillKey, str] = changes.fill_client_ids
    for (market, symbol, trade_id), name in named.items():
        yield (name, changes.account_id, market, symbol, trade_id)


def balances(changes: Changes) -> Iterator[Row]:
    """Map the balances that are new or changed."""
    return (_balance(changes.account_id, b) for b in changes.balances.values())


def balance_history(changes: Changes) -> Iterator[Row]:
    """Map each change of a balance."""
    return (_balance(changes.account_id, b) for b in changes.balance_history)


def _balance(a: str, b: Balance) -> Row:
    return (a, b.market, b.asset, amount(b.free), amount(b.locked), amount(b.total), b.reason,
            moment(b.updated_at or b.as_of), b.source, b.journal_seq, b.n)  # fmt: skip


def positions(changes: Changes) -> Iterator[Row]:
    """Map the positions that are new or changed."""
    return (_position(changes.account_id, p) for p in changes.positions.values())


def position_history(changes: Changes) -> Iterator[Row]:
    """Map each change of a position."""
    return (_position(changes.account_id, p) for p in changes.position_history)


def _position(a: str, p: Position) -> Row:
    return (a, p.market, p.symbol, p.position_side, amount(p.quantity), amount(p.entry_price),
            amount(p.break_even_price), amount(p.unrealized_pnl), p.margin_type, amount(p.leverage), p.reason,
            moment(p.updated_at or p.as_of), p.source, p.journal_seq, p.n)  # fmt: skip


def transfers(changes: Changes) -> Iterator[Row]:
    """Map the new movements of money."""
    a = changes.account_id
    for t in changes.transfers.values():
        yield (a, t.market, t.kind, t.transfer_id, t.asset, amount(t.amount), t.symbol, moment(t.occurred_at),
               t.source, t.trade_id, t.info, t.journal_seq)  # fmt: skip


def findings(changes: Changes) -> Iterator[Row]:
    """Map what does not tie; the detail is JSON text."""
    a = changes.account_id
    for f in changes.findings.values():
        detail = msgspec.json.encode(f.detail).decode()
        yield (f.finding_id, a, f.kind, f.severity, f.subject, detail, moment(f.opened_at),
               moment(f.resolved_at))  # fmt: skip


def outbox(row: OutboxRow, committed_at: str) -> Row:
    """Map one alert for one hook."""
    return (row.message_id, row.account_id, row.hook, row.type, row.body, moment(row.created_at),
            moment(row.next_attempt_at), row.status, row.reason, row.attempts, row.order_key,
            moment(row.event_at), moment(row.received_at), committed_at, row.summary_id)  # fmt: skip


class Reader:
    """Turns a row of plain values back into structs, whatever types the driver hands out."""

    def __init__(self, dialect: str) -> None:
        self._native = dialect == "postgresql"

    def amount(self, value: Any) -> Decimal | None:
        if value is None or self._native:
            return value  # type: ignore[no-any-return]
        return Decimal(value)

    def moment(self, value: Any) -> datetime | None:
        if value is None:
            return None
        if self._native:
            return value.astimezone(UTC)  # type: ignore[no-any-return]
        return datetime.fromisoformat(value)

    def at(self, value: Any) -> datetime:
        """Read a time that is never null."""
        return value.astimezone(UTC) if self._native else datetime.fromisoformat(value)

    def sure(self, value: Any) -> Decimal:
        """Read money that is never null."""
        return value if self._native else Decimal(value)

    def order(self, row: Any) -> Order:
        amount, moment = self.amount, self.moment
        (_, market, symbol, kind, order_id, client, side, position_side, type_, tif, status, price, stop,
         quantity, filled, average, quote, reduce, created, updated, source, actual, reason, missing, seq,
         events) = row  # fmt: skip
        return Order(
            market=market, symbol=symbol, kind=kind, order_id=order_id, status=status,
            updated_at=self.at(updated), client_order_id=client, side=side, position_side=position_side,
            type=type_, time_in_force=tif, price=amount(price), stop_price=amount(stop),
            quantity=amount(quantity), filled_quantity=amount(filled), average_price=amount(average),
            filled_quote=amount(quote), reduce_only=None if reduce is None else bool(reduce),
            created_at=moment(created), actual_order_id=actual, reason=reason, source=source,
            missing_since=moment(missing), journal_seq=seq, events=events,
        )  # fmt: skip

    def order_event(self, row: Any) -> OrderEvent:
        (
            _,
            market,
            symbol,
            kind,
            order_id,
            n,
            execution,
            status,
            price,
            quantity,
            filled,
            at,
            source,
            seq,
        ) = row
        amount = self.amount
        return OrderEvent((market, symbol, kind, order_id), n, execution, status, amount(price),
                          amount(quantity), amount(filled), self.at(at), source, seq)  # fmt: skip

    def fill(self, row: Any) -> Fill:
        (_, market, symbol, trade_id, order_id, client, side, position_side, price, quantity, quote,
         commission, asset, pnl, maker, traded, received, source, seq, _) = row  # fmt: skip
        return Fill(
            market=market, symbol=symbol, trade_id=trade_id, order_id=order_id, client_order_id=client,
            side=side, position_side=position_side, price=self.sure(price), quantity=self.sure(quantity),
            quote_quantity=self.sure(quote), commission=self.amount(commission), commission_asset=asset,
            realized_pnl=self.amount(pnl), is_maker=None if maker is None else bool(maker),
            traded_at=self.at(traded), received_at=self.at(received), source=source, journal_seq=seq,
        )  # fmt: skip

    def balance(self, row: Any) -> Balance:
        _, market, asset, free, locked, total, reason, updated, source, seq, n = row
        at = self.at(updated)
        return Balance(
            market=market, asset=asset, total=self.sure(total), as_of=at, free=self.amount(free),
            locked=self.amount(locked), reason=reason, updated_at=at, source=source, n=n, journal_seq=seq,
        )  # fmt: skip

    def position(self, row: Any) -> Position:
        (_, market, symbol, side, quantity, entry, even, pnl, margin, leverage, reason, updated, source, seq,
         n) = row  # fmt: skip
        at = self.at(updated)
        return Position(
            market=market, symbol=symbol, position_side=side, as_of=at, quantity=self.amount(quantity),
            entry_price=self.amount(entry), break_even_price=self.amount(even),
            unrealized_pnl=self.amount(pnl), margin_type=margin, leverage=self.amount(leverage),
            reason=reason, updated_at=at, source=source, n=n, journal_seq=seq,
        )  # fmt: skip

    def transfer(self, row: Any) -> Transfer:
        _, market, kind, transfer_id, asset, total, symbol, at, source, trade_id, info, seq = row
        return Transfer(
            market=market, kind=kind, transfer_id=transfer_id, asset=asset, amount=self.sure(total),
            symbol=symbol, occurred_at=self.at(at), trade_id=trade_id, info=info, source=source,
            journal_seq=seq,
        )  # fmt: skip
