"""Reads that end in time, on a small pool of connections, for those who must never slow the recorder."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import Connection

from accountd.errors import DatabaseGone, DatabaseSlow
from accountd.store.engine import reader_engine, reading

STEPS = 20_000  # virtual machine steps of SQLite between two looks at the clock: well below a millisecond


class BoundedReader:
    """Reads on at most `connections` connections, none of which reads longer than `seconds`."""

    def __init__(self, url: str, *, connections: int = 4, seconds: float = 5.0) -> None:
        """Open nothing yet.

        Raises:
            SettingsError: the URL is no SQLite file and no Postgres address.
        """
        self.seconds = seconds
        self.engine = reader_engine(url, keep=connections)
        self._free = threading.BoundedSemaphore(connections)

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """Open one snapshot to read from.

        Raises:
            DatabaseSlow: no connection came free, or a query took longer than allowed.
            DatabaseError: the database does not answer or is not migrated.
        """
        if not self._free.acquire(timeout=self.seconds):
            raise DatabaseSlow
        try:
            until = time.monotonic() + self.seconds
            try:
                with reading(self.engine) as connection, _limited(connection, until, self.seconds):
                    yield connection
            except DatabaseGone:
                if time.monotonic() >= until:
                    raise DatabaseSlow from None
                raise
        finally:
            self._free.release()

    def close(self) -> None:
        """Close every connection."""
        self.engine.dispose()


@contextmanager
def _limited(connection: Connection, until: float, seconds: float) -> Iterator[None]:
    """End whatever still runs at `until`, on the monotonic clock."""
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql(f"SET LOCAL statement_timeout = {int(seconds * 1000)}")
        yield
        return
    raw = connection.connection.driver_connection
    assert raw is not None
    raw.set_progress_handler(lambda: time.monotonic() >= until, STEPS)
    try:
        yield
    finally:
        raw.set_progress_handler(None, 0)
