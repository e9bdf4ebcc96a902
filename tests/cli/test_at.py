"""Balances and positions as of a moment."""

import json
from datetime import timedelta

import pytest
from sqlalchemy import text

from accountd.store.engine import reader_engine, reading, writer_engine
from accountd.store.proven import Proven
from accountd.store.writer import Writer
from tests.store import samples

T0 = samples.T0
HOUR = timedelta(hours=1)


@pytest.fixture
def history(record_url, shell, monkeypatch):
    """A shell over three amounts of a balance and a position, an hour apart."""
    writer = Writer(writer_engine(record_url), lambda: T0)
    writer.open_account("main", "main", "binance-usdm", "live", T0)
    writer.take_head("main")
    for n, (total, quantity) in enumerate([("100.5", "0.010"), ("90", "-0.020"), ("95.25", "0")]):
        then = {"as_of": T0 + n * HOUR, "n": n + 1}
        writer.write([
            samples.changes(n, balances=[samples.balance(total, **then)],
                            positions=[samples.position(quantity, **then)])
        ])  # fmt: skip
    with writer.begin() as tx:
        tx.prove("main", [Proven("balances", "usdm", "", T0, T0 + HOUR)], T0)
    writer.close()
    monkeypatch.setenv("ACCOUNTD_DATABASE_URL", record_url)
    return shell


@pytest.mark.parametrize(
    ("at", "total", "quantity"),
    [
        ("2026-11-01 12:00", None, None),
        ("2026-11-01 12:00:00.500", "100.5", "0.010"),
        ("2026-11-01T13:00:00Z", "100.5", "0.010"),
        ("2026-11-01 13:30", "90", "-0.020"),
        ("2026-11-02", "95.25", "0"),
    ],
)
def test_amounts_of_a_moment(history, at, total, quantity):
    """--at gives what was told last by then, with the columns of the table; before that there is nothing."""
    for command, column, value in (("balances", "total", total), ("positions", "quantity", quantity)):
        result = history(command, "--at", at, "--json")
        assert result.exit_code == 0, result.output
        rows = json.loads(result.stdout)
        assert [row[column] for row in rows] == ([] if value is None else [value])


def test_what_is_not_proven_is_said(history):
    """A moment that no sweep has proven is named on stderr, one that is proven is not."""
    assert "main: balances are not proven" in history("balances", "--at", "2026-11-02").stderr
    assert "not proven" not in history("balances", "--at", "2026-11-01 12:30").stderr


def test_one_moment_is_no_stretch(history):
    """--at together with a stretch of time is refused."""
    assert history("balances", "--at", "2026-11-02", "--since", "2h").exit_code == 2


def test_views_answer_the_same(history, record_url):
    """In SQL the row of a moment is the one with valid_from <= T < valid_to, on both databases."""
    engine = reader_engine(record_url)
    moment = "2026-11-01 13:30:00.000000+00:00"
    with reading(engine) as connection:
        for view, column, value in (("balances_at", "total", "90"), ("positions_at", "quantity", "-0.020")):
            sql = f"SELECT {column} FROM {view} WHERE valid_from <= '{moment}' AND (valid_to > '{moment}' OR valid_to IS NULL)"  # noqa: E501
            assert [str(row[0]) for row in connection.execute(text(sql))] == [value]
    engine.dispose()
