"""Stretches of time: what is missing between those that are proven."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta

Stretch = tuple[datetime, datetime]


def missing(wanted: Stretch, proven: Iterable[Stretch], least: timedelta) -> list[Stretch]:
    """Return the parts of ``wanted`` that no proven stretch covers, the newest first.

    Parts shorter than ``least`` are not missing.
    """
    found, start = [], wanted[0]
    for begin, end in sorted(proven):
        if begin - start >= least and begin <= wanted[1]:
            found.append((start, begin))
        start = max(start, end)
    if wanted[1] - start >= least:
        found.append((start, wanted[1]))
    return found[::-1]


def backwards(stretch: Stretch, width: timedelta) -> Iterator[Stretch]:
    """Yield a stretch in parts of ``width`` at most, the newest first."""
    start, end = stretch
    while width and end - start > width:
        yield end - width, end
        end -= width
    yield start, end
