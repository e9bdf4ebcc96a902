"""The pictures of the pages, read from the record and kept for a moment, so that looking costs little."""

import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import CancelledError, Future
from concurrent.futures import TimeoutError as NotYet
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, TypeVar

from accountd.errors import AccountdError
from accountd.store import queries, query_feed
from accountd.web import picture
from accountd.web.picture import Bars, Lane, Line, Stretch
from accountd.web.record import Look, Record

T = TypeVar("T")
Sum = tuple[float, dict[str, Bars]]  # how many seconds it took, and what it is
KEPT = 20.0  # seconds that a picture is good for
SUMS_KEPT = 60.0  # seconds that a sum over many fills is, at least
SUMS_SHARE = 20  # how many times as long as it took
SUMS_WAIT = 0.1  # seconds that the page that wants one first waits for it
MOST_KEPT = 500
POINTS = 120
STRETCHES = 400  # holes of one lane that are drawn at most
WINDOWS = {
    "1d": timedelta(days=1),
    "7d": timedelta(days=7),
    "30d": timedelta(days=30),
    "90d": timedelta(days=90),
}
DATASETS = ("orders", "algo_orders", "fills", "transfers", "balances", "positions")


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """The stretch of time that pictures show."""

    name: str
    since: datetime
    until: datetime

    @classmethod
    def named(cls, name: str, now: datetime) -> "Window":
        """Return the window that ends at `now`; an unknown name means a week."""
        name = name if name in WINDOWS else "7d"
        return cls(name=name, since=now - WINDOWS[name], until=now)


@dataclass(frozen=True, slots=True, kw_only=True)
class Course:
    """The course of one balance; `line` is None while there is nothing to draw."""

    account: str
    market: str
    asset: str
    line: Line | None
    with_positions: bool


class Pictures:
    """Draws, and remembers for some seconds what was drawn."""

    def __init__(self, record: Record | None = None, clock: Callable[[], float] = time.monotonic) -> None:
        self._record = record
        self._clock = clock
        self._sums: dict[tuple[Any, ...], Future[Sum]] = {}
        self._kept: dict[tuple[Any, ...], tuple[float, Any]] = {}  # until when, and what was drawn
        self._lock = threading.Lock()

    def equity(self, look: Look, which: Sequence[tuple[str, str, str]], window: Window) -> list[Course]:
        """Return the course of each (account, market, asset)."""
        return [self._keep(("equity", *one, window.name), lambda one=one: _course(look, one, window))  # type: ignore[misc]
                for one in which]  # fmt: skip

    def pnl(self, account_id: str | None, window: Window) -> dict[str, Bars] | None:
        """Return profit by day for each asset; None while that is being added up.

        Adding up the fills of months takes seconds: it is done beside the pages, and an old sum is shown
        until the new one is there. What took long is good for longer, so that a page that stays open keeps
        the database from little else.
        """
        key = ("pnl", account_id, window.name)
        with self._lock:
            kept: tuple[float, dict[str, Bars] | None] = self._kept.get(key, (float("-inf"), None))
            until, drawn = kept
            if self._record is None or self._clock() < until:
                return drawn
            wanted, wait = self._sums.get(key), 0.0
            if wanted is None:
                wanted = self._sums[key] = self._record.later(self._timed(account_id, window))
                wait = SUMS_WAIT if drawn is None else 0.0
        try:
            took, fresh = wanted.result(timeout=wait)
        except NotYet:
            return drawn
        except (AccountdError, CancelledError):
            took, fresh = 0.0, {} if drawn is None else drawn
        with self._lock:
            self._sums.pop(key, None)
            self._kept[key] = (self._clock() + max(SUMS_KEPT, SUMS_SHARE * took), fresh)
        return fresh

    def _timed(self, account_id: str | None, window: Window) -> Callable[[Look], Sum]:
        def add_up(look: Look) -> Sum:
            begun = self._clock()
            found = _profit(look, account_id, window)
            return self._clock() - begun, found

        return add_up

    def account_lane(self, look: Look, account_id: str, window: Window) -> Lane:
        """Return what is proven of an account, all datasets together, and where it was blind."""
        return self._keep(
            ("lane", account_id, window.name),
            lambda: _lane(look, account_id, None, look.names[account_id], window),
        )

    def dataset_lanes(self, look: Look, account_id: str, window: Window) -> list[Lane]:
        """Return one lane for each dataset of an account."""
        return self._keep(
            ("lanes", account_id, window.name),
            lambda: [_lane(look, account_id, dataset, dataset, window) for dataset in DATASETS],
        )

    def _keep(self, key: tuple[Any, ...], draw: Callable[[], T]) -> T:
        with self._lock:
            until, drawn = self._kept.get(key, (float("-inf"), None))
        if self._clock() < until:
            found: T = drawn
            return found
        fresh = draw()
        with self._lock:
            if len(self._kept) >= MOST_KEPT:
                self._kept.clear()
            self._kept[key] = (self._clock() + KEPT, fresh)
        return fresh


def _course(look: Look, which: tuple[str, str, str], window: Window) -> Course:
    points = list(queries.equity(look.conn, *which, window.since, window.until, POINTS))
    valued = bool(points) and all(point.equity is not None for point in points)
    told = [(max(p.at, window.since), (p.equity if valued else None) or p.total) for p in points]
    return Course(
        account=look.names[which[0]], market=which[1], asset=which[2],
        line=picture.line(told, window.until), with_positions=valued,
    )  # fmt: skip


def _profit(look: Look, account_id: str | None, window: Window) -> dict[str, Bars]:
    first = window.since.replace(hour=0, minute=0, second=0, microsecond=0)
    net: dict[str, dict[str, Decimal]] = {}
    for asset, day, value in query_feed.daily_net(look.conn, account_id, first.strftime("%Y-%m-%d")):
        net.setdefault(asset, {})[day] = value
    days = [(first + timedelta(days=n)) for n in range((window.until - first).days + 1)]
    found = {}
    for asset, told in sorted(net.items(), key=lambda one: -sum(map(abs, one[1].values()))):
        values = [
            (day.strftime("%d %b"), day.timestamp(), told.get(day.strftime("%Y-%m-%d"), Decimal(0)))
            for day in days
        ]
        drawn = picture.bars(values)
        if drawn is not None and any(told.values()):
            found[asset] = drawn
    return found


def _lane(look: Look, account_id: str, dataset: str | None, name: str, window: Window) -> Lane:
    """Draw what is proven first, holes over it, and the dark last."""
    since, until = window.since, window.until
    drawn: list[Stretch | None] = []
    proven = query_feed.proven(look.conn, account_id, dataset, since)
    for first, last in proven:
        drawn.append(picture.stretch(since, until, first, last, "proven", f"proven {_span(first, last)}"))
    open_gaps = 0
    for gap in query_feed.gaps_since(look.conn, account_id, dataset, since, STRETCHES):
        opened = gap["closed_at"] is None
        open_gaps += opened
        ends = gap["to_time"] or until
        kind, word = ("gap", "open gap") if opened else ("healed", "closed gap")
        text = f"{word} {_span(gap['from_time'], ends)}: {gap['reason']}"
        if not opened:
            text += f", {gap['recovered']} recovered"
        drawn.append(picture.stretch(since, until, gap["from_time"], ends, kind, text))
    for dark in query_feed.blind_since(look.conn, account_id, since, STRETCHES):
        ends = dark["to_time"] or until
        text = f"blind {_span(dark['from_time'], ends)}: {dark['reason']}"
        drawn.append(picture.stretch(since, until, dark["from_time"], ends, "blind", text))
    return Lane(
        name=name, stretches=[one for one in drawn if one], open_gaps=open_gaps,
        proven_until=max((last for _, last in proven), default=None),
    )  # fmt: skip


def _span(first: datetime, last: datetime) -> str:
    first, last = first.astimezone(UTC), last.astimezone(UTC)
    ends = last.strftime("%H:%M:%S" if first.date() == last.date() else "%d %b %H:%M:%S")
    return f"{first.strftime('%d %b %H:%M:%S')} to {ends} UTC"
