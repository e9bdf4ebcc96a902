"""How people write a moment."""

from datetime import UTC, datetime

import pytest

from accountd.cli import moments
from accountd.errors import SettingsError

NOW = datetime(2026, 11, 23, 10, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    ("written", "moment"),
    [
        ("2026-11-20", datetime(2026, 11, 20, tzinfo=UTC)),
        ("2026-11-20T10:00:00Z", datetime(2026, 11, 20, 10, tzinfo=UTC)),
        ("2026-11-20 10:00", datetime(2026, 11, 20, 10, tzinfo=UTC)),
        ("2026-11-20T10:00:00+02:00", datetime(2026, 11, 20, 8, tzinfo=UTC)),
        ("2h", datetime(2026, 11, 23, 8, 30, tzinfo=UTC)),
        ("7d", datetime(2026, 11, 16, 10, 30, tzinfo=UTC)),
        ("Today", datetime(2026, 11, 23, tzinfo=UTC)),
        ("yesterday", datetime(2026, 11, 22, tzinfo=UTC)),
        ("2 days ago", datetime(2026, 11, 21, 10, 30, tzinfo=UTC)),
        ("an  hour ago", datetime(2026, 11, 23, 9, 30, tzinfo=UTC)),
        ("90 minutes ago", datetime(2026, 11, 23, 9, tzinfo=UTC)),
        ("a month ago", datetime(2026, 10, 23, 10, 30, tzinfo=UTC)),
        ("1 quarter ago", datetime(2026, 8, 23, 10, 30, tzinfo=UTC)),
        ("monday", datetime(2026, 11, 23, tzinfo=UTC)),
        ("last monday", datetime(2026, 11, 16, tzinfo=UTC)),
        ("friday", datetime(2026, 11, 20, tzinfo=UTC)),
        ("this week", datetime(2026, 11, 23, tzinfo=UTC)),
        ("last week", datetime(2026, 11, 16, tzinfo=UTC)),
        ("this month", datetime(2026, 11, 1, tzinfo=UTC)),
        ("Last month", datetime(2026, 10, 1, tzinfo=UTC)),
        ("last quarter", datetime(2026, 7, 1, tzinfo=UTC)),
        ("this year", datetime(2026, 1, 1, tzinfo=UTC)),
        ("last year", datetime(2025, 1, 1, tzinfo=UTC)),
        ("2026-10", datetime(2026, 10, 1, tzinfo=UTC)),
        ("october 2026", datetime(2026, 10, 1, tzinfo=UTC)),
        ("Sep 2026", datetime(2026, 9, 1, tzinfo=UTC)),
        ("2026-Q3", datetime(2026, 7, 1, tzinfo=UTC)),
        ("q3 2026", datetime(2026, 7, 1, tzinfo=UTC)),
        ("2026", datetime(2026, 1, 1, tzinfo=UTC)),
        ("now", NOW),
        (None, None),
    ],
)
def test_moment_is_read(written, moment):
    """Each way of writing a moment means one moment in UTC."""
    assert moments.read("--since", written, NOW) == moment


@pytest.mark.parametrize(
    "written",
    [
        "",
        "soon",
        "7",
        "-2h",
        "2026-13-01",
        "0h",
        "2026-13",
        "last",
        "last fortnight",
        "3 moons ago",
        "ju 2026",
        "999999999 years ago",
        "0000",
    ],
)
def test_unclear_moment_is_refused(written):
    """What nobody can read is refused with the option's name."""
    with pytest.raises(SettingsError, match="--since"):
        moments.read("--since", written, NOW)


@pytest.mark.parametrize(
    ("written", "begin", "end"),
    [
        ("yesterday", datetime(2026, 11, 22, tzinfo=UTC), datetime(2026, 11, 23, tzinfo=UTC)),
        ("friday", datetime(2026, 11, 20, tzinfo=UTC), datetime(2026, 11, 21, tzinfo=UTC)),
        ("2026-11-20", datetime(2026, 11, 20, tzinfo=UTC), datetime(2026, 11, 21, tzinfo=UTC)),
        ("last month", datetime(2026, 10, 1, tzinfo=UTC), datetime(2026, 11, 1, tzinfo=UTC)),
        ("2026-Q4", datetime(2026, 10, 1, tzinfo=UTC), datetime(2027, 1, 1, tzinfo=UTC)),
        ("2025", datetime(2025, 1, 1, tzinfo=UTC), datetime(2026, 1, 1, tzinfo=UTC)),
        (None, None, None),
    ],
)
def test_stretch_is_read(written, begin, end):
    """A day, month, quarter or year has a beginning, and an end that is not in it."""
    assert moments.stretch("--during", written, NOW) == (begin, end)


@pytest.mark.parametrize("written", ["", "2h", "now", "2026-11-20T10:00", "soon"])
def test_what_is_no_stretch_is_refused(written):
    """A single moment is no stretch."""
    with pytest.raises(SettingsError, match="--during"):
        moments.stretch("--during", written, NOW)


def test_a_month_before_the_last_of_march():
    """A day that the month lacks becomes its last."""
    late = datetime(2026, 3, 31, 8, tzinfo=UTC)
    assert moments.read("--since", "1 month ago", late) == datetime(2026, 2, 28, 8, tzinfo=UTC)
