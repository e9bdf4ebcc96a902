"""Findings and gaps of the runtime's own: opened, rung for, closed, in the writer's transactions."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

from accountd.core.changes import Alert, finding_name
from accountd.core.ringing import stamp
from accountd.store.rows import Gap
from accountd.store.writer import Transaction

if TYPE_CHECKING:
    from accountd.runtime.recorder import Recorder


def open_finding(
    recorder: Recorder, tx: Transaction, account: str, kind: str, severity: str, subject: str,
    detail: dict[str, Any], now: datetime, window: tuple[datetime, datetime | None] | None = None,
) -> bool:  # fmt: skip
    """Open a finding, or say anew what an open one is about; return whether it was not open before."""
    fresh = subject not in tx.open_subjects(account, kind, subject)
    tx.open_finding(account, kind, severity, subject, detail, now, window)
    if fresh:
        recorder.ring(tx, account, [opened(account, kind, severity, subject, detail, now)])
    return fresh


def opened(
    account: str, kind: str, severity: str, subject: str, detail: dict[str, Any], now: datetime
) -> Alert:
    """Make the alert of a finding that opened."""
    name = finding_name(account, kind, subject)
    data = {
        "finding_id": name, "kind": kind, "severity": severity, "subject": subject, "detail": detail,
        "opened_at": stamp(now),
    }  # fmt: skip
    return Alert(type="finding.opened", identity=(name, stamp(now) or ""), at=now, data=data)


def resolve(tx: Transaction, account: str, kind: str, subject: str | None, now: datetime) -> int:
    """Resolve open findings of a kind, about one subject or all; return how many."""
    return tx.resolve_findings(account, kind, subject, now)


def close_gaps(recorder: Recorder, tx: Transaction, account: str, key: tuple[str, str, str],
               covered: tuple[datetime, datetime], now: datetime) -> int:  # fmt: skip
    """Close the gaps of a (dataset, market, symbol) that lie in what was read, and ring; return how many."""
    dataset, market, symbol = key
    closed = tx.close_gaps(account, dataset, market, symbol, covered[1], now, covered_from=covered[0])
    for gap in closed:
        gap.recovered = tx.count_recovered(gap)
        recorder.ring(tx, account, [gap_closed(gap, now)])
    return len(closed)


def gap_closed(gap: Gap, now: datetime) -> Alert:
    """Make the alert of a gap that a sweep has closed."""
    data = {
        "gap_id": gap.gap_id, "dataset": gap.dataset, "market": gap.market, "symbol": gap.symbol,
        "from_time": stamp(gap.from_time), "to_time": stamp(gap.to_time), "reason": gap.reason,
        "recovered": gap.recovered,
    }  # fmt: skip
    return Alert(type="gap.closed", identity=(gap.gap_id,), at=now, data=data)
