"""Reads that end in time."""

import threading
import time

import pytest

from accountd.errors import DatabaseGone, DatabaseSlow
from accountd.store.bounded import BoundedReader

ENDLESS = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n"


def test_an_endless_query_is_ended(url, writer):
    """A query that would never end is ended by the database, on both kinds, and says so."""
    reader = BoundedReader(url, connections=1, seconds=0.2)
    began = time.monotonic()
    with pytest.raises(DatabaseSlow), reader.reading() as connection:
        connection.exec_driver_sql(ENDLESS)
    assert time.monotonic() - began < 5
    with reader.reading() as connection:
        assert connection.exec_driver_sql("SELECT 1").scalar_one() == 1
    reader.close()


def test_no_more_connections_than_allowed(url, writer):
    """Whoever finds no free connection is told in time instead of opening another one."""
    reader = BoundedReader(url, connections=1, seconds=0.1)
    inside, done = threading.Event(), threading.Event()

    def hold():
        with reader.reading():
            inside.set()
            done.wait(5)

    holder = threading.Thread(target=hold)
    holder.start()
    inside.wait(5)
    with pytest.raises(DatabaseSlow), reader.reading():
        pass
    done.set()
    holder.join()
    reader.close()


def test_a_missing_database_is_not_slow(tmp_path):
    """A file that is not there is gone at once."""
    reader = BoundedReader(f"sqlite:///{tmp_path / 'none.db'}", seconds=0.1)
    with pytest.raises(DatabaseGone, match="no database"), reader.reading():
        pass
    reader.close()
