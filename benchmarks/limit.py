"""The limit: the same rows, made before, in bulk through the raw driver."""

import sqlite3
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg

from accountd.core.beliefs import Beliefs
from accountd.core.fold import Fold
from accountd.core.told import STREAM, Telling
from accountd.store import rows
from accountd.store.types import time_text
from accountd.venues import open_venue
from benchmarks.frames import expected, frames
from benchmarks.real import ACCOUNT, VENUE

COLUMNS = {
    "journal": rows.JOURNAL, "orders": rows.ORDERS, "order_events": rows.ORDER_EVENTS, "fills": rows.FILLS,
}  # fmt: skip
GROUPS = (1_000, 10_000)  # events in one transaction
Rows = dict[str, list[tuple[Any, ...]]]


def make(count: int) -> Rows:
    """Return the rows that ``count`` frames leave behind, as tuples of plain values."""
    now, venue = datetime.now(UTC), open_venue(VENUE)
    tellings = []
    for frame in frames(count, int(time.time() * 1000)):
        decoded = venue.decode(frame, now)
        tellings.append(Telling(
            account_id=ACCOUNT, source=STREAM, kind=decoded.kind, raw=frame, received_at=now,
            told=decoded.told, event_time=decoded.event_time, session_id="bench",
        ))  # fmt: skip
    changes = Fold(Beliefs(ACCOUNT, 0, bytes(32), limit=count), now).run(tellings)
    made = {
        "journal": list(rows.journal(changes)), "orders": list(rows.orders(changes)),
        "order_events": list(rows.order_events(changes)),
        "fills": [(*row, time_text(now)) for row in rows.fills(changes)],
    }  # fmt: skip
    assert {name: len(found) for name, found in made.items()} == expected(count)
    return made


def groups(made: Rows, size: int) -> list[Rows]:
    """Return the rows in transactions of ``size`` events, each table's rows spread evenly."""
    count = -(-len(made["journal"]) // size)
    steps = {name: -(-len(found) // count) for name, found in made.items()}
    return [
        {name: found[n * steps[name] : (n + 1) * steps[name]] for name, found in made.items()}
        for n in range(count)
    ]


def on_sqlite(path: Path, parts: list[Rows]) -> float:
    """Insert with executemany, durable as accountd's own connection is; return the seconds."""
    statements = {
        name: f"INSERT INTO {name} ({', '.join(cells)}) VALUES ({', '.join('?' * len(cells))})"
        for name, cells in COLUMNS.items()
    }
    connection = sqlite3.connect(path, isolation_level=None)
    try:
        connection.execute("PRAGMA synchronous=FULL")
        started = time.monotonic()
        for part in parts:
            connection.execute("BEGIN IMMEDIATE")
            for name, found in part.items():
                connection.executemany(statements[name], found)
            connection.execute("COMMIT")
        return time.monotonic() - started
    finally:
        connection.close()


def on_postgres(url: str, parts: list[Rows]) -> float:
    """Insert with COPY; return the seconds."""
    with psycopg.connect(url) as connection, connection.cursor() as cursor:
        started = time.monotonic()
        for part in parts:
            for name, found in part.items():
                with cursor.copy(f"COPY {name} ({', '.join(COLUMNS[name])}) FROM STDIN") as copy:
                    for row in found:
                        copy.write_row(row)
            connection.commit()
        return time.monotonic() - started


def measure(url: str, made: Rows, size: int) -> float:
    """Insert rows in groups of ``size`` events and return the seconds."""
    parts = groups(made, size)
    if url.startswith("sqlite:"):
        return on_sqlite(Path(url.removeprefix("sqlite:///")), parts)
    return on_postgres(url, parts)
