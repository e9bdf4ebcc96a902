"""A record to read, and a shell to read it from."""

import logging
import os
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
import structlog
from typer.testing import CliRunner

from accountd.cli.main import app
from accountd.store.engine import writer_engine
from accountd.store.migrate import upgrade
from accountd.store.writer import Writer
from tests.store import samples

BORN = datetime(2026, 11, 1, 12, tzinfo=UTC)


@dataclass
class Shell:
    """Runs commands in this process."""

    runner: CliRunner

    def __call__(self, *words):
        """Run one command."""
        return self.runner.invoke(app, list(words))


@pytest.fixture
def shell(tmp_path, monkeypatch) -> Iterator[Shell]:
    """A shell in an empty folder, without any setting, whose logs end with the test."""
    for name in [name for name in os.environ if name.upper().startswith("ACCOUNTD_")]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield Shell(CliRunner())
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.reset_defaults()


def fill_record(url):
    """Make a record of two accounts with a few rows of everything."""
    upgrade(url)
    writer = Writer(writer_engine(url), lambda: BORN)
    for name in ("main", "other"):
        writer.open_account(name, name, "binance-usdm", "live", BORN)
        writer.take_head(name)
    day = timedelta(days=1)
    done = samples.order(1, status="FILLED")
    writer.write(
        [
            samples.changes(
                orders=[done, samples.order(2, side="SELL")],
                order_events=[samples.event(done)],
                fills=[
                    samples.fill(1, commission=Decimal("1E-8")),
                    samples.fill(2, symbol="ETHUSDT", side="SELL", traded_at=samples.T0 + day),
                ],
                balances=[samples.balance()],
                positions=[samples.position()],
                transfers=[samples.transfer()],
            ),
            samples.changes(account="other", fills=[samples.fill(1)]),
        ]
    )
    with writer.begin() as tx:
        tx.open_session("s1", "main", BORN)
        tx.update_session("s1", subscribed_at=BORN, live_at=BORN, last_seen_at=BORN)
        tx.open_gap("main", "fills", "usdm", "", BORN, "connection lost", BORN)
    writer.close()


@pytest.fixture
def recorded(sqlite_url, shell, monkeypatch):
    """A shell over a small record."""
    fill_record(sqlite_url)
    monkeypatch.setenv("ACCOUNTD_DATABASE_URL", sqlite_url)
    return shell


@pytest.fixture
def recorded_anywhere(record_url, shell, monkeypatch):
    """The same over a database of each kind."""
    fill_record(record_url)
    monkeypatch.setenv("ACCOUNTD_DATABASE_URL", record_url)
    return shell
