"""What people write: websockets, json and an ORM session that commits every event."""

import asyncio
import hashlib
import json
import os
import time
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from sqlalchemy.orm import Session, registry
from websockets.asyncio.client import connect

from accountd.store import tables
from accountd.store.engine import writer_engine
from benchmarks.peer import sender
from benchmarks.real import ACCOUNT

mapping = registry(metadata=tables.metadata)


class JournalEntry:
    """A frame as received."""


class Order:
    """An order as it stands."""


class OrderEvent:
    """One thing that happened to an order."""


class Fill:
    """An execution."""


for _class, _table in (
    (JournalEntry, tables.journal), (Order, tables.orders),
    (OrderEvent, tables.order_events), (Fill, tables.fills),
):  # fmt: skip
    mapping.map_imperatively(_class, _table)


def make(cls: Any, **values: Any) -> Any:
    """Return a mapped object with its attributes set."""
    thing = cls()
    for name, value in values.items():
        setattr(thing, name, value)
    return thing


def moment(ms: int) -> datetime:
    """Return milliseconds since 1970 as UTC."""
    return datetime.fromtimestamp(ms / 1000, UTC)


def record(session: Session, frame: str, seq: int, head: bytes) -> bytes:
    """Write one execution report in a transaction of its own; return the journal's new head."""
    now, event = datetime.now(UTC), json.loads(frame)
    o = event["o"]
    at = moment(o["T"])
    raw, salt = frame.encode(), os.urandom(16)
    digest = hashlib.sha256(salt + raw).digest()
    head = hashlib.sha256(head + digest).digest()
    session.add(make(
        JournalEntry, account_id=ACCOUNT, seq=seq, source="stream", kind=event["e"],
        event_time=moment(event["E"]), received_at=now, session_id="bench", raw=raw, salt=salt,
        digest=digest, head=head,
    ))  # fmt: skip
    key = {"account_id": ACCOUNT, "market": "usdm", "symbol": o["s"], "kind": "order",
           "order_id": str(o["i"])}  # fmt: skip
    order = session.get(Order, key)
    if order is None:
        order = make(
            Order, **key, client_order_id=o["c"], side=o["S"], position_side=o["ps"], type=o["o"],
            time_in_force=o["f"], stop_price=Decimal(o["sp"]), reduce_only=o["R"], created_at=at, events=0,
        )  # fmt: skip
        session.add(order)
    order.status, order.price, order.quantity = o["X"], Decimal(o["p"]), Decimal(o["q"])
    order.filled_quantity, order.average_price = Decimal(o["z"]), Decimal(o["ap"])
    order.updated_at, order.source, order.journal_seq, order.events = at, "stream", seq, order.events + 1
    session.add(make(
        OrderEvent, **key, n=order.events, execution_type=o["x"], status=o["X"], price=Decimal(o["p"]),
        quantity=Decimal(o["q"]), filled_quantity=Decimal(o["z"]), event_time=at, source="stream",
        journal_seq=seq,
    ))  # fmt: skip
    if o["x"] == "TRADE":
        price, quantity = Decimal(o["L"]), Decimal(o["l"])
        session.add(make(
            Fill, account_id=ACCOUNT, market="usdm", symbol=o["s"], trade_id=str(o["t"]),
            order_id=str(o["i"]), client_order_id=o["c"], side=o["S"], position_side=o["ps"], price=price,
            quantity=quantity,
            quote_quantity=price * quantity, commission=Decimal(o["n"]), commission_asset=o["N"],
            realized_pnl=Decimal(o["rp"]), is_maker=o["m"], traded_at=at, received_at=now,
            committed_at=datetime.now(UTC), source="stream", journal_seq=seq,
        ))  # fmt: skip
    session.commit()
    return head


async def measure(url: str, count: int) -> float:
    """Record ``count`` frames and return the seconds that it took."""
    engine, head = writer_engine(url), bytes(32)
    try:
        async with sender(count) as peer:
            started = time.monotonic()
            async with connect(peer.url, ping_interval=None) as socket:
                with Session(engine) as session:
                    for seq in range(1, count + 1):
                        head = record(session, str(await socket.recv()), seq, head)
                        if seq % 100 == 0:
                            peer.ack(seq)
                            await asyncio.sleep(0)
                return time.monotonic() - started
    finally:
        engine.dispose()
