"""Counts what the record holds that somebody should look at: open gaps, open findings, waiting alerts."""

from collections import Counter

from accountd.core.health import Health
from accountd.store import engine, queries


def take(database_url: str, health: Health) -> None:
    """Count on a connection that cannot write, and put the counts into `health`; blocks.

    Raises:
        DatabaseError: the database does not answer or is not migrated.
    """
    reader = engine.reader_engine(database_url)
    try:
        with engine.reading(reader) as connection:
            alerts: Counter[str] = Counter()
            for row in queries.deliveries(connection):
                alerts[row["status"]] += row["count"]
            gaps = sum(1 for _ in queries.gaps(connection, open_only=True))
            findings = sum(1 for _ in queries.findings(connection, open_only=True))
    finally:
        reader.dispose()
    health.outbox_pending, health.outbox_dead = alerts["pending"], alerts["dead"]
    health.gaps_open, health.findings_open = gaps, findings
