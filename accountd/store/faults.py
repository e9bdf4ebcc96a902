"""The one place where a database driver's errors become accountd's."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from accountd.errors import DatabaseError, DatabaseFailed, DatabaseFull, DatabaseGone, RecordRefused

# SQLite result codes, by the prefix of their names; the first that fits decides.
_SQLITE: tuple[tuple[str, type[DatabaseError]], ...] = (
    ("SQLITE_IOERR_SHMSIZE", DatabaseFull),
    ("SQLITE_FULL", DatabaseFull),
    ("SQLITE_IOERR", DatabaseFailed),  # after a failed fsync the next one may lie: stop, verify, restart
    ("SQLITE_CORRUPT", DatabaseFailed),
    ("SQLITE_NOTADB", DatabaseFailed),
    ("SQLITE_BUSY", DatabaseGone),
    ("SQLITE_LOCKED", DatabaseGone),
    ("SQLITE_CANTOPEN", DatabaseGone),
    ("SQLITE_READONLY", DatabaseGone),
    ("SQLITE_NOMEM", DatabaseGone),
    ("SQLITE_INTERRUPT", DatabaseGone),
    ("SQLITE_PROTOCOL", DatabaseGone),
    ("SQLITE_CONSTRAINT", RecordRefused),
)
# SQLSTATEs, by prefix.
_POSTGRES: tuple[tuple[str, type[DatabaseError]], ...] = (
    ("53100", DatabaseFull),
    ("58030", DatabaseFailed),
    ("XX001", DatabaseFailed),
    ("XX002", DatabaseFailed),
    ("25006", DatabaseGone),  # the server is a standby now: a new connection finds the primary
    ("22", RecordRefused),
    ("23", RecordRefused),
    ("P0001", RecordRefused),  # raised by the append-only triggers
)


def classify(error: BaseException) -> DatabaseError:
    """Say what a driver's error means, whether bare or wrapped by SQLAlchemy."""
    cause = error.orig if isinstance(error, DBAPIError) and error.orig is not None else error
    if isinstance(cause, sqlite3.Error):
        name = getattr(cause, "sqlite_errorname", None) or ""
        return _find(_SQLITE, name, RecordRefused)(f"{name or 'SQLite'}: {cause}")
    if isinstance(cause, psycopg.Error):
        state = cause.sqlstate or ""
        other = DatabaseGone if isinstance(cause, psycopg.OperationalError | psycopg.InterfaceError) else None
        return _find(_POSTGRES, state, other or RecordRefused)(f"{state or 'Postgres'}: {_line(cause)}")
    return RecordRefused(_line(cause))


def _find(
    rules: tuple[tuple[str, type[DatabaseError]], ...], code: str, otherwise: type[DatabaseError]
) -> type[DatabaseError]:
    return next((kind for prefix, kind in rules if code.startswith(prefix)), otherwise)


def _line(error: BaseException) -> str:
    """Return the first line only: the rest of a server's message quotes the row."""
    return str(error).strip().partition("\n")[0]


@contextmanager
def translated() -> Iterator[None]:
    """Run statements; a driver's error leaves as one of accountd's.

    Raises:
        DatabaseGone: no connection, a lock or a time-out; try again.
        DatabaseFull: no space; try again.
        DatabaseFailed: a write may be lost; stop.
        RecordRefused: a row breaks a constraint.
    """
    try:
        yield
    except (SQLAlchemyError, sqlite3.Error, psycopg.Error) as error:
        raise classify(error) from error
