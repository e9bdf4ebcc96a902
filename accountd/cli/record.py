"""The door through which commands read the record."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from accountd import config
from accountd.errors import DatabaseError, SchemaTooOld, SettingsError
from accountd.runtime import logs
from accountd.store import engine, migrate, queries


@contextmanager
def opened() -> Iterator[Any]:
    """Open a read-only snapshot of the database that the settings name; no other setting is needed.

    Raises:
        SettingsError: ACCOUNTD_DATABASE_URL is not usable.
        DatabaseError: the database is missing, does not answer, or has another schema.
    """
    with reader() as (_, opening), engine.reading(opening) as connection:
        yield connection


@contextmanager
def reader() -> Iterator[tuple[config.Settings, Any]]:
    """Open the settings, and an engine that only reads: for commands that look many times.

    Raises:
        SettingsError: ACCOUNTD_DATABASE_URL is not usable.
        DatabaseError: the database is missing, does not answer, or has another schema.
    """
    settings = config.load(need_accounts=False)
    logs.hide_settings(settings)
    try:
        schema = migrate.check(settings.database_url)
    except DatabaseError as error:
        raise type(error)(f"ACCOUNTD_DATABASE_URL: {settings.database_shown}: {error.message}") from error
    if schema.current is None:
        raise SchemaTooOld(
            f"no record at {settings.database_shown} yet; `accountd run` or `accountd db upgrade` makes one"
        )
    migrate.require(settings.database_url)
    opening = engine.reader_engine(settings.database_url)
    try:
        yield settings, opening
    finally:
        opening.dispose()


def require_account(connection: Any, name: str | None) -> None:
    """Refuse an account that the record does not know, instead of answering "nothing".

    Raises:
        SettingsError: naming the accounts that there are.
    """
    if name is None:
        return
    known = sorted(row["name"] for row in queries.accounts(connection))
    if name.lower() not in known:
        there = ", ".join(known) or "the record has none yet"
        raise SettingsError(f"--account: {name!r} is no account; accounts: {there}")
