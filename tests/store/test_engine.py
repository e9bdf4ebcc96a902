"""The connections: what they promise of durability, and what their errors mean."""

import gc
import sqlite3
import warnings
from datetime import timedelta
from decimal import Decimal

import psycopg
import pytest
from sqlalchemy import func, select, text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import OperationalError

from accountd.core.money import money_text
from accountd.errors import DatabaseFailed, DatabaseFull, DatabaseGone, RecordRefused, SettingsError
from accountd.store.engine import reader_engine, reading, require_place, writer_engine
from accountd.store.exact import ExactSum
from accountd.store.faults import classify
from accountd.store.lock import sole_writer
from accountd.store.migrate import upgrade
from accountd.store.query_filter import stream
from accountd.store.types import time_text
from accountd.store.writer import Writer
from tests.store.conftest import NOW
from tests.store.samples import changes, fill, order


@pytest.fixture
def small(sqlite_url):
    """A writer on a SQLite database with one account."""
    upgrade(sqlite_url)
    made = Writer(writer_engine(sqlite_url), lambda: NOW)
    made.open_account("main", "main", "binance-usdm", "live", NOW)
    made.take_head("main")
    yield made
    made.close()


def test_sqlite_writes_are_durable(small):
    """The writer's connection is WAL with synchronous=FULL and foreign keys on."""
    with small.begin() as tx:
        told = {name: tx.connection.exec_driver_sql(f"PRAGMA {name}").scalar()
                for name in ("journal_mode", "synchronous", "foreign_keys")}  # fmt: skip
    assert told == {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1}


def test_a_reader_of_sqlite_is_read_only_twice(small, reader_of):
    """The reader's connection is opened read-only and has query_only set."""
    with reading(reader_of(small)) as conn:
        assert conn.exec_driver_sql("PRAGMA query_only").scalar() == 1
        assert conn.exec_driver_sql("PRAGMA synchronous").scalar() == 2


@pytest.fixture
def reader_of(sqlite_url):
    """Make readers of the SQLite database."""
    made = []

    def make(_):
        made.append(reader_engine(sqlite_url))
        return made[-1]

    yield make
    for engine in made:
        engine.dispose()


def test_postgres_connections_have_limits(pg_url):
    """Time-outs, UTC and the program's name are set on the server's side of the connection."""
    engine = writer_engine(pg_url)
    with engine.connect() as connection:

        def setting(name):
            return connection.execute(text(f"SHOW {name}")).scalar()

        assert setting("application_name") == "accountd"
        assert setting("timezone").upper() == "UTC"
        assert [setting(name) for name in (
            "statement_timeout", "lock_timeout", "idle_in_transaction_session_timeout",
        )] == ["1min", "30s", "30s"]  # fmt: skip
        connection.rollback()
        assert setting("lock_timeout") == "30s"
    engine.dispose()


@pytest.mark.parametrize("url", ["", "nonsense", "mysql://h/d", "sqlite://", "sqlite:///:memory:"])
def test_other_addresses_are_settings_errors(url):
    """What is neither a SQLite file nor Postgres is refused by the name of the setting."""
    with pytest.raises(SettingsError, match="ACCOUNTD_DATABASE_URL"):
        writer_engine(url)


def test_a_full_disk_passes_when_there_is_space(small):
    """SQLITE_FULL is an error that may pass; nothing of the batch stays, and the same batch goes in later."""
    with small.begin() as tx:
        pages = tx.connection.exec_driver_sql("PRAGMA page_count").scalar()
    # The limit belongs to the connection, of which the writer has one.
    with small.engine.connect() as connection:
        connection.connection.driver_connection.execute(f"PRAGMA max_page_count={pages}")
    many = changes(count=300, orders=[order(n) for n in range(300)])
    with pytest.raises(DatabaseFull) as caught:
        small.write([many])
    assert not caught.value.permanent
    with small.engine.connect() as connection:
        connection.connection.driver_connection.execute("PRAGMA max_page_count=1000000")
    small.write([many])
    assert small.take_head("main").seq == 300


def test_a_lock_of_another_program_is_waited_for(small, sqlite_url):
    """While another program holds the write lock the writer waits, and it says so when it gives up."""
    other = sqlite3.connect(make_url(sqlite_url).database, isolation_level=None)
    with small.engine.connect() as connection:
        connection.connection.driver_connection.execute("PRAGMA busy_timeout=50")
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(DatabaseGone) as caught:
        small.write([changes()])
    assert not caught.value.permanent
    other.execute("ROLLBACK")
    other.close()
    small.write([changes()])


def terminate(postgres):
    """End every connection of ours at the server."""
    with psycopg.connect(postgres.url(), autocommit=True) as admin:
        admin.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'accountd'"
        )


def test_postgres_going_away_is_survived(pg_url, postgres):
    """A connection that the server ends is an error that may pass; the next transaction reconnects."""
    upgrade(pg_url)
    writer = Writer(writer_engine(pg_url), lambda: NOW)
    writer.open_account("main", "main", "binance-usdm", "live", NOW)
    writer.take_head("main")
    terminate(postgres)
    with pytest.raises(DatabaseGone):
        writer.write([changes(fills=[fill()])])
    assert writer.take_head("main").seq == 0
    writer.write([changes(fills=[fill()])])
    with pytest.raises(DatabaseGone), writer.begin() as tx:
        tx.write([changes(first=1, fills=[fill(2)])])
        terminate(postgres)
    assert writer.take_head("main").seq == 1
    writer.close()


def test_a_streamed_read_that_loses_its_connection_leaves_no_cursor_open(pg_url, postgres, recwarn):
    """SQLAlchemy leaves the cursor of a lost connection to the collector, and psycopg warns of it there."""
    warnings.simplefilter("always")
    with pytest.raises(DatabaseGone), reading(reader_engine(pg_url)) as connection:
        terminate(postgres)
        list(stream(connection, select(func.generate_series(1, 3).label("n"))))
    gc.collect()
    assert [str(warning.message) for warning in recwarn] == []


def sqlite_error(name, kind=sqlite3.OperationalError):
    """Make an error as the sqlite3 module raises it."""
    error = kind("told by the library")
    error.sqlite_errorname = name
    return error


@pytest.mark.parametrize(("error", "meaning"), [
    (sqlite_error("SQLITE_IOERR_FSYNC"), DatabaseFailed),
    (sqlite_error("SQLITE_IOERR_WRITE"), DatabaseFailed),
    (sqlite_error("SQLITE_IOERR"), DatabaseFailed),
    (sqlite_error("SQLITE_CORRUPT", sqlite3.DatabaseError), DatabaseFailed),
    (sqlite_error("SQLITE_FULL"), DatabaseFull),
    (sqlite_error("SQLITE_BUSY"), DatabaseGone),
    (sqlite_error("SQLITE_BUSY_SNAPSHOT"), DatabaseGone),
    (sqlite_error("SQLITE_CONSTRAINT_UNIQUE", sqlite3.IntegrityError), RecordRefused),
    (psycopg.errors.DiskFull("full"), DatabaseFull),
    (psycopg.errors.AdminShutdown("bye"), DatabaseGone),
    (psycopg.errors.LockNotAvailable("lock"), DatabaseGone),
    (psycopg.errors.DeadlockDetected("lock"), DatabaseGone),
    (psycopg.errors.SerializationFailure("again"), DatabaseGone),
    (psycopg.errors.ReadOnlySqlTransaction("standby"), DatabaseGone),
    (psycopg.errors.UniqueViolation("twice"), RecordRefused),
    (psycopg.errors.IoError("disk"), DatabaseFailed),
    (psycopg.OperationalError("no route"), DatabaseGone),
])  # fmt: skip
def test_each_driver_error_has_one_meaning(error, meaning):
    """Errors are told apart by code, wrapped by SQLAlchemy or not; a lost write stops the daemon."""
    assert type(classify(error)) is meaning
    assert type(classify(OperationalError("SELECT 1", {}, error))) is meaning
    assert classify(error).permanent is (meaning in (DatabaseFailed, RecordRefused))


def test_money_and_time_are_written_in_one_form():
    """Text has no exponent, no minus zero and a fixed width in UTC; a naive time is refused."""
    assert [money_text(Decimal(told)) for told in ("1E-8", "0E-7", "-0.0", "1E+3", "-1.50")] == [
        "0.00000001", "0.0000000", "0.0", "1000", "-1.50",
    ]  # fmt: skip
    assert time_text(NOW.replace(microsecond=0)) == "2026-11-01 12:00:00.000000+00:00"
    assert time_text(NOW.astimezone()) == time_text(NOW)
    with pytest.raises(TypeError):
        time_text(NOW.replace(tzinfo=None))


def test_exact_sum_refuses_floats():
    """A REAL is not exact any more, so dsum does not add it; the sum of nothing is NULL."""
    assert ExactSum().finalize() is None
    with pytest.raises(TypeError):
        ExactSum().step(0.1)


def test_a_batch_is_stamped_with_the_clock_of_its_commit(sqlite_url):
    """committed_at is read after the rows before it were written."""
    upgrade(sqlite_url)
    ticks = iter(NOW + timedelta(seconds=n) for n in range(9))
    writer = Writer(writer_engine(sqlite_url), lambda: next(ticks))
    writer.open_account("main", "main", "binance-usdm", "live", NOW)
    writer.take_head("main")
    assert writer.write([changes()]) == NOW
    assert writer.write([changes(first=1)]) == NOW + timedelta(seconds=1)
    writer.close()


def test_a_place_that_is_not_there_is_one_line(tmp_path):
    """Neither who writes, nor who asks whether one could, meets a missing folder with a traceback."""
    url = f"sqlite:///{tmp_path}/none/x.db"
    for attempt in (lambda: require_place(url), lambda: sole_writer(url).__enter__()):
        with pytest.raises(DatabaseGone, match=r"none/x\.db: No such file or directory; the folder must"):
            attempt()
    require_place(f"sqlite:///{tmp_path}/x.db")
    assert not list(tmp_path.iterdir())


def test_the_lock_lies_beside_the_file_also_at_home(tmp_path, monkeypatch):
    """A ~ in the address means the same to the lock as to the database."""
    monkeypatch.setenv("HOME", str(tmp_path))
    with sole_writer("sqlite:///~/x.db"):
        assert [path.name for path in tmp_path.iterdir()] == ["x.db.writer"]
