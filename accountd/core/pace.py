"""When a hook is told: quiet hours, caps on the rate, and groups, none of which loses an alert."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime, time, timedelta, tzinfo
from typing import Protocol

import msgspec

DAY = timedelta(days=1)
QUIET, RATE, GROUP = "quiet hours", "rate", "group"


class PaceSettings(Protocol):
    """The settings of a hook that decide when it is told; named as there."""

    @property
    def quiet(self) -> tuple[time, time] | None: ...
    @property
    def quiet_zone(self) -> tzinfo: ...
    @property
    def quiet_summary(self) -> bool: ...
    @property
    def rate(self) -> tuple[int, timedelta] | None: ...
    @property
    def group(self) -> timedelta | None: ...
    @property
    def urgent(self) -> Sequence[str]: ...


class Quiet(msgspec.Struct, frozen=True, gc=False):
    """Hours of each day, by the clock of ``zone``, in which a hook is not told; they may span midnight."""

    start: time
    end: time
    zone: tzinfo
    summary: bool = False  # one summary when they end, instead of every alert

    def until(self, now: datetime) -> datetime | None:
        """Return when the quiet hours that ``now`` is in end (UTC); None outside of them."""
        here = now.astimezone(self.zone)
        for day in (here.date() - DAY, here.date()):
            begins = datetime.combine(day, self.start, self.zone)
            ends = datetime.combine(day if self.end > self.start else day + DAY, self.end, self.zone)
            # compared in UTC: on the day of a clock change local arithmetic would be an hour off
            if begins.timestamp() <= now.timestamp() < ends.timestamp():
                return ends.astimezone(now.tzinfo)
        return None


class Window:
    """A stretch of time that begins with the first alert in it."""

    def __init__(self, length: timedelta) -> None:
        self.length = length
        self.start: datetime | None = None

    def enter(self, now: datetime) -> bool:
        """Say whether ``now`` begins a new window."""
        fresh = self.start is None or not self.start <= now < self.start + self.length
        if fresh:
            self.start = now
        return fresh

    @property
    def ends(self) -> datetime:
        """Return the end of the window that is open."""
        assert self.start is not None
        return self.start + self.length


class Cap:
    """At most ``most`` alerts in each window; asked twice about the same message it says the same."""

    def __init__(self, most: int, window: timedelta) -> None:
        self.most = most
        self.window = Window(window)
        self.passed: set[str] = set()

    def over(self, message_id: str, now: datetime) -> datetime | None:
        """Return the end of the window when the message is one too many in it."""
        if message_id in self.passed:
            return None
        if self.window.enter(now):
            self.passed.clear()
        if len(self.passed) >= self.most:
            return self.window.ends
        self.passed.add(message_id)
        return None


class Hold(msgspec.Struct, frozen=True):
    """Why an alert waits, and until when; ``fold`` = one summary stands for all that wait with it."""

    why: str
    until: datetime
    fold: bool


class Pace:
    """How one hook wants to be paced. Lives as long as the settings do."""

    def __init__(self, quiet: Quiet | None = None, cap: Cap | None = None, group: timedelta | None = None,
                 urgent: Collection[str] = ()) -> None:  # fmt: skip
        self.quiet = quiet
        self.cap = cap
        self.group = Window(group) if group else None
        self.urgent = frozenset(urgent)

    def hold(self, kind: str, message_id: str, is_condition: bool, now: datetime) -> Hold | None:
        """Say what keeps an alert from being told at once, if anything does."""
        if kind in self.urgent:
            return None
        if self.quiet is not None and (ends := self.quiet.until(now)) is not None:
            return Hold(QUIET, ends, self.quiet.summary)
        if self.group is not None and is_condition:
            self.group.enter(now)
            return Hold(GROUP, self.group.ends, True)
        if self.cap is not None and (ends := self.cap.over(message_id, now)) is not None:
            return Hold(RATE, ends, True)
        return None


def pace_of(hook: PaceSettings) -> Pace | None:
    """Return the pace of a hook; None where it is always told at once."""
    if not (hook.quiet or hook.rate or hook.group):
        return None
    quiet = Quiet(*hook.quiet, hook.quiet_zone, hook.quiet_summary) if hook.quiet else None
    return Pace(quiet, Cap(*hook.rate) if hook.rate else None, hook.group, hook.urgent)
