"""Counts what the record holds that somebody should look at: open gaps, open findings, waiting alerts."""

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
            found = queries.concerns(connection)
    finally:
        reader.dispose()
    health.outbox_pending, health.outbox_dead = found["pending"], found["dead"]
    health.gaps_open, health.findings_open = found["gaps"], found["findings"]
