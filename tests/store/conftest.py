"""A migrated database and its writer, once of each kind."""

from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
from sqlalchemy import Engine

from accountd.store.engine import reader_engine, writer_engine
from accountd.store.writer import Writer

NOW = datetime(2026, 11, 1, 12, 0, 0, 123456, tzinfo=UTC)


@pytest.fixture
def url(record_url: str) -> str:
    """The address of a database with the whole schema."""
    return record_url


@pytest.fixture
def writer(url: str) -> Iterator[Writer]:
    """A writer with one open account, `main`, whose head is taken."""
    made = Writer(writer_engine(url), lambda: NOW)
    made.open_account("main", "main", "binance-usdm", "live", NOW)
    made.take_head("main")
    yield made
    made.close()


@pytest.fixture
def reader(url: str) -> Iterator[Engine]:
    """An engine that only reads."""
    made = reader_engine(url)
    yield made
    made.dispose()
