"""The risk events of Binance's portfolio margin accounts, Pro or not: figures in US dollars for people.

Venue pages: derivatives/portfolio-margin and portfolio-margin-pro, user data streams.
"""

from __future__ import annotations

from typing import Any

import msgspec

from accountd.core.told import Notice
from accountd.venues.base import Decoded, from_ms
from accountd.venues.binance_frames import Reader
from accountd.venues.wire import plain

LIQUIDATED = "FORCE_LIQUIDATION"
NONE = msgspec.Raw(b"null")
RISK = {
    "u": "uni_mmr", "s": "risk_level", "eq": "equity_usd", "ae": "actual_equity_usd",
    "m": "maintenance_margin_usd",
}  # fmt: skip
PRO = {
    "u": "uni_mmr", "eq": "equity_usd", "ae": "actual_equity_usd", "im": "initial_margin_usd",
    "mm": "maintenance_margin_usd", "avb": "available_balance_usd", "vmw": "max_withdraw_usd",
}  # fmt: skip


class RiskLevelChange(msgspec.Struct, tag="riskLevelChange", tag_field="e", gc=False):
    """The account's risk level, with its figures in US dollars."""

    E: int
    s: str
    u: msgspec.Raw = NONE
    eq: msgspec.Raw = NONE
    ae: msgspec.Raw = NONE
    m: msgspec.Raw = NONE


class UniMmrDrop(msgspec.Struct, tag="uniMMRDrop", tag_field="e", gc=False):
    """The account's margin ratio fell below what its owner set; no page names the fields yet."""

    E: int
    u: msgspec.Raw = NONE
    s: msgspec.Raw = NONE
    eq: msgspec.Raw = NONE
    ae: msgspec.Raw = NONE
    m: msgspec.Raw = NONE


class ProAccount(msgspec.Struct, tag="PM_PRO_ACCOUNT_UPDATE", tag_field="e", gc=False):
    """A Pro account in figures, every five seconds."""

    E: int
    u: msgspec.Raw = NONE
    eq: msgspec.Raw = NONE
    ae: msgspec.Raw = NONE
    im: msgspec.Raw = NONE
    mm: msgspec.Raw = NONE
    avb: msgspec.Raw = NONE
    vmw: msgspec.Raw = NONE


def risk_readers() -> dict[type, Reader]:
    """Return who reads what the Pro stream adds."""
    return {RiskLevelChange: _risk, UniMmrDrop: _drop, ProAccount: _pro}


def figures(event: msgspec.Struct, names: dict[str, str]) -> dict[str, Any]:
    """Return an event's fields under names that can be read."""
    found: dict[str, Any] = {}
    for letter, name in names.items():
        value = getattr(event, letter)
        found[name] = plain.decode(value) if isinstance(value, msgspec.Raw) else value
    return found


def _risk(event: RiskLevelChange) -> Decoded:
    made = from_ms(event.E)
    kind = "liquidation.level" if event.s == LIQUIDATED else "margin.call"
    notice = Notice(kind=kind, detail=figures(event, RISK), at=made)
    return Decoded(kind="riskLevelChange", event_time=made, told=[notice])


def _drop(event: UniMmrDrop) -> Decoded:
    made = from_ms(event.E)
    told = {name: value for name, value in figures(event, RISK).items() if value is not None}
    notice = Notice(kind="margin.call", detail={"event": "uniMMRDrop", **told}, at=made)
    return Decoded(kind="uniMMRDrop", event_time=made, told=[notice])


def _pro(event: ProAccount) -> Decoded:
    made = from_ms(event.E)
    detail = {"event": "PM_PRO_ACCOUNT_UPDATE", "body": figures(event, PRO)}
    return Decoded(
        kind="PM_PRO_ACCOUNT_UPDATE",
        event_time=made,
        told=[Notice(kind="leftover", detail=detail, at=made)],
    )
