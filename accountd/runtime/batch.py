"""What the writer thread takes from its queue for one transaction, and what came of it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from accountd.core.alerts import OutboxRow
from accountd.core.changes import Changes
from accountd.core.told import Telling
from accountd.store.ready import Ready
from accountd.store.writer import Transaction


@dataclass(slots=True)
class Outcome:
    """What one transaction did."""

    changes: list[Changes]
    outbox: list[OutboxRow]
    committed_at: datetime
    seconds: float
    tellings: int


@dataclass(slots=True)
class Job:
    """Bookkeeping to run in a transaction, or a REST page; somebody waits for the commit.

    ``line`` names the account that it concerns; it is empty where that is none.
    """

    future: asyncio.Future[Any]
    line: str
    run: Callable[[Transaction], Any] | None = None
    telling: Telling | None = None
    result: Any = None


@dataclass(slots=True)
class Folded:
    """What came of a batch's tellings: nothing of it moves any more with the beliefs but ``changes``."""

    changes: list[Changes]
    ready: Ready
    outbox: list[OutboxRow]


@dataclass(slots=True)
class Batch:
    """What one transaction takes from the queue, in order; ``folded`` if that was done ahead."""

    tellings: list[Telling] = field(default_factory=list)
    jobs: list[Job] = field(default_factory=list)
    folded: Folded | None = None


@dataclass(slots=True)
class Doubt:
    """A commit under way: when the connection dies in it, ``mark`` tells later whether it took effect."""

    mark: str | None
    tellings: list[Telling]
    jobs: list[Job]
    outcome: Outcome


def fail(future: asyncio.Future[Any], error: Exception) -> None:
    """Let whoever waits hear of an error, unless it has heard of something already."""
    if not future.done():
        future.set_exception(error)
        future.exception()  # retrieved here: a waiter that was cancelled must not cause a warning


def by_account(tellings: list[Telling]) -> dict[str, list[Telling]]:
    """Group tellings by account, in order."""
    groups: dict[str, list[Telling]] = {}
    for telling in tellings:
        groups.setdefault(telling.account_id, []).append(telling)
    return groups
