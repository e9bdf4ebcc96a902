"""What people read: the named queries, the views, and SQL of their own."""

import sqlite3
from datetime import timedelta
from decimal import Decimal

import psycopg
import pytest
from sqlalchemy import text
from sqlalchemy.engine import make_url

from accountd.core.alerts import OutboxRow
from accountd.errors import DatabaseError, DatabaseGone, QueryRefused
from accountd.store import queries
from accountd.store.engine import reader_engine, reading
from accountd.store.proven import Proven
from accountd.store.queries import Filter
from accountd.store.select import run_select
from tests.store.conftest import NOW
from tests.store.samples import T0, balance, changes, event, fill, finding, order, position, transfer

HOUR = timedelta(hours=1)


@pytest.fixture
def record(writer):
    """A record with a few rows of everything."""
    late = fill(3, traded_at=T0 + 2 * HOUR, symbol="ETHUSDT", side="SELL", commission=Decimal("0.001"),
                commission_asset="BNB", realized_pnl=None, client_order_id=None)  # fmt: skip
    tomorrow = fill(4, traded_at=T0 + 24 * HOUR, realized_pnl=Decimal("3.25"))
    with writer.begin() as tx:
        tx.write([changes(
            orders=[order(1), order(2, status="FILLED", updated_at=T0 + HOUR, side="SELL"),
                    order(3, kind="algo", status="TRIGGERED"), order(4, status="NOVEL"),
                    order(5, missing_since=T0)],
            order_events=[event(order(1))], fills=[fill(1), fill(2), late, tomorrow],
            balances=[balance()], positions=[position()],
            transfers=[transfer(1), transfer(2, amount=Decimal("0.1"), asset="BNB"),
                       transfer(3, kind="deposit", symbol=None, amount=Decimal("1000"))],
            findings=[finding(), finding(finding_id="f2", resolved_at=T0)],
        )])  # fmt: skip
        tx.write([changes(first=1, balances=[balance("99.5", n=2, as_of=T0 + HOUR)])])
        tx.open_session("s1", "main", T0)
        tx.open_session("s2", "main", T0 + HOUR)
        tx.open_gap("main", "fills", "usdm", "", T0, "lost", NOW)
        tx.open_gap("main", "orders", "usdm", "", T0, "lost", NOW)
        tx.close_gaps("main", "orders", "usdm", None, T0 + HOUR, NOW)
        tx.prove("main", [Proven("fills", "usdm", "", T0, T0 + HOUR)], NOW)
    return writer


def ids(rows, name):
    """Collect one column."""
    return [row[name] for row in rows]


def test_rows_come_with_exact_money_and_utc_times(record, reader):
    """A row has the table's column names, Decimals with their scale, and aware times."""
    with reading(reader) as conn:
        [row] = queries.fills(conn, Filter(symbol="ETHUSDT"))
    assert (row["price"], str(row["quantity"])) == (Decimal("60000.10"), "0.010")
    assert (row["traded_at"], row["committed_at"]) == (T0 + 2 * HOUR, NOW)
    assert row["is_maker"] is True


@pytest.mark.parametrize(("wanted", "found"), [
    (Filter(), ["1", "2", "3", "4"]),
    (Filter(newest=True, limit=2), ["4", "3"]),
    (Filter(limit=2), ["1", "2"]),
    (Filter(side="SELL"), ["3"]),
    (Filter(since=T0 + HOUR), ["3", "4"]),
    (Filter(since=T0, until=T0 + 2 * HOUR), ["1", "2"]),
    (Filter(account="nobody"), []),
    (Filter(account="main", symbol="ETHUSDT"), ["3"]),
])  # fmt: skip
def test_fills_are_filtered(record, reader, wanted, found):
    """Each filter keeps what it names; since is inclusive, until exclusive."""
    with reading(reader) as conn:
        assert ids(queries.fills(conn, wanted), "trade_id") == found


def test_every_named_query_answers(record, reader):
    """Every query of the command line and the web finds its rows."""
    with reading(reader) as conn:
        assert ids(queries.accounts(conn), "name") == ["main"]
        assert ids(queries.sessions(conn), "session_id") == ["s2"]
        assert ids(queries.sessions(conn, "other"), "session_id") == []
        assert ids(queries.orders(conn, Filter(status="FILLED")), "order_id") == ["2"]
        assert ids(queries.open_orders(conn), "order_id") == ["3", "1", "4"]
        assert ids(queries.balances(conn, Filter(symbol="USDT")), "total") == [Decimal("99.5")]
        assert ids(queries.positions(conn), "quantity") == [Decimal("0.010")]
        assert ids(queries.transfers(conn, Filter(symbol="BNB")), "transfer_id") == ["2"]
        assert sorted(ids(queries.gaps(conn), "dataset")) == ["fills", "orders"]
        assert ids(queries.gaps(conn, open_only=True), "dataset") == ["fills"]
        assert ids(queries.findings(conn, open_only=True), "finding_id") == ["f1"]
        assert ids(queries.coverage(conn), "to_time") == [T0 + HOUR]
        counted = queries.counts(conn)
    assert (counted["fills"], counted["journal"], counted["gaps"]) == (4, 2, 2)


def test_views_answer_what_their_names_say(record, reader):
    """Open orders, timelines, balances at a time and numbers are right on both databases."""
    with reading(reader) as conn:

        def told(sql):
            return [tuple(row) for row in conn.execute(text(sql))]

        assert told("SELECT order_id FROM open_orders ORDER BY 1") == [("1",), ("3",), ("4",)]
        assert told("SELECT what, trade_id FROM order_timeline WHERE order_id = '1'") == [
            ("event", None), ("fill", "1"),
        ]  # fmt: skip
        spans = told("SELECT CAST(total AS TEXT), valid_to IS NULL FROM balances_at ORDER BY n")
        assert [(total, bool(last)) for total, last in spans] == [("100.00000000", False), ("99.5", True)]
        assert told("SELECT price, quantity FROM fills_numeric WHERE trade_id = '1'") == [(60000.1, 0.01)]


def test_profit_by_day_adds_up(record, reader):
    """A day and symbol is one row: realized profit, commission by asset, funding."""
    with reading(reader) as conn:
        sql = "SELECT day, symbol, realized_pnl, commission, funding FROM daily_pnl ORDER BY day, symbol"
        rows = [tuple(row) for row in conn.execute(text(sql))]
    assert [row[:2] for row in rows] == [
        ("2026-11-01", "BTCUSDT"), ("2026-11-01", "ETHUSDT"), ("2026-11-02", "BTCUSDT"),
    ]  # fmt: skip
    first, second, third = rows
    assert (float(first[2]), float(first[4])) == (-3.0, pytest.approx(0.0877))
    assert '"USDT"' in first[3] and "0.4800008" in first[3]
    assert second[2] is None and '"BNB"' in second[3] and second[4] is None
    assert float(third[2]) == 3.25


def test_latency_of_an_alert_is_split_into_its_stages(record, reader):
    """The way of a fill from the venue to the hook is told in milliseconds, stage by stage."""
    body = '{"type":"fill","data":{"account":"main","market":"usdm","symbol":"BTCUSDT","trade_id":"1"}}'
    alert = OutboxRow(message_id="m1", account_id="main", hook="ops", type="fill", body=body, created_at=NOW,
                      next_attempt_at=NOW)  # fmt: skip
    with record.begin() as tx:
        tx.write([changes(first=2)], [alert])
        tx.connection.execute(text("UPDATE outbox SET delivered_at = '2026-11-01 12:00:01.000250+00:00'"))
        tx.connection.execute(text(
            "INSERT INTO deliveries (message_id, attempt, started_at, duration) "
            "VALUES ('m1', 1, '2026-11-01 12:00:00.999750+00:00', 500)"
        ))  # fmt: skip
    with reading(reader) as conn:
        stages = "traded_to_received_ms, attempt_to_delivered_ms, received_to_delivered_ms"
        sql = f"SELECT {stages} FROM fill_latency"
        [row] = conn.execute(text(sql))
    assert tuple(row) == pytest.approx((12.0, 0.5, 488.25))


def test_a_query_streams_its_columns_and_rows(record, reader):
    """A person's SELECT returns names and rows, also when there are none."""
    with reading(reader) as conn:
        columns, rows = run_select(conn, "-- mine\nSELECT trade_id, side FROM fills WHERE side = 'SELL';")
        assert (columns, list(rows)) == (["trade_id", "side"], [("3", "SELL")])
        columns, rows = run_select(conn, "/* none */ SELECT trade_id FROM fills WHERE symbol LIKE 'x%'")
        assert (columns, list(rows)) == (["trade_id"], [])
        columns, rows = run_select(conn, "WITH a AS (SELECT 1 AS n) SELECT n FROM a")
        assert (columns, list(rows)) == (["n"], [(1,)])


WRITES = [
    "DELETE FROM sessions", "UPDATE accounts SET name = 'x'", "INSERT INTO hooks (hook) VALUES ('x')",
    "DROP TABLE hooks", "CREATE TABLE x (a INTEGER)", "SELECT 1; DELETE FROM sessions",
    "WITH a AS (SELECT 1) DELETE FROM sessions", "PRAGMA query_only=OFF", "ATTACH 'x.db' AS x", "COMMIT",
    "SET TRANSACTION READ WRITE", "COPY fills TO '/dev/null'", "", "  -- nothing", "SELECT nonsense FROM",
    "SELECT * FROM no_such_table", "SELECT 1; COMMIT; DELETE FROM sessions",
    "EXPLAIN ANALYZE DELETE FROM sessions",
    "WITH gone AS (DELETE FROM sessions RETURNING *) SELECT * FROM gone", "SELECT nextval('x')",
]  # fmt: skip


@pytest.mark.parametrize("sql", WRITES)
def test_a_query_that_does_not_only_read_is_refused(record, reader, sql):
    """Whatever writes, is no single statement or no SQL is refused, and nothing has changed."""
    with pytest.raises(QueryRefused), reading(reader) as conn:
        list(run_select(conn, sql)[1])
    with reading(reader) as conn:
        assert queries.counts(conn)["sessions"] == 2


def test_a_reader_cannot_write_at_all(record, reader):
    """The database itself refuses writes on a reader's connection."""
    with pytest.raises(DatabaseError), reading(reader) as conn:
        conn.execute(text("DELETE FROM sessions"))


def test_exact_sum_on_sqlite(writer, url, reader):
    """dsum adds text exactly where SUM would not; on Postgres SUM itself is exact."""
    amounts = ["0.1", "0.2", "1E-18", "-0.3", "123456789012345678901234567890"]
    writer.write([changes(transfers=[transfer(n, amount=Decimal(a)) for n, a in enumerate(amounts)])])
    name = "dsum" if url.startswith("sqlite") else "sum"
    with reading(reader) as conn:
        _, rows = run_select(conn, f"SELECT {name}(amount) FROM transfers")
        assert [str(value) for (value,) in rows] == ["123456789012345678901234567890.000000000000000001"]


def test_a_database_that_is_not_there_is_told(tmp_path):
    """Reading a missing file is an error and creates nothing."""
    engine = reader_engine(f"sqlite:///{tmp_path / 'none.db'}")
    with pytest.raises(DatabaseGone), reading(engine):
        raise AssertionError("opened")
    engine.dispose()
    assert list(tmp_path.iterdir()) == []


def test_a_reader_does_not_disturb_the_writer(record, reader):
    """A long read sees one moment, and the writer goes on meanwhile."""
    with reading(reader) as conn:
        rows = queries.fills(conn)
        next(rows)
        record.write([changes(first=2, fills=[fill(9)])])
        assert len(list(rows)) == 3


@pytest.mark.parametrize("statement", [
    "DELETE FROM journal", "UPDATE journal SET kind = 'x'", "UPDATE journal SET raw = NULL, kind = 'x'",
    "UPDATE journal SET head = digest", "DELETE FROM fills", "UPDATE fills SET price = '1'",
    "UPDATE order_events SET status = 'x'", "DELETE FROM order_events", "DELETE FROM balance_history",
    "UPDATE balance_history SET total = '1'", "DELETE FROM position_history",
])  # fmt: skip
def test_what_was_told_cannot_be_changed(record, url, statement):
    """Triggers refuse to change or delete history, for any client of the database."""
    with pytest.raises((sqlite3.IntegrityError, psycopg.errors.RaiseException)):
        _directly(url, statement)


@pytest.mark.parametrize("statement", [
    "UPDATE journal SET raw = NULL WHERE seq = 1", "UPDATE fills SET client_order_id = 'known'",
    "UPDATE orders SET missing_since = NULL",
])  # fmt: skip
def test_what_may_change_can(record, url, statement):
    """Raw bytes may be pruned, and a fill may learn its client order id."""
    _directly(url, statement)


def _directly(url, statement):
    """Run a statement as any other program would."""
    sqlite = url.startswith("sqlite")
    connection = sqlite3.connect(make_url(url).database) if sqlite else psycopg.connect(url)
    try:
        with connection:
            connection.execute(statement)
    finally:
        connection.close()
