"""The connections to the database: one that writes, and those that only read."""

from __future__ import annotations

import errno
import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, cast
from urllib.parse import quote

import psycopg
from sqlalchemy import Connection, Engine, ExceptionContext, create_engine, event
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError
from sqlalchemy.pool import NullPool, QueuePool

from accountd.errors import DatabaseGone, SettingsError
from accountd.store.exact import ExactSum, product
from accountd.store.faults import translated

BUSY_TIMEOUT = 30.0  # seconds
OLDEST_SQLITE = (3, 37, 0)  # STRICT tables
SAFE_SQLITE = (3, 51, 3)  # before it, two writing connections could corrupt the WAL
# Seconds. A frozen worker must not keep its row locks, and a dead network must not look like patience.
POSTGRES_LIMITS = {
    "statement_timeout": "60s",
    "lock_timeout": "30s",
    "idle_in_transaction_session_timeout": "30s",
    "timezone": "UTC",
}
# A person's query may take its time, and may wait while somebody looks at a page of it.
POSTGRES_READS = {"statement_timeout": "10min", "idle_in_transaction_session_timeout": "10min"}
POSTGRES_SOCKET = {
    "application_name": "accountd",
    "connect_timeout": 10,
    "keepalives": 1,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 20_000,  # milliseconds
}


def writer_engine(url: str) -> Engine:
    """Return an engine of one connection that may write; a new SQLite file is readable by its owner only.

    Raises:
        SettingsError: the URL is no SQLite file and no Postgres address.
    """
    parsed = parse(url)
    if parsed.get_backend_name() == "sqlite":
        return _sqlite(parsed, write=True)
    return _postgres(parsed, write=True)


def reader_engine(url: str, *, keep: int = 0) -> Engine:
    """Return an engine whose connections the database itself keeps from writing.

    Up to `keep` connections to Postgres stay open between reads; a SQLite file is opened each time.

    Raises:
        SettingsError: the URL is no SQLite file and no Postgres address.
    """
    parsed = parse(url)
    if parsed.get_backend_name() == "sqlite":
        return _sqlite(parsed, write=False)
    return _postgres(parsed, write=False, keep=keep)


@contextmanager
def reading(engine: Engine) -> Iterator[Connection]:
    """Open one snapshot to read from; driver errors leave translated."""
    with translated(), engine.connect() as connection, connection.begin():
        yield connection


def parse(url: str) -> URL:
    """Read ``sqlite:///file`` or ``postgresql://...``; psycopg 3 is the only Postgres driver."""
    name = "ACCOUNTD_DATABASE_URL"
    try:
        parsed = make_url(url)
    except ArgumentError:
        raise SettingsError(f"{name}: not a database URL; use sqlite:///FILE or postgresql://...") from None
    backend = parsed.get_backend_name()
    if backend in ("postgresql", "postgres"):
        return parsed.set(drivername="postgresql+psycopg")
    if backend != "sqlite":
        raise SettingsError(f"{name}: {backend} is not supported; use sqlite:///FILE or postgresql://...")
    if not parsed.database or parsed.database == ":memory:":
        raise SettingsError(f"{name}: a SQLite database must be a file: sqlite:///FILE")
    return parsed


def sqlite_file(parsed: URL) -> Path:
    """Return the file of a SQLite URL."""
    return Path(parsed.database or "").expanduser().absolute()


def unreachable(path: Path, error: OSError) -> DatabaseGone:
    """Say why a SQLite file cannot be made or written."""
    return DatabaseGone(f"{path}: {error.strerror}; the folder must exist, and may be written to")


def require_place(url: str) -> None:
    """Make sure that a SQLite file may be written, or made; nothing is.

    Raises:
        DatabaseGone: it cannot.
    """
    parsed = parse(url)
    if parsed.get_backend_name() != "sqlite":
        return
    path = sqlite_file(parsed)
    place = path if path.exists() else path.parent
    if not os.access(place, os.W_OK):
        missing = errno.EACCES if place.exists() else errno.ENOENT
        raise unreachable(path, OSError(missing, os.strerror(missing)))


def _sqlite(parsed: URL, write: bool) -> Engine:
    if sqlite3.sqlite_version_info < OLDEST_SQLITE:
        raise SettingsError(f"SQLite {sqlite3.sqlite_version} is too old: accountd needs 3.37 or newer")
    connect = _sqlite_writer(sqlite_file(parsed)) if write else _sqlite_reader(sqlite_file(parsed))
    if write:
        engine = create_engine("sqlite://", creator=connect, poolclass=QueuePool, pool_size=1, max_overflow=0)
    else:
        engine = create_engine("sqlite://", creator=connect, poolclass=NullPool)
    begin = "BEGIN IMMEDIATE" if write else "BEGIN"
    event.listen(engine, "begin", lambda connection: connection.exec_driver_sql(begin))
    return engine


def _sqlite_writer(path: Path) -> Callable[[], sqlite3.Connection]:
    def connect() -> sqlite3.Connection:
        try:
            os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
        except OSError as error:
            raise unreachable(path, error) from error
        connection = sqlite3.connect(
            path, timeout=BUSY_TIMEOUT, isolation_level=None, check_same_thread=False, cached_statements=256
        )
        try:
            connection.execute("PRAGMA journal_mode=WAL").fetchall()
            connection.execute("PRAGMA synchronous=FULL")
            connection.execute("PRAGMA foreign_keys=ON")
            connection.execute("PRAGMA journal_size_limit=67108864")
        except sqlite3.Error:
            connection.close()
            raise
        return connection

    return connect


def _sqlite_reader(path: Path) -> Callable[[], sqlite3.Connection]:
    def connect() -> sqlite3.Connection:
        if not path.is_file():
            raise DatabaseGone(f"no database at {path}")
        connection = sqlite3.connect(
            f"file:{quote(str(path))}?mode=ro", uri=True, timeout=BUSY_TIMEOUT, isolation_level=None,
            check_same_thread=False,
        )  # fmt: skip
        try:
            connection.execute("PRAGMA query_only=ON")
            connection.execute("PRAGMA foreign_keys=ON")
            connection.execute("PRAGMA synchronous=FULL")
            connection.create_aggregate("dsum", 1, cast(Any, ExactSum))
            connection.create_function("dmul", 2, product, deterministic=True)
        except sqlite3.Error:
            connection.close()
            raise
        return connection

    return connect


def _postgres(parsed: URL, write: bool, keep: int = 0) -> Engine:
    socket = {name: value for name, value in POSTGRES_SOCKET.items() if name not in parsed.query}
    limits = dict(POSTGRES_LIMITS)
    if not write:
        limits |= POSTGRES_READS | {"default_transaction_read_only": "on"}
    if write:
        engine = create_engine(parsed, connect_args=socket, pool_size=1, max_overflow=0, pool_use_lifo=True)
    elif keep:
        engine = create_engine(
            parsed, connect_args=socket, pool_size=keep, max_overflow=0, pool_pre_ping=True
        )  # fmt: skip
    else:
        engine = create_engine(parsed, connect_args=socket, poolclass=NullPool)
    settings = ", ".join(f"set_config('{name}', '{value}', false)" for name, value in limits.items())

    def configure(connection: Any, record: object) -> None:
        connection.autocommit = True  # or a rollback would take the settings back
        connection.execute(f"SELECT {settings}")
        connection.autocommit = False

    event.listen(engine, "connect", configure)
    event.listen(engine, "handle_error", _close_lost)
    return engine


def _close_lost(failed: ExceptionContext) -> None:
    # SQLAlchemy closes a cursor that failed, but not on a lost connection; psycopg warns of a streamed one.
    if failed.is_disconnect and failed.execution_context is not None:
        with suppress(psycopg.Error):
            failed.execution_context.cursor.close()
