"""The door through which commands change what is kept about alerts."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from accountd import config
from accountd.errors import SettingsError
from accountd.runtime import logs
from accountd.store import engine, migrate
from accountd.store.faults import translated


@contextmanager
def changing() -> Iterator[Any]:
    """Open one short transaction beside a daemon that may be running.

    Raises:
        DatabaseError: the database is missing, busy for long, or has another schema.
    """
    settings = config.load(need_accounts=False)
    logs.hide_settings(settings)
    migrate.require(settings.database_url)
    writer = engine.writer_engine(settings.database_url)
    try:
        with translated(), writer.connect() as connection, connection.begin():
            yield connection
    finally:
        writer.dispose()


def hooks() -> dict[str, config.Hook]:
    """Return the hooks of the settings.

    Raises:
        SettingsError: they are not usable; each line says why.
    """
    settings = config.load(need_accounts=True)
    logs.hide_settings(settings)
    return dict(settings.hooks)


def hook(name: str) -> config.Hook:
    """Return one hook of the settings.

    Raises:
        SettingsError: there is none of that name.
    """
    known = hooks()
    if name.lower() not in known:
        there = ", ".join(sorted(known)) or "none is configured"
        raise SettingsError(f"{name!r} is no hook; hooks: {there}")
    return known[name.lower()]
