"""What happens in a demo, as typed events: the run tells them, a view shows them."""

from dataclasses import dataclass
from decimal import Decimal

from accountd.cli.demo_verdict import Verdict


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """Everything is running; addresses are shown so that a curious reader can look."""

    exchange: str
    hook: str
    database: str
    seed: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """Something worth a sentence happened; `tone` is good, bad or plain. `at` is seconds since the start."""

    at: float
    text: str
    tone: str = "plain"


@dataclass(frozen=True, slots=True, kw_only=True)
class FillCame:
    """A fill is durable. Latencies are in milliseconds since it was received, None while not known."""

    at: float
    symbol: str
    side: str
    quantity: Decimal
    price: Decimal
    late: bool
    commit_ms: float
    hook_ms: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Latency:
    """Percentiles in milliseconds over the fills that the stream told; None while there are none."""

    p50: float | None = None
    p99: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Pulse:
    """Where things stand."""

    at: float
    state: str
    there: int
    here: int
    rung: int
    open_gaps: int
    commit: Latency
    hook: Latency


@dataclass(frozen=True, slots=True, kw_only=True)
class Finished:
    """The end."""

    verdict: Verdict
    pulse: Pulse
    late: int
    gaps_closed: int
    database: str
    kept: bool


Event = Opened | Said | FillCame | Pulse | Finished
