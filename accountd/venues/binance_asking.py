"""Asking Binance's REST: a venue's table of paths and weights, and the flows that every product uses."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import timedelta

import msgspec

from accountd.core.told import Order
from accountd.errors import BadRequest
from accountd.venues.base import Call, Flow, Page, Reply, Swept
from accountd.venues.binance_pages import Pages
from accountd.venues.paging import Question, by_id, fetch, whole

NOT_THERE = (-2013, -2011)
NO_SUCH_PATH = 404
NO_LAG = timedelta(0)
ONE_BY_ONE = 16  # questions in a row that are not too slow

Params = tuple[tuple[str, str], ...]


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """Where a kind of page is asked for. ``weight`` is that of the usual form of the question.

    ``pool`` and ``base`` are named where they are not the product's own.
    """

    path: str
    weight: int
    pool: str = ""
    base: str = "rest"
    signed: bool = True


class Asking:
    """The questions of one venue, by the kind of page that answers them."""

    def __init__(self, table: Mapping[str, Asked], pool: str, pages: Pages) -> None:
        self.table = dict(table)
        self.pool = pool
        self.pages = pages

    def allowed(self, *listen_keys: str) -> frozenset[tuple[str, str]]:
        """Return every (method, path) that may be sent: reads, and the making and renewing of keys."""
        return frozenset({("GET", one.path) for one in self.table.values()}).union(
            (method, path) for path in listen_keys for method in ("POST", "PUT")
        )

    def call(self, kind: str, params: Params = (), *, weight: int | None = None, once: bool = False) -> Call:
        """Return the call of ``kind``; its weight is the usual one unless given."""
        asked = self.table[kind]
        return Call(
            method="GET",
            path=asked.path,
            kind=kind,
            pool=asked.pool or self.pool,
            weight=asked.weight if weight is None else weight,
            params=params,
            signed=asked.signed,
            base=asked.base,
            once=once,
        )

    def read(self, call: Call, reply: Reply, lag: timedelta = NO_LAG) -> Page:
        """Return a reply as a page that speaks of ``lag`` before it was fetched."""
        as_of = reply.fetched_at - lag
        told = self.pages.decode(call.kind, reply.body, as_of)
        return Page(kind=call.kind, as_of=as_of, told=told, call=call, reply=reply)

    def page(self, kind: str, lag: timedelta, params: Params = (), weight: int | None = None) -> Flow[Page]:
        """Ask for a page and have it recorded."""
        call = self.call(kind, params, weight=weight)
        return (yield from fetch(call, lambda asked, reply: self.read(asked, reply, lag), Swept()))

    def listed(
        self, kinds: tuple[str, ...], lag: timedelta, symbols: Collection[str] | None = None
    ) -> Flow[Swept]:
        """Ask for pages that list all open orders of some kind; of ``symbols`` only, one by one for a
        weight of 1, unless they are too many for that."""
        swept = Swept()
        few = None if symbols is None or len(symbols) > ONE_BY_ONE else sorted(symbols)
        for kind, symbol in [(kind, symbol) for kind in kinds for symbol in ([""] if few is None else few)]:
            params = (("symbol", symbol),) if symbol else ()
            page = yield from self.page(kind, lag, params, 1 if symbol else None)
            found = [row for row in page.told if isinstance(row, Order)]
            swept.calls += 1
            swept.rows += len(found)
            swept.symbols.update(row.symbol for row in found)
        return swept

    def single(self, kind: str, params: Params) -> Flow[bool]:
        """Ask for one order; return False when the venue does not know it any more."""
        try:
            yield from fetch(self.call(kind, params), self.read, Swept())
        except BadRequest as refusal:
            if refusal.code in NOT_THERE or refusal.status == NO_SUCH_PATH:
                return False
            raise
        return True

    def history(
        self,
        kind: str,
        symbol: str | None,
        cursor: str | None,
        limit: int,
        window: timedelta,
        weight: int | None = None,
        params: Params = (),
        most: int = 0,
    ) -> Question:
        """Return the question about a history that pages by time, and by ``cursor`` inside one symbol.

        ``most``: the numbers do not stand in the order of time, and all may be read up to so many pages.
        """
        fixed = (("symbol", symbol), *params) if symbol else params

        def ask(start_ms: int, end_ms: int) -> Call:
            times = (("startTime", str(start_ms)), ("endTime", str(end_ms)), ("limit", str(limit)))
            return self.call(kind, fixed + times, weight=weight)

        def ask_from(number: int) -> Call:
            return self.call(kind, (*fixed, (cursor or "", str(number)), ("limit", str(limit))))

        # Numbers of different symbols do not stand in the order of time.
        dense = None
        if symbol and cursor:
            read = self.read
            dense = whole(ask_from, read, limit, most) if most else by_id(ask_from, read, limit)
        return Question(ask=ask, read=self.read, limit=limit, max_window=window, symbol=symbol, dense=dense)
