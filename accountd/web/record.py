"""The record as the web reads it: in threads of its own, on few connections, each read ended in time."""

import asyncio
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, TypeVar

from accountd.core.health import Health
from accountd.store import queries
from accountd.store.bounded import BoundedReader
from accountd.web.problem import Problem

T = TypeVar("T")
CONNECTIONS = 4
SECONDS = 5.0
PATIENT_SECONDS = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """One look at the record: a snapshot, the accounts by id and by name, and how the daemon does."""

    conn: Any
    rows: Mapping[str, Any]
    names: Mapping[str, str]
    health: Health

    def account_id(self, name: str) -> str:
        """Return the id of an account by its name.

        Raises:
            Problem: there is no such account.
        """
        found = next((one for one, its in self.names.items() if its == name), None)
        if found is None:
            there = ", ".join(sorted(self.names.values())) or "none yet"
            raise Problem.parameter("account", name, f"accounts: {there}", status=404)
        return found


class Record:
    """Everything the web knows about the database; nothing here can write."""

    def __init__(self, database_url: str, health: Health) -> None:
        """Open nothing yet.

        Raises:
            SettingsError: the URL is no SQLite file and no Postgres address.
        """
        self.health = health
        self._reader = BoundedReader(database_url, connections=CONNECTIONS, seconds=SECONDS)
        self._threads = ThreadPoolExecutor(CONNECTIONS, thread_name_prefix="accountd-web")
        # One more for sums over the whole record: at most one is under way, and no page waits for it.
        self._patient_reader = BoundedReader(database_url, connections=1, seconds=PATIENT_SECONDS)
        self._patient_thread = ThreadPoolExecutor(1, thread_name_prefix="accountd-web-sums")
        self._closed = threading.Event()

    async def look(self, run: Callable[[Look], T]) -> T:
        """Run `run` in a thread with one look at the record.

        Raises:
            DatabaseError: the database does not answer, is not migrated, or takes too long.
            Problem: raised by `run`.
        """
        return await asyncio.get_running_loop().run_in_executor(self._threads, self._look, self._reader, run)

    def later(self, run: Callable[[Look], T]) -> "Future[T]":
        """Run `run` with a look of its own, one after the other, each for a minute at most."""
        return self._patient_thread.submit(self._look, self._patient_reader, run)

    def _look(self, reader: BoundedReader, run: Callable[[Look], T]) -> T:
        with reader.reading() as conn:
            rows = {row["account_id"]: row for row in queries.accounts(conn)}
            names = {key: row["name"] for key, row in rows.items()}
            return run(Look(conn=conn, rows=rows, names=names, health=self.health))

    @property
    def closed(self) -> bool:
        """Tell whether the web is going away, so that streams end."""
        return self._closed.is_set()

    def leave(self) -> None:
        """Let streams end."""
        self._closed.set()

    def close(self) -> None:
        """Close every connection and end the threads."""
        self._closed.set()
        for threads in (self._threads, self._patient_thread):
            threads.shutdown(wait=True, cancel_futures=True)
        for reader in (self._reader, self._patient_reader):
            reader.close()
