"""Which hooks want an alert, under which id, and with which frozen body."""

import json
import re
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal

import pytest

from accountd.config import Hook
from accountd.core.alerts import HookWish, batch, body, message_id, rows, time_text, wishes
from accountd.core.changes import Alert

AT = datetime(2026, 11, 1, 12, 0, 0, 120_000, tzinfo=UTC)
NOW = datetime(2026, 11, 1, 12, 0, 1, tzinfo=UTC)
ALL = HookWish("ops", frozenset({"*"}))


def fill(**changes):
    settings = {
        "type": "fill",
        "identity": ("usdm", "BTCUSDT", "7"),
        "at": AT,
        "data": {"market": "usdm", "price": Decimal("1E-8"), "traded_at": AT},
        "order_key": "usdm:BTCUSDT:1",
    }
    return Alert(**{**settings, **changes})


def ring(alert, *hooks):
    return rows(alert, "binance-usdm", "main", hooks, NOW)


def test_one_row_for_each_hook_that_wants_it():
    """Type and account decide; `*` means all."""
    hooks = [
        ALL,
        HookWish("fills", frozenset({"fill"})),
        HookWish("orders", frozenset({"order.new"})),
        HookWish("others", frozenset({"*"}), frozenset({"second"})),
        HookWish("mine", frozenset({"*"}), frozenset({"main"})),
    ]
    assert [row.hook for row in ring(fill(), *hooks)] == ["ops", "fills", "mine"]


def test_a_row_is_pending_and_due_at_once():
    """A new row knows its account, its order, and that nothing was tried yet."""
    (row,) = ring(fill(), ALL)
    assert (row.account_id, row.status, row.attempts, row.reason) == ("main", "pending", 0, None)
    assert (row.created_at, row.next_attempt_at, row.order_key) == (NOW, NOW, "usdm:BTCUSDT:1")


def test_body_is_the_contract():
    """Type, timestamp of the event, data with account and venue; money in plain digits, no blanks."""
    assert body(fill(), "binance-usdm", "main") == (
        '{"type":"fill","timestamp":"2026-11-01T12:00:00.120Z","data":{"account":"main","venue":"binance-usdm",'
        '"market":"usdm","price":"0.00000001","traded_at":"2026-11-01T12:00:00.120Z"}}'
    )


def test_body_writes_nested_values_plainly():
    """Decimals inside lists and objects are written like those outside."""
    data = {"detail": {"sizes": [Decimal("1E+2"), Decimal("-0.00")], "n": 3, "ok": True, "none": None}}
    told = json.loads(body(fill(data=data), "v", "a"))["data"]["detail"]
    assert told == {"sizes": ["100", "0.00"], "n": 3, "ok": True, "none": None}


def test_a_float_is_refused():
    """Money that has become a float never leaves."""
    with pytest.raises(TypeError):
        body(fill(data={"price": 0.1}), "v", "a")


@pytest.mark.parametrize(
    ("moment", "text"),
    [
        (AT.replace(microsecond=0), "2026-11-01T12:00:00.000Z"),
        (AT.replace(microsecond=120_001), "2026-11-01T12:00:00.120001Z"),
        (AT.astimezone(timezone(timedelta(hours=2))), "2026-11-01T12:00:00.120Z"),
    ],
)
def test_times_are_utc_with_z(moment, text):
    """Milliseconds are enough where there are no microseconds."""
    assert time_text(moment) == text


def test_id_is_stable_and_without_dots():
    """The same event has the same id for ever: this value must never change."""
    first = ring(fill(), ALL)[0].message_id
    assert first == message_id("ops", "fill", "binance-usdm", "main", ("usdm", "BTCUSDT", "7"))
    assert first == "msg_m7xevd3rqatpchtdqzii2xnvokre7axu"
    assert re.fullmatch("msg_[a-z2-7]{32}", first)


def test_id_does_not_depend_on_what_told_it():
    """A fill told by REST later, with other data, has the id that the stream gave it."""
    later = fill(data={"late": True}, at=AT + timedelta(hours=1))
    assert ring(later, ALL)[0].message_id == ring(fill(), ALL)[0].message_id


def test_ids_differ_wherever_anything_differs():
    """Parts carry their lengths, so shifting a character between them makes another id."""
    parts = [
        ("ops", "fill", "v", "a", ("x", "yz")),
        ("ops", "fill", "v", "a", ("xy", "z")),
        ("ops", "fill", "v", "a", ("xyz",)),
        ("op", "sfill", "v", "a", ("x", "yz")),
        ("ops", "fill", "va", "", ("x", "yz")),
        ("ops", "fill", "v", "a", ("x", "yz", "")),
        ("ops", "fill", "v", "a", ("1:x", "yz")),
    ]
    assert len({message_id(*each) for each in parts}) == len(parts)


def test_history_rings_only_where_asked():
    """Backfill makes no row, unless the hook asks; then the body says that it is a replay."""
    asks = HookWish("archive", frozenset({"*"}), replay=True)
    (row,) = ring(fill(backfill=True), ALL, asks)
    assert row.hook == "archive"
    assert json.loads(row.body)["data"]["replayed"] is True
    assert "replayed" not in json.loads(ring(fill(), asks)[0].body)["data"]


def test_wishes_are_read_from_the_settings():
    """A hook's ON, ACCOUNTS and BACKFILL become its wish."""
    hook = Hook(type="log", on=["fill", "transfer"], accounts=["main"], backfill="send")
    assert wishes({"ops": hook}) == [
        HookWish("ops", frozenset({"fill", "transfer"}), frozenset({"main"}), True)
    ]


def test_a_batch_keeps_its_order():
    """Rows of one transaction are a microsecond apart in the order of their alerts, all hooks alike."""
    alerts = [fill(identity=(str(n),)) for n in range(3)]
    made = batch(alerts, "v", "main", [ALL, HookWish("log", frozenset({"*"}))], NOW)
    ticks = [(row.created_at - NOW) // timedelta(microseconds=1) for row in made]
    assert ticks == [0, 0, 1, 1, 2, 2]
