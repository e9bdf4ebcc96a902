"""Binance isolated margin: an account, and a subscription, for each pair that the owner has opened.

Venue pages: docs/margin_trading. A balance is named by its pair and its asset (``BTCUSDT:USDT``): the same
asset is a different balance in every pair. The risk stream is of cross margin only.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from types import MappingProxyType

from accountd.venues.base import AccountState, Call, Flow
from accountd.venues.binance_asking import Asked, Asking
from accountd.venues.binance_margin import TOKEN, MarginVenue, keyed, pools_of
from accountd.venues.binance_margin_rows import ISOLATED
from accountd.venues.binance_margin_section import IsolatedSection, table
from accountd.venues.binance_spot import RIGHTS
from accountd.venues.doors import StreamOptions


class BinanceIsolatedMargin(MarginVenue):
    """The venue file of Binance isolated margin; see `Venue` for what each verb promises."""

    name = "binance-isolated-margin"
    market = ISOLATED
    keys = (TOKEN,)
    table: Mapping[str, Asked] = MappingProxyType({**table("isolated/account"), "rights": RIGHTS})
    pools = pools_of(table, keys)
    section: IsolatedSection

    def market_of(self, asking: Asking) -> IsolatedSection:
        """Return the market that is read through ``asking``."""
        return IsolatedSection(self.market, asking, self.events.routed)

    def lanes(self, options: StreamOptions) -> Flow[tuple[str, ...]]:
        """Return the pairs that have an account: those that the venue lists, and of those in settings."""
        return (yield from self.section.open_pairs(options.symbols))

    def token_call(self, lane: str) -> Call:
        """Return the call that makes a token of one pair."""
        return keyed("POST", TOKEN, "listen_token", (("isIsolated", "true"), ("symbol", lane)))

    def snapshot(self, lag: timedelta) -> Flow[AccountState]:
        """Tell the balances of all pairs as of ``lag`` ago (10 weight)."""
        page = yield from self.asking.page("account", lag)
        return AccountState(modes=(f"{self.section.take(page.reply)} isolated pairs",))
