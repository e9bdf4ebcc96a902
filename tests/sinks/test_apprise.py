"""Alerts as text, through Apprise to a receiver on loopback."""

import json
from datetime import UTC, datetime

import pytest

from accountd.config import Hook
from accountd.core.alerts import body
from accountd.core.changes import Alert
from accountd.errors import SinkError
from accountd.settings_hooks import ALERT_TYPES
from accountd.sinks._text import readable
from accountd.sinks.apprise import make
from accountd.sinks.base import Message
from tests.sinks.receivers import hang, receiver, status

AT = datetime(2026, 11, 1, 12, tzinfo=UTC)
FILL = {
    "market": "usdm", "symbol": "BTCUSDT", "order_id": "8", "trade_id": "7", "side": "BUY",
    "price": "50000.10", "quantity": "0.002", "quote_quantity": "100.0002", "commission": "0.04",
    "commission_asset": "USDT", "realized_pnl": "1.5", "is_maker": False, "order_status": "FILLED",
    "filled_quantity": "0.002", "order_quantity": "0.002", "late": True, "late_by": "12.5",
}  # fmt: skip
ORDER = {
    "market": "usdm", "symbol": "BTCUSDT", "order_id": "8", "side": "SELL", "order_type": "LIMIT",
    "order_quantity": "2", "filled_quantity": "1", "price": "5", "reason": "-2010",
}  # fmt: skip
OTHERS = {
    "fill": FILL, "balance.changed": {"asset": "USDT", "total": "5", "before": "4", "reason": "ORDER"},
    "position.changed": {"symbol": "BTCUSDT", "quantity": "-1", "before": "0", "entry_price": "9"},
    "transfer": {"kind": "funding_fee", "amount": "-0.1", "asset": "USDT", "transfer_id": "3"},
    "summary": {"count": 3, "reason": "rate", "types": {"fill": 3}, "symbols": {"BTCUSDT": 3}, "ids": []},
}  # fmt: skip


def alert(kind, data):
    return body(Alert(type=kind, identity=("1",), at=AT, data=data), "binance-usdm", "main").encode()


def message(kind="fill", data=FILL):
    return Message(id="msg_1", type=kind, body=alert(kind, data), attempted_at=AT)


def sink(there, **settings):
    return make(Hook(type="apprise", url=there.url.replace("http://", "json://"), **settings))


def test_a_fill_reads_like_a_sentence():
    """Side, quantity, price; what it cost and brought; and that it is late, by how much."""
    title, text, _ = readable(alert("fill", FILL))
    assert title == "BUY 0.002 BTCUSDT at 50000.10 (late by 12.5 s)"
    assert text.splitlines() == [
        "**100.0002** in quote, taker", "Commission 0.04 USDT", "Realised profit **1.5**",
        "Order `8` FILLED, 0.002 of 0.002", "_main · binance-usdm · 2026-11-01 12:00:00.000 UTC_",
    ]  # fmt: skip


@pytest.mark.parametrize("kind", [*ALERT_TYPES, "summary", "test"])
def test_every_type_has_words(kind):
    """No type of alert leaves without a title and a text."""
    order = ORDER if kind.startswith("order.") or kind == "liquidation" else {"subject": "x", "reason": "y"}
    title, text, tone = readable(alert(kind, OTHERS.get(kind, order)))
    assert title and text and tone
    assert "None" not in title + text


async def test_the_text_arrives():
    """The service gets title, text and tone."""
    async with receiver(status(200)) as there:
        out = sink(there)
        await out.send(message("stream.down", {"reason": "lost"}))
        await out.close()
    told = json.loads(there.seen[0].body)
    assert (told["title"], told["type"]) == ("Stream down: main", "failure")
    assert "reason: `lost`" in told["message"]


async def test_a_service_that_refuses_is_tried_again():
    """Apprise says no more than that it failed, so every failure is one for now."""
    async with receiver(status(500)) as there:
        out = sink(there)
        with pytest.raises(SinkError) as refusal:
            await out.send(message())
        await out.close()
    assert not refusal.value.permanent
    assert "127.0.0.1" not in str(refusal.value)


async def test_a_service_that_hangs_holds_up_nobody():
    """An attempt ends at its time-out, and leaves no thread behind for long."""
    async with receiver(hang) as there:
        out = sink(there, timeout="400ms")
        with pytest.raises(SinkError):
            await out.send(message())
        await out.close()


def test_an_address_of_no_service_is_refused_without_telling_it(settings):
    """The address of a chat holds its token, so a line about it does not show it."""
    hook = {"HOOKS__OPS__TYPE": "apprise", "HOOKS__OPS__URL": "nosuch://hushhush/token"}
    (line,) = settings.refused(hook)
    assert "hush" not in line
    assert line.startswith("ACCOUNTD_HOOKS__OPS__URL: 'nosuch://...' is not allowed: an address that Apprise")
