"""One REST request as an endpoint sees it: whose it is, what it asks for, and which windows are allowed."""

from bisect import bisect_left, bisect_right
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from accountd.sim import refusals
from accountd.sim.clock import DAY_MS
from accountd.sim.exchange import Exchange
from accountd.sim.model import Account, Symbol
from accountd.sim.snapshots import Snapshot

WEEK_MS = 7 * DAY_MS

T = TypeVar("T")


@dataclass
class Parameters:
    """The decoded parameters of a request."""

    params: dict[str, str]

    def number(self, name: str) -> int | None:
        """Return an integer parameter, None if absent; Refused -1130 if it is no number."""
        text = self.params.get(name)
        if text is None or text == "":
            return None
        if not text.removeprefix("-").isdigit():
            raise refusals.bad_value(name)
        return int(text)

    def limit(self, default: int, largest: int, name: str = "limit") -> int:
        """Return `limit`; Refused -1130 outside 1..largest."""
        limit = self.number(name)
        if limit is None:
            return default
        if not 1 <= limit <= largest:
            raise refusals.bad_value(name)
        return limit


@dataclass
class Query(Parameters):
    """A request that passed all checks; `as_of_ms` is set when the answer must be stale."""

    exchange: Exchange
    account: Account
    as_of_ms: int | None = None

    @property
    def snapshot(self) -> Snapshot:
        """Return the account as this request sees it."""
        return Snapshot(self.exchange, self.account, self.as_of_ms)

    def symbol(self, *, mandatory: bool = False) -> Symbol | None:
        """Return the symbol asked for; Refused -1102 if it must be there, -1121 if unknown."""
        name = self.params.get("symbol")
        if not name:
            if mandatory:
                raise refusals.missing("symbol")
            return None
        if name not in self.exchange.symbols:
            raise refusals.invalid_symbol()
        return self.exchange.symbols[name]

    def the_symbol(self) -> Symbol:
        """Return the mandatory symbol; Refused -1102 or -1121."""
        symbol = self.symbol(mandatory=True)
        if symbol is None:
            raise refusals.missing("symbol")
        return symbol

    def window(self, span_ms: int | None = WEEK_MS, keep_days: int = 90) -> tuple[int, int]:
        """Return startTime and endTime, both inclusive, in ms; the last 7 days by default.

        Nothing older than `keep_days` is told. Refused -1127 if the window is longer than `span_ms`.
        """
        start, end = self.number("startTime"), self.number("endTime")
        now = self.exchange.clock.now()
        if start is None:
            start = (now if end is None else end) - WEEK_MS
        if end is None:
            end = now if span_ms is None else min(start + span_ms, now + WEEK_MS)
        if end < start:
            raise refusals.bad_value("endTime")
        if span_ms is not None and end - start > span_ms:
            raise refusals.window_too_big(span_ms // 3_600_000)
        return max(start, now - keep_days * DAY_MS), end if self.as_of_ms is None else min(end, self.as_of_ms)

    def page(self, rows: list[T], limit: int, *, first: bool | None = None) -> list[T]:
        """Cut ascending rows to a page: the first ones if the request says where to start, else the last."""
        from_start = first if first is not None else bool(self.params.get("startTime"))
        return rows[:limit] if from_start else rows[-limit:]


def between(rows: list[T], start: int, end: int, key: Callable[[T], int]) -> list[T]:
    """Return the rows of an ascending list whose key lies in start..end, both inclusive."""
    return rows[bisect_left(rows, start, key=key) : bisect_right(rows, end, key=key)]
