"""The messages of Binance spot and margin as they stand on the wire; letters differ by case alone.

Venue pages: binance-spot-api-docs user-data-stream, web-socket-api and rest-api.
"""

from __future__ import annotations

from decimal import Decimal

import msgspec

from accountd.venues.wire import EXACT

NOTHING = msgspec.Raw(b"")


def total(free: Decimal, locked: Decimal) -> Decimal:
    """Return free + locked without rounding."""
    return EXACT.add(free, locked)


class ExecutionReport(msgspec.Struct, tag="executionReport", tag_field="e", gc=False):
    """An order moved. Conditional fields are None where they are not told."""

    s: str
    i: int
    x: str
    X: str
    E: int
    T: int
    c: str = ""
    C: str | None = None
    S: str | None = None
    o: str | None = None
    f: str | None = None
    q: Decimal | None = None
    p: Decimal | None = None
    P: Decimal | None = None
    F: Decimal | None = None
    g: int = -1
    r: str | None = None
    l: Decimal | None = None  # noqa: E741  # the venue's name
    z: Decimal | None = None
    L: Decimal | None = None
    n: Decimal | None = None
    N: str | None = None
    t: int = -1
    I: int | None = None  # noqa: E741
    w: bool | None = None
    m: bool | None = None
    O: int = -1  # noqa: E741
    Z: Decimal | None = None
    Y: Decimal | None = None
    Q: Decimal | None = None
    V: str | None = None
    W: int | None = None
    d: int | None = None
    D: int | None = None
    j: int | None = None
    J: int | None = None
    v: int | None = None
    A: Decimal | None = None
    B: Decimal | None = None
    u: int | None = None
    U: int | None = None
    Cs: str | None = None
    pl: Decimal | None = None
    pL: Decimal | None = None
    pY: Decimal | None = None
    b: str | None = None
    a: int | None = None
    k: str | None = None
    uS: bool | None = None
    gP: str | None = None
    gOT: str | None = None
    gOV: int | None = None
    gp: Decimal | None = None
    eR: str | None = None
    y: str | None = None


# What the conditional fields of an execution report are called; they are shown with the order.
CONDITIONAL = {
    "F": "iceberg_quantity", "g": "order_list_id", "Q": "quote_order_quantity", "d": "trailing_delta",
    "D": "trailing_time", "j": "strategy_id", "J": "strategy_type", "v": "prevented_match_id",
    "A": "prevented_quantity", "B": "last_prevented_quantity", "u": "trade_group_id",
    "U": "counter_order_id", "Cs": "counter_symbol", "pl": "prevented_execution_quantity",
    "pL": "prevented_execution_price", "pY": "prevented_execution_quote_quantity", "b": "match_type",
    "a": "allocation_id", "k": "working_floor", "uS": "used_sor", "gP": "peg_price_type",
    "gOT": "peg_offset_type", "gOV": "peg_offset_value", "gp": "pegged_price", "y": "order_capacity",
}  # fmt: skip


class Holding(msgspec.Struct, gc=False):
    """One asset of outboundAccountPosition."""

    a: str
    f: Decimal
    l: Decimal  # noqa: E741


class AccountPosition(msgspec.Struct, tag="outboundAccountPosition", tag_field="e", gc=False):
    """The balances, absolute, of assets that may have changed: some, not all."""

    E: int
    B: list[Holding]
    u: int | None = None


class BalanceUpdate(msgspec.Struct, tag="balanceUpdate", tag_field="e", gc=False):
    """Money came or went: a deposit, a withdrawal, a transfer between wallets. A difference."""

    E: int
    a: str
    d: Decimal
    T: int | None = None


class ExternalLock(msgspec.Struct, tag="externalLockUpdate", tag_field="e", gc=False):
    """Something outside locked or released a part of a balance. A difference."""

    E: int
    a: str
    d: Decimal
    T: int | None = None


class ListedOrder(msgspec.Struct, gc=False):
    """One order of a list."""

    s: str
    i: int
    c: str = ""


class ListStatus(msgspec.Struct, tag="listStatus", tag_field="e", gc=False):
    """An order list moved; its orders are told by their own reports too."""

    E: int
    s: str
    g: int
    c: str = ""
    l: str = ""  # noqa: E741
    L: str = ""
    r: str = ""
    C: str = ""
    T: int | None = None
    O: list[ListedOrder] = []  # noqa: E741


class StreamTerminated(msgspec.Struct, tag="eventStreamTerminated", tag_field="e", gc=False):
    """The venue ended one subscription."""

    E: int | None = None


class ServerShutdown(msgspec.Struct, tag="serverShutdown", tag_field="e", gc=False):
    """The venue is about to end the connection."""

    E: int | None = None


class ListenKeyExpired(msgspec.Struct, tag="listenKeyExpired", tag_field="e", gc=False):
    """The listen key is gone, where there is one; E is text in some of the venue's samples."""

    E: int | None = None
    listenKey: str | None = None


class Refusal(msgspec.Struct, gc=False):
    """The ``error`` of a WebSocket API's answer; ``data`` may say when to ask again."""

    code: int | None = None
    msg: str = ""
    data: msgspec.Raw = NOTHING


class RetryAt(msgspec.Struct, rename="camel", gc=False):
    """The ``data`` of a refusal."""

    retry_after: int | None = None
