"""Follows a journal row by row and says which one is the first that is not what was recorded."""

from __future__ import annotations

from datetime import datetime

import msgspec

from accountd.core import journal
from accountd.core.checkpoint import Checkpoint, Frontier


class ChainRow(msgspec.Struct, gc=False):
    """What the chain is about in one journal row; ``raw`` None: pruned, or not read."""

    seq: int
    source: str
    kind: str
    event_time: datetime | None
    received_at: datetime
    session_id: str | None
    raw: bytes | None
    salt: bytes
    digest: bytes
    head: bytes
    live_since: datetime | None
    loaded_seq: int | None


class Broken(msgspec.Struct, frozen=True):
    """The first row that cannot be trusted, and why; ``until`` when it is one of several."""

    seq: int
    reason: str
    until: int | None = None

    def text(self) -> str:
        """Say it in a line."""
        rows = f"row {self.seq}" if self.until in (None, self.seq) else f"rows {self.seq} to {self.until}"
        return f"{rows}: {self.reason}"


class Chain:
    """One account's journal as far as it has been followed; ``proven`` rows are under a checkpoint."""

    def __init__(self, account: str, seq: int = 0, head: bytes = journal.GENESIS,
                 frontier: Frontier | None = None) -> None:  # fmt: skip
        self.account = account.encode()
        self.seq = seq
        self.head = head
        self.frontier = frontier
        self.proven = seq
        self.pruned = 0

    def take(self, row: ChainRow) -> Broken | None:
        """Follow the next row; return what is wrong with it."""
        if row.seq != self.seq + 1:
            return Broken(self.seq + 1, f"it is not there; the next is row {row.seq}")
        if row.raw is None:
            self.pruned += 1
        elif journal.digest(row.salt, row.raw) != row.digest:
            return Broken(row.seq, "its raw bytes are not those of its digest")
        if not _fits_salt(row):
            return Broken(row.seq, "its event_time, session_id, live_since or loaded_seq was changed")
        leaf = journal.leaf(row.seq, row.received_at, self.account, row.kind, row.source, row.digest)
        head = journal.advance(self.head, leaf)
        if head != row.head:
            return Broken(row.seq, "it does not continue the chain")
        self.seq, self.head = row.seq, head
        if self.frontier is not None:
            self.frontier.add(leaf)
        return None

    def meet(self, signed: Checkpoint) -> Broken | None:
        """Compare what was followed so far with a checkpoint of the same size."""
        root = self.frontier.root() if self.frontier is not None else signed.root
        if (root, self.head) != (signed.root, signed.head):
            when = f"{signed.at:%Y-%m-%d %H:%M:%SZ}"
            reason = f"the checkpoint of {signed.size} rows, signed {when}, saw others"
            return Broken(self.proven + 1, reason, signed.size)
        self.proven = signed.size
        return None


def _fits_salt(row: ChainRow) -> bool:
    """Say whether a salt commits to the rest of its row; those of the first version are only random."""
    if len(row.salt) == journal.SALT_BYTES:
        return row.live_since is None and row.loaded_seq is None
    seed = row.salt[: journal.SALT_BYTES]
    told = journal.salt(seed, row.event_time, row.session_id, row.live_since, row.loaded_seq or 0)
    return told == row.salt and row.loaded_seq is not None
