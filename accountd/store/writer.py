"""The only way anything gets written down: one connection, one transaction at a time, from one thread."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from itertools import chain
from typing import Any, TypeVar

import msgspec
import structlog
from sqlalchemy import Connection, Engine, select, update
from sqlalchemy.engine import Row as SqlRow

from accountd.core.alerts import OutboxRow
from accountd.core.beliefs import order_key
from accountd.core.changes import Changes, Held, Wanted
from accountd.core.journal import GENESIS
from accountd.core.told import Balance, Order, Position
from accountd.errors import DatabaseGone, Fenced, RecordRefused, SettingsError
from accountd.store import rows, statements, tables
from accountd.store.bookkeeping import Bookkeeping
from accountd.store.engine import SAFE_SQLITE
from accountd.store.faults import translated
from accountd.store.proving import upsert
from accountd.store.rows import AccountRow, Head, Reader, Row
from accountd.store.types import time_text

log = structlog.get_logger(__name__)
T = TypeVar("T")
OPEN = f"missing_since IS NULL AND status NOT IN ({tables.CLOSED})"
# Written in this order; fills come last so that their committed_at is as close to the commit as can be.
MAPPED: tuple[tuple[str, Callable[[Changes], Iterable[Row]]], ...] = (
    ("journal", rows.journal),
    ("orders", rows.orders),
    ("order_events", rows.order_events),
    ("fill_corrections", rows.fill_corrections),
    ("balances", rows.balances),
    ("balance_history", rows.balance_history),
    ("positions", rows.positions),
    ("position_history", rows.position_history),
    ("transfers", rows.transfers),
    ("findings", rows.findings),
)


class Writer:
    """Owns the writing connection, for one thread at a time; once it is lost the next begin reconnects.

    ``epochs`` holds each account's epoch as ``take_head`` set it; a write under an older one is fenced.
    """

    def __init__(self, engine: Engine, clock: Callable[[], datetime]) -> None:
        self.engine = engine
        self.clock = clock
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

    def close(self) -> None:
        """Close the connection; SQLite then folds its WAL into the database file."""
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
        self._read = Reader(self._dialect)

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
        read, dialect = self._read, self._dialect

        def found(table: str, where: str = "") -> Iterable[Any]:
            return self.connection.exec_driver_sql(
                statements.of_account(dialect, table, where), (account_id,)
            )

        return (
            [read.balance(row) for row in found("balances")],
            [read.position(row) for row in found("positions")],
            [read.order(row) for row in found("orders", OPEN)],
        )

    def load(self, account_id: str, wanted: Wanted) -> Held:
        """Find what is held of the wanted keys, one statement a table; orders come with their events."""
        read = self._read
        keys: dict[str, tuple[set[Any], int]] = {
            "orders": (wanted.orders, 4), "fills": (wanted.fills, 3), "transfers": (wanted.transfers, 4),
        }  # fmt: skip
        found = self._look_up(account_id, keys)
        orders = [read.order(row) for row in found["orders"]]
        known = {order_key(order) for order in orders}  # an order that is not there has no events
        events = self._look_up(account_id, {"order_events": (known, 4)})["order_events"]
        return Held(
            orders=orders,
            order_events=[read.order_event(row) for row in events],
            fills=[read.fill(row) for row in found["fills"]],
            transfers=[read.transfer(row) for row in found["transfers"]],
        )

    def _look_up(self, account_id: str, keys: dict[str, tuple[set[Any], int]]) -> dict[str, Iterable[Any]]:
        """Find rows of several tables by the first so many key columns after the account."""
        names = [name for name, (wanted, _) in keys.items() if wanted]
        questions = []
        for name in names:
            wanted, width = keys[name]
            text = msgspec.json.encode(list(wanted)).decode()
            if self._dialect == "postgresql":
                text = text.replace("\\u0000", "\\ufffd")  # as the rows are written
            questions.append((statements.look_up(self._dialect, name, width), (text, account_id)))
        found: dict[str, Iterable[Any]] = dict.fromkeys(keys, ())
        if self._dialect == "postgresql" and questions:
            found.update(zip(names, statements.together(self.connection, questions), strict=True))
        else:
            for name, (statement, values) in zip(names, questions, strict=True):
                found[name] = self.connection.exec_driver_sql(statement, values)
        return found

    def write(self, changes: Sequence[Changes], outbox: Sequence[OutboxRow] = ()) -> datetime:
        """Write what tellings changed, and the alerts about it; return the time that the fills bear.

        At most one ``Changes`` an account. The clock is read just before the fills, the last rows of all.

        Raises:
            Fenced: another worker has taken an account, or its journal has moved on.
            KeyError: the head of an account was never taken.
            RecordRefused: a row is there already that was to be new.
        """
        if self._dialect == "postgresql":
            return self._write_at_once(changes, outbox)
        for one in changes:
            self._advance(one)
        for name, mapped in MAPPED:
            self._insert(name, list(chain.from_iterable(map(mapped, changes))))
        self._name_fills(changes)
        self.committed_at = now = self.clock()
        self._insert("outbox", _outbox(outbox, now))
        self._insert("fills", _fills(changes, now))
        self._resolve(changes)
        return now

    def _write_at_once(self, changes: Sequence[Changes], outbox: Sequence[OutboxRow]) -> datetime:
        """Write everything in one round trip, but for what is worth a COPY: each wait costs a turn."""
        work = {name: list(chain.from_iterable(map(mapped, changes))) for name, mapped in MAPPED}
        enough = statements.WORTH_COPY
        many = {name: values for name, values in work.items() if len(values) >= enough}
        many_fills = sum(len(one.fills) for one in changes) >= enough
        heads = list(changes)
        if many or many_fills:
            while heads:
                self._advance(heads.pop())
            for name, values in many.items():
                self._insert(name, values)
        self._name_fills(changes)
        self.committed_at = now = self.clock()
        work["outbox"], work["fills"] = _outbox(outbox, now), _fills(changes, now)
        if many_fills:
            self._insert("fills", work.pop("fills"))
        few = {name: values for name, values in work.items() if values and name not in many}
        if heads or few:
            cells: list[Any] = list(chain.from_iterable(map(self._head, heads)))
            cells += [statements.as_json(statements.INSERT[name][0], values) for name, values in few.items()]
            statement = statements.all_at_once(tuple(few), len(heads))
            moved, number = self.connection.exec_driver_sql(statement, tuple(cells)).one()
            if moved != len(heads):
                raise Fenced(_taken(", ".join(one.account_id for one in heads)))
            self._mark = str(number)
        self._resolve(changes)
        return now

    def _name_fills(self, changes: Sequence[Changes]) -> None:
        named = list(chain.from_iterable(map(rows.fill_names, changes)))
        if named:
            statements.run(self.connection, statements.name_fills(self._dialect), statements.NAME, named)

    def _resolve(self, changes: Sequence[Changes]) -> None:
        """Resolve what tellings explain; behind the findings, so that the history has both turns."""
        for one in changes:
            for (kind, subject), at in one.resolved.items():
                self.resolve_findings(one.account_id, kind, subject, at)

    def _insert(self, name: str, values: list[Row]) -> None:
        if values:
            statement = statements.insert(self._dialect, name)
            statements.run(self.connection, statement, statements.INSERT[name][0], values)

    def _head(self, changes: Changes) -> tuple[Any, ...]:
        epoch = self.epochs[changes.account_id]
        return (changes.seq, changes.head, changes.account_id, epoch, changes.first_seq)

    def _advance(self, changes: Changes) -> None:
        """Move the account's head from where these changes start; whoever holds a newer epoch fences us."""
        done = self.connection.exec_driver_sql(statements.advance(self._dialect), self._head(changes))
        if done.rowcount != 1:
            raise Fenced(_taken(changes.account_id))


def _fills(changes: Sequence[Changes], now: datetime) -> list[Row]:
    stamp = time_text(now)
    return list(chain.from_iterable(rows.fills(one, stamp) for one in changes))


def _outbox(outbox: Sequence[OutboxRow], now: datetime) -> list[Row]:
    stamp = time_text(now)
    return [rows.outbox(row, stamp) for row in outbox]


def _taken(account_id: str) -> str:
    return f"account {account_id!r}: another worker has taken it over, or its journal has moved on"
