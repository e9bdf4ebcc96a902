"""The views that answer what people ask: the life of an order, profit, equity, the quality of fills."""

import json
import re
import sqlite3
from contextlib import closing
from datetime import timedelta
from decimal import Decimal

import pytest
from sqlalchemy import event as sql_event
from sqlalchemy import insert, text
from sqlalchemy.engine import make_url

from accountd.store import migrate, queries, query_feed, tables
from accountd.store.engine import reader_engine, reading, writer_engine
from accountd.store.queries import Filter
from accountd.store.writer import Writer
from tests.store.samples import T0, balance, changes, event, fill, order, position, transfer

SECOND, MINUTE, DAY = timedelta(seconds=1), timedelta(minutes=1), timedelta(days=1)
HOUR = 60 * MINUTE
money = Decimal


def rows_of(reader, sql):
    """Run a query and return its rows."""
    with reading(reader) as conn:
        return [tuple(row) for row in conn.execute(text(sql))]


def exact(value):
    """Read a number of either database, rounded to what floating point keeps."""
    return None if value is None else round(Decimal(str(value)), 9)


def put_prices(writer, *rows):
    """Write what a market stream told: symbol, time, mark, bid, ask."""
    with writer.begin() as tx:
        tx.connection.execute(insert(tables.prices), [
            {"market": "usdm", "symbol": symbol, "at": at, "mark": mark, "bid": bid, "ask": ask,
             "source": "x"}
            for symbol, at, mark, bid, ask in rows
        ])  # fmt: skip


@pytest.fixture
def stopped(writer):
    """A stop order that was amended, triggered and placed a plain order that filled in two parts."""
    algo = order(5, kind="algo", type="STOP", status="FINISHED", actual_order_id="77", events=2, reason=None)
    plain = order(77, status="FILLED", price=money("59999.00"), actual_order_id=None, events=3, reason=None)
    gone = order(9, status="NEW", missing_since=T0 + DAY, events=1, reason=None, actual_order_id=None)
    writer.write([changes(
        orders=[algo, plain, gone],
        order_events=[
            event(algo, 1), event(algo, 2, status="FINISHED", event_time=T0 + SECOND),
            event(plain, 1, status="NEW", event_time=T0 + SECOND),
            event(plain, 2, execution_type="AMENDMENT", status="NEW", price=money("59999.00"),
                  event_time=T0 + 2 * SECOND),
            event(plain, 3, execution_type="TRADE", event_time=T0 + 4 * SECOND), event(gone, 1),
        ],
        fills=[
            fill(1, order_id="77", price=money("59998.00"), traded_at=T0 + 3 * SECOND),
            fill(2, order_id="77", price=money("59999.00"), traded_at=T0 + 4 * SECOND),
        ],
    )])  # fmt: skip
    return writer


def test_an_algo_order_leads_to_the_fills_of_its_plain_order(stopped, reader):
    """The timeline of an algo order shows what became of the plain order that it placed."""
    sql = "SELECT what, execution_type, linked_kind, linked_order_id FROM order_timeline WHERE order_id = '5'"
    assert rows_of(reader, sql) == [
        ("event", "NEW", None, None), ("event", "NEW", None, None), ("linked event", "NEW", "order", "77"),
        ("linked event", "AMENDMENT", "order", "77"), ("linked fill", None, "order", "77"),
        ("linked event", "TRADE", "order", "77"), ("linked fill", None, "order", "77"),
    ]  # fmt: skip


def test_a_plain_order_shows_what_placed_it(stopped, reader):
    """The timeline of the plain order begins with its algo order, and has each fill once."""
    with reading(reader) as conn:
        told = list(queries.timeline(conn, "77", account="main"))
    assert [row["what"] for row in told].count("fill") == 2
    assert [row["linked_order_id"] for row in told if row["what"] == "linked event"] == ["5", "5"]
    assert [row["price"] for row in told if row["execution_type"] == "AMENDMENT"] == [money("59999.00")]
    assert told[0]["at"] == T0
    with reading(reader) as conn:
        assert {row["order_id"] for row in queries.orders(conn, Filter(order_id="77"))} == {"5", "77"}
        assert len(list(queries.fills(conn, Filter(client_order_id="c77")))) == 2


def test_a_missing_order_says_so(stopped, reader):
    """An order that the venue no longer shows ends its timeline with that."""
    sql = "SELECT what, reason FROM order_timeline WHERE order_id = '9' ORDER BY at"
    assert rows_of(reader, sql) == [("event", None), ("missing", "the venue no longer shows it")]


def test_fees_are_valued_where_a_price_is_known(writer, reader):
    """BNB fees count at the mark price of the minutes before the fill, else they are shown apart."""
    bnb = {"commission_asset": "BNB", "realized_pnl": money("10")}
    writer.write([changes(
        fills=[
            fill(1, commission=money("0.001"), **bnb),
            fill(2, commission=money("0.002"), traded_at=T0 + DAY, **bnb),
            fill(3, commission=money("0.5"), realized_pnl=money(1), traded_at=T0 + DAY),
            fill(4, market="spot", symbol="ETHBTC", price=money("0.03"), commission=money("0.01"),
                 commission_asset="ETH", realized_pnl=None, traded_at=T0 + DAY),
            fill(5, market="coinm", symbol="ETHUSD_PERP", commission=money("0.0001"), commission_asset="ETH",
                 realized_pnl=money("0.002"), traded_at=T0 + DAY),
        ],
        transfers=[transfer(1), transfer(2, kind="insurance_clear", amount=money("0.5"), symbol=None)],
    )])  # fmt: skip
    put_prices(writer, ("BNBUSDT", T0 - MINUTE, money("600"), None, None),
               ("BNBUSDT", T0 + SECOND, money("700"), None, None),
               ("BNBUSDT", T0 + DAY - 6 * MINUTE, money("800"), None, None))  # fmt: skip
    sql = """SELECT market, day, pnl_asset, commission_valued, commission_unvalued, net, fills FROM daily_pnl
             ORDER BY day, market"""
    found = [(*r[:3], exact(r[3]), json.loads(r[4] or "{}"), exact(r[5]), r[6]) for r in rows_of(reader, sql)]
    assert found == [
        ("usdm", "2026-11-01", "USDT", money("0.6"), {}, money("10") - money("0.6") - money("0.0123"), 1),
        ("coinm", "2026-11-02", "ETH", money("0.0001"), {}, money("0.0019"), 1),
        ("spot", "2026-11-02", "BTC", money("0.0003"), {}, money("-0.0003"), 1),
        ("usdm", "2026-11-02", "USDT", money("0.5"), {"BNB": 0.002}, money("10.5"), 2),
    ]
    with reading(reader) as conn:
        first, *_, last = queries.pnl(conn, "day")
    assert (first.fees_valued, first.fees) == (money("0.600"), {"BNB": money("0.001")})
    assert first.funding == money("-0.0123")
    assert (first.other, str(first.net)) == (money("0.5"), "9.88770000")
    assert last.fees_unvalued == {"BNB": money("0.002")}


def test_sums_are_exact_beyond_floating_point(writer, reader):
    """A million tiny amounts beside a huge one keep every digit."""
    huge, tiny = money("12345678901234567890.12345678"), money("0.000000000000000001")
    writer.write([changes(fills=[fill(n, realized_pnl=huge if n == 1 else tiny) for n in range(1, 12)])])
    with reading(reader) as conn:
        [row] = queries.pnl(conn, "symbol", Filter(account="main", since=T0, until=T0 + DAY))
    assert str(row.realized_pnl) == "12345678901234567890.123456780000000010"


def test_equity_is_the_wallet_and_what_positions_are_worth(writer, reader):
    """The curve adds the open profit at the mark of the moment, and says nothing where a price is missing."""
    opened = position("0.010", n=1)
    closed = position("0", n=2, as_of=T0 + 25 * MINUTE)
    for first, told in enumerate((
        {"balances": [balance("100", n=1)], "positions": [opened]},
        {"balances": [balance("99", n=2, as_of=T0 + 2 * MINUTE)]},
        {"balances": [balance("98", n=3, as_of=T0 + 20 * MINUTE)]},
        {"balances": [balance("97", n=4, as_of=T0 + 30 * MINUTE)], "positions": [closed]},
    )):  # fmt: skip
        writer.write([changes(first=first, **told)])
    put_prices(writer, ("BTCUSDT", T0, money("60100.1"), None, None),
               ("BTCUSDT", T0 + MINUTE, money("60200.1"), None, None))  # fmt: skip
    sql = "SELECT n, total, unrealized_pnl, equity FROM equity_curve WHERE account_id = 'main' ORDER BY n"
    found = [tuple(exact(value) for value in row) for row in rows_of(reader, sql)]
    assert found[:2] == [(1, 100, 1, 101), (2, 99, 2, 101)]
    assert found[2:] == [(3, 98, None, None), (4, 97, 0, 97)]
    with reading(reader) as conn:
        points = list(queries.equity(conn, "main", "usdm", "USDT", T0 - DAY, T0 + DAY, points=2880))
        few = list(queries.equity(conn, "main", "usdm", "USDT", T0 - DAY, T0 + DAY, points=2))
    assert [(point.total, point.equity) for point in points] == [(100, 101), (99, 101), (98, None), (97, 97)]
    assert [(point.at, point.total) for point in few] == [(T0, 100), (T0 + 30 * MINUTE, 97)]


def test_a_picture_of_equity_is_what_the_view_says(writer, reader):
    """Each point is the view's last row until then, whatever lies hours before or has the same time."""
    hours = (0, 0.5, 0.5, 3, 30, 30.1, 31, 90)
    balances = [balance(str(100 - n), n=n, as_of=T0 + h * HOUR) for n, h in enumerate(hours, 1)]
    held = [
        position(q, n=n, symbol=symbol, as_of=T0 + h * HOUR)
        for symbol, told in {
            "BTCUSDT": ((0, "1"), (0.5, "2"), (0.5, "-3"), (29.9, "0"), (30, "4")),
            "ETHUSDT": ((0.2, "5"), (3, "0"), (80, "-6"), (90, "7"), (90, "8")),
            "XRPUSDT": ((0, "9"), (1, "0")),
        }.items() for n, (h, q) in enumerate(told, 1)
    ]  # fmt: skip
    writer.write([changes(balances=[balances[-1]], positions=held)])
    writer.write([changes(first=1, balances=balances[:-1])])
    at = [T0 + h * HOUR - MINUTE for h in (*hours, 88) if h != 31]
    put_prices(writer, *((symbol, one, money("60100.1"), None, None)
                         for symbol in ("BTCUSDT", "ETHUSDT") for one in dict.fromkeys(at)))  # fmt: skip
    sql = "SELECT at, n, total, unrealized_pnl FROM equity_curve WHERE account_id = 'main' ORDER BY at, n"
    rows = [(str(at)[:19], exact(total), exact(worth)) for at, _, total, worth in rows_of(reader, sql)]
    assert len(rows) == len(hours)
    with reading(reader) as conn:
        points = list(queries.equity(conn, "main", "usdm", "USDT", T0 - DAY, T0 + 4 * DAY, points=7200))
    found = [(str(p.at)[:19], exact(p.total), exact(p.unrealized_pnl)) for p in points]
    assert found == [row for n, row in enumerate(rows) if n != 1]  # the third has the time of the second
    assert [worth is None for *_, worth in found] == [True, True, False, False, False, True, False]


def test_a_picture_of_equity_is_one_question(writer, reader):
    """However many points: a statement for each of them took Postgres longer to plan than to answer."""
    writer.write([changes(balances=[balance("100", n=1)])])
    asked = []
    with reading(reader) as conn:
        sql_event.listen(conn, "before_cursor_execute", lambda *told: asked.append(told[2]))
        points = list(queries.equity(conn, "main", "usdm", "USDT", T0 - DAY, T0 + DAY, points=200))
        none = list(queries.equity(conn, "main", "usdm", "USDT", T0 - DAY, T0 - MINUTE, points=200))
    assert [point.total for point in points] == [100]
    assert none == []
    assert len(asked) == 2


def test_the_planner_knows_every_index_of_a_large_table(sqlite_url):
    """An index without statistics counts as finding ten rows, and wins over the one that gives the order."""
    migrate.upgrade(sqlite_url)
    with sqlite3.connect(make_url(sqlite_url).database) as plain:
        unknown = plain.execute(
            "SELECT name FROM sqlite_master WHERE type = 'index' "
            "AND tbl_name IN (SELECT tbl FROM sqlite_stat1) AND name NOT IN (SELECT idx FROM sqlite_stat1)"
        ).fetchall()
        newest = "SELECT trade_id FROM fills WHERE account_id = 'main' ORDER BY traded_at DESC LIMIT 50"
        plan = [row[3] for row in plain.execute(f"EXPLAIN QUERY PLAN {newest}")]
    plain.close()
    assert unknown == []
    assert plan == ["SEARCH fills USING INDEX fills_by_time (account_id=?)"]


def test_a_picture_of_equity_reads_no_history_whole(sqlite_url):
    """SQLite finds a point by its time and its value by its number, whatever its statistics say or do not."""
    migrate.upgrade(sqlite_url)
    with sqlite3.connect(make_url(sqlite_url).database) as plain:
        plain.execute("DELETE FROM sqlite_stat1")
    plain.close()
    engine, asked = reader_engine(sqlite_url), []
    with reading(engine) as conn:
        sql_event.listen(conn, "before_cursor_execute", lambda *told: asked.append(told[2:4]))
        assert list(queries.equity(conn, "main", "usdm", "USDT", T0 - DAY, T0 + DAY, points=3)) == []
        statement, values = asked[0]
        plan = [row[3] for row in conn.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", values)]
    engine.dispose()
    chosen, valued = (step for step in plan if "balance_history" in step)
    assert "updated_at<?" in chosen
    assert "n=?" in valued


def test_profit_of_a_stretch_reads_that_stretch(sqlite_url):
    """Profit by symbol, and the picture of all accounts, read the fills of their days and no others."""
    migrate.upgrade(sqlite_url)
    with closing(Writer(writer_engine(sqlite_url), lambda: T0)) as made:
        for name in ("main", "other"):
            made.open_account(name, name, "binance-usdm", "live", T0)
    engine, asked = reader_engine(sqlite_url), []
    with reading(engine) as conn:
        sql_event.listen(conn, "before_cursor_execute", lambda *told: asked.append(told[2:4]))
        list(queries.pnl(conn, "symbol", Filter(account="main", since=T0)))
        query_feed.daily_net(conn, None, "2026-10-24")
        questions = [told for told in asked if "GROUP BY" in told[0]]
        plans = [conn.exec_driver_sql(f"EXPLAIN QUERY PLAN {sql}", values).all() for sql, values in questions]
    engine.dispose()
    read = [row[3] for plan in plans for row in plan if re.match(r"(SCAN|SEARCH) fills\b", row[3])]
    assert read[0] == "SEARCH fills USING INDEX fills_by_time (account_id=? AND traded_at>? AND traded_at<?)"
    assert len(read) > 1
    assert all(step.startswith("SEARCH fills USING INDEX fills_by_day (account_id=?") for step in read[1:])


def test_open_positions_at_the_mark(writer, reader):
    """An open position shows its worth at the last price; closed ones are left out."""
    writer.write([changes(positions=[
        position("-0.010"), position("0", symbol="ETHUSDT"), position("5", symbol="XRPUSDT"),
        position("7", market="coinm", symbol="BTCUSD_PERP"),
    ])])  # fmt: skip
    put_prices(writer, ("BTCUSDT", T0, money("60100.1"), None, None),
               ("BTCUSDT", T0 + SECOND, None, money("1"), money("2")))  # fmt: skip
    found = rows_of(reader, "SELECT symbol, mark, notional, mark_pnl FROM positions_now ORDER BY symbol")
    assert [(r[0], exact(r[2]), exact(r[3])) for r in found] == [
        ("BTCUSDT", money("-601.001"), -1), ("BTCUSD_PERP", None, None), ("XRPUSDT", None, None),
    ]  # fmt: skip


def test_fills_against_their_limit_and_the_market(stopped, reader):
    """A fill is compared with the limit of its moment, and with mid or mark where they are known."""
    put_prices(stopped, ("BTCUSDT", T0 + 3 * SECOND, None, money("59996"), money("59998")),
               ("BTCUSDT", T0 + 4 * SECOND, money("60000"), None, None))  # fmt: skip
    shown = "trade_id, limit_price, better_than_limit, slippage, slippage_bps"
    sql = f"SELECT {shown} FROM fill_quality ORDER BY 1"
    found = [tuple(exact(value) for value in row) for row in rows_of(reader, sql)]
    assert [row[:4] for row in found] == [(1, 59999, 1, 1), (2, 59999, 0, -1)]
    assert found[1][4] == exact(money(-10000) / 60000)
