"""One writer for a database: a second accountd that would write is told so and changes nothing."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import text

from accountd.errors import DatabaseError
from accountd.store.engine import parse, sqlite_file, unreachable, writer_engine
from accountd.store.faults import translated

_KEY = 0x6163636F756E7464  # "accountd"


class DatabaseBusy(DatabaseError):
    """Another accountd writes to this database; stop it first."""

    permanent = True


@contextmanager
def sole_writer(url: str) -> Iterator[None]:
    """Hold the right to write to the database for as long as the context lasts.

    The operating system or the server gives it back when this process dies. Heads are fenced by epoch
    besides, so a lock that is lost with its connection cannot let two processes write.

    Raises:
        DatabaseBusy: another process holds it.
        DatabaseGone: there is no place for the file, or no server.
    """
    parsed = parse(url)
    if parsed.get_backend_name() == "sqlite":
        yield from _file_lock(sqlite_file(parsed))
    else:
        yield from _server_lock(url)


def _file_lock(database: Path) -> Iterator[None]:
    path = database.with_name(f"{database.name}.writer")
    try:
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise unreachable(database, error) from error
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise DatabaseBusy from None
        yield
    finally:
        os.close(handle)


def _server_lock(url: str) -> Iterator[None]:
    engine = writer_engine(url)
    with translated():
        connection = engine.execution_options(isolation_level="AUTOCOMMIT").connect()
    try:
        with translated():
            held = connection.execute(text("SELECT pg_try_advisory_lock(:key)"), {"key": _KEY}).scalar()
        if not held:
            raise DatabaseBusy
        yield
    finally:
        connection.close()
        engine.dispose()

