"""Every metric of the daemon, in a registry of its own."""

from collections import deque

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, disable_created_metrics

from accountd.core.health import Health
from accountd.core.states import State

# Seconds. A commit takes about a millisecond on a good disk, a lag of ten seconds is a bad day.
BUCKETS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
LATEST = 1_000
QUANTILES = (("0.5", 0.5), ("0.99", 0.99))
ATTEMPT_BUCKETS = (0.01, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)


class Lag:
    """A latency by hook: a histogram, and the median and 99th percentile of the latest thousand."""

    def __init__(self, histogram: Histogram, quantiles: Gauge) -> None:
        self._histogram = histogram
        self._quantiles = quantiles
        self._latest: dict[str, deque[float]] = {}

    def observe(self, hook: str, seconds: float) -> None:
        """Take one in."""
        self._histogram.labels(hook).observe(seconds)
        self._latest.setdefault(hook, deque(maxlen=LATEST)).append(seconds)

    def show(self) -> None:
        """Work the quantiles out; called before a scrape."""
        for hook, latest in self._latest.items():
            ordered = sorted(latest)
            for name, part in QUANTILES:
                at = min(len(ordered) - 1, int(part * len(ordered)))
                self._quantiles.labels(hook, name).set(ordered[at])


class Metrics:
    """The daemon's metrics; each attribute is one metric, named as in docs/reference/metrics.md."""

    def __init__(self) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call]  # a second series for each: nobody has a use
        self.registry = CollectorRegistry()
        self._stream()
        self._sweeps()
        self._proof()
        self._writing()
        self._alerts()

    def _stream(self) -> None:
        """Declare what the streams tell."""
        self.events = self._counter("events", "Tellings recorded", "account", "kind", "source")
        self.fills = self._counter("fills", "Fills written, by who told them first", "account", "source")
        self.unknown_events = self._counter("unknown_events", "Messages of an unknown kind", "account")
        self.undecodable = self._counter("undecodable_events", "Messages that could not be read", "account")
        self.reconnects = self._counter("reconnects", "Sessions that ended, by reason", "account", "reason")
        self.session_state = self._gauge("session_state", "1 for the state that is", "account", "state")
        self.blind_seconds = self._counter("blind_seconds", "Seconds without any reception", "account")
        self._blind: dict[str, float] = {}
        self.last_event = self._gauge(
            "last_event_timestamp_seconds", "When the stream last told something", "account"
        )
        self.listen_key_age = self._gauge(
            "listen_key_age_seconds", "Seconds since the listen key was renewed", "account"
        )

    def _sweeps(self) -> None:
        """Declare what REST tells and costs."""
        self.sweeps = self._counter("sweeps", "Whole sweeps of REST history, by why", "account", "why")
        self.sweep_progress = self._gauge(
            "sweep_progress_ratio", "How far the sweep after the last connection is", "account"
        )
        self.last_sweep = self._gauge(
            "last_sweep_timestamp_seconds", "When REST history was last swept whole", "account"
        )
        self.weight_used = self._gauge("request_weight_used", "Request weight in the venue's window", "pool")
        self.gaps_open = self._gauge("gaps_open", "Gaps that no sweep has closed")
        self.findings_open = self._gauge("findings_open", "Findings that are not resolved")

    def _proof(self) -> None:
        """Declare what the journal is proven by."""
        self.checkpoint_rows = self._gauge(
            "checkpoint_rows", "Journal rows under the last checkpoint", "account"
        )
        self.anchor_failures = self._counter("anchor_failures", "Checkpoints that a target refused", "target")

    def _writing(self) -> None:
        """Declare how the record is written."""
        self.commit_seconds = self._histogram("commit_seconds", "One commit of the writer", BUCKETS)
        self.exchange_lag = self._histogram(
            "exchange_to_receive_seconds", "From the venue's clock to arrival", BUCKETS, "account"
        )
        self.lag_seconds = self._histogram("receive_to_commit_seconds", "From arrival to durable", BUCKETS)
        self.batch_size = self._histogram(
            "batch_tellings", "Tellings in one commit", (1, 3, 10, 30, 100, 300, 1000)
        )
        self.ring_depth = self._gauge("ring_depth", "Frames that wait for the writer")
        self.writer_healthy = self._gauge("writer_healthy", "1 while the writer writes")

    def _alerts(self) -> None:
        """Declare how alerts leave."""
        self.deliveries = self._counter("deliveries", "Attempts to deliver an alert", "hook", "result")
        self.delivery_seconds = self._histogram(
            "delivery_seconds", "One attempt to deliver", ATTEMPT_BUCKETS, "hook"
        )
        self.market_dropped = self._counter("market_rows_dropped", "Rows of public streams not recorded")
        self.attempt_lag = Lag(
            self._histogram(
                "commit_to_attempt_seconds", "From commit to first attempt", BUCKETS, "hook"
            ),
            self._gauge("commit_to_attempt_quantile_seconds", "The same, of late", "hook", "quantile"),
        )
        self.alert_lag = Lag(
            self._histogram(
                "receive_to_delivery_seconds", "From arrival to delivery", BUCKETS, "hook"
            ),
            self._gauge("receive_to_delivery_quantile_seconds", "The same, of late", "hook", "quantile"),
        )
        self.outbox_pending = self._gauge("outbox_pending", "Alerts that wait to be delivered")
        self.outbox_dead = self._gauge("outbox_dead", "Alerts given up after the last attempt")

    def observe(self, health: Health) -> None:
        """Take over everything that `health` knows; called before each scrape and cheap enough for that."""
        for name, account in health.accounts.items():
            for state in State:
                self.session_state.labels(name, state.value).set(account.state is state)
            self.blind_seconds.labels(name).inc(account.blind_seconds - self._blind.get(name, 0.0))
            self._blind[name] = account.blind_seconds
            if account.key_age is not None:
                self.listen_key_age.labels(name).set(account.key_age)
            if account.last_event_at is not None:
                self.last_event.labels(name).set(account.last_event_at.timestamp())
        self.writer_healthy.set(health.writer_ok)
        self.ring_depth.set(health.ring_depth)
        self.attempt_lag.show()
        self.alert_lag.show()
        self.outbox_pending.set(health.outbox_pending)
        self.outbox_dead.set(health.outbox_dead)
        self.gaps_open.set(health.gaps_open)
        self.findings_open.set(health.findings_open)

    def _counter(self, name: str, text: str, *labels: str) -> Counter:
        return Counter(f"accountd_{name}", text, labels, registry=self.registry)

    def _gauge(self, name: str, text: str, *labels: str) -> Gauge:
        return Gauge(f"accountd_{name}", text, labels, registry=self.registry)

    def _histogram(self, name: str, text: str, buckets: tuple[float, ...], *labels: str) -> Histogram:
        return Histogram(f"accountd_{name}", text, labels, buckets=buckets, registry=self.registry)
