"""SQL from the command line reads and never writes."""

import json

from accountd.cli.query import distinct

REFUSED = (
    "DELETE FROM fills",
    "INSERT INTO accounts SELECT * FROM accounts",
    "DROP TABLE fills",
    "WITH x AS (SELECT 1) DELETE FROM fills",
    "SELECT 1; DELETE FROM fills",
    "not sql at all",
    "SELECT nothing FROM fills",
    "",
)


def test_query_reads(recorded):
    """A SELECT prints its columns and rows."""
    result = recorded("query", "SELECT symbol, count(*) AS n FROM fills GROUP BY symbol ORDER BY 1", "--json")
    assert json.loads(result.stdout) == [{"symbol": "BTCUSDT", "n": 2}, {"symbol": "ETHUSDT", "n": 1}]


def test_query_is_cut(recorded):
    """--limit keeps the first rows of the answer."""
    result = recorded("query", "SELECT symbol FROM fills ORDER BY symbol DESC", "--limit", "1", "--json")
    assert json.loads(result.stdout) == [{"symbol": "ETHUSDT"}]


def test_anything_else_is_refused(recorded_anywhere):
    """A write, two statements, and what is no SQL are refused with exit 2, and the record stays."""
    for sql in REFUSED:
        result = recorded_anywhere("query", sql)
        assert result.exit_code == 2, sql
        assert result.stderr, sql
    count = recorded_anywhere("query", "SELECT count(*) AS n FROM fills", "--json")
    assert json.loads(count.stdout) == [{"n": 3}]


def test_columns_of_the_same_name_do_not_hide_each_other():
    """A second column of the same name gets a number."""
    assert distinct(["a", "b", "a", "a"]) == ["a", "b", "a_2", "a_3"]
