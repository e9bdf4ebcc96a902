"""The events of Binance margin: those of spot, told by lane, and the cross account's risk.

Venue pages: docs/margin_trading trade-data-stream and risk-data-stream. The trade events are spot's and
name no account: only the subscription's number tells an isolated pair from another.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import msgspec

from accountd.core.told import Notice, Told
from accountd.venues.base import Decoded, moment
from accountd.venues.binance_margin_rows import ISOLATED, pair_asset
from accountd.venues.binance_spot_events import Reader, SpotEvents
from accountd.venues.binance_spot_wire import AccountPosition
from accountd.venues.wire import check

# Levels of the margin that need nobody's attention, and the one at which the venue trades by force.
QUIET = ("NORMAL", "EXCESSIVE")
FORCED = "FORCE_LIQUIDATION"


class MarginLevel(msgspec.Struct, tag="MARGIN_LEVEL_STATUS_CHANGE", tag_field="e", gc=False):
    """The margin level of the cross account crossed a bar."""

    E: int
    s: str
    l: Decimal | None = None  # noqa: E741  # the venue's name


class LiabilityChange(msgspec.Struct, tag="USER_LIABILITY_CHANGE", tag_field="e", gc=False):
    """The cross account owes more or less: a loan, a repayment, interest."""

    E: int
    a: str
    t: str = ""
    p: Decimal | None = None
    i: Decimal | None = None


class MarginEvents(SpotEvents):
    """Reads the events of the cross account, or of the isolated ones by lane."""

    def readers(self) -> dict[type, Reader]:
        """Return what reads each event; it is told the lane too."""
        readers: dict[type, Any] = {MarginLevel: self.level, LiabilityChange: self.liability}
        return {**super().readers(), **readers}

    def balances(self, event: AccountPosition, lane: str = "") -> Decoded:
        """Tell the balances that the event names; of a pair that is not known, only that some moved."""
        if self.market == ISOLATED and not lane:
            made = moment(event.E)
            detail = {"assets": [row.a for row in event.B]}
            told: list[Told] = [Notice(kind="balance.hint", market=self.market, detail=detail, at=made)]
            return Decoded(kind="outboundAccountPosition", event_time=made, told=told)
        return super().balances(event, lane)

    def level(self, event: MarginLevel, lane: str = "") -> Decoded:
        """Tell a margin call; a level that is normal again calls nobody."""
        check(event.l)
        made = moment(event.E)
        detail = {"status": event.s, "margin_level": None if event.l is None else f"{event.l:f}"}
        kinds = ["leftover"] if event.s in QUIET else ["margin.call"]
        if event.s == FORCED:
            kinds.append("liquidation.level")
        told: list[Told] = [Notice(kind=kind, market=self.market, detail=detail, at=made) for kind in kinds]
        return Decoded(kind="MARGIN_LEVEL_STATUS_CHANGE", event_time=made, told=told)

    def liability(self, event: LiabilityChange, lane: str = "") -> Decoded:
        """Hint at a loan, a repayment or interest; the histories tell how much it was."""
        check(event.p, event.i)
        made = moment(event.E)
        owed = {"principal": event.p, "interest": event.i}
        detail = {"asset": event.a, "reason": event.t}
        detail |= {name: f"{amount:f}" for name, amount in owed.items() if amount is not None}
        told: list[Told] = [Notice(kind="balance.hint", market=self.market, detail=detail, at=made)]
        return Decoded(kind="USER_LIABILITY_CHANGE", event_time=made, told=told)


def margin_events(market: str) -> MarginEvents:
    """Return the reader of one market's events."""
    return MarginEvents(market, pair_asset)
