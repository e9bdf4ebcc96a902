"""Pages by keyset: every row once, in order, whatever is written meanwhile."""

import base64
import json
import random
from datetime import timedelta
from itertools import product

import pytest
from sqlalchemy import event

from accountd.errors import QueryRefused
from accountd.store import queries
from accountd.store.engine import reader_engine, reading, writer_engine
from accountd.store.migrate import upgrade
from accountd.store.queries import Filter
from accountd.store.writer import Writer
from tests.store.conftest import NOW
from tests.store.samples import T0, changes, fill, order, transfer

SECOND = timedelta(seconds=1)


@pytest.fixture
def several(writer):
    """Two accounts whose fills share their times."""
    writer.open_account("other", "other", "binance-usdm", "live", NOW)
    writer.take_head("other")
    for account in ("main", "other"):
        writer.write([changes(account=account, fills=[
            fill(n, traded_at=T0 + SECOND * (n // 3), symbol="BTCUSDT" if n % 2 else "ETHUSDT")
            for n in range(10)
        ], orders=[order(n) for n in range(5)], transfers=[transfer(n) for n in range(5)])])  # fmt: skip
    return writer


def walk(reader, table, f, size):
    """Return all pages, each read in a snapshot of its own."""
    cursor, pages = None, []
    while True:
        with reading(reader) as conn:
            page = queries.page(conn, table, f, after=cursor, size=size)
        pages.append(page.rows)
        cursor = page.next
        if cursor is None:
            return pages


@pytest.mark.parametrize("newest", [False, True])
@pytest.mark.parametrize("size", [1, 3, 7, 100])
def test_pages_are_the_whole_list(several, reader, size, newest):
    """Pages of any size, put together, are the list in its order, over all accounts."""
    lists = {"fills": queries.fills, "orders": queries.orders, "transfers": queries.transfers}
    for table, read in lists.items():
        f = Filter(newest=newest)
        with reading(reader) as conn:
            whole = [dict(row) for row in read(conn, f)]
        pages = walk(reader, table, f, size)
        assert [dict(row) for page in pages for row in page] == whole
        assert all(len(page) == size for page in pages[:-1])


def test_filters_hold_on_every_page(several, reader):
    """A filter keeps the same rows page by page."""
    pages = walk(reader, "fills", Filter(account="main", symbol="ETHUSDT", market="usdm", newest=True), 2)
    assert [row["trade_id"] for page in pages for row in page] == ["8", "6", "4", "2", "0"]


def test_new_rows_do_not_shift_a_page(several, reader):
    """What is written after the first page neither repeats nor hides a row of the second."""
    f = Filter(account="main", newest=True)
    with reading(reader) as conn:
        first = queries.page(conn, "fills", f, size=5)
    several.write([changes(first=1, fills=[fill(99, traded_at=T0 + 60 * SECOND)])])
    with reading(reader) as conn:
        second = queries.page(conn, "fills", f, after=first.next, size=5)
    assert len({row["trade_id"] for row in first.rows + second.rows}) == 10
    assert second.next is None


def forged(*values):
    """Return a cursor of our form with other values."""
    return base64.urlsafe_b64encode(json.dumps(values).encode()).decode()


@pytest.mark.parametrize("cursor", [
    "", "x", "%%%", "ünicode", forged(), forged(1, 2, 3, 4, 5), forged("now", "main", "usdm", "B", "1"),
    forged("2026-11-01", "main", "usdm", "B", "1"), forged({"a": 1}),
    forged("2026-11-01T00:00Z", "a\0", "b", "c", "d"),
])  # fmt: skip
def test_a_cursor_of_nobody_is_refused(several, reader, cursor):
    """A cursor that no page gave is refused in one sentence, on both databases."""
    with pytest.raises(QueryRefused, match="cursor"), reading(reader) as conn:
        queries.page(conn, "fills", after=cursor)


def test_merged_lists_are_cut_and_ordered(several, reader):
    """Without an account the newest of all accounts come first, and the limit holds over all of them."""
    with reading(reader) as conn:
        found = list(queries.fills(conn, Filter(limit=5, newest=True)))
        assert [(row["trade_id"], row["account_id"]) for row in found[:2]] == [("9", "other"), ("9", "main")]
        assert len(found) == 5
        assert len(list(queries.fills(conn))) == 20
        assert queries.heads(conn) == {"main": 1, "other": 1}


@pytest.fixture
def crowd(writer):
    """A busy account and many that trade now and then, over seconds, days and months."""
    dice = random.Random(7)
    for n in range(12):
        name = f"c{n:02}"
        writer.open_account(name, name, "binance-usdm", "live", NOW)
        writer.take_head(name)
        reach = [timedelta(days=dice.choice((0.0001, 0.1, 30, 200))) for _ in range(9)]
        times = [T0 - far * dice.random() for far in reach]
        times += [T0 - SECOND * (k // 3) for k in range(40)] if n == 5 else []
        told = [{"traded_at": at, "symbol": dice.choice(("BTCUSDT", "ETHUSDT"))} for at in times]
        writer.write([changes(
            account=name, fills=[fill(k, **one) for k, one in enumerate(told)],
            orders=[order(k, updated_at=at) for k, at in enumerate(times)],
        )])  # fmt: skip
    return writer


ASKED = ({}, {"symbol": "ETHUSDT"}, {"symbol": "none"}, {"since": T0 - timedelta(days=20), "until": T0},
         {"until": T0 - timedelta(days=400)})  # fmt: skip


def test_the_first_of_all_accounts_are_the_first(crowd, reader):
    """A list over all accounts begins with the rows that all of them together would begin with."""
    lists = product((queries.fills, queries.orders), ASKED, (False, True))
    with reading(reader) as conn:
        for read, more, newest in lists:
            whole = [dict(row) for row in read(conn, Filter(newest=newest, **more))]
            for limit in (1, 17, 500):
                found = [dict(row) for row in read(conn, Filter(newest=newest, limit=limit, **more))]
                assert found == whole[:limit]
        # However many accounts there are: a question to each of them took longer than the answer.
        asked = []
        event.listen(conn, "before_cursor_execute", lambda *told: asked.append(told[2]))
        assert len(list(queries.fills(conn, Filter(newest=True, limit=50)))) == 50
        assert len(asked) < 10


def test_a_list_of_all_accounts_reads_stretches_of_time(sqlite_url):
    """Whatever else is asked: SQLite would rather read all orders of a symbol than half of a time index."""
    upgrade(sqlite_url)
    writer = Writer(writer_engine(sqlite_url), lambda: NOW)
    writer.open_account("main", "main", "binance-usdm", "live", NOW)
    writer.take_head("main")
    writer.write([changes(orders=[order(n, updated_at=T0 + n * SECOND) for n in range(3)])])
    writer.close()
    engine, asked = reader_engine(sqlite_url), []
    with reading(engine) as conn:
        event.listen(conn, "before_cursor_execute", lambda *told: asked.append(told[2:4]))
        queries.page(conn, "orders", Filter(newest=True, symbol="BTCUSDT", side="BUY"), size=5)
        statement, values = asked[-1]
        plan = [row[3] for row in conn.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", values)]
    engine.dispose()
    expected = "SEARCH orders USING INDEX orders_by_time (account_id=? AND updated_at>? AND updated_at<?)"
    assert plan[0] == expected
