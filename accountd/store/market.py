"""How prices, candles and events of public market streams are written."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any

import msgspec
from sqlalchemy import Connection, literal, or_

from accountd.store.proving import upsert
from accountd.store.tables import candles, market_events, prices
from accountd.store.types import Flag


class Price(msgspec.Struct, kw_only=True, frozen=True):
    """One row of the price series, in quote units; ``source`` says why it was kept: sample or fill."""

    market: str
    symbol: str
    at: datetime
    mark: Decimal | None
    bid: Decimal | None
    ask: Decimal | None
    source: str


class Event(msgspec.Struct, kw_only=True, frozen=True):
    """One event of a public stream, as received."""

    family: str
    stream: str
    n: int
    event: str
    symbol: str | None
    price: Decimal | None
    quantity: Decimal | None
    bid: Decimal | None
    ask: Decimal | None
    event_time: datetime | None
    received_at: datetime
    raw: bytes


class Bar(msgspec.Struct, kw_only=True, frozen=True):
    """One candle as it stands."""

    family: str
    symbol: str
    interval: str
    open_time: datetime
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    volume: Decimal
    quote_volume: Decimal | None
    trades: int | None
    close_time: datetime
    closed: bool


def write(connection: Connection, rows: Sequence[Price | Bar | Event]) -> None:
    """Write rows in one transaction. A price that is there stays; a candle stays once it is closed."""
    kinds: dict[type, list[dict[str, Any]]] = {}
    for row in rows:
        kinds.setdefault(type(row), []).append(msgspec.structs.asdict(row))
    if Price in kinds:
        connection.execute(upsert(connection, prices).on_conflict_do_nothing(), kinds[Price])
    if Bar in kinds:
        statement = upsert(connection, candles)
        keys = [column.name for column in candles.primary_key]
        fresh = {c.name: statement.excluded[c.name] for c in candles.c if c.name not in keys}
        open_, closed = literal(False, Flag), literal(True, Flag)
        again = or_(candles.c.closed == open_, statement.excluded.closed == closed)
        statement = statement.on_conflict_do_update(index_elements=keys, set_=fresh, where=again)
        connection.execute(statement, kinds[Bar])
    if Event in kinds:
        connection.execute(upsert(connection, market_events).on_conflict_do_nothing(), kinds[Event])
