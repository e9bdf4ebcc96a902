"""Money that came to the spot wallet and went from it, as Binance's wallet API tells it.

Venue pages: docs/wallet capital (deposit and withdraw history) and asset (transfer, dribblet, dividend).
What does not exist in an environment, or is not for this key, is said and stops nothing else.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta

import msgspec

from accountd.errors import BadRequest, Banned, KeyRefused, RateLimited, VenueGone, VenueUnavailable
from accountd.venues.base import Call, Flow, Page, Reply, Swept, Window, to_ms
from accountd.venues.binance import sapi_pool, sapi_pools
from accountd.venues.binance_asking import Asked, Asking, Params
from accountd.venues.paging import Question, by_time, fetch

DEPOSITS = "/sapi/v1/capital/deposit/hisrec"
WITHDRAWALS = "/sapi/v1/capital/withdraw/history"
MOVES = "/sapi/v1/asset/transfer"
DUST = "/sapi/v1/asset/dribblet"
DIVIDENDS = "/sapi/v1/asset/assetDividend"

SECOND = timedelta(seconds=1)
SPANS = {"deposits": 90, "withdrawals": 90, "dividends": 180}  # days that one question may span
LIMITS = {"deposits": 1000, "withdrawals": 1000, "dividends": 500}
UNDER_WAY = timedelta(
    days=14
)  # a deposit or withdrawal is told by its beginning, and only when it is through
MOVES_A_PAGE = 100
MOST_PAGES = 100
MOVES_SPAN = timedelta(days=30)
DUST_ROWS = 100  # the venue shows no more
NOT_HERE = (404, 410)
DIRECTIONS = (
    "MAIN_UMFUTURE", "UMFUTURE_MAIN", "MAIN_CMFUTURE", "CMFUTURE_MAIN", "MAIN_MARGIN", "MARGIN_MAIN",
    "MAIN_FUNDING", "FUNDING_MAIN", "MAIN_OPTION", "OPTION_MAIN", "MAIN_PORTFOLIO_MARGIN",
    "PORTFOLIO_MARGIN_MAIN",
)  # fmt: skip
PARTS = ("deposits", "moves", "dust", "dividends", "withdrawals")
TABLE = {
    "deposits": Asked(path=DEPOSITS, weight=1, pool=sapi_pool(DEPOSITS), base="sapi"),
    "withdrawals": Asked(path=WITHDRAWALS, weight=18_000, pool=sapi_pool(WITHDRAWALS), base="sapi"),
    "moves": Asked(path=MOVES, weight=1, pool=sapi_pool(MOVES), base="sapi"),
    "dust": Asked(path=DUST, weight=1, pool=sapi_pool(DUST), base="sapi"),
    "dividends": Asked(path=DIVIDENDS, weight=10, pool=sapi_pool(DIVIDENDS), base="sapi"),
}
POOLS = sapi_pools((DEPOSITS, MOVES, DUST, DIVIDENDS), (WITHDRAWALS,))


class Wallet:
    """Reads the movements of one wallet. ``parts`` are the histories that the venue has.

    What an environment turned out not to have is not asked for again.
    """

    def __init__(self, asking: Asking, parts: Iterable[str] = PARTS) -> None:
        self.asking = asking
        self.parts = tuple(parts)
        self.absent: set[str] = set()
        self.closed: set[str] = set()  # directions of transfers that the venue does not know

    def transfers(self, start: datetime, end: datetime) -> Flow[Swept]:
        """Tell every movement of a window, one history after the other."""
        swept = Swept(absent=sorted(self.absent))
        for part in self.parts:
            if part in self.absent:
                continue
            try:
                seen = yield from self._part(part, start, end)
            except (BadRequest, KeyRefused, VenueGone) as refusal:
                if refusal.status in (*NOT_HERE, None):
                    self.absent.add(part)
                    swept.absent = sorted(self.absent)
                    continue
                swept.unproven.append(Window(start=start, end=end, reason=f"the venue refuses {part}"))
                continue
            except Banned:  # the whole address
                raise
            except (VenueUnavailable, RateLimited) as refusal:  # one history must not hold up the others
                if isinstance(refusal, RateLimited) and refusal.status is None:
                    swept.postponed = True  # nobody was asked: there is no weight for it now
                    continue
                swept.unproven.append(Window(start=start, end=end, reason=f"no answer about {part}"))
                continue
            swept.rows += seen.rows
            swept.calls += seen.calls
            swept.unproven += seen.unproven
        return swept

    def _part(self, part: str, start: datetime, end: datetime) -> Flow[Swept]:
        if part == "moves":
            return (yield from self._moves(start, end))
        if part == "dust":
            return (yield from self._dust(start, end))
        if part in ("deposits", "withdrawals"):
            start -= UNDER_WAY
        span = timedelta(days=SPANS[part]) - SECOND
        limit = LIMITS[part]

        def ask(start_ms: int, end_ms: int) -> Call:
            times = (("startTime", str(start_ms)), ("endTime", str(end_ms)), ("limit", str(limit)))
            call = self.asking.call(part, times)
            # Ten of these a minute are allowed: what is not answered waits for the next sweep.
            return msgspec.structs.replace(call, once=True, now=True) if part == "withdrawals" else call

        question = Question(ask=ask, read=self.read, limit=limit, max_window=span)
        return (yield from by_time(question, to_ms(start), to_ms(end)))

    def read(self, call: Call, reply: Reply) -> Page:
        """Return a reply as a page that knows how many rows it has: some of them tell nothing yet."""
        page = self.asking.read(call, reply)
        page.rows = self.asking.pages.count(call.kind, reply.body)
        return page

    def _moves(self, start: datetime, end: datetime) -> Flow[Swept]:
        """Tell transfers between wallets: one direction at a time, newest pages first."""
        swept = Swept()
        for direction in DIRECTIONS:
            if direction in self.closed:
                continue
            begin = start
            try:
                while begin <= end:
                    stop = min(end, begin + MOVES_SPAN)
                    yield from self._direction(direction, begin, stop, swept)
                    begin = stop + SECOND / 1000
            except BadRequest as refusal:
                if refusal.status in (*NOT_HERE, None):
                    raise
                self.closed.add(direction)
        return swept

    def _direction(self, direction: str, start: datetime, end: datetime, swept: Swept) -> Flow[None]:
        for current in range(1, MOST_PAGES + 1):
            params: Params = (
                ("type", direction), ("startTime", str(to_ms(start))), ("endTime", str(to_ms(end))),
                ("current", str(current)), ("size", str(MOVES_A_PAGE)),
            )  # fmt: skip
            page = yield from fetch(self.asking.call("moves", params), self.read, swept)
            if page.size < MOVES_A_PAGE:
                return
        swept.unproven.append(Window(start=start, end=end, reason=f"more transfers {direction} than pages"))

    def _dust(self, start: datetime, end: datetime) -> Flow[Swept]:
        swept = Swept()
        times = (("startTime", str(to_ms(start))), ("endTime", str(to_ms(end))))
        page = yield from fetch(self.asking.call("dust", times), self.read, swept)
        if page.size >= DUST_ROWS:
            swept.unproven.append(Window(start=start, end=end, reason="more conversions than are shown"))
        return swept
