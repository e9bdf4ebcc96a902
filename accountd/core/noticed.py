"""What the fold notices beside the beliefs: things told in two ways, and what the stream kept back.

A conflict is open until REST, in a later telling, says everything that is disputed as it was told first.
What REST goes on telling otherwise stays a finding.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from accountd.core import merge, ringing
from accountd.core.beliefs import Beliefs
from accountd.core.changes import Changes, FillCorrection, FillKey, OrderKey, TransferKey
from accountd.core.told import REST, STREAM, Fill, Order, Telling, Transfer

MISSED = "stream_missed"
CONFLICT = "conflict"
_WHERE = "journal_seq"  # the part of a detail that is no difference


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
    subject = ":".join(("fill", *key))
    differs = merge.conflict(held, told)
    if not differs and _settles(fold, subject, told):
        for one in [one for one in beliefs.otherwise if one[:3] == key]:
            del beliefs.otherwise[one]  # told once more, it is a conflict once more
    if not differs and not merge.adds(held, told):
        return
    name = merge.told_name(told)
    if (*key, name) in beliefs.otherwise:
        return
    beliefs.otherwise[(*key, name)] = None
    beliefs.otherwise.trim()
    kind = CONFLICT if differs else "completed"
    fold.changes.fill_corrections.append(
        FillCorrection(key, name, kind, told, telling.source, telling.received_at, fold.seq)
    )
    fold.changed = True
    if differs:
        _contest(fold, subject, differs)


def transfer_told_again(fold: Noticer, key: TransferKey, held: Transfer, told: Transfer) -> None:
    """Keep the first telling of a movement of money; another amount is a finding, until it is taken back."""
    subject = ":".join(("transfer", *key))
    if (held.amount, held.symbol) == (told.amount, told.symbol):
        _settles(fold, subject, told)
        return
    detail = {
        "held": str(held.amount), "told": str(told.amount), "symbol": told.symbol,
        "occurred_at": told.occurred_at.isoformat(),
    }  # fmt: skip
    known = fold.beliefs.contested.get(subject, {})
    if any(known.get(name) != value for name, value in detail.items()):
        _contest(fold, subject, detail)


def _contest(fold: Noticer, subject: str, differs: Mapping[str, object]) -> None:
    """Open a conflict; it says every way in which the tellings since differed from the first."""
    detail = {**fold.beliefs.contested.get(subject, {}), **differs}
    fold.finding(CONFLICT, "error", subject, detail)
    fold.beliefs.contested[subject] = {**detail, _WHERE: fold.seq}


def _settles(fold: Noticer, subject: str, told: Fill | Transfer) -> bool:
    """Resolve an open conflict if REST says, in a later telling, all that is disputed; say whether it did.

    The telling agrees with what is held in everything that it says.
    """
    disputed = fold.beliefs.contested.get(subject)
    if disputed is None or fold.telling.source != REST or disputed.get(_WHERE) == fold.seq:
        return False
    if isinstance(told, Fill) and any(getattr(told, name, _WHERE) is None for name in disputed):
        return False
    del fold.beliefs.contested[subject]
    fold.changes.resolved[CONFLICT, subject] = fold.telling.received_at
    fold.changed = True
    return True


def review(fold: Noticer) -> None:
    """Open a finding for each thing that the stream has not told within its grace."""
    for doubt in fold.beliefs.doubts.due(fold.telling):
        fold.finding(doubt.kind, "warning", doubt.subject, doubt.detail)
