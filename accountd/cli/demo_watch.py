"""What the demo sees in the record while it grows: fills with their latency, gaps, the session's state."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from accountd.cli.demo_hooks import Receiver
from accountd.cli.demo_story import Event, FillCame, Latency, Said
from accountd.store import engine, queries

Row = Mapping[Any, Any]


class Watch:
    """Polls the record through a reader of its own, so that only what is committed is shown."""

    def __init__(self, database_url: str, receiver: Receiver) -> None:
        self.reader = engine.reader_engine(database_url)
        self.receiver = receiver
        self.fills: dict[tuple[str, str], Row] = {}
        self.shown: set[tuple[str, str]] = set()
        self.gaps: dict[str, Row] = {}
        self.born: datetime | None = None
        self.proven: datetime | None = None
        self.told: set[tuple[str, bool]] = set()

    def close(self) -> None:
        """Let go of the database."""
        self.reader.dispose()

    def poll(self) -> None:
        """Read what is there; blocks, so it runs on a thread."""
        everything = queries.Filter()
        rows: dict[tuple[str, str], Row]
        gaps: dict[str, Row]
        with engine.reading(self.reader) as connection:
            rows = {(row["symbol"], row["trade_id"]): row for row in queries.fills(connection, everything)}
            gaps = {row["gap_id"]: row for row in queries.gaps(connection, everything)}
            proven = {
                row["dataset"]: row["to_time"] for row in queries.coverage(connection) if not row["symbol"]
            }
            self.proven = min(proven.values(), default=None)
            self.born = next((row["created_at"] for row in queries.accounts(connection)), None)
        self.fills, self.gaps = rows, gaps

    def events(self, at: float) -> Iterator[Event]:
        """Yield what is new since the last call; a fill is shown once its hook has rung."""
        for key in sorted(self.fills.keys() & self.receiver.first.keys() - self.shown, key=self._traded):
            self.shown.add(key)
            yield self._came(key, at)
        yield from self._gap_events(at)

    def latencies(self) -> tuple[Latency, Latency]:
        """Return from receipt to commit and from receipt to hook, over fills that the stream told."""
        live = [key for key, row in self.fills.items() if row["source"] == "stream"]
        rung = [key for key in live if key in self.receiver.first]
        return (
            percentiles(
                [milliseconds(self.fills[k]["received_at"], self.fills[k]["committed_at"]) for k in live]
            ),
            percentiles([milliseconds(self.fills[k]["received_at"], self.receiver.first[k]) for k in rung]),
        )

    @property
    def history(self) -> int:
        """Return how many fills are from before the first start."""
        return sum(self._is_history(row) for row in self.fills.values())

    @property
    def late(self) -> int:
        """Return how many fills since the first start only REST told."""
        return sum(row["source"] == "rest" and not self._is_history(row) for row in self.fills.values())

    @property
    def open_gaps(self) -> int:
        """Return how many gaps are open."""
        return sum(row["closed_at"] is None for row in self.gaps.values())

    @property
    def closed_gaps(self) -> int:
        """Return how many gaps were opened and closed."""
        return len(self.gaps) - self.open_gaps

    def _is_history(self, row: Row) -> bool:
        return self.born is None or bool(row["traded_at"] < self.born)

    def _traded(self, key: tuple[str, str]) -> Any:
        return self.fills[key]["traded_at"]

    def _came(self, key: tuple[str, str], at: float) -> FillCame:
        row = self.fills[key]
        return FillCame(
            at=at,
            symbol=row["symbol"],
            side=row["side"],
            quantity=row["quantity"],
            price=row["price"],
            late=row["source"] == "rest",
            commit_ms=milliseconds(row["received_at"], row["committed_at"]),
            hook_ms=milliseconds(row["received_at"], self.receiver.first[key]),
        )

    def _gap_events(self, at: float) -> Iterator[Event]:
        """Tell of the gaps of fills; other datasets have theirs, which open and close along."""
        for gap_id, row in self.gaps.items():
            closed = row["closed_at"] is not None
            if row["dataset"] != "fills" or (gap_id, closed) in self.told:
                continue
            if (gap_id, False) not in self.told:
                self.told.add((gap_id, False))
                yield Said(at=at, text=f"gap opened: fills are not proven since {_clock(row['from_time'])} "
                           f"({row['reason']})", tone="bad")  # fmt: skip
            if closed:
                self.told.add((gap_id, True))
                length = (row["to_time"] - row["from_time"]).total_seconds() if row["to_time"] else 0.0
                yield Said(at=at, text=f"gap closed: {length:.1f} s of history read over REST, "
                           f"{row['recovered']} fills recovered", tone="good")  # fmt: skip


def milliseconds(start: datetime, end: datetime) -> float:
    """Return the milliseconds between two moments."""
    return (end - start).total_seconds() * 1000


def percentiles(values: Sequence[float]) -> Latency:
    """Return the median and the 99th percentile, by nearest rank."""
    if not values:
        return Latency()
    ordered = sorted(values)
    last = len(ordered) - 1
    return Latency(p50=ordered[round(last * 0.5)], p99=ordered[round(last * 0.99)])


def _clock(moment: datetime) -> str:
    return moment.strftime("%H:%M:%S.%f")[:-5]
