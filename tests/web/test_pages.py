"""The pages for people: what they show, and that they stay readable and harmless."""

import re
import time
from contextlib import closing
from datetime import timedelta
from decimal import Decimal
from html.parser import HTMLParser

import pytest
from starlette.testclient import TestClient

from accountd.core.health import AccountHealth, Health
from accountd.core.states import State
from accountd.store import query_feed, tables
from accountd.store.bounded import BoundedReader
from accountd.store.engine import writer_engine
from accountd.store.migrate import upgrade
from accountd.store.queries import accounts
from accountd.store.writer import Writer
from accountd.web import picture, why
from accountd.web.pages import Pages
from accountd.web.pictures import Pictures, Window
from accountd.web.record import Look, Record
from accountd.web.render import Renderer, amount, moment, seconds, sign
from tests.store.samples import changes, fill
from tests.web.conftest import EVIL, LOCAL, NOW, T0, build, healthy

PAGES = ["/", "/accounts/main", "/orders", "/fills", "/alerts", "/findings?open=all",
         "/accounts/main/orders/usdm/BTCUSDT/order/2"]  # fmt: skip
HOUR = timedelta(hours=1)


class Outline(HTMLParser):
    """What a screen reader hears of a page's structure."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.ids, self.loose, self.unnamed = [], [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        """Take note of a tag."""
        told = dict(attrs)
        self.tags.append(tag)
        if "id" in told:
            self.ids.append(told["id"])
        if tag == "th" and "scope" not in told:
            self.loose.append(told)
        if told.get("role") in ("img", "region") and not told.get("aria-label"):
            self.unnamed.append(told)


@pytest.mark.parametrize("path", PAGES)
def test_pages_are_well_formed_for_everybody(browser, path):
    """Every page has one main heading, a skip link, scoped headers, captions, and names for its pictures."""
    text = browser.get(path).text
    page = Outline(text)
    assert page.tags.count("h1") == 1
    assert 'class="skip" href="#main"' in text
    assert page.loose == []
    assert page.unnamed == []
    assert page.tags.count("table") == page.tags.count("caption")
    assert len(page.ids) == len(set(page.ids))
    assert re.search(r'<html lang="en">', text)


@pytest.mark.parametrize("path", PAGES)
def test_what_was_told_never_becomes_markup(browser, path):
    """Names and ids that want to be a script are shown as they are."""
    text = browser.get(path).text
    assert EVIL not in text
    if path.startswith(("/findings", "/accounts/main/orders")):
        assert "&lt;script&gt;alert(1)" in text


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("/", ["Not ready", "other: CONNECTING", "the key was refused", "12 s", "PARTIALLY_FILLED", "60000.1",
               "connection lost", "Dead letters", "binance-usdm"]),
        ("/accounts/main", ["Coverage by dataset", "algo orders", "funding fee", "99.5", "LIVE", "Sessions"]),
        ("/orders?status=CANCELED", ["CANCELED", "BTCUSDT"]),
        ("/orders?order_id=2", ["CANCELED"]),
        ("/fills?account=other", ["other"]),
        ("/alerts?status=dead", ["410 Gone", "dead", "m3"]),
        ("/findings", ["conflict", "connection lost", "told"]),
        ("/accounts/main/orders/usdm/BTCUSDT/order/2",
         ["Cancelled after 1 h 00 m; nothing had filled.", "It could only trade at or below 60000.10.",
          "journal 1"]),
    ],
)  # fmt: skip
def test_pages_show(browser, path, words):
    """Each page shows what it is for."""
    text = browser.get(path).text
    assert [word for word in words if word not in text] == []


def test_filters_that_are_not_usable_are_explained(browser):
    """A filter that cannot be read is left out and said, and the rest is shown."""
    reply = browser.get("/fills?since=yesterday&side=BUY")
    assert reply.status_code == 200
    assert "Left out" in reply.text
    assert "yesterday" in reply.text


@pytest.mark.parametrize(
    "path",
    ["/accounts/nobody", "/fills?account=nobody", "/fills?cursor=x", "/alerts?cursor=x",
     "/accounts/main/orders/usdm/BTCUSDT/order/999", "/accounts/main/orders/usdm/A%00/order/1"],
)  # fmt: skip
def test_what_is_not_there_is_404(browser, path):
    """An account, order or page that does not exist is said, with the frame of the site around it."""
    reply = browser.get(path)
    assert reply.status_code == 404
    assert "Not in the record" in reply.text


def test_lists_lead_on(watcher, record):
    """A list that is longer than a page has a link to what is older, which keeps the filters."""
    more = [fill(100 + n, traded_at=T0 + n * timedelta(seconds=1)) for n in range(60)]
    with record.begin() as tx:
        tx.write([changes(first=2, fills=more)])
    text = watcher.get("/fills?side=BUY&account=main").text
    link = re.search(r'rel="next" href="([^"]+)"', text)[1].replace("&amp;", "&")
    assert "side=BUY" in link and "account=main" in link
    older = watcher.get(link).text
    first, second = (set(re.findall(r'data-key="main BTCUSDT (\d+)"', page)) for page in (text, older))
    assert len(first) == 50 and len(second) == 17 and not first & second


def test_a_page_of_a_hundred_accounts(sqlite_url):
    """A hundred accounts are one page, with few reads and below 200 KB."""
    upgrade(sqlite_url)
    writer = Writer(writer_engine(sqlite_url), lambda: NOW)
    names = [f"desk{n:03}" for n in range(100)]
    for name in names:
        writer.open_account(name, name, "binance-usdm", "live", T0)
    writer.close()
    health = Health(accounts={name: AccountHealth(state=State.LIVE, last_event_at=NOW) for name in names})
    built = build(sqlite_url, health)
    with TestClient(built, base_url=LOCAL) as browser:
        text = browser.get("/").text
    built.state.close()
    assert text.count('<tr data-key="desk') == 100
    assert "Ready" in text
    assert len(text) < 200_000


async def test_pages_hear_of_changes(record, record_url):
    """The stream of a page says so when the record or a session changes, and is quiet otherwise."""
    health = healthy()
    watched = Record(record_url, health)
    pages = Pages(Renderer(logged_in=False), watched, health)
    first = await pages._state()
    assert await pages._state() == first
    health.account("other").detail = "again"
    second = await pages._state()
    with record.begin() as tx:
        tx.write([changes(first=2)])
    third = await pages._state()
    watched.close()
    assert len({first, second, third}) == 3


def test_pictures_are_kept_for_a_moment(browser, still_url):
    """Within some seconds a picture is not read again, however often a page is looked at."""
    clock = [0.0]
    pictures, window = Pictures(clock=lambda: clock[0]), Window.named("7d", NOW)
    reader = BoundedReader(still_url)
    with reader.reading() as conn:
        rows = {row["account_id"]: row for row in accounts(conn)}
        look = Look(conn=conn, rows=rows, names={key: key for key in rows}, health=healthy())
        first = pictures.dataset_lanes(look, "main", window)
        assert pictures.dataset_lanes(look, "main", window) is first
        clock[0] = 60.0
        assert pictures.dataset_lanes(look, "main", window) is not first
    reader.close()
    kinds = {lane.name: [one.kind for one in lane.stretches] for lane in first}
    assert kinds["fills"] == ["proven", "gap"]
    assert kinds["orders"] == ["healed"]


def test_lines_and_bars():
    """A course is drawn in steps to the present, bars rise from zero by their sign."""
    points = [(T0, Decimal(100)), (T0 + HOUR, Decimal("99.5"))]
    line = picture.line(points, T0 + 2 * HOUR)
    assert line.path == "M0.0 12.0H500.0V188.0H1000"
    assert line.series[1] == ["100", "99.5", "99.5"]
    assert picture.line([], NOW) is None
    drawn = picture.bars([("1", 0.0, Decimal(30)), ("2", 1.0, Decimal(-10))])
    assert [(bar.y, bar.height, bar.tone) for bar in drawn.bars] == [
        (0.0, 150.0, "good"),
        (150.0, 50.0, "bad"),
    ]
    assert (drawn.total, picture.bars([])) == (Decimal(20), None)


def test_short_stretches_are_seen():
    """A second within a month is still drawn, and what lies outside is not."""
    week = timedelta(days=7)
    drawn = picture.stretch(NOW - week, NOW, NOW - HOUR, NOW - HOUR + timedelta(seconds=1), "gap", "")
    assert drawn.width == picture.LEAST
    assert picture.stretch(NOW - week, NOW, NOW - 2 * week, NOW - 1.5 * week, "gap", "") is None


def an_order(**told):
    """An order that stood for an hour."""
    return {
        "status": "CANCELED", "quantity": Decimal(2), "filled_quantity": Decimal(0), "created_at": T0,
        "updated_at": T0 + HOUR, "reason": "NONE", "missing_since": None, "type": "LIMIT", "side": "SELL",
        "price": Decimal("10.50"), "kind": "order", "time_in_force": "GTC", "average_price": None,
        "actual_order_id": None, "stop_price": None,
    } | told  # fmt: skip


@pytest.mark.parametrize(
    ("told", "sentence"),
    [
        ({}, "Cancelled after 1 h 00 m; nothing had filled."),
        ({}, "It could only trade at or above 10.50."),
        ({"filled_quantity": Decimal(1)}, "Cancelled after 1 h 00 m with 1 of 2 filled."),
        ({"status": "EXPIRED", "time_in_force": "IOC"},
         "with 0 of 2 filled: what could not trade at once is not kept (IOC)."),
        ({"status": "EXPIRED_IN_MATCH"}, "an order of the same account"),
        ({"status": "REJECTED", "reason": "PRICE_FILTER"}, "The venue gives the reason PRICE_FILTER."),
        ({"status": "FILLED", "filled_quantity": Decimal(2), "average_price": Decimal("10.6")},
         "Filled completely after 1 h 00 m at an average of 10.6."),
        ({"status": "NEW"}, "Still open for 5 h 00 m; 0 of 2 filled."),
        ({"status": "NOVEL"}, "Last told state: NOVEL, 0 of 2 filled."),
        ({"missing_since": T0}, "The venue no longer shows this order"),
        ({"kind": "algo", "status": "NEW", "stop_price": Decimal(9)}, "It waits for a price at 9"),
        ({"kind": "algo", "actual_order_id": "77"}, "It fired and placed order 77."),
        ({"kind": "algo"}, "It never fired"),
        ({"created_at": None, "updated_at": T0}, "Cancelled; nothing had filled."),
    ],
)  # fmt: skip
def test_why_an_order_did_not_fill(told, sentence):
    """The reason is said in words that the record proves."""
    assert any(sentence in one for one in why.sentences(an_order(**told), [], NOW))


@pytest.mark.parametrize(
    ("side", "price", "sentence"),
    [
        ("BUY", "10.60", "the lowest recorded ask was 10.60, at"),
        ("BUY", "10.60", "its price was never reached there."),
        ("BUY", "10.50", "its price was reached; those ahead of it in the book trade first."),
        ("SELL", "10.40", "the highest recorded bid was 10.40, at"),
    ],
)
def test_why_with_prices(side, price, sentence):
    """Where prices are recorded, the one that came nearest is said."""
    nearest = {"at": T0, "word": "ask" if side == "BUY" else "bid", "price": Decimal(price)}
    assert any(sentence in one for one in why.sentences(an_order(side=side), [], NOW, nearest))


def test_the_nearest_price_is_found(record, record_url):
    """Prices are compared as numbers, within the life of the order, ask before mark."""
    with record.begin() as tx:
        for minute, ask, mark in ((-1, "1", "1"), (1, "100.5", "99"), (2, "99.5", "98"), (61, "1", "1")):
            values = {"market": "usdm", "symbol": "BTCUSDT", "at": T0 + minute * timedelta(minutes=1)}
            told = {"mark": Decimal(mark), "ask": Decimal(ask), "bid": None, "source": "stream"}
            tx.connection.execute(tables.prices.insert(), values | told)
    with closing(BoundedReader(record_url)) as reader, reader.reading() as conn:
        nearest = query_feed.nearest_price(conn, "usdm", "BTCUSDT", "BUY", T0, T0 + HOUR)
        assert (nearest["word"], nearest["price"]) == ("ask", Decimal("99.5"))
        high = query_feed.nearest_price(conn, "usdm", "BTCUSDT", "SELL", T0, T0 + HOUR)
        assert (high["word"], high["price"]) == ("mark", Decimal("99"))
        assert query_feed.nearest_price(conn, "usdm", "ETHUSDT", "BUY", T0, T0 + HOUR) is None


def test_words_for_people():
    """Amounts keep every digit, times say the day only when it is not today, words keep their sign."""
    assert str(amount(Decimal("-1.500"))) == "<span class=num>−1.5<span class=zeros>00</span></span>"
    assert str(amount(Decimal("1.25"))) == "<span class=num>1.25</span>"
    assert ">12:00:00<" in moment(NOW.replace(hour=12, minute=0, second=0), NOW)
    assert [seconds(n) for n in (0, 3.21, 59.6, 61, 3600, 90000)] == [
        "0 s", "3.2 s", "60 s", "1 m 01 s", "1 h 00 m", "1 d 1 h"
    ]  # fmt: skip
    assert "●" in sign("LIVE") and "LIVE" in sign("LIVE")
    assert "&lt;b&gt;" in sign("<b>")


def test_profit_is_added_up_beside_the_pages(still_url):
    """A sum is made once in a thread of its own, kept for a minute, and shown until the new one is there."""
    clock = [0.0]
    with closing(Record(still_url, healthy())) as watched:
        pictures, window = Pictures(watched, lambda: clock[0]), Window.named("7d", NOW)
        first = wait_for(lambda: pictures.pnl(None, window))
        assert list(first) == ["USDT"]
        assert first["USDT"].total == Decimal("-13.9569")
        assert pictures.pnl(None, window) is first
        clock[0] = 61.0
        fresh = wait_for(lambda: found if (found := pictures.pnl(None, window)) is not first else None)
    assert fresh["USDT"].total == first["USDT"].total


def test_a_sum_that_took_long_is_good_for_longer(still_url, monkeypatch):
    """A page that stays open must not keep the database busy all the time."""
    clock, made = [0.0], []

    def slow(look, account_id, window):
        clock[0] += 10.0
        made.append(window)
        return {}

    monkeypatch.setattr("accountd.web.pictures._profit", slow)
    with closing(Record(still_url, healthy())) as watched:
        pictures, window = Pictures(watched, lambda: clock[0]), Window.named("7d", NOW)
        wait_for(lambda: pictures.pnl(None, window))
        clock[0] += 199.0
        assert pictures.pnl(None, window) == {}
        assert not pictures._sums
        clock[0] += 2.0
        pictures.pnl(None, window)
        wait_for(lambda: True if len(made) == 2 else None)


def wait_for(told, seconds=10.0):
    """Return what `told` says once it says something."""
    until = time.monotonic() + seconds
    while (found := told()) is None:
        assert time.monotonic() < until
        time.sleep(0.01)
    return found
