"""Pages by keyset: every row once, in order, whatever is written meanwhile."""

import base64
import json
from datetime import timedelta

import pytest

from accountd.errors import QueryRefused
from accountd.store import queries
from accountd.store.engine import reading
from accountd.store.queries import Filter
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
