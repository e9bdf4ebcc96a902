"""What a command asks of the daemon that holds the right to write: one row, read when there is leisure."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import select

from accountd.errors import SettingsError
from accountd.store.bookkeeping import Bookkeeping
from accountd.store.engine import reader_engine, reading, writer_engine
from accountd.store.faults import translated
from accountd.store.tables import accounts, backfills


def ask_backfill(url: str, names: Sequence[str], since: datetime, now: datetime) -> None:
    """Ask for the history of accounts from ``since`` on. Touches nothing that the writer owns.

    Raises:
        DatabaseError: the database does not answer.
        SettingsError: the record does not know an account yet.
    """
    engine = writer_engine(url)
    try:
        with translated(), engine.connect() as connection, connection.begin():
            known = set(connection.execute(select(accounts.c.account_id)).scalars())
            if unknown := sorted(set(names) - known):
                raise SettingsError(f"the record does not know {', '.join(unknown)} yet")
            books = Bookkeeping(connection)
            for name in names:
                books.ask_backfill(name, since, now)
    finally:
        engine.dispose()


def waiting(url: str, names: Sequence[str]) -> list[str]:
    """Return the accounts whose asked-for history has not been read to its end."""
    engine = reader_engine(url)
    c = backfills.c
    try:
        with reading(engine) as connection:
            query = select(c.account_id).where(c.account_id.in_(names), c.done_at.is_(None))
            return sorted(connection.execute(query).scalars())
    finally:
        engine.dispose()
