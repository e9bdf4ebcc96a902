"""How people write a moment: ISO 8601, `2h`, `7d`, `today`, `yesterday`."""

from datetime import UTC, datetime, time, timedelta

from accountd.errors import SettingsError
from accountd.settings_values import read_duration

DAYS = {"today": 0, "yesterday": 1}


def read(option: str, written: str | None, now: datetime) -> datetime | None:
    """Return the moment that `written` names, in UTC; what has no zone is UTC, a day is its beginning.

    Raises:
        SettingsError: nobody can tell what is meant.
    """
    if written is None:
        return None
    word = written.strip().lower()
    if word == "now":
        return now
    if word in DAYS:
        return datetime.combine(now.date() - timedelta(days=DAYS[word]), time(), UTC)
    try:
        return now - read_duration(word)
    except (ValueError, OverflowError):
        pass  # no duration: a date or a time, then
    try:
        moment = datetime.fromisoformat(written.strip())
    except ValueError:
        raise SettingsError(
            f"{option}: {written!r} is no moment: a date or time such as 2026-11-23T10:00:00Z, "
            "a time ago such as 2h or 7d, today or yesterday"
        ) from None
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
