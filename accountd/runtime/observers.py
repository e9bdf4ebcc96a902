"""Who hears what the writer and the dispatcher do: metrics, health, and the log."""

from __future__ import annotations

import asyncio
from collections import Counter
from datetime import datetime
from typing import Any

import structlog

from accountd.core.alerts import OutboxRow
from accountd.core.changes import Changes
from accountd.core.health import Health
from accountd.runtime.dispatcher import DeliveryObserver, Dispatcher
from accountd.runtime.markets import Markets
from accountd.runtime.metrics import Metrics
from accountd.runtime.recorder import Outcome

log = structlog.get_logger("accountd.daemon")


class Listener:
    """Hears of commits in the event loop: counts, keeps health, hands fresh alerts to the dispatcher."""

    def __init__(self, health: Health, metrics: Metrics) -> None:
        self.health = health
        self.metrics = metrics
        self.dispatcher: Dispatcher | None = None
        self.markets: Markets | None = None
        self.failed: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def committed(self, outcome: Outcome) -> None:
        """Take over what one transaction did."""
        metrics = self.metrics
        metrics.commit_seconds.observe(outcome.seconds)
        if outcome.tellings:
            metrics.batch_size.observe(outcome.tellings)
        for changes in outcome.changes:
            for (kind, source), count in Counter((row.kind, row.source) for row in changes.journal).items():
                metrics.events.labels(changes.account_id, kind, source).inc(count)
            if changes.journal:
                lag = outcome.committed_at - changes.journal[0].received_at
                metrics.lag_seconds.observe(max(0.0, lag.total_seconds()))
                self._exchange_lag(changes)
            for source, count in Counter(fill.source for fill in changes.fills.values()).items():
                metrics.fills.labels(changes.account_id, source).inc(count)
            for finding in changes.findings.values():
                if finding.kind == "undecodable":
                    metrics.undecodable.labels(changes.account_id).inc()
        if outcome.outbox and self.dispatcher is not None:
            self.dispatcher.offer(outcome.outbox)
        if self.markets is not None:
            self.markets.committed(outcome)

    def _exchange_lag(self, changes: Changes) -> None:
        """Measure how old the first frame of a batch was when it arrived; the clocks may disagree."""
        for row in changes.journal:
            if row.source == "stream" and row.event_time is not None:
                lag = (row.received_at - row.event_time).total_seconds()
                self.metrics.exchange_lag.labels(changes.account_id).observe(max(0.0, lag))
                return

    def trouble(self, error: Exception | None) -> None:
        """Say that the database does not take anything for now, or does again."""
        self.health.writer_ok = error is None
        self.health.writer_error = "" if error is None else str(error)
        if error is None:
            log.info("database answers again")
        else:
            log.error("database trouble", error=str(error))

    def died(self, error: Exception) -> None:
        """The writer has stopped for good: so must the daemon."""
        self.health.writer_ok, self.health.writer_error = False, str(error)
        if not self.failed.done():
            self.failed.set_exception(error)


class Deliveries(DeliveryObserver):
    """Counts deliveries, and knows which hooks gave a message up since they took one."""

    def __init__(self, metrics: Metrics) -> None:
        self.metrics = metrics
        self.dead_hooks: dict[str, dict[str, Any]] = {}

    def attempted(self, hook: str, result: str, seconds: float) -> None:
        """Count one attempt and how long it took."""
        self.metrics.deliveries.labels(hook, result).inc()
        self.metrics.delivery_seconds.labels(hook).observe(seconds)

    def first_attempt(self, hook: str, seconds: float) -> None:
        """Measure how long a message waited between its commit and its first attempt."""
        self.metrics.attempt_lag.observe(hook, max(0.0, seconds))

    def delivered(self, row: OutboxRow, at: datetime) -> None:
        """Measure how long an event took from its arrival to its delivery; the hook is well."""
        self.dead_hooks.pop(row.hook, None)
        if row.received_at is not None and row.replayed_at is None:
            self.metrics.alert_lag.observe(row.hook, max(0.0, (at - row.received_at).total_seconds()))

    def dead(self, row: OutboxRow, reason: str) -> None:
        """Remember that an alert is given up."""
        self.dead_hooks[row.hook] = {"reason": reason, "message_id": row.message_id}

    def disabled(self, hook: str, reason: str) -> None:
        """Say that a hook is not used any more."""
        log.error("hook disabled", hook=hook, reason=reason)
