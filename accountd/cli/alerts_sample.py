"""A sample message for a hook, sent past the outbox."""

import time
from datetime import datetime
from typing import Any

from accountd.config import Hook
from accountd.core.alerts import body, message_id
from accountd.core.changes import Alert
from accountd.errors import SettingsError
from accountd.sinks import make
from accountd.sinks.base import Message

TEXT = "This is a test of accountd. Nothing has happened."
FILL = {
    "market": "usdm", "symbol": "BTCUSDT", "order_id": "1", "client_order_id": "test", "trade_id": "1",
    "side": "BUY", "position_side": "BOTH", "price": "50000.10", "quantity": "0.002",
    "quote_quantity": "100.0002", "commission": "0.04", "commission_asset": "USDT", "realized_pnl": "0",
    "is_maker": False, "source": "stream", "order_status": "FILLED", "filled_quantity": "0.002",
    "order_quantity": "0.002", "late": False, "late_by": None, "test": True,
}  # fmt: skip


async def send_sample(name: str, hook: Hook, kind: str, now: datetime) -> tuple[str, float]:
    """Send one message to a hook; return its id and how many seconds that took.

    Raises:
        SinkError: the hook has not taken it.
        SettingsError: there is no sample of that type.
    """
    data: dict[str, Any]
    if kind == "fill":
        data = {**FILL, "traded_at": now}
    elif kind == "test":
        data = {"text": TEXT}
    else:
        raise SettingsError(f"--type: {kind!r} is not allowed: fill or test")
    alert = Alert(type=kind, identity=("test", now.isoformat()), at=now, data=data)
    sample = Message(
        id=message_id(name, kind, "", "", alert.identity), type=kind, body=body(alert, "", "").encode(),
        attempted_at=now,
    )  # fmt: skip
    sink = make(hook)
    started = time.perf_counter()
    try:
        await sink.send(sample)
    finally:
        await sink.close()
    return sample.id, time.perf_counter() - started
