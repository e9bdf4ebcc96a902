"""Runs the ties after each whole sweep: opens what does not tie as a finding, resolves what does again."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Mapping
from datetime import datetime, timedelta

import structlog

from accountd.errors import DatabaseError
from accountd.runtime.findings import open_finding, resolve
from accountd.runtime.recorder import Recorder
from accountd.store.checks import Checks, Outcome
from accountd.store.engine import reader_engine, reading
from accountd.store.writer import Transaction

log = structlog.get_logger("accountd.auditor")

EVERY = 300.0  # seconds between two runs, if no sweep ends meanwhile


class Auditor:
    """Audits one account of the record that ``url`` names, beside the writer.

    ``legs`` names the base and quote asset of each (market, symbol). The checks compare what is proven
    and settled only: ``slack`` is how far the clocks of two datasets may be apart.
    """

    def __init__(self, url: str, recorder: Recorder, account: str, settle: timedelta,
                 legs: Mapping[tuple[str, str], tuple[str, str]]) -> None:  # fmt: skip
        self.url = url
        self.recorder = recorder
        self.account = account
        self.slack = 2 * settle + timedelta(seconds=2)
        self.legs = legs
        self.due = asyncio.Event()  # a sweep has ended

    async def run(self) -> None:
        """Audit after each sweep for ever; a database in trouble is tried again with the next."""
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(EVERY):
                    await self.due.wait()
            self.due.clear()
            try:
                await self.audit()
            except DatabaseError as error:
                log.warning("audit put off", account=self.account, error=str(error))

    async def audit(self) -> Outcome:
        """Run every check once and write down what came of it."""
        outcome = await asyncio.to_thread(self._read)
        if outcome.ties or outcome.broken or outcome.good:
            now = self.recorder.clock.now()
            await self.recorder.submit(lambda tx: self._write(tx, outcome, now), self.account)
        return outcome

    def _read(self) -> Outcome:
        engine = reader_engine(self.url)
        try:
            with reading(engine) as connection:
                return Checks(connection, self.account, self.slack, self.legs).run()
        finally:
            engine.dispose()

    def _write(self, tx: Transaction, outcome: Outcome, now: datetime) -> None:
        tx.write_ties(self.account, outcome.ties, now)
        for one in outcome.broken:
            log.error("does not tie", account=self.account, kind=one.kind, subject=one.subject, **one.detail)
            open_finding(self.recorder, tx, self.account, one.kind, one.severity, one.subject, one.detail,
                         now, one.window)  # fmt: skip
        for kind, subject in outcome.good:
            resolve(tx, self.account, kind, subject, now)
