"""The commands that list what the record holds."""

import csv
import io
import json

import pytest

from accountd.store import tables


def listed(shell, *words):
    """Return what --json prints."""
    result = shell(*words, "--json")
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def test_json_has_every_column_of_the_table(recorded_anywhere):
    """--json is an array of objects with exactly the table's column names, on both databases."""
    for name in ("orders", "fills", "balances", "positions", "transfers"):
        rows = listed(recorded_anywhere, name)
        assert rows
        assert all(set(row) == {column.name for column in getattr(tables, name).columns} for row in rows)


def test_json_is_exact(recorded_anywhere):
    """Decimals come out digit by digit, times with Z."""
    row = listed(recorded_anywhere, "fills", "--account", "main", "--symbol", "btcusdt")[0]
    assert row["commission"] == "0.00000001"
    assert row["price"] == "60000.10"
    assert row["traded_at"] == "2026-11-01T12:00:00.500000Z"
    assert row["is_maker"] is True


@pytest.mark.parametrize(
    ("words", "count"),
    [
        (["fills"], 3),
        (["fills", "--account", "main"], 2),
        (["fills", "--account", "MAIN", "--side", "sell"], 1),
        (["fills", "--symbol", "ETHUSDT"], 1),
        (["fills", "--since", "2026-11-02"], 1),
        (["fills", "--until", "2026-11-02"], 2),
        (["fills", "--limit", "1"], 1),
        (["orders", "--status", "filled"], 1),
        (["orders", "--side", "SELL"], 1),
        (["orders", "--open"], 1),
        (["orders", "--order", "2"], 1),
        (["orders", "--client-id", "c2"], 1),
        (["fills", "--order", "1"], 2),
        (["fills", "--market", "USDM", "--during", "2026-11-02"], 1),
        (["fills", "--market", "spot"], 0),
        (["transfers", "--kind", "funding_fee"], 1),
        (["transfers", "--kind", "deposit"], 0),
        (["balances", "--symbol", "usdt"], 1),
        (["transfers", "--since", "2030-01-01"], 0),
    ],
)
def test_filters(recorded, words, count):
    """Each filter keeps what it names, in any case of letters."""
    assert len(listed(recorded, *words)) == count


def test_limit_means_the_newest(recorded):
    """--limit 1 is the latest fill, not the first."""
    assert listed(recorded, "fills", "-n", "1")[0]["symbol"] == "ETHUSDT"


def test_csv_has_every_column(recorded):
    """--csv has a header with every column and a line for each row."""
    rows = list(csv.DictReader(io.StringIO(recorded("transfers", "--csv").stdout)))
    assert rows[0]["amount"] == "-0.01230000"
    assert set(rows[0]) == {column.name for column in tables.transfers.columns}


def test_table_is_plain_where_nobody_watches(recorded):
    """In a pipe the table has no escape sequences and names the account."""
    text = recorded("fills").stdout
    assert "\x1b" not in text
    assert text.splitlines()[0].split()[:3] == ["traded", "(UTC)", "account"]
    assert "ETHUSDT" in text


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["fills", "--account", "nobody"], "accounts: main, other"),
        (["fills", "--since", "soon"], "--since"),
        (["fills", "--json", "--csv"], "exclude each other"),
        (["fills", "--limit", "0"], "--limit"),
        (["fills", "--during", "2h"], "--during"),
        (["fills", "--during", "today", "--since", "2h"], "--during"),
        (["fills", "--nonsense"], "--nonsense"),
        (["nonsense"], "nonsense"),
    ],
)
def test_wrong_usage_is_exit_2(recorded, words, told):
    """What cannot be meant is refused with exit 2 and says what."""
    result = recorded(*words)
    assert result.exit_code == 2
    assert told in result.stderr
    assert result.stdout == ""


def test_missing_record_is_one_clear_line(shell, tmp_path, monkeypatch):
    """Where there is no record yet, that is said in one line, and none is made."""
    monkeypatch.setenv("ACCOUNTD_DATABASE_URL", f"sqlite:///{tmp_path / 'none.db'}")
    result = shell("fills")
    assert result.exit_code == 1
    assert len(result.stderr.splitlines()) == 1
    assert "accountd db upgrade" in result.stderr
    assert not (tmp_path / "none.db").exists()


def test_only_the_database_needs_to_be_set(recorded, monkeypatch):
    """An account that is not usable does not keep anyone from reading."""
    monkeypatch.setenv("ACCOUNTD_ACCOUNTS__MAIN__VENUE", "nowhere")
    assert recorded("balances").exit_code == 0


def test_an_order_shows_its_whole_life(recorded_anywhere):
    """--order lists the order, and below it what happened to it, with its fills."""
    text = recorded_anywhere("orders", "--order", "1", "-a", "main").stdout
    assert "FILLED" in text
    assert [word for word in text.split() if word in ("event", "fill")] == ["event", "fill"]
    rows = listed(recorded_anywhere, "orders", "--order", "1", "-a", "main", "--timeline")
    assert [(row["what"], row["trade_id"]) for row in rows] == [("event", None), ("fill", "1")]
    assert [row["order_id"] for row in listed(recorded_anywhere, "orders", "--client-id", "c2")] == ["2"]
    assert [row["trade_id"] for row in listed(recorded_anywhere, "fills", "--client-id", "c1")] == ["1"]
    unknown = listed(recorded_anywhere, "fills", "--client-id", "c2")
    assert [row["symbol"] for row in unknown] == []


def test_a_timeline_needs_an_order(recorded):
    """--timeline without an order is a mistake."""
    result = recorded("orders", "--timeline")
    assert (result.exit_code, "--order" in result.stderr) == (2, True)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("fills", "--market", "futures"), "--market: 'futures' is none of spot, margin, isolated, usdm, "),
        (("orders", "--side", "long"), "--side: 'LONG' is none of BUY, SELL"),
    ],
)
def test_a_filter_that_nothing_could_pass_is_refused(recorded, words, told):
    """A market or a side that does not exist is a slip, not an empty answer."""
    result = recorded(*words)
    assert (result.exit_code, told in result.stderr) == (2, True), result.stderr
