"""Paging against a venue in memory: any density, any limit, any choice of which rows a full page shows."""

from datetime import timedelta
from decimal import Decimal

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from accountd.core.told import Fill
from accountd.venues.base import Call, Page, Reply, from_ms, to_ms
from accountd.venues.paging import Question, by_id, by_time, whole
from tests.venues.tape import AT

CALLS = 20_000


class FakeVenue:
    """Trades as (ms, id). ``newest`` shows the end of what does not fit, ``open_end`` excludes ends."""

    def __init__(self, rows, limit, *, newest=False, open_end=False):
        self.rows = sorted(rows, key=lambda row: row[1])
        self.limit = limit
        self.newest = newest
        self.open_end = open_end
        self.calls = 0

    def answer(self, call):
        """Return the rows that a call asks for."""
        asked = {name: int(value) for name, value in call.params}
        if "fromId" in asked:
            return [row for row in self.rows if row[1] >= asked["fromId"]][: self.limit]
        # A single millisecond stays answerable, or nothing could be asked by time at all.
        end = asked["end"] - (1 if self.open_end and asked["end"] > asked["start"] else 0)
        found = [row for row in self.rows if asked["start"] <= row[0] <= end]
        return found[-self.limit :] if self.newest else found[: self.limit]

    def drive(self, flow):
        """Run a flow to its end; return its result and the rows of its pages."""
        seen = []
        try:
            step = next(flow)
            while True:
                if isinstance(step, Page):
                    seen += [(to_ms(row.traded_at), int(row.trade_id)) for row in step.told]
                    step = flow.send(None)
                    continue
                self.calls += 1
                assert self.calls < CALLS, "does not end"
                body = ";".join(f"{at},{number}" for at, number in self.answer(step))
                step = flow.send(Reply(body=body.encode(), fetched_at=AT))
        except StopIteration as done:
            return done.value, seen


def call(**params):
    """Return a call that the fake understands."""
    return Call(
        method="GET",
        path="/",
        kind="fills",
        pool="p",
        weight=1,
        params=tuple((k, str(v)) for k, v in params.items()),
    )


def read(asked, reply):
    """Return the page of a fake reply."""
    one = Decimal(1)
    told = [
        Fill(
            market="usdm", symbol="S", trade_id=number, order_id="1", side="BUY",
            price=one, quantity=one, quote_quantity=one, traded_at=from_ms(int(at)),
        )
        for at, number in (row.split(",") for row in reply.body.decode().split(";") if row)
    ]  # fmt: skip
    return Page(kind="fills", as_of=AT, told=told, call=asked, reply=reply)


def question(limit, *, dense=True, window=timedelta(milliseconds=100)):
    """Return the question that the fake answers."""
    return Question(
        ask=lambda start, end: call(start=start, end=end),
        read=read,
        limit=limit,
        max_window=window,
        dense=by_id(lambda number: call(fromId=number), read, limit) if dense else None,
    )


def history(gaps):
    """Return rows whose times and ids never fall, from pairs of (ms since the last, ids since the last)."""
    rows, at, number = [], 0, 0
    for later, further in gaps:
        at, number = at + later, number + further
        rows.append((at, number))
    return rows


GAPS = st.lists(
    st.tuples(st.one_of(st.just(0), st.integers(0, 3), st.integers(0, 400)), st.integers(1, 50)), max_size=60
)


@given(gaps=GAPS, limit=st.integers(2, 9), newest=st.booleans(), open_end=st.booleans())
def test_nothing_is_missed_whatever_the_density(gaps, limit, newest, open_end):
    """Every row of the window is told, and nothing is left unproven, for any history and limit."""
    rows = history(gaps)
    venue = FakeVenue(rows, limit, newest=newest, open_end=open_end)
    end = max((at for at, _ in rows), default=0) + 5
    swept, seen = venue.drive(by_time(question(limit), 0, end))
    assert set(seen) >= set(rows)
    assert set(seen) <= set(rows)
    assert swept.unproven == []


@given(gaps=GAPS, start=st.integers(0, 500), width=st.integers(0, 500))
def test_a_window_tells_all_that_is_in_it(gaps, start, width):
    """Both ends are included."""
    rows = history(gaps)
    _, seen = FakeVenue(rows, 5).drive(by_time(question(5), start, start + width))
    assert set(seen) >= {row for row in rows if start <= row[0] <= start + width}


@pytest.mark.parametrize("newest", [False, True])
@pytest.mark.parametrize("first", [1, 10_000_000_000])
def test_one_more_than_a_page_in_one_millisecond(newest, first):
    """N+1 rows in one millisecond are read by id, also when their ids are far from zero."""
    rows = [(10, first), *((5_000, first + 7 + n) for n in range(1001)), (5_001, first + 2000)]
    venue = FakeVenue(rows, 1000, newest=newest)
    swept, seen = venue.drive(by_time(question(1000, window=timedelta(days=6)), 0, 500_000_000))
    assert set(seen) == set(rows)
    assert swept.unproven == []
    assert venue.calls < 150


def test_a_burst_in_one_millisecond_is_not_crept_up_to():
    """A page that is all of one millisecond says where that is: what is around it is read at once."""
    rows = [(5_000_000, n) for n in range(1, 1201)]
    venue = FakeVenue(rows, 1000)
    swept, seen = venue.drive(by_time(question(1000, dense=False, window=timedelta(days=6)), 0, 500_000_000))
    assert venue.calls <= 4
    assert len(swept.unproven) == 1
    assert len(set(seen)) == 1000


def test_a_millisecond_that_cannot_be_read_is_listed():
    """Without ids an overfull millisecond is unproven, and the rest is read all the same."""
    rows = [(5, n) for n in range(1, 5)] + [(9, 9)]
    swept, seen = FakeVenue(rows, 3).drive(by_time(question(3, dense=False), 0, 20))
    assert [(hole.start, hole.end) for hole in swept.unproven] == [(from_ms(5), from_ms(5))]
    assert (9, 9) in seen


@pytest.mark.parametrize(("most", "complete"), [(3, True), (2, False)])
def test_numbers_that_do_not_stand_in_the_order_of_time(most, complete):
    """Where numbers lead nowhere, all there is is read, once, if that is not too much; else it is listed."""
    rows = [(5 + n % 2, 1 + n * 7919 % 1000) for n in range(10)]
    asked = question(4)
    by_number = whole(lambda number: call(fromId=number), asked.read, 4, most)
    asked = msgspec.structs.replace(asked, dense=by_number)
    venue = FakeVenue(rows, 4)
    swept, seen = venue.drive(by_time(asked, 0, 20))
    assert (swept.unproven == []) is complete
    assert set(seen) == set(rows) if complete else set(seen) < set(rows)
    assert venue.calls < 16


def test_no_window_is_wider_than_allowed():
    """A question never spans more than the venue takes."""
    asked = []
    flow = by_time(question(5, window=timedelta(milliseconds=70)), 0, 1000)
    step = next(flow)
    try:
        while True:
            if isinstance(step, Call):
                asked.append({name: int(value) for name, value in step.params})
                step = flow.send(Reply(body=b"", fetched_at=AT))
            else:
                step = flow.send(None)
    except StopIteration:
        pass
    assert all(window["end"] - window["start"] < 70 for window in asked)
    assert asked[0]["start"] == 0
    assert asked[-1]["end"] == 1000


def test_a_dense_day_costs_less_than_two_calls_a_page():
    """The window follows the density, so a long dense history stays cheap."""
    rows = [(n * 10, n) for n in range(1, 50_001)]
    venue = FakeVenue(rows, 1000)
    _, seen = venue.drive(by_time(question(1000, window=timedelta(days=6)), 0, 600_000_000))
    assert set(seen) == set(rows)
    assert venue.calls <= 100


@pytest.mark.parametrize(("newest", "most"), [(False, 6), (True, 50)])
def test_a_burst_somewhere_in_a_wide_window_costs_little(newest, most):
    """Two pages within half a second of a day: where a page shows the oldest rows it is not crept up to."""
    rows = [(86_300_000 + n // 4, n) for n in range(1, 2_001)]
    venue = FakeVenue(rows, 1000, newest=newest)
    _, seen = venue.drive(by_time(question(1000, window=timedelta(days=6)), 0, 86_400_000))
    assert set(seen) == set(rows)
    assert venue.calls <= most


@pytest.mark.parametrize("before", [0, 5])
def test_a_burst_after_a_silence_is_read_in_three_pages(before):
    """Its first page shows where it ends being too much; what is left is asked for as a whole."""
    rows = [(1000 * n, n) for n in range(before)]
    rows += [(50_000 + n // 4, before + n) for n in range(1, 1_701)]
    venue = FakeVenue(rows, 1000)
    _, seen = venue.drive(by_time(question(1000, window=timedelta(days=6)), 0, 60_000))
    assert set(seen) == set(rows)
    assert venue.calls == 3
