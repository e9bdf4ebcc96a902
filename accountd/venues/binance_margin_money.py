"""Money of a margin account that moved without a trade: loans, interest, transfers, and what else flowed.

Venue pages: docs/margin_trading borrow-and-repay, transfer, account (capital flow). Pages of ``current``
and ``size`` come newest first; the capital flow comes oldest first, a week at a time.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta

import msgspec

from accountd.errors import BadRequest, KeyRefused, VenueGone, VenueUnavailable
from accountd.venues.base import MILLISECOND, Call, Flow, Page, Reply, Swept, Window, to_ms
from accountd.venues.binance_asking import NO_LAG, Asking, Params
from accountd.venues.paging import Question, by_time, fetch
from accountd.venues.wire import UNREADABLE

WEEK = timedelta(days=7) - timedelta(seconds=1)
MONTH = timedelta(days=30) - timedelta(seconds=1)
ROWS = 100
FLOW_ROWS = 1000
MOST_PAGES = 100
# Each history in pages: how wide one question may be, and what it asks for beside the window.
PAGED: tuple[tuple[str, timedelta, Params], ...] = (
    ("moves", MONTH, ()),
    ("loans", WEEK, (("type", "BORROW"),)),
    ("repayments", WEEK, (("type", "REPAY"),)),
    ("interest", MONTH, ()),
)


class _Asset(msgspec.Struct):
    asset: str = ""


_assets = msgspec.json.Decoder(list[_Asset])


class MarginMoney:
    """Reads the movements of the cross account, or of one isolated pair.

    ``moved`` collects the assets that the capital flow names: trades leave rows there.
    """

    def __init__(self, asking: Asking) -> None:
        self.asking = asking
        self.moved: set[str] = set()

    def transfers(self, start: datetime, end: datetime, pair: str = "") -> Flow[Swept]:
        """Tell every movement of a window; a history that is refused or silent stops no other."""
        swept = Swept()
        for kind, span, params in PAGED:
            history = self._paged(kind, span, params, start, end, pair)
            swept = swept.plus((yield from self._guarded(kind, history, start, end)))
        flows = by_time(self._capital_flow(pair), to_ms(start), to_ms(end))
        return swept.plus((yield from self._guarded("capital_flow", flows, start, end)))

    def _guarded(self, kind: str, history: Flow[Swept], start: datetime, end: datetime) -> Flow[Swept]:
        try:
            return (yield from history)
        except (BadRequest, KeyRefused, VenueGone):
            reason = f"the venue refuses {kind}"
        except VenueUnavailable:  # one history that does not answer must not hold up the others
            reason = f"no answer about {kind}"
        return Swept(unproven=[Window(start=start, end=end, reason=reason)])

    def _paged(self, kind: str, span: timedelta, params: Params, start: datetime, end: datetime,
               pair: str) -> Flow[Swept]:  # fmt: skip
        swept = Swept()
        of_pair: Params = (("isolatedSymbol", pair),) if pair else ()
        for begin, stop in _windows(start, end, span):
            times = (("startTime", str(to_ms(begin))), ("endTime", str(to_ms(stop))))
            for current in range(1, MOST_PAGES + 1):
                page_of = (("current", str(current)), ("size", str(ROWS)))
                call = self._call(kind, (*params, *of_pair, *times, *page_of), pair)
                page = yield from fetch(call, self._read, swept)
                if page.size < ROWS:
                    break
            else:
                swept.unproven.append(Window(start=begin, end=stop, reason=f"more {kind} than pages"))
        return swept

    def _capital_flow(self, pair: str) -> Question:
        of_pair: Params = (("symbol", pair),) if pair else ()

        def ask(start_ms: int, end_ms: int) -> Call:
            times = (("startTime", str(start_ms)), ("endTime", str(end_ms)), ("limit", str(FLOW_ROWS)))
            return self._call("capital_flow", (*of_pair, *times), pair)

        return Question(ask=ask, read=self._read, limit=FLOW_ROWS, max_window=WEEK)

    def _call(self, kind: str, params: Params, pair: str) -> Call:
        call = self.asking.call(kind, params)
        return msgspec.structs.replace(call, kind=f"{kind}@{pair}") if pair else call

    def _read(self, call: Call, reply: Reply) -> Page:
        """Return a page that knows how many rows it has: much of the capital flow tells nothing."""
        page = self.asking.read(call, reply, NO_LAG)
        page.rows = self.asking.pages.count(call.kind, reply.body)
        if call.kind.startswith("capital_flow"):
            try:
                self.moved.update(row.asset for row in _assets.decode(reply.body) if row.asset)
            except UNREADABLE:  # the page said so itself
                return page
        return page


def _windows(start: datetime, end: datetime, span: timedelta) -> Iterator[tuple[datetime, datetime]]:
    begin = start
    while begin <= end:
        stop = min(end, begin + span)
        yield begin, stop
        begin = stop + MILLISECOND
