"""Signs each journal from time to time, has the checkpoints anchored, and prunes what is old."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta
from functools import partial
from typing import Any

import structlog
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from accountd.core.chain import Broken, Chain
from accountd.core.changes import Alert
from accountd.core.checkpoint import Checkpoint, Frontier, is_signed, parse, public_bytes, sign
from accountd.errors import DatabaseError, SettingsError
from accountd.runtime import journal_key
from accountd.runtime.anchors import Anchors
from accountd.runtime.clock import Clock
from accountd.runtime.findings import open_finding, opened
from accountd.runtime.hook_reader import Database
from accountd.runtime.metrics import Metrics
from accountd.runtime.recorder import Recorder
from accountd.settings_model import Settings
from accountd.store import journal_read, journal_write
from accountd.store.engine import reader_engine
from accountd.store.outbox import Connection
from accountd.store.verify import Journals
from accountd.store.writer import Transaction

log = structlog.get_logger("accountd.checkpoints")

LOOK = 1.0  # seconds between looks
PRUNE_EVERY = 3600.0  # seconds between looks for what is old
LAST_WITHIN = 1.5  # seconds for the checkpoints of a stop
BROKEN = "journal_broken"


class Signed:
    """One account's journal as far as it is signed. ``broken``: nothing more is, for that would bless it."""

    def __init__(self, chain: Chain, at: float) -> None:
        self.chain = chain
        self.size = chain.seq
        self.at = at
        self.broken = False


class Checkpoints:
    """Watches the journals of a running daemon. Without a key nothing is signed, which is said loudly."""

    def __init__(self, settings: Settings, recorder: Recorder, read: Database, clock: Clock,
                 metrics: Metrics) -> None:  # fmt: skip
        self.settings = settings
        self.recorder = recorder
        self.read = read
        self.clock = clock
        self.key: Ed25519PrivateKey | None = None
        self.metrics = metrics
        self.anchors = Anchors(settings.journal, clock, metrics)
        self._signed: dict[str, Signed] = {}
        self._pruned: dict[str, int] = {}
        self._prune_at = clock.monotonic() + LOOK
        self._unsaid: list[tuple[str, Alert]] = []

    async def look_back(self) -> None:
        """Load the key, and verify the end of each journal.

        What is broken becomes a finding. To refuse to start would lose what happens on the account meanwhile.
        """
        try:
            self.key = await asyncio.to_thread(journal_key.ensure, journal_key.path_of(self.settings))
        except SettingsError as error:
            log.error("no checkpoints will be signed", reason=error.message)
        for account, broken in await asyncio.to_thread(self._tails):
            await self._say_broken(account, broken)
            if await self.recorder.submit(partial(_mend, account), account):
                log.error("head row put right", account=account)

    async def run(self) -> None:
        """Sign what has grown, for ever; a database or target that fails is tried again."""
        while True:
            await self.clock.sleep(LOOK)
            try:
                await self._ring()
                for account in list(self.recorder.ledgers):
                    if self._is_due(account):
                        await self._sign(account)
                if self.settings.journal.keep is not None and self.clock.monotonic() >= self._prune_at:
                    await self._prune(self.settings.journal.keep)
                    self._prune_at = self.clock.monotonic() + PRUNE_EVERY
            except DatabaseError as error:
                log.warning("checkpoint put off", error=str(error))
            await self.anchors.settle()

    async def stop(self) -> None:
        """Sign what came since the last checkpoint, unless that takes too long."""
        try:
            async with asyncio.timeout(LAST_WITHIN):
                for account in list(self.recorder.ledgers):
                    # what was offered before is written now
                    await self.recorder.submit(lambda _: None, account)
                    await self._sign(account)
                await self.anchors.settle(now=True)
        except (TimeoutError, DatabaseError) as error:
            log.warning("no checkpoint at the stop", error=str(error) or "it took too long")
        finally:
            await self.anchors.close()

    # -- steps

    def _tails(self) -> list[tuple[str, Broken]]:
        engine = reader_engine(self.settings.database_url)
        try:
            journals = Journals(engine, [public_bytes(self.key)] if self.key else [])
            verdicts = [journals.tail(account) for account in journals.accounts()]
        finally:
            engine.dispose()
        return [(one.account, one.broken) for one in verdicts if one.broken is not None]

    async def _say_broken(self, account: str, broken: Broken) -> None:
        log.error("the journal is broken", account=account, seq=broken.seq, reason=broken.reason)
        detail: dict[str, Any] = {"seq": broken.seq, "until": broken.until, "reason": broken.reason}
        now, subject = self.clock.now(), f"journal:{broken.seq}"
        if account in self.recorder.ledgers:  # only then can it ring
            await self.recorder.submit(
                lambda tx: open_finding(self.recorder, tx, account, BROKEN, "error", subject, detail, now),
                account,
            )
            return
        await self.recorder.submit(
            lambda tx: tx.open_finding(account, BROKEN, "error", subject, detail, now), account
        )
        self._unsaid.append((account, opened(account, BROKEN, "error", subject, detail, now)))

    async def _ring(self) -> None:
        """Ring for what was found at the start, now that the accounts are open."""
        for account, alert in [one for one in self._unsaid if one[0] in self.recorder.ledgers]:
            await self.recorder.submit(partial(_say, self.recorder, account, alert), account)
            self._unsaid.remove((account, alert))

    def _is_due(self, account: str) -> bool:
        ledger, signed = self.recorder.ledgers[account], self._signed.get(account)
        if signed is None:
            return True
        beliefs = ledger.beliefs
        grown = (beliefs.seq if beliefs is not None else signed.size + 1) - signed.size
        if grown <= 0 or signed.broken:
            return False
        waited = self.clock.monotonic() - signed.at
        every = self.settings.journal.checkpoint_every.total_seconds()
        return grown >= self.settings.journal.checkpoint_rows or waited >= every

    async def _sign(self, account: str) -> None:
        """Follow the chain to its head, off the commit path, and keep a note about it."""
        if self.key is None:
            return
        signed = self._signed.get(account)
        if signed is None:
            signed = self._signed[account] = await self.read(lambda conn: self._resume(conn, account))
        head = await self.read(lambda conn: journal_read.head_row(conn, account))
        if signed.broken or head is None or head.seq <= signed.size:
            return
        chain = signed.chain
        while chain.seq < head.seq:
            broken = await self.read(lambda conn: _follow(conn, account, chain, head.seq))
            if broken is not None:
                signed.broken = True
                await self._say_broken(account, broken)
                return
        if chain.head != head.head:
            signed.broken = True
            await self._say_broken(account, Broken(head.seq, "its head is not the one of the head row"))
            return
        await self._keep(account, signed)

    async def _keep(self, account: str, signed: Signed) -> None:
        assert self.key is not None and signed.chain.frontier is not None
        now, chain = self.clock.now(), signed.chain
        made = Checkpoint(
            account=account, size=chain.seq, root=signed.chain.frontier.root(), head=chain.head,
            at=now.replace(microsecond=0),
        )  # fmt: skip
        note, packed = sign(made, self.key), signed.chain.frontier.packed()
        await self.recorder.submit(
            lambda tx: journal_write.add_checkpoint(tx.connection, made, note, packed, now), account
        )
        signed.size, signed.at = made.size, self.clock.monotonic()
        self.metrics.checkpoint_rows.labels(account).set(made.size)
        self.anchors.add(made, note)

    def _resume(self, conn: Connection, account: str) -> Signed:
        """Go on from the last checkpoint if its signature and its frontier are good, else from row 1."""
        assert self.key is not None
        now, row = self.clock.monotonic(), journal_read.last_checkpoint(conn, account)
        if row is None:
            return Signed(Chain(account, frontier=Frontier()), now)
        try:
            told, frontier = parse(row["note"]), Frontier.unpacked(row["size"], bytes(row["frontier"]))
        except ValueError:
            told, frontier = None, Frontier()
        good = told is not None and is_signed(row["note"], [public_bytes(self.key)])
        if told is None or not good or (told.size, told.root) != (frontier.size, frontier.root()):
            log.warning("the last checkpoint is not of this key; signing from the first row", account=account)
            return Signed(Chain(account, frontier=Frontier()), now)
        return Signed(Chain(account, told.size, told.head, frontier), now)

    async def _prune(self, keep: timedelta) -> None:
        """Delete raw bytes that are older than settings keep them, a little in each transaction."""
        before = self.clock.now() - keep
        for account in list(self.recorder.ledgers):
            after, total = self._pruned.get(account, 0), 0
            while True:
                rows, following = await self.recorder.submit(partial(_prune, account, after, before), account)
                total += rows
                if following is None:
                    break
                after = following
                await self.clock.sleep(0)
            self._pruned[account] = max(0, after - journal_write.STRETCH)
            if total:
                log.info("journal pruned", account=account, rows=total, before=before.isoformat())


def _say(recorder: Recorder, account: str, alert: Alert, tx: Transaction) -> None:
    recorder.ring(tx, account, [alert])


def _mend(account: str, tx: Transaction) -> bool:
    return journal_write.mend_head(tx.connection, account)


def _prune(account: str, after: int, before: datetime, tx: Transaction) -> tuple[int, int | None]:
    return journal_write.prune(tx.connection, account, after, before)


def _follow(conn: Connection, account: str, chain: Chain, to: int) -> Broken | None:
    """Follow the next page of the chain without its raw bytes."""
    before = chain.seq
    try:
        for row in journal_read.chain_rows(conn, account, chain.seq, to, raw=False):
            if (broken := chain.take(row)) is not None:
                return broken
    except journal_read.Unreadable as error:
        return Broken(error.seq, "one of its times is not written as accountd writes times")
    return Broken(before + 1, "it is not there") if chain.seq == before else None
