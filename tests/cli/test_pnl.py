"""The command that adds up profit."""

import csv
import io
import json


def rows_of(shell, *words):
    """Return what --json prints."""
    result = shell("pnl", *words, "--json")
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def test_profit_by_day(recorded_anywhere):
    """A row a day and asset has exact sums, fees by asset and the net of both databases."""
    first, second = rows_of(recorded_anywhere, "--account", "main")
    assert first == {
        "account_id": "main", "market": "usdm", "day": "2026-11-01", "asset": "USDT",
        "realized_pnl": "-1.50000000", "funding": "-0.01230000", "other": "0",
        "fees": {"USDT": "0.00000001"}, "fees_valued": "0.00000001", "fees_unvalued": {},
        "net": "-1.51230001", "fills": 1,
    }  # fmt: skip
    assert (second["day"], second["fees"], second["funding"]) == ("2026-11-02", {"USDT": "0.24000040"}, "0")


def test_profit_by_symbol_and_month(recorded):
    """The same sums by symbol, and by month, within the time that is asked for."""
    by_symbol = rows_of(recorded, "--by", "symbol", "-a", "main")
    assert [row["symbol"] for row in by_symbol] == ["BTCUSDT", "ETHUSDT"]
    [month] = rows_of(recorded, "--by", "month", "--account", "main", "--during", "2026-11")
    assert (month["month"], month["fills"], month["net"]) == ("2026-11", 2, "-3.25230041")
    assert rows_of(recorded, "--until", "2026-11-01") == []


def test_profit_as_csv(recorded):
    """--csv has the same columns, fees as JSON."""
    first = next(csv.DictReader(io.StringIO(recorded("pnl", "--csv", "-a", "main").stdout)))
    assert (first["day"], json.loads(first["fees"])) == ("2026-11-01", {"USDT": "0.00000001"})


def test_profit_for_people_has_a_total(recorded):
    """On screen a last row adds up all accounts and days of an asset."""
    lines = recorded("pnl").stdout.splitlines()
    assert lines[-1].split()[:2] == ["total", "USDT"]
    assert "-4.50000000" in lines[-1]


def test_profit_by_nonsense_is_refused(recorded):
    """What it cannot be shown by is named, with exit 2."""
    result = recorded("pnl", "--by", "moon")
    assert result.exit_code == 2
    assert "day, month, symbol" in result.stderr
