"""The ties: exact, over what is proven only, and quiet as long as everything adds up."""

from datetime import timedelta
from decimal import Decimal

import pytest

from accountd.store.checks import Checks
from accountd.store.engine import reader_engine, reading, writer_engine
from accountd.store.proven import Proven
from accountd.store.tables import findings
from accountd.store.writer import Writer
from tests.store import samples

T0 = samples.T0
SLACK = timedelta(seconds=2)
END = T0 + timedelta(minutes=10)
D = Decimal


class Book:
    """A record with coverage of everything from T0 to END, to which rows are added."""

    def __init__(self, url, market="usdm"):
        self.url, self.market, self.seq = url, market, 0
        self.writer = Writer(writer_engine(url), lambda: T0)
        self.writer.open_account("main", "main", "binance-usdm", "live", T0)
        self.writer.take_head("main")
        self.prove(T0, END)

    def prove(self, start, end, *datasets):
        """Add coverage."""
        with self.writer.begin() as tx:
            for name in datasets or ("orders", "fills", "transfers", "balances", "positions"):
                tx.prove("main", [Proven(name, self.market, "", start, end)], end)

    def add(self, **rows):
        """Write rows."""
        self.writer.write([samples.changes(self.seq, **rows)])
        self.seq += 1

    def check(self, legs=None, slack=SLACK):
        """Run the checks and write the ties down, as the auditor does."""
        engine = reader_engine(self.url)
        with reading(engine) as connection:
            out = Checks(connection, "main", slack, legs or {}).run()
        engine.dispose()
        with self.writer.begin() as tx:
            tx.write_ties("main", out.ties, T0)
            for one in out.broken:
                tx.open_finding("main", one.kind, one.severity, one.subject, one.detail, T0, one.window)
            for kind, subject in out.good:
                tx.resolve_findings("main", kind, subject, T0)
        return {one.kind: one for one in out.broken}

    def open(self):
        """Return (kind, subject) of the open findings."""
        with self.writer.begin() as tx:
            found = tx.connection.execute(findings.select().where(findings.c.resolved_at.is_(None)))
            return {(row.kind, row.subject) for row in found}


@pytest.fixture
def book(record_url):
    """A record on each database."""
    made = Book(record_url)
    yield made
    made.writer.close()


def at(seconds):
    """Return a moment."""
    return T0 + timedelta(seconds=seconds)


def a_trade(book, quantity="0.010", after=60, filled=None, number=1):
    """Write an order that was filled at once, its fill, its commission and profit, and the new amounts."""
    moment, quantity = at(after), D(quantity)
    order = samples.order(number, status="FILLED", filled_quantity=D(filled or quantity), created_at=moment,
                          updated_at=moment)  # fmt: skip
    fill = samples.fill(number, quantity=quantity, traded_at=moment)
    book.add(orders=[order], fills=[fill])
    return order, fill


def test_what_adds_up_is_quiet(book):
    """A fill, its commission and its profit explain order, balance and position to the last digit."""
    book.add(balances=[samples.balance("100")])
    a_trade(book)
    book.add(
        transfers=[
            samples.transfer(1, kind="commission", amount=D("-0.24000040"), occurred_at=at(60)),
            samples.transfer(2, kind="realized_pnl", amount=D("1E-8"), occurred_at=at(60)),
        ],
        balances=[samples.balance("99.75999961", as_of=at(60), n=2)],
        positions=[samples.position("0.010", as_of=at(60))],
    )
    assert book.check() == {}
    assert book.check() == {}


def test_a_sum_of_fills_that_differs_is_an_error_until_it_does_not(book):
    """The finding names amount and window, and resolves when the missing fill is told."""
    a_trade(book, filled="0.030")
    broken = book.check()["order_fills"]
    assert (broken.detail["expected"], broken.detail["actual"], broken.detail["difference"]) == (
        "0.030", "0.010", "-0.020",
    )  # fmt: skip
    assert broken.window == (at(60), at(60)) and broken.severity == "error"
    book.add(fills=[samples.fill(2, order_id="1", quantity=D("0.020"), traded_at=at(60))])
    assert "order_fills" not in book.check()
    assert ("order_fills", "order:usdm:BTCUSDT:1") not in book.open()


def test_a_balance_that_nothing_explains(book):
    """A missing income row is found with its exact amount, and resolves when it comes."""
    book.add(balances=[samples.balance("100")])
    book.add(balances=[samples.balance("99.00000001", as_of=at(60), n=2)])
    assert book.check()["balance_unexplained"].detail["difference"] == "-0.99999999"
    row = samples.transfer(1, kind="transfer", amount=D("-0.99999999"), occurred_at=at(60))
    book.add(transfers=[row])
    assert book.check() == {}
    assert book.open() == set()


def test_clocks_may_differ_but_amounts_may_not(book):
    """Funding dated a second before the balance that it moved ties; one cent more does not."""
    book.prove(T0, at(63.5))
    book.add(balances=[samples.balance("100")])
    book.add(
        balances=[samples.balance("99", as_of=at(602), n=2)],
        transfers=[samples.transfer(1, amount=D("-1"), occurred_at=at(597.5))],
    )
    assert book.check() == {}
    book.prove(T0, at(1200))
    assert book.check() == {}
    book.add(balances=[samples.balance("98.99", as_of=at(1100), n=3)])
    book.prove(T0, at(1300))
    assert book.check()["balance_unexplained"].detail["difference"] == "-0.01"


def test_what_is_dated_before_the_last_comparison(book):
    """A movement that was told late, with an early date, explains a balance all the same."""
    book.add(balances=[samples.balance("100")])
    book.prove(T0, at(1200))
    assert book.check() == {}
    book.prove(T0, at(2400))
    book.add(balances=[samples.balance("150", as_of=at(1300), n=2)])
    assert book.check()["balance_unexplained"].detail["difference"] == "50"
    book.add(transfers=[samples.transfer(1, kind="deposit", amount=D("50"), occurred_at=at(300))])
    assert book.check() == {} and book.open() == set()


def test_a_position_is_the_signed_sum_of_its_fills(book):
    """Bought positive, sold negative; a fill that is missing is the difference."""
    for number, (side, quantity) in enumerate([("BUY", "0.5"), ("SELL", "0.8")], 1):
        a_trade(book, quantity, number=number, after=60 * number)
        book.add(fills=[samples.fill(10 + number, order_id="9", side=side, quantity=D(quantity),
                                     symbol="ETHUSDT", traded_at=at(60 * number))])  # fmt: skip
    book.add(positions=[samples.position("1.3", as_of=at(120)),
                        samples.position("-0.4", symbol="ETHUSDT", as_of=at(120))])  # fmt: skip
    broken = book.check()
    assert broken["position_unexplained"].subject == "position:usdm:ETHUSDT:BOTH"
    assert broken["position_unexplained"].detail["difference"] == "-0.1"


def test_a_position_that_opens_with_several_fills_of_one_instant(book):
    """The amount of the first instant is the one after everything that happened in it."""
    for number, (quantity, held) in enumerate([("0.5", "0.5"), ("0.8", "1.3")], 1):
        a_trade(book, quantity, number=number, after=1)
        book.add(positions=[samples.position(held, as_of=at(1), n=number)])
    a_trade(book, "0.2", number=3, after=120)
    book.add(positions=[samples.position("1.5", as_of=at(120), n=3)])
    assert book.check() == {}


def test_nothing_is_judged_beyond_the_proof(book):
    """What happened after the last proof of any dataset involved is not compared yet."""
    book.prove(T0, END, "fills")
    a_trade(book, filled="0.030", after=700)
    book.add(balances=[samples.balance("100")])
    book.add(balances=[samples.balance("5", as_of=at(599.5), n=2)])
    assert book.check() == {}


def test_a_fill_of_an_order_that_nothing_told_of(book):
    """It is a warning, and resolves when the order is told."""
    book.add(fills=[samples.fill(1, traded_at=at(60))])
    assert book.check()["order_unseen"].severity == "warning"
    a = samples.order(1, status="FILLED", filled_quantity=D("0.010"), created_at=at(60), updated_at=at(60))
    book.add(orders=[a])
    book.check()
    assert book.open() == set()


def test_an_order_that_ended_just_before_the_first_snapshot_is_not_missed(book):
    """The snapshot speaks for a moment before it was taken; old and over by then, the order is in no list."""
    just, later = at(SLACK.total_seconds()), at(SLACK.total_seconds() + 0.1)
    book.add(fills=[samples.fill(1, traded_at=just), samples.fill(2, traded_at=later, order_id="2")])
    book.check()
    assert book.open() == {("order_unseen", "order:usdm:BTCUSDT:2")}


def test_a_backfill_is_checked_too(book):
    """What coverage adds before the first comparison is compared as well."""
    assert book.check() == {}
    early = T0 - timedelta(days=2)
    book.prove(early, T0, "orders", "fills")
    then = {"created_at": early, "updated_at": early + SLACK}
    old = samples.order(5, status="FILLED", filled_quantity=D("1"), **then)
    book.add(orders=[old])
    assert book.check()["order_fills"].subject == "order:usdm:BTCUSDT:5"


def test_spot_legs_explain_spot_balances(record_url):
    """Base, quote and commission of a spot fill explain three balances; an unknown withdrawal does not."""
    book = Book(record_url, "spot")
    legs = {("spot", "BTCUSDT"): ("BTC", "USDT")}
    book.add(balances=[samples.balance("1", market="spot", asset="BTC"),
                       samples.balance("1000", market="spot", asset="USDT"),
                       samples.balance("2", market="spot", asset="BNB")])  # fmt: skip
    book.add(
        fills=[samples.fill(1, market="spot", quantity=D("0.01"), quote_quantity=D("600.001"),
                            commission=D("0.0005"), commission_asset="BNB", traded_at=at(60))],
        balances=[samples.balance("1.01", market="spot", asset="BTC", as_of=at(60), n=2),
                  samples.balance("399.999", market="spot", asset="USDT", as_of=at(60), n=2),
                  samples.balance("1.9995", market="spot", asset="BNB", as_of=at(60), n=2)],
    )  # fmt: skip
    assert "balance_unexplained" not in book.check(legs)
    book.prove(T0, at(1200))
    book.add(balances=[samples.balance("0.91", market="spot", asset="BTC", as_of=at(700), n=3)])
    assert book.check(legs)["balance_unexplained"].subject == "balance:spot:BTC"
    book.writer.close()
