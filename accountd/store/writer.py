"""The only way anything gets written down: one connection, one transaction at a time, from one thread."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from itertools import chain
from typing import Any, TypeVar

import structlog
from sqlalchemy import Connection, Engine, select, update
from sqlalchemy.engine import Row as SqlRow

from accountd.core.alerts import OutboxRow
from accountd.core.changes import Changes, Held, Wanted
from accountd.core.journal import GENESIS
from accountd.core.told import Balance, Order, Position
from accountd.errors import DatabaseError, DatabaseGone, Fenced, RecordRefused, SettingsError
from accountd.store import recall, rows, statements, tables
from accountd.store.bookkeeping import Bookkeeping
from accountd.store.engine import SAFE_SQLITE
from accountd.store.faults import translated
from accountd.store.proving import upsert
from accountd.store.ready import Move, Ready, ready
from accountd.store.rows import AccountRow, Head, Row
from accountd.store.types import time_text

log = structlog.get_logger(__name__)
T = TypeVar("T")


class Writer:
    """Owns the writing connection, for one thread at a time; once it is lost the next begin reconnects.

    ``epochs`` holds each account's epoch as ``take_head`` set it; a write under an older one is fenced.
    ``aside`` reads what is committed on a connection of its own, from any one other thread.
    """

    def __init__(
        self, engine: Engine, clock: Callable[[], datetime], aside: Engine | None = None
    ) -> None:
        self.engine = engine
        self.clock = clock
        self.aside = aside
        self._looking: Connection | None = None
        self.epochs: dict[str, int] = {}
        if engine.dialect.name == "sqlite":
            safe = sqlite3.sqlite_version_info >= SAFE_SQLITE
            log.info("store.sqlite", version=sqlite3.sqlite_version, wal_reset_fixed=safe)

    @contextmanager
    def begin(self) -> Iterator[Transaction]:
        """Open a transaction; it commits at the end of the block and rolls back if the block raises.

        Raises:
            DatabaseGone: try again; whether a commit that was under way took effect is for `took_effect`
                to say. Read the head again first.
            DatabaseFull: try again when there is space.
            DatabaseFailed: stop.
            RecordRefused: a row breaks a constraint; a bug.
        """
        with translated(), self.engine.connect() as connection, connection.begin():
            yield Transaction(connection, self.clock, self.epochs)

    def took_effect(self, mark: str) -> bool:
        """Say whether the transaction that ``mark`` names was committed.

        Raises:
            DatabaseGone: the server still works on it, or does not answer.
        """
        try:
            with self.begin() as tx:
                status = tx.connection.exec_driver_sql("SELECT pg_xact_status(%s::xid8)", (mark,)).scalar()
        except RecordRefused:  # the server that answers now never heard of it
            return False
        if status == "in progress":
            raise DatabaseGone("a commit whose answer was lost is still under way")
        return status == "committed"

    def look(self, account_id: str, wanted: Wanted) -> Held:
        """Find what is committed of the wanted keys, beside a transaction that is under way.

        Raises:
            DatabaseGone: try again, on a new connection.
        """
        assert self.aside is not None
        try:
            with translated():
                if self._looking is None:
                    self._looking = self.aside.connect()
                with self._looking.begin():
                    return recall.load(self._looking, account_id, wanted)
        except DatabaseError:
            self.look_away()
            raise

    def look_away(self) -> None:
        """Close the connection of `look`, from the thread that uses it."""
        looking, self._looking = self._looking, None
        if looking is not None:
            looking.invalidate()
            looking.close()

    def close(self) -> None:
        """Close the connection; SQLite then folds its WAL into the database file."""
        if self.aside is not None:
            self.aside.dispose()
        self.engine.dispose()

    def open_account(
        self, account_id: str, name: str, venue: str, environment: str, now: datetime
    ) -> AccountRow:
        """Find the account, or create it, in a transaction of its own (see Transaction)."""
        with self.begin() as tx:
            return tx.open_account(account_id, name, venue, environment, now)

    def take_head(self, account_id: str) -> Head:
        """Fence every earlier writer of the account, in a transaction of its own (see Transaction)."""
        with self.begin() as tx:
            return tx.take_head(account_id)

    def load_small(self, account_id: str) -> tuple[list[Balance], list[Position], list[Order]]:
        """Read the account's balances, positions and open orders (see Transaction)."""
        with self.begin() as tx:
            return tx.load_small(account_id)

    def load(self, account_id: str, wanted: Wanted) -> Held:
        """Find what is held of the wanted keys (see Transaction)."""
        with self.begin() as tx:
            return tx.load(account_id, wanted)

    def write(
        self,
        changes: Sequence[Changes],
        outbox: Sequence[OutboxRow] = (),
        extra: Sequence[Callable[[Transaction], object]] = (),
    ) -> datetime:
        """Write changes, their alerts and extra operations in one transaction; return its time."""
        with self.begin() as tx:
            for operation in extra:
                tx.run(operation)
            return tx.write(changes, outbox)


class Transaction(Bookkeeping):
    """One transaction of the writer. ``committed_at`` is what the fills written in it say."""

    def __init__(self, connection: Connection, clock: Callable[[], datetime], epochs: dict[str, int]) -> None:
        super().__init__(connection)
        self.clock = clock
        self.epochs = epochs
        self.committed_at: datetime | None = None
        self._dialect = connection.dialect.name
        self._mark: str | None = None

    def run(self, operation: Callable[[Transaction], T]) -> T:
        """Do something else in the same transaction."""
        return operation(self)

    def open_account(
        self, account_id: str, name: str, venue: str, environment: str, now: datetime
    ) -> AccountRow:
        """Find the account, or create it with ``created_at`` = now and an empty journal.

        Raises:
            SettingsError: the account is kept from another venue or environment.
        """
        held = self._account(account_id)
        if held is None:
            fresh = AccountRow(
                account_id=account_id, name=name, venue=venue, environment=environment, created_at=now,
                is_new=True,
            )  # fmt: skip
            row = {column.name: getattr(fresh, column.name) for column in tables.accounts.c}
            self.connection.execute(upsert(self.connection, tables.accounts).on_conflict_do_nothing(), row)
            start = {"account_id": account_id, "seq": 0, "epoch": 0, "head": GENESIS}
            self.connection.execute(upsert(self.connection, tables.heads).on_conflict_do_nothing(), start)
            return fresh
        if (held.venue, held.environment) != (venue, environment):
            raise SettingsError(
                f"account {account_id!r}: the record holds it for {held.venue} ({held.environment}), "
                f"the settings say {venue} ({environment}); use another account name or another database"
            )
        return AccountRow(
            account_id=account_id, name=held.name, venue=held.venue, environment=held.environment,
            created_at=held.created_at, is_new=False,
        )  # fmt: skip

    def _account(self, account_id: str) -> SqlRow[Any] | None:
        accounts = tables.accounts
        return self.connection.execute(select(accounts).where(accounts.c.account_id == account_id)).first()

    def take_head(self, account_id: str) -> Head:
        """Return where the journal ends and fence every earlier writer by a new epoch.

        Raises:
            KeyError: no such account; open it first.
        """
        heads = tables.heads
        taken = self.connection.execute(
            update(heads).where(heads.c.account_id == account_id).values(epoch=heads.c.epoch + 1)
            .returning(heads.c.seq, heads.c.head, heads.c.epoch)
        ).first()  # fmt: skip
        if taken is None:
            raise KeyError(account_id)
        self.epochs[account_id] = taken.epoch
        return Head(taken.seq, bytes(taken.head), taken.epoch)

    def read_head(self, account_id: str) -> Head:
        """Return where the journal ends, which is still ours.

        Raises:
            Fenced: another worker has taken it since `take_head`.
        """
        heads = tables.heads
        held = self.connection.execute(select(heads).where(heads.c.account_id == account_id)).first()
        if held is None or held.epoch != self.epochs[account_id]:
            raise Fenced(f"account {account_id!r}: another worker has taken it over")
        return Head(held.seq, bytes(held.head), held.epoch)

    def mark(self) -> str | None:
        """Name the transaction for `took_effect`; None where a commit's answer cannot get lost."""
        if self._dialect != "postgresql":
            return None
        if self._mark is not None:
            return self._mark
        return str(self.connection.exec_driver_sql("SELECT pg_current_xact_id()").scalar_one())

    def load_small(self, account_id: str) -> tuple[list[Balance], list[Position], list[Order]]:
        """Read all balances and positions of an account, and its open orders that are not missing."""
        return recall.load_small(self.connection, account_id)

    def load(self, account_id: str, wanted: Wanted) -> Held:
        """Find what is held of the wanted keys, one statement a table; orders come with their events."""
        return recall.load(self.connection, account_id, wanted)

    def write(self, changes: Sequence[Changes], outbox: Sequence[OutboxRow] = ()) -> datetime:
        """Write what tellings changed, and the alerts about it (see `put`)."""
        return self.put(ready(changes), outbox)

    def put(self, what: Ready, outbox: Sequence[OutboxRow] = ()) -> datetime:
        """Write rows, and alerts about them; return the time that the fills bear.

        The clock is read just before the fills, the last rows of all.

        Raises:
            Fenced: another worker has taken an account, or its journal has moved on.
            KeyError: the head of an account was never taken.
            RecordRefused: a row is there already that was to be new.
        """
        if self._dialect == "postgresql":
            return self._put_at_once(what, outbox)
        for move in what.moves:
            self.advance(move)
        for name, values in what.work.items():
            self.insert(name, values)
        self.name_fills(what)
        self.committed_at = now = self.clock()
        self.insert("outbox", _outbox(outbox, now))
        self.insert("fills", _stamped(what.fills, now))
        self.resolve(what)
        return now

    def _put_at_once(self, what: Ready, outbox: Sequence[OutboxRow]) -> datetime:
        """Write everything in one round trip, but for what is worth a COPY: each wait costs a turn."""
        enough = statements.WORTH_COPY
        many = {name: values for name, values in what.work.items() if len(values) >= enough}
        few = {name: values for name, values in what.work.items() if values and name not in many}
        many_fills = len(what.fills) >= enough
        moves = list(what.moves)
        if many or many_fills:
            while moves:
                self.advance(moves.pop())
            for name, values in many.items():
                self.insert(name, values)
        self.name_fills(what)
        self.committed_at = now = self.clock()
        few |= {"outbox": _outbox(outbox, now)} if outbox else {}
        if many_fills:
            self.insert("fills", _stamped(what.fills, now))
        elif what.fills:
            few["fills"] = _stamped(what.fills, now)
        if moves or few:
            cells: list[Any] = list(chain.from_iterable(map(self._head, moves)))
            cells += [statements.as_json(statements.INSERT[name][0], values) for name, values in few.items()]
            statement = statements.all_at_once(tuple(few), len(moves))
            moved, number = self.connection.exec_driver_sql(statement, tuple(cells)).one()
            if moved != len(moves):
                raise Fenced(_taken(", ".join(one.account_id for one in moves)))
            self._mark = str(number)
        self.resolve(what)
        return now

    # -- the parts of `put`, for a replay

    def name_fills(self, what: Ready) -> None:
        """Tell fills that are there already their client order ids."""
        if what.named:
            statement = statements.name_fills(self._dialect)
            statements.run(self.connection, statement, statements.NAME, what.named)

    def resolve(self, what: Ready) -> None:
        """Resolve what tellings explain; behind the findings, so that the history has both turns."""
        for account_id, kind, subject, at in what.resolved:
            self.resolve_findings(account_id, kind, subject, at)

    def insert(self, name: str, values: list[Row]) -> None:
        """Write rows of a table."""
        if values:
            statement = statements.insert(self._dialect, name)
            statements.run(self.connection, statement, statements.INSERT[name][0], values)

    def advance(self, move: Move) -> None:
        """Move the account's head from where these changes start; whoever holds a newer epoch fences us."""
        done = self.connection.exec_driver_sql(statements.advance(self._dialect), self._head(move))
        if done.rowcount != 1:
            raise Fenced(_taken(move.account_id))

    def _head(self, move: Move) -> tuple[Any, ...]:
        return (move.seq, move.head, move.account_id, self.epochs[move.account_id], move.first_seq)


def _stamped(fills: list[Row], now: datetime) -> list[Row]:
    stamp = time_text(now)
    return [(*row, stamp) for row in fills]


def _outbox(outbox: Sequence[OutboxRow], now: datetime) -> list[Row]:
    stamp = time_text(now)
    return [rows.outbox(row, stamp) for row in outbox]


def _taken(account_id: str) -> str:
    return f"account {account_id!r}: another worker has taken it over, or its journal has moved on"
