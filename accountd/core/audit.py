"""What coverage, gaps and findings say together: whether a record is complete, and whether it ties."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from datetime import datetime
from typing import Any

import msgspec

from accountd.core.told import DATASETS

ERROR = "error"
NEVER = "never proven"
UNSTATED = "between two proven stretches, and no gap says why"
BEFORE = "from before what is proven"
AFTER = "after the last proof"


class Stretch(msgspec.Struct, frozen=True, kw_only=True):
    """A proven stretch of time of one dataset; ``symbol`` is empty where it is of every symbol."""

    dataset: str
    market: str
    symbol: str
    start: datetime
    end: datetime
    proven_at: datetime


class Hole(msgspec.Struct, frozen=True, kw_only=True):
    """A stretch of time that is not proven; ``end`` None: it grows. ``gap_id`` None: no gap states it."""

    dataset: str
    market: str
    symbol: str
    start: datetime | None
    end: datetime | None
    reason: str
    gap_id: str | None = None
    opened_at: datetime | None = None
    closed_at: datetime | None = None
    recovered: int = 0


class Doubt(msgspec.Struct, frozen=True, kw_only=True):
    """A finding; ``start`` and ``end`` are what it speaks of, where it says so."""

    finding_id: str
    kind: str
    severity: str
    subject: str
    detail: Any
    opened_at: datetime
    resolved_at: datetime | None
    start: datetime | None
    end: datetime | None


class Dark(msgspec.Struct, frozen=True, kw_only=True):
    """A time in which the stream told nothing; ``end`` None: it goes on."""

    start: datetime
    end: datetime | None
    reason: str


class Facts(msgspec.Struct, kw_only=True):
    """What the record says about one account. ``expected`` are its (dataset, market) pairs."""

    account: str
    venue: str
    created_at: datetime
    expected: list[tuple[str, str]]
    stretches: list[Stretch] = []
    gaps: list[Hole] = []
    findings: list[Doubt] = []
    dark: list[Dark] = []


class DatasetVerdict(msgspec.Struct, kw_only=True):
    """Whether one dataset is complete up to its last proof."""

    dataset: str
    market: str
    proven_from: datetime | None
    proven_to: datetime | None
    proven_at: datetime | None
    symbols: int
    holes: list[Hole]
    closed: int
    stretches: list[Stretch]

    @property
    def complete(self) -> bool:
        """Say whether there is no hole."""
        return not self.holes


class AccountVerdict(msgspec.Struct, kw_only=True):
    """Whether one account's record is complete and ties."""

    facts: Facts
    datasets: list[DatasetVerdict]
    findings: list[Doubt]  # open
    resolved: int

    @property
    def complete(self) -> bool:
        """Say whether no dataset has a hole."""
        return all(one.complete for one in self.datasets)

    @property
    def tied(self) -> bool:
        """Say whether no finding of severity error is open."""
        return not any(one.severity == ERROR for one in self.findings)

    @property
    def holes(self) -> list[Hole]:
        """Return the holes of every dataset, by where they begin."""
        found = [hole for one in self.datasets for hole in one.holes]
        return sorted(found, key=lambda one: (one.start is not None, one.start, one.dataset, one.symbol))

    @property
    def proven_to(self) -> datetime | None:
        """Return up to when every dataset is proven."""
        ends = [one.proven_to for one in self.datasets]
        known = [end for end in ends if end is not None]
        return min(known) if known and len(known) == len(ends) else None


def account(facts: Facts, start: datetime | None = None, end: datetime | None = None) -> AccountVerdict:
    """Judge one account, up to the last proof of each dataset or, with ``start`` and ``end``, a window."""
    known = {*facts.expected, *((one.dataset, one.market) for one in facts.stretches)}
    pairs = sorted(known, key=lambda one: (one[1], _place(one[0]), one[0]))
    datasets = [_dataset(facts, dataset, market, start, end) for dataset, market in pairs]
    seen = [one for one in facts.findings if _concerns(one, start, end)]
    return AccountVerdict(
        facts=facts, datasets=datasets, findings=[one for one in seen if one.resolved_at is None],
        resolved=sum(1 for one in seen if one.resolved_at is not None),
    )  # fmt: skip


def _place(dataset: str) -> int:
    return DATASETS.index(dataset) if dataset in DATASETS else len(DATASETS)


def _concerns(found: Doubt, start: datetime | None, end: datetime | None) -> bool:
    first, last = found.start or found.opened_at, found.end or found.start or found.opened_at
    return (end is None or first < end) and (start is None or last >= start)


def _dataset(facts: Facts, dataset: str, market: str, start: datetime | None, end: datetime | None
             ) -> DatasetVerdict:  # fmt: skip
    mine = sorted((one for one in facts.stretches if (one.dataset, one.market) == (dataset, market)),
                  key=lambda one: (one.symbol, one.start))  # fmt: skip
    gaps = [gap for gap in facts.gaps if (gap.dataset, gap.market) == (dataset, market)]
    still = [gap for gap in gaps if gap.closed_at is None and _inside(gap, start, end)]
    whole = [one for one in mine if one.symbol == ""] or mine
    holes = [*still, *_unstated(mine, still, start, end)]
    if not mine:
        holes.append(Hole(dataset=dataset, market=market, symbol="", start=start, end=end, reason=NEVER))
    else:
        holes += _ends(whole, still, start, end)
    return DatasetVerdict(
        dataset=dataset, market=market, holes=holes, stretches=mine,
        proven_from=min((one.start for one in whole), default=None),
        proven_to=max((one.end for one in whole), default=None),
        proven_at=max((one.proven_at for one in mine), default=None),
        symbols=len({one.symbol for one in mine if one.symbol}),
        closed=sum(1 for gap in gaps if gap.closed_at is not None and _inside(gap, start, end)),
    )  # fmt: skip


def _inside(hole: Hole, start: datetime | None, end: datetime | None) -> bool:
    if end is not None and hole.start is not None and hole.start >= end:
        return False
    return start is None or hole.end is None or hole.end > start


def _unstated(stretches: Sequence[Stretch], gaps: Sequence[Hole], start: datetime | None,
              end: datetime | None) -> list[Hole]:  # fmt: skip
    """Find the holes between proven stretches of one symbol that no open gap covers."""
    found: list[Hole] = []
    everything = [(one.start, one.end) for one in stretches if one.symbol == ""]
    for symbol in sorted({one.symbol for one in stretches}):
        reached: Stretch | None = None
        covered = [(gap.start, gap.end) for gap in gaps if gap.symbol in ("", symbol)]
        known = covered + (everything if symbol else [])
        for one in (stretch for stretch in stretches if stretch.symbol == symbol):
            if reached is not None and one.start > reached.end:
                for left, right in _without(reached.end, one.start, known):
                    hole = Hole(
                        dataset=one.dataset, market=one.market, symbol=symbol, start=left, end=right,
                        reason=UNSTATED,
                    )  # fmt: skip
                    if _inside(hole, start, end):
                        found.append(hole)
            if reached is None or one.end > reached.end:
                reached = one
    return found


def _ends(stretches: Sequence[Stretch], gaps: Sequence[Hole], start: datetime | None, end: datetime | None
          ) -> list[Hole]:  # fmt: skip
    """Find what lies in the window that was asked for, before the first or behind the last proof."""
    first, last = min(one.start for one in stretches), max(one.end for one in stretches)
    known = [(gap.start, gap.end) for gap in gaps if gap.symbol == ""]
    dataset, market, found = stretches[0].dataset, stretches[0].market, []
    for left, right, reason in ((start, first, BEFORE), (last, end, AFTER)):
        if left is None or right is None:
            continue
        left = left if start is None else max(left, start)
        right = right if end is None else min(right, end)
        for a, b in _without(left, right, known):
            found.append(Hole(dataset=dataset, market=market, symbol="", start=a, end=b, reason=reason))
    return found


def _without(start: datetime, end: datetime, known: Iterable[tuple[datetime | None, datetime | None]]
             ) -> list[tuple[datetime, datetime]]:  # fmt: skip
    """Return what is left of a stretch of time when others are taken out of it."""
    left = [(start, end)] if start < end else []
    for first, last in known:
        pieces: list[tuple[datetime, datetime]] = []
        for a, b in left:
            if (first is not None and first >= b) or (last is not None and last <= a):
                pieces.append((a, b))
                continue
            if first is not None and first > a:
                pieces.append((a, first))
            if last is not None and last < b:
                pieces.append((last, b))
        left = pieces
    return left


def is_complete(verdicts: Collection[AccountVerdict]) -> bool:
    """Say whether every account is complete; a record without any account proves nothing."""
    return bool(verdicts) and all(one.complete for one in verdicts)
