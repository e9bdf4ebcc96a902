"""What the fold notices beside the beliefs: other tellings of a fill, and what the stream kept back."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from accountd.core.beliefs import Beliefs
from accountd.core.fold import Fold
from accountd.core.stretches import backwards, missing
from accountd.core.told import REST, STREAM, Balance, Fill, Order, Position, Telling, Transfer

T0 = datetime(2026, 11, 1, tzinfo=UTC)
D = Decimal


def at(seconds):
    """Return a moment."""
    return T0 + timedelta(seconds=seconds)


class Story:
    """Tells one thing after the other; ``findings`` and ``corrections`` gather."""

    def __init__(self):
        self.beliefs = Beliefs("main", 0, bytes(32))
        self.findings, self.corrections, self.open = [], [], set()

    def tell(self, told, source=STREAM, now=0.0, live=0.0):
        """Fold one telling; return the kinds of finding that it opened."""
        telling = Telling(
            account_id="main", source=source, kind="x", raw=b"{}", received_at=at(now), told=[told],
            live_since=at(live) if source == REST and live is not None else None, keep=source == STREAM,
        )  # fmt: skip
        changes = Fold(self.beliefs, T0 - timedelta(days=1)).run([telling])
        self.findings += changes.findings.values()
        self.corrections += changes.fill_corrections
        self.open |= {(one.kind, one.subject) for one in changes.findings.values()}
        self.open -= changes.resolved.keys()
        self.journaled = len(changes.journal)
        return [one.kind for one in changes.findings.values()]


def fill(**more):
    """Return a fill as the stream tells it."""
    told = {
        "market": "usdm", "symbol": "BTCUSDT", "trade_id": "1", "order_id": "7", "side": "BUY",
        "price": D("100.10"), "quantity": D("1"), "quote_quantity": D("100.10"), "commission": D("0.04"),
        "commission_asset": "USDT", "realized_pnl": D("0"), "is_maker": True, "position_side": "BOTH",
        "traded_at": at(1),
    } | more  # fmt: skip
    return Fill(**told)


@pytest.mark.parametrize(
    ("field", "other"),
    [
        ("price", D("100.11")), ("quantity", D("2")), ("quote_quantity", D("100.11")),
        ("commission", D("0.03")), ("commission_asset", "BNB"), ("realized_pnl", D("-1E-8")),
        ("is_maker", False), ("side", "SELL"), ("position_side", "LONG"), ("order_id", "8"),
        ("traded_at", at(3)),
    ],
)  # fmt: skip
def test_another_telling_of_a_fill_is_kept_beside_the_first(field, other):
    """Whatever field differs: the first stays, the other is a row, the finding is an error, once."""
    story = Story()
    story.tell(fill())
    assert story.tell(fill(**{field: other}), REST, 2) == ["conflict"]
    assert story.tell(fill(**{field: other}), REST, 3) == []
    assert story.findings[0].severity == "error" and field in story.findings[0].detail
    (row,) = story.corrections
    assert row.kind == "conflict" and getattr(row.told, field) == other
    assert getattr(story.beliefs.fills["usdm", "BTCUSDT", "1"], field) == getattr(fill(), field)


def test_the_same_amounts_written_otherwise_do_not_conflict():
    """Trailing zeros, a millisecond and what a telling leaves out are no difference."""
    story = Story()
    story.tell(fill(traded_at=at(1.999)))
    again = fill(price=D("100.1000"), traded_at=at(2.0), commission=None, is_maker=None)
    assert story.tell(again, REST, 2) == [] and not story.corrections


CONTESTED = {("conflict", "fill:usdm:BTCUSDT:1")}
OTHER = {"commission": D("0.03")}


def test_a_conflict_is_over_when_rest_tells_it_as_it_was_told_first():
    """The page that says so is journaled once; the other version opens it again, under the same name."""
    story = Story()
    story.tell(fill())
    story.tell(fill(**OTHER), REST, 2)
    assert story.open == CONTESTED
    assert story.tell(fill(), REST, 3) == []
    assert (story.open, story.journaled) == (set(), 1)
    story.tell(fill(), REST, 4)
    assert story.journaled == 0
    assert story.tell(fill(**OTHER), REST, 5) == ["conflict"]
    assert story.open == CONTESTED
    assert len({one.finding_id for one in story.findings}) == 1


def test_a_conflict_stays_open_while_rest_does_not_take_it_back():
    """The other version again, the stream's word, and a page that leaves the matter out explain nothing."""
    story = Story()
    story.tell(fill())
    story.tell(fill(**OTHER), REST, 2)
    story.tell(fill(**OTHER), REST, 3)
    story.tell(fill(), STREAM, 4)
    story.tell(fill(commission=None), REST, 5)
    assert story.open == CONTESTED
    story.tell(fill(price=D("100.11")), REST, 6)
    assert story.findings[-1].detail.keys() == {"commission", "price", "journal_seq"}
    story.tell(fill(commission=None), REST, 7)
    assert story.open == CONTESTED
    story.tell(fill(), REST, 8)
    assert story.open == set()


def test_a_page_that_contradicts_itself_settles_nothing():
    """Both versions in one page: the conflict is open until a later page has one of them."""
    story = Story()
    story.tell(fill())
    page = Telling(account_id="main", source=REST, kind="x", raw=b"", received_at=at(2), keep=False,
                   told=[fill(**OTHER), fill()])  # fmt: skip
    changes = Fold(story.beliefs, T0).run([page])
    assert (len(changes.findings), changes.resolved) == (1, {})


def test_a_movement_of_money_that_is_told_in_two_ways():
    """One finding however often it is told, journaled once, until it is told as first."""

    def moved(amount):
        return Transfer(market="usdm", kind="transfer", transfer_id="1", asset="USDT", amount=D(amount),
                        occurred_at=at(1))  # fmt: skip

    story = Story()
    story.tell(moved("5"), REST, 1)
    assert story.tell(moved("6"), REST, 2) == ["conflict"]
    assert (story.tell(moved("6"), REST, 3), story.journaled) == ([], 0)
    assert story.open == {("conflict", "transfer:usdm:transfer:1:USDT")}
    assert (story.tell(moved("5"), REST, 4), story.journaled) == ([], 1)
    assert story.open == set()


def test_what_the_first_telling_left_open_is_a_row_and_no_finding():
    """An amount that comes later is written beside the fill, which stays as it was told."""
    story = Story()
    story.tell(fill(commission=None, commission_asset=None))
    assert story.tell(fill(), REST, 2) == []
    assert [row.kind for row in story.corrections] == ["completed"]
    assert story.beliefs.fills["usdm", "BTCUSDT", "1"].commission is None


def balance(total, when, seen=None):
    """Return a balance as of a moment."""
    return Balance(market="usdm", asset="USDT", total=D(total), as_of=at(when), seen_at=seen and at(seen))


def position(quantity, when):
    """Return a position as of a moment."""
    key = {"market": "usdm", "symbol": "BTCUSDT", "position_side": "BOTH"}
    return Position(**key, quantity=D(quantity), as_of=at(when))


@pytest.mark.parametrize(
    ("make", "subject"), [(balance, "balance:usdm:USDT"), (position, "position:usdm:BTCUSDT:BOTH")]
)
def test_an_amount_that_the_stream_kept_back_is_drift(make, subject):
    """REST tells another amount inside LIVE time and the stream never does: a finding after the grace."""
    story = Story()
    story.tell(make("100", 1), now=1)
    assert story.tell(make("90", 2), REST, 2.5) == []
    assert story.tell(make("90", 6), REST, 6.5) == []
    assert story.tell(make("90", 8), REST, 8.5) == ["drift"]
    (found,) = story.findings
    assert found.subject == subject
    assert (found.detail["expected"], found.detail["actual"], found.detail["difference"]) == (
        "100", "90", "-10",
    )  # fmt: skip
    assert story.tell(make("90", 20), REST, 20.5) == []


def test_rest_may_be_quicker_than_the_stream():
    """What the stream tells within the grace, it did not keep back."""
    story = Story()
    story.tell(balance("100", 1), now=1)
    story.tell(balance("90", 2), REST, 2.5)
    story.tell(balance("90", 2.4), now=3)
    assert story.tell(balance("90", 8), REST, 8.5) == []


def test_a_session_that_ended_is_no_drift():
    """After a reconnect the gap says what was missed; a change before LIVE is none of the stream's."""
    story = Story()
    story.tell(balance("100", 1), now=1)
    story.tell(balance("90", 2), REST, 2.5)
    assert story.tell(balance("90", 8), REST, 8.5, live=7) == []
    story.tell(balance("80", 9), REST, 9.5, live=9.2)
    assert story.tell(balance("80", 20), REST, 20.5, live=9.2) == []


def order(status, when, **more):
    """Return an order."""
    told = {
        "market": "usdm", "symbol": "BTCUSDT", "kind": "order", "order_id": "7", "status": status,
        "updated_at": at(when), "created_at": at(1), "quantity": D(1), "filled_quantity": D(0),
    } | more  # fmt: skip
    return Order(**told)


def test_an_order_that_only_rest_told_of():
    """An order, or its end, that REST is the first to tell inside LIVE time is a finding about the stream."""
    story = Story()
    assert story.tell(order("NEW", 1), REST, 10) == ["stream_missed"]
    assert story.tell(order("NEW", 1), REST, 20) == []
    assert story.tell(order("CANCELED", 12), REST, 30) == ["stream_missed"]
    told = Story()
    told.tell(order("NEW", 1, execution_type="NEW"), now=1)
    told.tell(order("CANCELED", 12, execution_type="CANCELED"), now=12)
    assert told.tell(order("CANCELED", 12), REST, 30) == []
    before = Story()
    assert before.tell(order("NEW", 1), REST, 10, live=5) == []


def test_what_is_missing_between_stretches():
    """Holes are found the newest first, and read in parts from their newer end."""
    proven = [(at(10), at(20)), (at(40), at(50))]
    assert missing((at(0), at(50)), proven, timedelta(seconds=1)) == [(at(20), at(40)), (at(0), at(10))]
    assert missing((at(12), at(45)), proven, timedelta(seconds=1)) == [(at(20), at(40))]
    assert missing((at(10), at(20.5)), proven, timedelta(seconds=1)) == []
    assert list(backwards((at(0), at(25)), timedelta(seconds=10))) == [
        (at(15), at(25)), (at(5), at(15)), (at(0), at(5)),
    ]  # fmt: skip
    assert list(backwards((at(0), at(25)), timedelta(0))) == [(at(0), at(25))]
