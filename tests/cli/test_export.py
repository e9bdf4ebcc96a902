"""The record as files: exact, whole or not there at all, and readable by the programs people use."""

import csv
import io
import json
import os
import subprocess
import sys
from datetime import UTC, datetime
from decimal import Decimal

import duckdb
import pandas
import pyarrow
import pyarrow.parquet
import pytest
from beancount import loader

from accountd.cli import export_files
from accountd.cli.export_beancount import COMMODITY, commodity
from accountd.errors import RecordRefused
from accountd.store import tables
from accountd.store.engine import writer_engine
from accountd.store.migrate import upgrade
from accountd.store.writer import Writer
from tests.store import samples

COLUMNS = [column.name for column in tables.fills.columns]


def test_text_formats_are_those_of_the_listing(recorded_anywhere):
    """CSV and JSON lines have the columns and values of --csv and --json, on both databases."""
    listed = json.loads(recorded_anywhere("fills", "--json", "-a", "main").stdout)
    lines = recorded_anywhere("export", "--format", "jsonl", "-a", "main").stdout.splitlines()
    assert [json.loads(line) for line in lines] == listed
    written = recorded_anywhere("export", "-f", "csv", "-a", "main").stdout
    assert written == recorded_anywhere("fills", "--csv", "-a", "main").stdout
    assert next(csv.reader(io.StringIO(written))) == COLUMNS


def test_every_table_can_be_exported(recorded, tmp_path):
    """Any table becomes a Parquet file with its columns and rows, and a CSV of as many lines."""
    for name, table in tables.metadata.tables.items():
        result = recorded("export", "--table", name, "--out", str(tmp_path / "x.parquet"))
        assert result.exit_code == 0, result.stderr
        read = pyarrow.parquet.read_table(tmp_path / "x.parquet")
        assert read.column_names == [column.name for column in table.columns]
        count = len(list(csv.reader(io.StringIO(recorded("export", "--table", name).stdout)))) - 1
        assert read.num_rows == count


def test_the_table_may_be_named_without_its_option(recorded):
    """`export orders` is `export --table orders`, and the same said twice is no contradiction."""
    assert recorded("export", "orders").stdout == recorded("export", "-t", "orders").stdout
    assert recorded("export", "orders", "-t", "orders").exit_code == 0
    assert recorded("export", "--limit", "1", "orders").stdout.startswith("account_id,market,symbol,kind,")


def test_duckdb_reads_exact_decimals(recorded_anywhere, tmp_path):
    """DuckDB sums an exported column to the last digit and reads UTC times, from both databases."""
    out = tmp_path / "fills.parquet"
    assert recorded_anywhere("export", "--out", str(out)).exit_code == 0
    with duckdb.connect() as database:
        told = database.sql(
            f"SELECT count(*), sum(commission), typeof(any_value(price)), typeof(any_value(traded_at)), "
            f"bool_and(is_maker) FROM '{out}'"
        ).fetchall()
    assert told == [(3, Decimal("0.480000810000000000"), "DECIMAL(38,18)", "TIMESTAMP WITH TIME ZONE", True)]


def test_pandas_reads_it(recorded, tmp_path):
    """Pandas reads decimals as Decimal and times in UTC."""
    out = tmp_path / "fills.parquet"
    recorded("export", "--out", str(out), "--symbol", "ETHUSDT")
    [row] = pandas.read_parquet(out).to_dict("records")
    assert (row["price"], row["symbol"]) == (Decimal("60000.10"), "ETHUSDT")
    assert row["traded_at"].to_pydatetime() == datetime(2026, 11, 2, 12, 0, 0, 500_000, tzinfo=UTC)


def test_filters_and_limit_hold(recorded):
    """The filters of the listing commands choose the rows; --limit takes the newest."""
    def count(*words):
        return len(recorded("export", *words).stdout.splitlines()) - 1

    assert count("--during", "2026-11-02") == 1
    assert count("--table", "orders", "--status", "FILLED") == 1
    assert count("--table", "fills", "--limit", "2") == 2
    assert "2026-11-02" in recorded("export", "--limit", "1", "-a", "main").stdout


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--table", "nothing"], "'nothing' is no table; tables: accounts,"),
        (["nothing"], "'nothing' is no table; tables: accounts,"),
        (["fills", "--table", "orders"], "TABLE 'fills' and --table 'orders'"),
        (["orders", "--format", "beancount"], "fills or transfers"),
        (["--format", "xlsx"], "'xlsx' is none of parquet, csv, jsonl, beancount"),
        (["--out", "x.xlsx"], "'x.xlsx' says no format"),
        (["--out", "no/such/folder/x.csv"], "--out"),
        (["--out", ".", "--format", "csv"], "folder"),
        (["--table", "heads", "--since", "2h"], "heads has no time"),
        (["--format", "beancount", "--table", "orders"], "beancount"),
        (["--format", "beancount", "--limit", "5"], "--limit"),
        (["--account", "nobody"], "accounts: main, other"),
    ],
)
def test_wrong_usage_is_exit_2_and_leaves_nothing(recorded, tmp_path, words, told):
    """What cannot be meant is refused in one line, and no file appears."""
    result = recorded("export", *words)
    assert (result.exit_code, told in result.stderr) == (2, True), result.stderr
    assert not [path for path in tmp_path.iterdir() if "accountd.db" not in path.name]


def test_without_the_extra_it_is_named(recorded, tmp_path, monkeypatch):
    """Where pyarrow is missing, the error says what to install, and no file appears."""
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    result = recorded("export", "--out", "fills.parquet")
    assert result.exit_code == 2
    assert "accountd[parquet]" in result.stderr
    assert not list(tmp_path.glob("*fills*"))


def test_what_ends_early_leaves_the_file_of_before(recorded, tmp_path, monkeypatch):
    """An export that is interrupted leaves neither a partial file nor a draft; an older file stays."""
    out = tmp_path / "fills.parquet"
    out.write_bytes(b"older")

    def interrupted(self):
        raise KeyboardInterrupt

    monkeypatch.setattr(export_files.ParquetWriter, "close", interrupted)
    assert recorded("export", "--out", str(out)).exit_code != 0
    assert out.read_bytes() == b"older"
    assert [path.name for path in tmp_path.iterdir() if "accountd.db" not in path.name] == ["fills.parquet"]


def test_a_number_too_long_is_refused_not_rounded():
    """A number with more than 18 places ends the export; 20 digits before the point are exact."""
    out = io.BytesIO()
    writer = export_files.ParquetWriter([("amount", "money")], out)
    writer.write([("12345678901234567890.000000000000000001",), (None,)])
    writer.close()
    assert pyarrow.parquet.read_table(out).column(0).to_pylist() == [
        Decimal("12345678901234567890.000000000000000001"), None,
    ]  # fmt: skip
    for long in ("0.0000000000000000001", "123456789012345678901"):
        writer = export_files.ParquetWriter([("amount", "money")], io.BytesIO())
        with pytest.raises(RecordRefused, match="amount"):
            writer.write([(long,)])
        writer.abandon()


def test_an_abandoned_file_has_no_footer():
    """Parquet that ends early, also into a pipe, is refused by every reader."""
    out = io.BytesIO()
    writer = export_files.ParquetWriter([("n", "whole")], out)
    writer.write([(1,)] * export_files.ROW_GROUP)
    writer.abandon()
    assert len(out.getvalue()) > 4
    with pytest.raises(pyarrow.ArrowInvalid):
        pyarrow.parquet.read_table(out)


def test_a_reader_that_has_seen_enough_is_no_error(recorded, sqlite_url):
    """A closed pipe ends a command without a word."""
    env = {"PATH": os.environ["PATH"], "ACCOUNTD_DATABASE_URL": sqlite_url}
    env["PYTHONPATH"] = os.pathsep.join(sys.path)
    for words in (["export", "-f", "jsonl"], ["fills", "--json"]):
        reader, writer = os.pipe()
        os.close(reader)
        try:
            done = subprocess.run(
                [sys.executable, "-m", "accountd", *words], stdout=writer, stderr=subprocess.PIPE, env=env,
                timeout=60, check=False,
            )  # fmt: skip
        finally:
            os.close(writer)
        assert (done.returncode, done.stderr) == (141, b"")


SPOT = {"market": "spot", "position_side": None, "realized_pnl": None}


@pytest.fixture
def traded(sqlite_url, shell, monkeypatch):
    """A record with fills on every market, fees in every kind of asset, and every kind of transfer."""
    upgrade(sqlite_url)
    writer = Writer(writer_engine(sqlite_url), lambda: samples.T0)
    writer.open_account("main", "main", "binance-usdm", "live", samples.T0)
    writer.take_head("main")
    money = Decimal
    writer.write([samples.changes(
        fills=[
            samples.fill(1),
            samples.fill(2, realized_pnl=money("12.34567891"), commission=money("0.0001"),
                         commission_asset="BNB"),
            samples.fill(3, realized_pnl=money(0), commission=None, commission_asset=None),
            samples.fill(4, market="coinm", symbol="BTCUSD_PERP", realized_pnl=money("0.00012"),
                         commission=money("-0.00000001"), commission_asset="BTC"),
            samples.fill(5, **SPOT, commission=money("0.00001"), commission_asset="BTC"),
            samples.fill(6, **SPOT, side="SELL", symbol="1INCHUSDT", price=money("0.3333"), quantity=money(3),
                         quote_quantity=money("0.99989999"), commission_asset="BNB"),
            samples.fill(7, **SPOT, symbol="ETHBTC", price=money("0.031"), quantity=money("1.5"),
                         quote_quantity=money("0.0465"), commission_asset="BNB"),
            samples.fill(9, **SPOT | {"market": "isolated"}, price=money(1), quantity=money(2),
                         quote_quantity=money(2), commission=None),
            samples.fill(8, **SPOT, symbol='WHO"KNOWS'),
        ],
        transfers=[
            samples.transfer(1), samples.transfer(2, kind="transfer", amount=money(1000), symbol=None),
            samples.transfer(3, kind="realized_pnl"), samples.transfer(4, kind="commission"),
            samples.transfer(5, kind="deposit", market="spot", asset="1000SATS", amount=money("5E+3"),
                             symbol=None),
            samples.transfer(6, kind="withdrawal_fee", market="spot", amount=money("-1"), symbol=None),
            samples.transfer(8, kind="loan", market="isolated", asset="BTCUSDT:USDT", amount=money(50)),
            samples.transfer(7, kind="insurance_clear"),
        ],
    )])  # fmt: skip
    writer.close()
    monkeypatch.setenv("ACCOUNTD_DATABASE_URL", sqlite_url)
    return shell


def test_beancount_takes_the_ledger(traded, tmp_path):
    """Beancount loads every transaction without an error, and its balances are the sums of the record."""
    out = tmp_path / "books.beancount"
    assert traded("export", "--out", str(out)).exit_code == 0
    entries, errors, _ = loader.load_file(str(out))
    assert errors == []
    held = {}
    for entry in entries:
        for posting in getattr(entry, "postings", ()):
            key = (posting.account, posting.units.currency)
            held[key] = held.get(key, Decimal(0)) + posting.units.number
    assert held["Assets:Accountd:Main:Usdm:USDT", "USDT"] == Decimal("1010.58107851")
    assert held["Income:Accountd:Main:Usdm:Realized", "USDT"] == Decimal("-10.84567891")
    assert held["Assets:Accountd:Main:Usdm:BNB", "BNB"] == Decimal("-0.0001")
    assert held["Assets:Accountd:Main:Coinm:BTC", "BTC"] == Decimal("0.00012001")
    assert held["Assets:Accountd:Main:Spot:BTC", "BTC"] == Decimal("-0.03651")
    assert held["Assets:Accountd:Main:Spot:1INCH", "X-1INCH"] == -3
    assert held["Assets:Accountd:Main:Spot:1000SATS", "X-1000SATS"] == 5000
    assert held["Assets:Accountd:Main:Isolated:BTCUSDT-USDT", "USDT"] == 48
    assert held["Liabilities:Accountd:Main:Isolated:Loans", "USDT"] == -50
    assert held["Equity:Accountd:Main:Usdm:Transfers", "USDT"] == -1000


@pytest.mark.parametrize("asset", ["BTC", "1INCH", "S", "币安人生", "a b", "", "X" * 40, "A."])
def test_every_asset_is_a_commodity(asset):
    """Whatever a venue names an asset, Beancount takes the word."""
    assert COMMODITY.fullmatch(commodity(asset))
