"""Verifies journals against their chain, their checkpoints, and notes that were kept elsewhere."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec
from sqlalchemy import Engine

from accountd.core.chain import Broken, Chain
from accountd.core.checkpoint import Checkpoint, Frontier, is_signed, parse
from accountd.core.journal import GENESIS
from accountd.store import journal_read as read
from accountd.store.engine import reading

TAIL = 1_000  # rows that a look at the tail follows
NEVER = datetime(1970, 1, 1, tzinfo=UTC)

Step = Callable[[int, int], None]


class Verdict(msgspec.Struct, kw_only=True):
    """What verifying one account's journal came to."""

    account: str
    rows: int = 0  # rows there are, as the head row says
    followed: int = 0  # rows whose bytes and chain were checked
    pruned: int = 0  # of these, rows whose raw bytes are gone
    checkpoints: int = 0  # that agree
    anchors: int = 0  # that agree
    signed: bool = False  # whether signatures were checked
    proven: int = 0  # rows under the longest checkpoint or anchor that agrees
    broken: Broken | None = None
    warnings: list[str] = []

    @property
    def ok(self) -> bool:
        """Say whether nothing was found to be changed."""
        return self.broken is None


class Note(msgspec.Struct):
    """One checkpoint to compare with: from the table (with its other columns), or from an anchor."""

    told: Checkpoint
    note: str
    row: Mapping[Any, Any] | None = None


class Journals:
    """Verifies journals one account after the other. ``publics`` are the keys that are trusted.

    ``anchors`` are notes that were kept elsewhere, by account, the shortest first.
    """

    def __init__(self, engine: Engine, publics: Sequence[bytes] = (),
                 anchors: Mapping[str, Sequence[tuple[Checkpoint, str]]] | None = None,
                 step: Step | None = None) -> None:  # fmt: skip
        self.engine = engine
        self.publics = tuple(publics)
        self.anchors = anchors or {}
        self.step = step

    def accounts(self) -> list[str]:
        """List the accounts that have a journal, or should have one."""
        with reading(self.engine) as conn:
            return sorted({*read.journaled_accounts(conn), *self.anchors})

    def warnings(self) -> list[str]:
        """Return what weakens the record without changing it."""
        with reading(self.engine) as conn:
            return [f"trigger {name} is missing" for name in read.missing_triggers(conn)]

    def full(self, account: str) -> Verdict:
        """Follow every row from the first and meet every checkpoint and anchor."""
        verdict, end, last = self._begin(account)
        if end is None:
            return verdict
        chain = Chain(account, frontier=Frontier())
        notes = self._notes(account, last)
        waiting = next(notes, None)
        while verdict.broken is None:
            to = end.seq if waiting is None else min(end.seq, waiting.told.size)
            verdict.broken = self._follow(chain, to, end.seq)
            if waiting is None or verdict.broken is not None:
                break
            verdict.broken = self._meet(chain, waiting, verdict)
            waiting = next(notes, None) if verdict.broken is None else None
        return self._finish(verdict, chain, end, full=True)

    def tail(self, account: str, rows: int = TAIL) -> Verdict:
        """Follow the last rows, and meet the longest checkpoint and anchor."""
        verdict, end, last = self._begin(account)
        if end is None:
            return verdict
        start = max(0, end.seq - rows)
        with reading(self.engine) as conn:
            before = read.head_at(conn, account, start) if start else GENESIS
        if before is None:
            verdict.broken = Broken(start, "it is not there")
            return verdict
        chain = Chain(account, start, before)
        verdict.broken = self._follow(chain, end.seq, end.seq)
        for note in self._longest(account, last) if verdict.broken is None else ():
            verdict.broken = verdict.broken or self._compare(account, note, end, verdict)
        return self._finish(verdict, chain, end, full=False)

    # -- steps

    def _begin(self, account: str) -> tuple[Verdict, read.HeadRow | None, int]:
        """Read where the journal ends; a checkpoint made after that is not of this look's concern."""
        verdict = Verdict(account=account, signed=bool(self.publics), warnings=[])
        with reading(self.engine) as conn:
            longest = read.last_checkpoint(conn, account)
            end, last = read.head_row(conn, account), read.last_row(conn, account)
        if end is None:
            reason = "its head row is not there" if last or longest else "there is no journal of this account"
            verdict.broken = Broken(last.seq + 1 if last else 1, reason)
            return verdict, None, 0
        verdict.rows = end.seq
        return verdict, end, longest["size"] if longest else 0

    def _follow(self, chain: Chain, to: int, end: int) -> Broken | None:
        """Follow the rows up to ``to``, a page and a snapshot at a time."""
        while chain.seq < to:
            before = chain.seq
            with reading(self.engine) as conn:
                try:
                    for row in read.chain_rows(conn, chain.account.decode(), chain.seq, to):
                        if (broken := chain.take(row)) is not None:
                            return broken
                except read.Unreadable as error:
                    return Broken(error.seq, "one of its times is not written as accountd writes times")
            if chain.seq == before:
                return self._hole(chain, end)
            if self.step is not None:
                self.step(chain.seq, end)
        return None

    def _hole(self, chain: Chain, end: int) -> Broken:
        """Say what follows where no row was found."""
        with reading(self.engine) as conn:
            last = read.last_row(conn, chain.account.decode())
        if last is None or last.seq <= chain.seq:
            reason = f"it is not there: the journal ends at row {chain.seq}, its head row says {end}"
            return Broken(chain.seq + 1, reason)
        return Broken(chain.seq + 1, "it is not there")

    def _notes(self, account: str, to: int) -> Iterator[Note]:
        """Yield the checkpoints and the anchors, by size."""
        anchors = iter(self.anchors.get(account, ()))
        anchor = next(anchors, None)
        for row in self._stored(account, to):
            while anchor is not None and anchor[0].size <= row["size"]:
                yield Note(*anchor)
                anchor = next(anchors, None)
            yield _stored_note(row)
        while anchor is not None:
            yield Note(*anchor)
            anchor = next(anchors, None)

    def _stored(self, account: str, to: int) -> Iterator[Mapping[Any, Any]]:
        size = -1
        while True:
            with reading(self.engine) as conn:
                found = read.checkpoints_after(conn, account, size, to)
            yield from found
            if not found:
                return
            size = found[-1]["size"]

    def _longest(self, account: str, to: int) -> list[Note]:
        """Return the longest checkpoint and the longest anchor."""
        found = [Note(*anchor) for anchor in self.anchors.get(account, ())][-1:]
        with reading(self.engine) as conn:
            row = read.last_checkpoint(conn, account)
        if row is not None and row["size"] <= to:
            found.append(_stored_note(row))
        return found

    def _meet(self, chain: Chain, note: Note, verdict: Verdict) -> Broken | None:
        """Compare the chain with a checkpoint of its length."""
        if (broken := self._doubt(note, chain.proven, verdict.rows)) is not None:
            return broken
        if (broken := chain.meet(note.told)) is not None:
            return broken
        assert chain.frontier is not None
        if note.row is not None and bytes(note.row["frontier"]) != chain.frontier.packed():
            return Broken(chain.seq, "the frontier of its checkpoint was changed", chain.seq)
        self._count(note, verdict)
        return None

    def _compare(self, account: str, note: Note, end: read.HeadRow, verdict: Verdict) -> Broken | None:
        """Compare a checkpoint with the head that its last row bears, without following the rows before."""
        if (broken := self._doubt(note, 0, end.seq)) is not None:
            return broken
        with reading(self.engine) as conn:
            head = read.head_at(conn, account, note.told.size) if note.told.size else GENESIS
        if head != note.told.head:
            return Broken(1, f"the checkpoint of {note.told.size} rows saw others", note.told.size)
        self._count(note, verdict)
        return None

    def _doubt(self, note: Note, proven: int, end: int) -> Broken | None:
        """Say what is wrong with a checkpoint itself, or that it is of more rows than there are."""
        told, size = note.told, note.told.size
        what = "checkpoint" if note.row is not None else "anchor"
        row = note.row
        if not told.root or (row is not None and not _same(row, told)):
            kept = row["size"] if row is not None else size
            return Broken(proven + 1, f"the {what} of {kept} rows was changed", size)
        if self.publics and not is_signed(note.note, self.publics):
            hint = "is not signed by the key (if the key was replaced, trust both)"
            return Broken(proven + 1, f"the {what} of {size} rows {hint}", size)
        if size > end:
            when = f"{told.at:%Y-%m-%d %H:%M:%SZ}"
            return Broken(end + 1, f"it is not there: the {what} of {when} saw {size} rows")
        return None

    def _count(self, note: Note, verdict: Verdict) -> None:
        verdict.proven = max(verdict.proven, note.told.size)
        if note.row is None:
            verdict.anchors += 1
        else:
            verdict.checkpoints += 1

    def _finish(self, verdict: Verdict, chain: Chain, end: read.HeadRow, *, full: bool) -> Verdict:
        """Compare the end of the chain with the head row, and look for rows behind it."""
        verdict.followed, verdict.pruned = chain.seq - (0 if full else max(0, end.seq - TAIL)), chain.pruned
        if verdict.broken is not None:
            return verdict
        if chain.head != end.head:
            verdict.broken = Broken(end.seq, "its head is not the one of the head row")
            return verdict
        with reading(self.engine) as conn:
            last = read.last_row(conn, verdict.account)
            told, seq = read.farthest_source(conn, verdict.account) if full else ("", 0)
            now = read.head_row(conn, verdict.account)
        least = max(end.seq, now.seq if now else 0)
        if last is not None and last.seq > least:
            verdict.broken = Broken(least + 1, f"it is behind the head row, which ends at row {least}")
        elif seq > least:
            reason = f"it is not there, but {told} has a row that comes from row {seq}"
            verdict.broken = Broken(least + 1, reason)
        elif verdict.rows and not verdict.proven:
            verdict.warnings.append("no checkpoint: nothing but the chain itself says how long it was")
        return verdict


def _stored_note(row: Mapping[Any, Any]) -> Note:
    """Read a stored checkpoint; one whose note is no note any more has no root."""
    try:
        told = parse(row["note"])
    except ValueError:
        told = Checkpoint(account=row["account_id"], size=row["size"], root=b"", head=b"", at=NEVER)
    return Note(told, row["note"], row)


def _same(row: Mapping[Any, Any], told: Checkpoint) -> bool:
    mine = (row["account_id"], row["size"], bytes(row["root"]), bytes(row["head"]))
    return mine == (told.account, told.size, told.root, told.head)
