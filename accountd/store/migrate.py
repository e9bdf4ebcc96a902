"""The schema's revisions: bring a database up under a lock, refuse one from a newer accountd."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import cache
from typing import Any

from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from psycopg.errors import LockNotAvailable
from sqlalchemy import Connection, inspect, text
from sqlalchemy.exc import DBAPIError

from accountd.errors import DatabaseError, SchemaBusy, SchemaTooNew, SchemaTooOld
from accountd.paths import migrations_dir
from accountd.store import reference
from accountd.store.engine import parse, reader_engine, reading, sqlite_file, writer_engine
from accountd.store.faults import classify, translated

LOCK = 0x6163636D69677261  # "accmigra": the advisory lock that migrating processes share


@dataclass(frozen=True, slots=True, kw_only=True)
class Upgrade:
    """What an upgrade did."""

    from_rev: str | None
    to_rev: str
    changed: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Schema:
    """The revision of a database (None: empty) and the one that this program wants."""

    current: str | None
    head: str

    @property
    def up_to_date(self) -> bool:
        return self.current == self.head


def upgrade(url: str, target: str = "head") -> Upgrade:
    """Bring the database up to this program's schema, all or nothing; a second process waits its turn.

    Raises:
        SchemaTooNew: the database has a revision that this program does not know.
        SchemaBusy: another process has been migrating for longer than the lock time-out.
        DatabaseError: the database does not answer or refuses.
    """
    with _locked(url) as connection:
        before = _current(connection)
        _known(before)
        command.upgrade(_config(connection), target)
        after = _current(connection)
        if after != before and after == _head():
            reference.comment(connection)
    if after is None:
        raise SchemaTooOld("the migrations left no revision behind")
    return Upgrade(from_rev=before, to_rev=after, changed=before != after)


def downgrade(url: str, target: str) -> None:
    """Take the schema back to a revision, or to ``base``; what it held is lost.

    Raises:
        SchemaTooNew: the database has a revision that this program does not know.
        DatabaseError: the database does not answer or refuses.
    """
    with _locked(url) as connection:
        _known(_current(connection))
        command.downgrade(_config(connection), target)


def check(url: str) -> Schema:
    """Read the database's revision and change nothing; a SQLite file that is not there counts as empty.

    Raises:
        SchemaTooNew: the database has a revision that this program does not know.
        DatabaseError: the database does not answer.
    """
    parsed = parse(url)
    if parsed.get_backend_name() == "sqlite" and not sqlite_file(parsed).exists():
        return Schema(current=None, head=_head())
    engine = reader_engine(url)
    try:
        with reading(engine) as connection:
            current = _current(connection)
    finally:
        engine.dispose()
    _known(current)
    return Schema(current=current, head=_head())


def require(url: str) -> None:
    """Go on only if the schema is this program's.

    Raises:
        SchemaTooOld: not migrated yet.
        SchemaTooNew: migrated by a newer accountd.
    """
    if not check(url).up_to_date:
        raise SchemaTooOld


@contextmanager
def _locked(url: str) -> Iterator[Connection]:
    """Open the one transaction of a migration: SQLite's write lock, or an advisory lock on Postgres."""
    engine = writer_engine(url)
    try:
        with translated(), ExitStack() as stack:
            try:
                connection = stack.enter_context(engine.connect())
                stack.enter_context(connection.begin())
                if connection.dialect.name == "postgresql":
                    connection.execute(text("SET LOCAL statement_timeout = 0"))
                    connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": LOCK})
            except DBAPIError as error:
                raise _busy(error) from error
            yield connection
    finally:
        engine.dispose()


def _busy(error: DBAPIError) -> DatabaseError:
    """Tell a lock that another process holds from every other trouble."""
    cause = error.orig
    sqlite_busy = str(getattr(cause, "sqlite_errorname", "")).startswith("SQLITE_BUSY")
    if sqlite_busy or isinstance(cause, LockNotAvailable):
        return SchemaBusy()
    return classify(error)


def _current(connection: Connection) -> str | None:
    if not inspect(connection).has_table("alembic_version"):
        return None
    row = connection.execute(text("SELECT version_num FROM alembic_version")).first()
    return None if row is None else str(row[0])


def _known(revision: str | None) -> None:
    if revision is not None and revision not in _revisions():
        raise SchemaTooNew(f"the database has schema {revision}, this accountd knows up to {_head()}")


def _config(connection: Connection | None = None) -> Config:
    config = Config()
    config.set_main_option("script_location", str(migrations_dir()).replace("%", "%%"))
    attributes: dict[str, Any] = config.attributes
    attributes["connection"] = connection
    return config


@cache
def _revisions() -> tuple[str, ...]:
    """List the revisions that ship with this program, newest first."""
    return tuple(script.revision for script in ScriptDirectory.from_config(_config()).walk_revisions())


def _head() -> str:
    return _revisions()[0]
