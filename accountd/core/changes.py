"""What one batch of tellings changes: the rows to write, in the order that they came about."""

from __future__ import annotations

import hashlib
from datetime import datetime
from decimal import Decimal
from typing import Any

import msgspec

from accountd.core.told import Balance, Fill, Order, Position, Transfer

OrderKey = tuple[str, str, str, str]  # market, symbol, kind, order_id
FillKey = tuple[str, str, str]  # market, symbol, trade_id
BalanceKey = tuple[str, str]  # market, asset
PositionKey = tuple[str, str, str]  # market, symbol, position_side
TransferKey = tuple[str, str, str, str]  # market, kind, transfer_id, asset


def other_side(trade_id: str, side: str) -> str:
    """Return the trade id of the second side told of a trade with oneself: the venue numbers both alike."""
    return f"{trade_id}-{side}"


def venue_number(trade_id: str) -> str:
    """Return the number that the venue gave the trade of a fill, whichever side it is."""
    return trade_id.partition("-")[0]


class JournalRow(msgspec.Struct, gc=False):
    """One journal row; ``seq`` is dense per account, ``head`` chains over everything before it."""

    seq: int
    source: str
    kind: str
    event_time: datetime | None
    received_at: datetime
    session_id: str | None
    raw: bytes
    salt: bytes
    digest: bytes
    head: bytes
    live_since: datetime | None = None
    loaded_seq: int | None = None


class OrderEvent(msgspec.Struct, gc=False):
    """One thing that happened to an order; ``n`` counts from 1 per order."""

    key: OrderKey
    n: int
    execution_type: str | None
    status: str
    price: Decimal | None
    quantity: Decimal | None
    filled_quantity: Decimal | None
    event_time: datetime
    source: str
    journal_seq: int


class FillCorrection(msgspec.Struct, gc=False):
    """What was told of a fill otherwise than first. ``kind`` is conflict, or withdrawn: no longer shown."""

    key: FillKey
    correction_id: str
    kind: str
    told: Fill
    source: str
    received_at: datetime
    journal_seq: int


def finding_name(account_id: str, kind: str, subject: str) -> str:
    """Return the id of a finding, the same whoever opens it and however often."""
    return hashlib.sha256("\x00".join((account_id, kind, subject)).encode()).hexdigest()[:24]


class Finding(msgspec.Struct, kw_only=True):
    """Something that does not tie. ``finding_id`` is derived from kind and subject, so it opens once."""

    finding_id: str
    kind: str
    severity: str  # info, warning, error
    subject: str
    detail: dict[str, Any]
    opened_at: datetime
    resolved_at: datetime | None = None


class Alert(msgspec.Struct, kw_only=True, gc=False):
    """An event that hooks may want: ``identity`` never changes for the same event, whatever told it.

    ``market``/``symbol``/``data`` are ready for the webhook body; ``order_key`` keeps the order of
    deliveries of one order.
    """

    type: str
    identity: tuple[str, ...]
    at: datetime
    data: dict[str, Any]
    order_key: str = ""
    backfill: bool = False  # older than the account's first start: rings only where a hook asks
    received_at: datetime | None = None  # of what told it; None for a condition
    accounts: tuple[str, ...] = ()  # whom a condition of no single account concerns; empty for all


class Changes(msgspec.Struct, kw_only=True):
    """Everything that one account's tellings change in one transaction."""

    account_id: str
    first_seq: int  # the head's seq before these changes
    seq: int  # ... and after
    head: bytes
    journal: list[JournalRow] = []
    orders: dict[OrderKey, Order] = {}
    order_events: list[OrderEvent] = []
    fills: dict[FillKey, Fill] = {}  # new rows
    fill_corrections: list[FillCorrection] = []
    fill_client_ids: dict[FillKey, str] = {}  # rows that were there and learn their client order id
    balances: dict[BalanceKey, Balance] = {}
    balance_history: list[Balance] = []
    positions: dict[PositionKey, Position] = {}
    position_history: list[Position] = []
    transfers: dict[TransferKey, Transfer] = {}
    findings: dict[str, Finding] = {}
    resolved: dict[tuple[str, str], datetime] = {}  # kind and subject of findings that a telling explains
    alerts: list[Alert] = []


class Wanted(msgspec.Struct, kw_only=True):
    """The keys whose beliefs must be in memory before a batch is folded."""

    orders: set[OrderKey] = set()
    fills: set[FillKey] = set()
    transfers: set[TransferKey] = set()


class Held(msgspec.Struct, kw_only=True):
    """What the store found for a ``Wanted``. ``order_events`` holds the past events of each found order."""

    orders: list[Order] = []
    order_events: list[OrderEvent] = []
    fills: list[Fill] = []
    transfers: list[Transfer] = []
