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
        ("now", NOW),
        (None, None),
    ],
)
def test_moment_is_read(written, moment):
    """Each way of writing a moment means one moment in UTC."""
    assert moments.read("--since", written, NOW) == moment


@pytest.mark.parametrize("written", ["", "soon", "7", "-2h", "2026-13-01", "0h"])
def test_unclear_moment_is_refused(written):
    """What nobody can read is refused with the option's name."""
    with pytest.raises(SettingsError, match="--since"):
        moments.read("--since", written, NOW)
