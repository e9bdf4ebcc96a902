"""What a venue can tell accountd: the venue-neutral facts that streams and REST pages decode to."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any

import msgspec

# Where a telling came from.
STREAM = "stream"
REST = "rest"
LOCAL = "local"

# The datasets whose completeness is tracked by coverage and gaps.
ORDERS = "orders"
ALGO_ORDERS = "algo_orders"
FILLS = "fills"
TRANSFERS = "transfers"
BALANCES = "balances"
POSITIONS = "positions"
DATASETS = (ORDERS, ALGO_ORDERS, FILLS, TRANSFERS, BALANCES, POSITIONS)
Said = tuple[Any, ...]  # a session, and the amounts of one event as it told them


class Order(msgspec.Struct, kw_only=True, gc=False):
    """One telling of an order's state, or the order as held.

    ``kind`` is ``order`` or ``algo`` (their ids overlap). Quantities are in base units (contracts on
    COIN-M), ``price``/``stop_price``/``average_price`` in quote per base, ``filled_quote`` in quote.
    None means "this telling does not say". Times are aware UTC datetimes.
    """

    market: str
    symbol: str
    kind: str
    order_id: str
    status: str
    updated_at: datetime
    client_order_id: str | None = None
    side: str | None = None
    position_side: str | None = None
    type: str | None = None
    time_in_force: str | None = None
    price: Decimal | None = None
    stop_price: Decimal | None = None
    quantity: Decimal | None = None
    filled_quantity: Decimal | None = None
    average_price: Decimal | None = None
    filled_quote: Decimal | None = None
    reduce_only: bool | None = None
    created_at: datetime | None = None
    actual_order_id: str | None = None  # algo orders: the plain order that a trigger placed
    reason: str | None = None  # expiry or reject reason, as told
    execution_type: str | None = None  # stream only: what happened (NEW, TRADE, AMENDMENT, ...)
    last_quantity: Decimal | None = None  # stream only: quantity of this execution
    prevented: Decimal | None = None  # of the quantity: what self-trade prevention took; not kept
    source: str = STREAM  # held: where the winning telling came from
    missing_since: datetime | None = None  # held: the venue no longer shows it though it was open
    journal_seq: int = 0  # held: the journal row that last changed it
    events: int = 0  # held: rows in order_events


class Fill(msgspec.Struct, kw_only=True, gc=False):
    """One execution. ``commission`` positive = paid, ``quote_quantity`` in quote, ``traded_at`` UTC."""

    market: str
    symbol: str
    trade_id: str
    order_id: str
    side: str
    price: Decimal
    quantity: Decimal
    quote_quantity: Decimal
    traded_at: datetime
    client_order_id: str | None = None
    position_side: str | None = None
    commission: Decimal | None = None
    commission_asset: str | None = None
    realized_pnl: Decimal | None = None
    is_maker: bool | None = None
    source: str = STREAM
    received_at: datetime | None = None  # held
    journal_seq: int = 0  # held


class Balance(msgspec.Struct, kw_only=True, gc=False):
    """An asset's balance as of a venue time. ``as_of`` orders tellings; None = not told."""

    market: str
    asset: str
    total: Decimal
    as_of: datetime
    free: Decimal | None = None
    locked: Decimal | None = None
    reason: str | None = None
    updated_at: datetime | None = None  # held: venue time of the last change
    seen_at: datetime | None = None  # ties on as_of: when the venue made the message
    source: str = STREAM
    n: int = 0  # held: rows in balance_history
    past: tuple[Said, ...] = ()  # held: what was told of the very same instant
    journal_seq: int = 0


class Position(msgspec.Struct, kw_only=True, gc=False):
    """A position as of a venue time; ``quantity`` signed as told. None = this telling does not say."""

    market: str
    symbol: str
    position_side: str
    as_of: datetime
    quantity: Decimal | None = None
    entry_price: Decimal | None = None
    break_even_price: Decimal | None = None
    unrealized_pnl: Decimal | None = None
    margin_type: str | None = None
    leverage: Decimal | None = None
    reason: str | None = None
    updated_at: datetime | None = None
    seen_at: datetime | None = None
    source: str = STREAM
    n: int = 0
    past: tuple[Said, ...] = ()
    journal_seq: int = 0


class SymbolConfig(msgspec.Struct, kw_only=True, gc=False):
    """Leverage or margin type of a symbol, for every position side that is held."""

    market: str
    symbol: str
    as_of: datetime
    leverage: Decimal | None = None
    margin_type: str | None = None


class Transfer(msgspec.Struct, kw_only=True, gc=False):
    """A movement of money told by REST history. ``amount`` signed, in ``asset``."""

    market: str
    kind: str
    transfer_id: str
    asset: str
    amount: Decimal
    occurred_at: datetime
    symbol: str | None = None
    trade_id: str | None = None
    info: str | None = None
    source: str = REST
    journal_seq: int = 0  # held


class Snapshot(msgspec.Struct, kw_only=True, gc=False):
    """A REST page that lists *all* of something: what is held and absent from it is flat, or closed.

    ``dataset`` is balances, positions, orders or algo_orders; ``keys`` are (asset, ""),
    (symbol, position_side) or (symbol, order_id) pairs that the page showed.
    """

    market: str
    dataset: str
    as_of: datetime
    keys: frozenset[tuple[str, str]]


class Notice(msgspec.Struct, kw_only=True, gc=False):
    """Something told that is no belief: a margin call, an expired key, an unknown or undecodable message.

    ``kind``: ``margin.call``, ``liquidation.level``, ``key.expired``, ``hint`` (a sweep of ``symbol`` would
    tell more), ``transfer.hint``, ``unknown``, ``undecodable``, ``config``, ``leftover``.
    """

    kind: str
    symbol: str | None = None
    detail: dict[str, Any] | None = None
    at: datetime | None = None
    market: str | None = None  # None: every market that has the symbol


class Absent(msgspec.Struct, kw_only=True, gc=False):
    """An order that is open as far as was told and that the venue, asked for it, no longer shows.

    ``key`` is (market, symbol, kind, order_id).
    """

    key: tuple[str, str, str, str]
    since: datetime


class Happened(msgspec.Struct, kw_only=True, gc=False):
    """One thing that happened to an order, told by itself: no state of the order, so no belief changes.

    ``quantity`` is what the order had from then on, in base units; None = not told.
    """

    market: str
    symbol: str
    kind: str
    order_id: str
    execution_type: str
    at: datetime
    quantity: Decimal | None = None


Told = Order | Fill | Balance | Position | SymbolConfig | Transfer | Snapshot | Notice | Absent | Happened


class Telling(msgspec.Struct, kw_only=True, gc=False):
    """One frame or REST page on its way to the record: the raw bytes and what they decode to.

    ``raw`` already has every listen key replaced by ``<listenKey>``. ``live_since`` is since when the
    stream had been LIVE when it arrived (a fill first told by REST then is a finding about the stream).
    """

    account_id: str
    source: str
    kind: str
    raw: bytes
    received_at: datetime
    told: Sequence[Told]
    event_time: datetime | None = None
    session_id: str | None = None
    live_since: datetime | None = None
    keep: bool = True  # stream frames are always journaled; REST pages only when they change a belief
