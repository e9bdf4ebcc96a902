"""One sweep as it goes: what it saw, what it could not prove, how far it reaches."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from accountd.core.changes import OrderKey
from accountd.runtime.budget import Priority
from accountd.venues.base import Window

Cursors = dict[tuple[str, str, str], tuple[datetime, datetime]]
Step = Callable[[str, int, int], None]


@dataclass(slots=True)
class Round:
    """One sweep: what it saw, what it could not prove, how much was new."""

    now: datetime  # venue time at its start
    proven: datetime  # what it proves up to: replicas may lag by the settle time
    priority: Priority
    margin: timedelta  # how far before each cursor it reads again
    symbols: set[str] = field(default_factory=set)
    shown: set[OrderKey] = field(default_factory=set)  # open orders that the venue showed
    unproven: list[Window] = field(default_factory=list)
    orders_whole: bool = False
    recovered: dict[str, int] = field(default_factory=dict)
