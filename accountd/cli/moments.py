"""How people write a moment or a stretch of time: ISO 8601, `2h`, `3 days ago`, `yesterday`, `2026-Q3`."""

import re
from datetime import UTC, datetime, time, timedelta

from accountd.errors import SettingsError
from accountd.settings_values import read_duration

UNITS = {
    "second": timedelta(seconds=1), "sec": timedelta(seconds=1), "minute": timedelta(minutes=1),
    "min": timedelta(minutes=1), "hour": timedelta(hours=1), "day": timedelta(days=1),
    "week": timedelta(weeks=1),
}  # fmt: skip
MONTHS = {"month": 1, "quarter": 3, "year": 12}
WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
NAMED = ("january", "february", "march", "april", "may", "june", "july", "august", "september", "october",
         "november", "december")  # fmt: skip
AGO = re.compile(r"(\d{1,9}|an?|one)\s*([a-z]+?)s?\s+ago")
QUARTER = re.compile(r"(?:(\d{4})[-\s]?q([1-4])|q([1-4])[-\s](\d{4}))")
YEAR_MONTH = re.compile(r"(\d{4})(?:-(\d{2}))?")
NAMED_MONTH = re.compile(r"([a-z]{3,9})\s+(\d{4})")
EXAMPLES = (
    "a date or time such as 2026-11-23 or 2026-11-23T10:00:00Z, a month 2026-11, a quarter 2026-Q3, "
    "a time ago such as 2h, 7d or '2 days ago', today, yesterday, monday, this month, last quarter"
)


def read(option: str, written: str | None, now: datetime) -> datetime | None:
    """Return the moment that `written` names, in UTC; a stretch of time means its beginning.

    Raises:
        SettingsError: nobody can tell what is meant.
    """
    if written is None:
        return None
    word = " ".join(written.strip().lower().split())
    try:
        found = _ago(word, now) or (_stretch(word, now) or (None,))[0]
        if found is not None:
            return found
        moment = datetime.fromisoformat(written.strip())
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except (ValueError, OverflowError):
        raise SettingsError(f"{option}: {written!r} is no moment: {EXAMPLES}") from None


def stretch(option: str, written: str | None, now: datetime) -> tuple[datetime | None, datetime | None]:
    """Return where the stretch of time that `written` names begins and ends (the end is not in it).

    Raises:
        SettingsError: it names no stretch.
    """
    if written is None:
        return None, None
    word = " ".join(written.strip().lower().split())
    try:
        if (found := _stretch(word, now)) is not None:
            return found
        day = datetime.strptime(word, "%Y-%m-%d").replace(tzinfo=UTC)
        return day, day + timedelta(days=1)
    except (ValueError, OverflowError):
        raise SettingsError(
            f"{option}: {written!r} is no stretch of time: a day 2026-11-23, a month 2026-11, a quarter "
            "2026-Q3, a year 2026, today, yesterday, this or last week, month, quarter or year"
        ) from None


def _ago(word: str, now: datetime) -> datetime | None:
    """Read a time ago: `now`, `2h`, `2 days ago`, `a month ago`."""
    if word == "now":
        return now
    try:
        return now - read_duration(word)
    except ValueError:
        pass  # no duration: words, then
    if (match := AGO.fullmatch(word)) is None:
        return None
    count = int(match[1]) if match[1].isdigit() else 1
    if match[2] in MONTHS:
        return _months(now, -count * MONTHS[match[2]])
    unit = UNITS.get(match[2])
    return None if unit is None else now - count * unit


def _stretch(word: str, now: datetime) -> tuple[datetime, datetime] | None:
    """Read a stretch of time by name; None: it is no name."""
    today = datetime.combine(now.date(), time(), UTC)
    day = timedelta(days=1)
    if word in ("today", "yesterday"):
        begin = today if word == "today" else today - day
        return begin, begin + day
    if (name := word.removeprefix("last ")) in WEEKDAYS:
        back = (today.weekday() - WEEKDAYS.index(name)) % 7 or (7 if word != name else 0)
        return today - back * day, today - (back - 1) * day
    which, _, unit = word.partition(" ")
    if which in ("this", "last"):
        return _around(today, unit, last=which == "last")
    return _calendar(word)


def _around(today: datetime, unit: str, last: bool) -> tuple[datetime, datetime] | None:
    """Return this or the last week, month, quarter or year."""
    if unit == "week":
        begin = today - timedelta(days=today.weekday() + (7 if last else 0))
        return begin, begin + timedelta(weeks=1)
    if unit not in MONTHS:
        return None
    length = MONTHS[unit]
    begin = today.replace(day=1, month=(today.month - 1) // length * length + 1)
    begin = _months(begin, -length) if last else begin
    return begin, _months(begin, length)


def _calendar(word: str) -> tuple[datetime, datetime] | None:
    """Read `2026`, `2026-11`, `november 2026`, `2026-Q3` or `Q3 2026`."""
    if match := QUARTER.fullmatch(word):
        year, quarter = int(match[1] or match[4]), int(match[2] or match[3])
        begin = datetime(year, quarter * 3 - 2, 1, tzinfo=UTC)
        return begin, _months(begin, 3)
    if match := YEAR_MONTH.fullmatch(word):
        begin = datetime(int(match[1]), int(match[2] or 1), 1, tzinfo=UTC)
        return begin, _months(begin, 1 if match[2] else 12)
    if match := NAMED_MONTH.fullmatch(word):
        found = [n for n, name in enumerate(NAMED, 1) if name.startswith(match[1])]
        if len(found) == 1:
            begin = datetime(int(match[2]), found[0], 1, tzinfo=UTC)
            return begin, _months(begin, 1)
    return None


def _months(moment: datetime, count: int) -> datetime:
    """Move by months; a day that the month lacks becomes its last."""
    months = moment.year * 12 + moment.month - 1 + count
    first = moment.replace(year=months // 12, month=months % 12 + 1, day=1)
    following = months + 1
    length = (first.replace(year=following // 12, month=following % 12 + 1) - first).days
    return first.replace(day=min(moment.day, length))
