"""The shapes of Binance futures user-data events; attributes keep the venue's own letters.

Venue pages: derivatives/{usds-margined-futures,coin-margined-futures,portfolio-margin}/user-data-streams
and their Event-* pages. What has no default is what an event makes no sense without; unknown fields are
ignored. ``fs`` is the business unit (UM or CM), which only a portfolio margin account's events name.
"""

from __future__ import annotations

from decimal import Decimal

import msgspec


class OrderBody(msgspec.Struct, gc=False):
    """`o` of ORDER_TRADE_UPDATE; the attributes are the venue's letters."""

    s: str
    i: int | str
    X: str
    T: int
    c: str | None = None
    S: str | None = None
    o: str | None = None
    f: str | None = None
    q: Decimal | None = None
    p: Decimal | None = None
    ap: Decimal | None = None
    sp: Decimal | None = None
    x: str | None = None
    l: Decimal | None = None  # noqa: E741  # the venue's name
    z: Decimal | None = None
    L: Decimal | None = None
    N: str | None = None
    n: Decimal | None = None
    t: int | str | None = None
    m: bool | None = None
    R: bool | None = None
    ps: str | None = None
    rp: Decimal | None = None
    er: int | str | None = None


class OrderUpdate(msgspec.Struct, tag="ORDER_TRADE_UPDATE", tag_field="e", gc=False):
    """An order changed, or traded."""

    E: int
    o: OrderBody
    fs: str | None = None


class BalanceBody(msgspec.Struct, gc=False):
    """One asset of ACCOUNT_UPDATE."""

    a: str
    wb: Decimal


class PositionBody(msgspec.Struct, gc=False):
    """One position of ACCOUNT_UPDATE."""

    s: str
    pa: Decimal
    ps: str
    ep: Decimal | None = None
    bep: Decimal | None = None
    up: Decimal | None = None
    mt: str | None = None


class AccountBody(msgspec.Struct, gc=False):
    """`a` of ACCOUNT_UPDATE."""

    m: str | None = None
    B: list[BalanceBody] | None = None
    P: list[PositionBody] | None = None
    S: str | None = None


class AccountUpdate(msgspec.Struct, tag="ACCOUNT_UPDATE", tag_field="e", gc=False):
    """Wallet balances and positions, absolute, those that changed."""

    E: int
    a: AccountBody
    fs: str | None = None
    T: int | None = None


class AlgoBody(msgspec.Struct, gc=False):
    """`o` of ALGO_UPDATE (`ao` on portfolio margin)."""

    s: str
    aid: int | str
    X: str
    caid: str | None = None
    o: str | None = None
    S: str | None = None
    ps: str | None = None
    f: str | None = None
    q: Decimal | None = None
    ai: int | str = ""
    ap: Decimal | None = None
    aq: Decimal | None = None
    tp: Decimal | None = None
    p: Decimal | None = None
    R: bool | None = None
    rm: str | None = None


class AlgoUpdate(msgspec.Struct, tag="ALGO_UPDATE", tag_field="e", gc=False):
    """A conditional order changed."""

    E: int
    fs: str | None = None
    T: int | None = None
    o: AlgoBody | None = None
    ao: AlgoBody | None = None


class TradeLite(msgspec.Struct, tag="TRADE_LITE", tag_field="e", gc=False):
    """A trade, told early and in part; ORDER_TRADE_UPDATE follows."""

    E: int
    s: str
    i: int | str = ""
    t: int | str = ""


class LeverageBody(msgspec.Struct, gc=False):
    """`ac` of ACCOUNT_CONFIG_UPDATE."""

    s: str
    l: Decimal  # noqa: E741  # the venue's name


class ConfigUpdate(msgspec.Struct, tag="ACCOUNT_CONFIG_UPDATE", tag_field="e", gc=False):
    """Leverage of a symbol, or the account's multi-assets mode."""

    E: int
    fs: str | None = None
    T: int | None = None
    ac: LeverageBody | None = None
    ai: msgspec.Raw = msgspec.Raw(b"null")


class MarginCall(msgspec.Struct, tag="MARGIN_CALL", tag_field="e", gc=False):
    """Positions are close to liquidation."""

    E: int
    p: msgspec.Raw = msgspec.Raw(b"[]")
    cw: msgspec.Raw = msgspec.Raw(b"null")


class StrategyUpdate(msgspec.Struct, tag="STRATEGY_UPDATE", tag_field="e", gc=False):
    """A strategy of the venue's own bots."""

    E: int
    su: msgspec.Raw = msgspec.Raw(b"{}")


class GridUpdate(msgspec.Struct, tag="GRID_UPDATE", tag_field="e", gc=False):
    """A grid of the venue's own bots; deprecated."""

    E: int
    gu: msgspec.Raw = msgspec.Raw(b"{}")


class TriggerReject(msgspec.Struct, tag="CONDITIONAL_ORDER_TRIGGER_REJECT", tag_field="e", gc=False):
    """A conditional order was refused; deprecated for ALGO_UPDATE's ``rm``."""

    E: int
    or_: msgspec.Raw = msgspec.field(name="or", default=msgspec.Raw(b"{}"))


class KeyExpired(msgspec.Struct, tag="listenKeyExpired", tag_field="e", gc=False):
    """The listen key is dead; the socket stays open and silent."""

    E: int | None = None
    listenKey: str | None = None
