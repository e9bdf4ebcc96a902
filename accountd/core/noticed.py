"""What the fold notices beside the beliefs: other tellings of a fill, and what the stream kept back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from accountd.core import merge, ringing
from accountd.core.beliefs import Beliefs
from accountd.core.changes import Changes, FillCorrection, FillKey, OrderKey
from accountd.core.told import REST, STREAM, Fill, Order, Telling

MISSED = "stream_missed"


class Noticer(Protocol):
    """What the functions here need of the fold."""

    beliefs: Beliefs
    changes: Changes
    telling: Telling
    changed: bool
    seq: int

    def finding(self, kind: str, severity: str, subject: str, detail: Mapping[str, object]) -> None: ...


def order_missed(fold: Noticer, key: OrderKey, held: Order | None, told: Order) -> None:
    """Open a finding when REST is the first to tell of an order, or of its end, inside LIVE time."""
    at = told.created_at or told.updated_at if held is None else told.updated_at
    if fold.telling.source == REST and ringing.stream_should_have_told(fold.telling, at):
        detail = {"at": at.isoformat(), "status": told.status, "known": held is not None}
        fold.finding(MISSED, "warning", ":".join(("order", *key)), detail)


def fill_missed(fold: Noticer, key: FillKey, told: Fill) -> None:
    """Open a finding when REST is the first to tell of a fill inside LIVE time, if need be later."""
    detail: dict[str, object] = {"traded_at": told.traded_at.isoformat(), "order_id": told.order_id}
    since = fold.telling.live_since
    if ringing.stream_should_have_told(fold.telling, told.traded_at):
        fold.finding(MISSED, "warning", ":".join(("fill", *key)), detail)
    elif since is not None and since <= told.traded_at:
        fold.beliefs.doubts.miss(fold.telling, ("fill", *key), MISSED, detail)


def fill_told_again(fold: Noticer, key: FillKey, held: Fill, told: Fill) -> None:
    """Keep the first telling; another one that differs is written beside it, and is a finding.

    One that says what the first left open is written beside it as well, and is none.
    """
    beliefs, telling = fold.beliefs, fold.telling
    if telling.source == STREAM:
        beliefs.doubts.open.pop(("fill", *key), None)
    differs = merge.conflict(held, told)
    if not differs and not merge.adds(held, told):
        return
    name = merge.told_name(told)
    if (*key, name) in beliefs.otherwise:
        return
    beliefs.otherwise[(*key, name)] = None
    beliefs.otherwise.trim()
    kind = "conflict" if differs else "completed"
    fold.changes.fill_corrections.append(
        FillCorrection(key, name, kind, told, telling.source, telling.received_at, fold.seq)
    )
    fold.changed = True
    if differs:
        fold.finding("conflict", "error", ":".join(("fill", *key)), differs)


def review(fold: Noticer) -> None:
    """Open a finding for each thing that the stream has not told within its grace."""
    for doubt in fold.beliefs.doubts.due(fold.telling):
        fold.finding(doubt.kind, "warning", doubt.subject, doubt.detail)
