"""Rebuilds a record from its journal, into an empty database of either kind."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial

import msgspec
import structlog

from accountd.core import local
from accountd.core.beliefs import Beliefs
from accountd.core.chain import Chain, ChainRow
from accountd.core.changes import Changes, JournalRow
from accountd.core.refold import Refold
from accountd.core.told import LOCAL, REST, Notice, Telling, Told
from accountd.errors import AccountdError, DatabaseFailed, DatabaseFull, DatabaseGone, Fenced
from accountd.store import journal_read, migrate, rebuild
from accountd.store.engine import reader_engine, reading, writer_engine
from accountd.store.lock import sole_writer
from accountd.store.rows import AccountRow
from accountd.store.writer import Transaction, Writer
from accountd.venues import open_venue
from accountd.venues.base import Venue

BATCH = 500  # rows of one transaction
MOST_BYTES = 8_000_000  # raw bytes of one transaction, more or less
Step = Callable[[str, int, int], None]
log = structlog.get_logger("accountd.replay")


# Trouble with the databases themselves, not with a row.
PASSING = (DatabaseGone, DatabaseFull, DatabaseFailed, Fenced)


class _Rehearsed(Exception):
    """Rolls a transaction back that was only to be tried."""


class ReplayError(AccountdError):
    """The journal cannot be replayed."""

    permanent = True


@dataclass(slots=True)
class Replayed:
    """What one account's replay came to; ``different`` rows only when a comparison was asked for."""

    account: str
    rows: int = 0
    checkpoints: int = 0
    different: dict[str, int] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


class Replay:
    """One replay from a record into an empty database. ``batch`` is how many rows one transaction takes."""

    def __init__(self, source: str, target: str, step: Step | None = None, batch: int = BATCH) -> None:
        self.source = source
        self.target = target
        self.step = step
        self.batch = batch
        self._from = reader_engine(source)

    def close(self) -> None:
        """Close the connections to the source."""
        self._from.dispose()

    def run(self, account: str | None = None) -> list[Replayed]:
        """Rebuild one account or all; the journal is verified as it is read.

        Raises:
            SettingsError: the target is not empty.
            ReplayError: bytes were pruned, or a row is not what was recorded; it says from where.
            DatabaseError: one of the databases does not answer or refuses.
        """
        with reading(self._from) as conn:
            accounts = rebuild.accounts(conn, account)
            for one in accounts:
                if (pruned := journal_read.pruned_rows(conn, one.account_id)) is not None:
                    first, last = pruned
                    raise ReplayError(
                        f"account {one.account_id}: journal rows {first} to {last} were pruned of their raw "
                        f"bytes; nothing can be rebuilt from row {first} on"
                    )
        migrate.upgrade(self.target)
        engine = writer_engine(self.target)
        writer = Writer(engine, lambda: datetime.now(UTC))
        try:
            with sole_writer(self.target):
                with reading(engine) as conn:
                    rebuild.require_empty(conn)
                return [self._account(writer, one) for one in accounts]
        finally:
            writer.close()

    def compare(self, done: Replayed) -> None:
        """Compare every derived table of an account with the source, row by row."""
        engine = reader_engine(self.target)
        try:
            with reading(self._from) as mine, reading(engine) as theirs:
                for table in rebuild.DERIVED:
                    done.different[table] = rebuild.differences(
                        mine, theirs, done.account, table, done.notes.append
                    )
        finally:
            engine.dispose()

    # -- steps

    def _account(self, writer: Writer, row: AccountRow) -> Replayed:
        account, venue = row.account_id, open_venue(row.venue)
        with writer.begin() as tx:
            tx.open_account(account, row.name, row.venue, row.environment, row.created_at)
            tx.take_head(account)
        done = Replayed(account)
        beliefs: Beliefs | None = None
        for group in self._groups(account):
            if _begins_anew(group[0]):
                beliefs = None
            tellings = [_telling(account, venue, one) for one in group]
            beliefs = self._take(writer, row, beliefs, group, tellings)
            done.rows = group[-1].seq
        with reading(self._from) as conn, writer.begin() as tx:
            done.checkpoints = rebuild.copy_checkpoints(conn, tx, account)
        return done

    def _groups(self, account: str) -> Iterator[list[ChainRow]]:
        """Yield the journal in batches; where beliefs were loaded anew, a batch begins."""
        with reading(self._from) as conn:
            head = journal_read.head_row(conn, account)
        end = head.seq if head is not None else 0
        chain = Chain(account)
        group: list[ChainRow] = []
        size = 0
        while chain.seq < end:
            before = chain.seq
            with reading(self._from) as conn:
                for one in journal_read.chain_rows(conn, account, chain.seq, end):
                    if (broken := chain.take(one)) is not None:
                        raise ReplayError(f"account {account}, {broken.text()}; `accountd verify` says more")
                    if group and (len(group) >= self.batch or size >= MOST_BYTES or _begins_anew(one)):
                        yield group
                        group, size = [], 0
                    group.append(one)
                    size += len(one.raw or b"")
            if chain.seq == before:
                raise ReplayError(f"account {account}, row {before + 1}: it is not there")
            if self.step is not None:
                self.step(account, chain.seq, end)
        if group:
            yield group

    def _take(self, writer: Writer, row: AccountRow, beliefs: Beliefs | None, group: list[ChainRow],
              tellings: list[Telling]) -> Beliefs:  # fmt: skip
        """Write a batch; where the database refuses something of it, one by one, as the daemon did."""
        try:
            return self._commit(writer, row, beliefs, group, tellings)
        except PASSING:
            raise
        except Exception as error:  # whatever it is, it is found below and named
            log.warning("batch refused, going one by one", account=row.account_id, error=type(error).__name__)
        beliefs = None
        for one, telling in zip(group, tellings, strict=True):
            try:
                beliefs = self._commit(writer, row, beliefs, [one], [_again(telling)])
            except PASSING:
                raise
            except Exception as error:  # poison: keep what can be kept of it, and say what cannot
                log.error("row quarantined", account=row.account_id, seq=one.seq, error=str(error))
                told = self._sift(writer, row, one, telling, list(telling.told))
                beliefs = self._commit(writer, row, None, [one], [_again(telling, told)])
        assert beliefs is not None
        return beliefs

    def _sift(self, writer: Writer, row: AccountRow, one: ChainRow, telling: Telling, told: list[Told]
              ) -> list[Told]:  # fmt: skip
        """Return what can be written, and behind it a notice for each thing that cannot."""
        kept: list[Told] = []
        refused: list[Told] = []
        for thing in told:
            try:
                self._commit(writer, row, None, [one], [_again(telling, [thing])], rehearse=True)
            except PASSING:
                raise
            except _Rehearsed:
                kept.append(thing)
            except Exception as error:  # whatever makes it unwritable is what we look for
                what = {"reason": type(error).__name__, "kind": telling.kind, "told": type(thing).__name__}
                refused.append(Notice(kind="refused", detail=what))
        return kept + refused

    def _commit(self, writer: Writer, row: AccountRow, beliefs: Beliefs | None, group: list[ChainRow],
                tellings: list[Telling], *, rehearse: bool = False) -> Beliefs:  # fmt: skip
        """Fold rows and write what comes of it in one transaction."""
        with writer.begin() as tx:
            beliefs = beliefs or _load(tx, row.account_id)
            beliefs.look_up(tellings, partial(tx.load, row.account_id))
            changes = Refold(beliefs, row.created_at, map(_kept, group)).run(tellings)
            rebuild.write(tx, changes, self._commits(row.account_id, changes))
            if rehearse:
                raise _Rehearsed
        return beliefs

    def _commits(self, account: str, changes: Changes) -> dict[tuple[str, str, str], str]:
        if not changes.fills:
            return {}
        with reading(self._from) as conn:
            return rebuild.committed_at(conn, account, changes.fills)


def _again(telling: Telling, told: list[Told] | None = None) -> Telling:
    """Return a telling to be folded anew: folding changes what it is given."""
    things = telling.told if told is None else told
    return msgspec.structs.replace(telling, told=[msgspec.structs.replace(thing) for thing in things])


def _kept(one: ChainRow) -> JournalRow:
    return JournalRow(
        one.seq, one.source, one.kind, one.event_time, one.received_at, one.session_id, one.raw or b"",
        one.salt, one.digest, one.head, one.live_since, one.loaded_seq,
    )  # fmt: skip


def _begins_anew(row: ChainRow) -> bool:
    """Say whether beliefs were read from the record just before this row."""
    return row.loaded_seq == row.seq - 1


def _load(tx: Transaction, account: str) -> Beliefs:
    head = tx.read_head(account)
    beliefs = Beliefs(account, head.seq, head.head)
    balances, positions, orders = tx.load_small(account)
    beliefs.balances = {(one.market, one.asset): one for one in balances}
    beliefs.positions = {(one.market, one.symbol, one.position_side): one for one in positions}
    beliefs.open = {(one.market, one.symbol, one.kind, one.order_id): one for one in orders}
    beliefs.contested = tx.open_conflicts(account)
    return beliefs


def _telling(account: str, venue: Venue, row: ChainRow) -> Telling:
    return Telling(
        account_id=account, source=row.source, kind=row.kind, raw=row.raw or b"",
        received_at=row.received_at, told=_told(account, venue, row), event_time=row.event_time,
        session_id=row.session_id, live_since=row.live_since,
    )  # fmt: skip


def _told(account: str, venue: Venue, row: ChainRow) -> list[Told]:
    """Decode a row as it was decoded when it was written.

    Raises:
        ReplayError: it makes no sense any more.
    """
    raw = row.raw or b""
    try:
        if row.source == LOCAL:
            return local.decode(row.kind, raw)
        if row.source == REST:
            return venue.decode_page(row.kind, raw, row.event_time or row.received_at)
        return venue.decode_kept(row.kind, raw, row.received_at)
    except (AccountdError, KeyError, msgspec.MsgspecError) as error:
        raise ReplayError(f"account {account}, row {row.seq}: {row.kind}: {error}") from error
