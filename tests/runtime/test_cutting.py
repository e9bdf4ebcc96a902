"""Cutting a stretch by what is known of it: contiguous, full, and never without end."""

import itertools
from bisect import bisect_left, bisect_right
from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from accountd.runtime.cutting import parts
from accountd.venues.base import MILLISECOND, from_ms

MOMENTS = st.lists(st.integers(0, 300), max_size=80).map(sorted)


@given(moments=MOMENTS, most=st.integers(1, 20), end=st.integers(0, 320))
def test_parts_are_contiguous_and_hold_no_more_than_a_page(moments, most, end):
    """They share a millisecond, so nothing lies between; only what is of one moment may be too much."""
    known = [from_ms(ms) for ms in moments if ms <= end]
    made = list(parts(from_ms(0), from_ms(end), known, most))
    assert made[0][0] == from_ms(0)
    assert made[-1][1] == from_ms(end)
    assert all(left[1] == right[0] for left, right in itertools.pairwise(made))
    for begin, stop in made:
        held = bisect_right(known, stop) - bisect_left(known, begin)
        assert held <= most or stop - begin <= MILLISECOND


def test_a_burst_is_read_in_as_many_pages_as_it_fills():
    """What is known to fit is not cut."""
    known = [from_ms(100_000 + n // 3) for n in range(1700)]
    day = timedelta(days=1)
    assert len(list(parts(from_ms(0), from_ms(0) + day, known, 900))) == 2
    assert len(list(parts(from_ms(0), from_ms(0) + day, known[:900], 900))) == 1
