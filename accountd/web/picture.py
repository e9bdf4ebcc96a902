"""Pictures as numbers for a template to draw: lines, bars and lanes, in the coordinates of an SVG."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

WIDTH, HEIGHT = 1000, 200  # units of the drawing, which is stretched to its place
LEAST = 2.0  # units that the shortest stretch is wide, so that it is seen


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """A course over time. `path` and `area` draw it; `series` is for a script: Unix seconds and values."""

    path: str
    area: str
    series: Sequence[Sequence[Any]]
    low: Decimal
    high: Decimal
    first: Decimal
    last: Decimal
    since: datetime
    until: datetime

    @property
    def moved(self) -> bool:
        """Tell whether there is anything to see."""
        return self.low != self.high


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    """One bar from the zero line up or down."""

    x: float
    y: float
    width: float
    height: float
    label: str
    value: Decimal

    @property
    def tone(self) -> str:
        """Return the tone of its sign."""
        return "good" if self.value >= 0 else "bad"


@dataclass(frozen=True, slots=True, kw_only=True)
class Bars:
    """Bars side by side; `series` is for a script."""

    bars: Sequence[Bar]
    zero: float
    series: Sequence[Sequence[Any]]
    total: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class Stretch:
    """A stretch of a lane; `kind` is proven, gap, healed or blind, `text` says it in words."""

    x: float
    width: float
    kind: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Lane:
    """One row of a timeline."""

    name: str
    stretches: Sequence[Stretch]
    open_gaps: int
    proven_until: datetime | None


def line(points: Sequence[tuple[datetime, Decimal]], until: datetime) -> Line | None:
    """Draw a course that keeps each value until the next; None for fewer than two different moments."""
    if not points or points[0][0] >= until:
        return None
    since = points[0][0]
    values = [value for _, value in points]
    low, high = min(values), max(values)
    room = high - low or abs(high) / 100 or Decimal(1)
    span = (until - since).total_seconds()

    def x(at: datetime) -> str:
        return f"{(at - since).total_seconds() / span * WIDTH:.1f}"

    def y(value: Decimal) -> str:
        return f"{HEIGHT - 12 - (value - low) / room * (HEIGHT - 24):.1f}"

    path = f"M{x(since)} {y(values[0])}"
    for at, value in points[1:]:
        path += f"H{x(at)}V{y(value)}"
    path += f"H{WIDTH}"
    times = [round(at.timestamp(), 3) for at, _ in points]
    told = [format(value, "f") for value in values]
    series: list[list[Any]] = [[*times, round(until.timestamp(), 3)], [*told, told[-1]]]
    return Line(
        path=path, area=f"{path}V{HEIGHT}H0Z", series=series, low=low, high=high, first=values[0],
        last=values[-1], since=since, until=until,
    )  # fmt: skip


def bars(values: Sequence[tuple[str, float, Decimal]]) -> Bars | None:
    """Draw (label, Unix seconds, value) as bars; None for none."""
    if not values:
        return None
    numbers = [value for *_, value in values]
    high, low = max(*numbers, Decimal(0)), min(*numbers, Decimal(0))
    room = high - low or Decimal(1)
    zero = float(high / room * HEIGHT)
    step = WIDTH / len(values)
    width = min(step * 0.7, 60.0)
    drawn = []
    for number, (label, _, value) in enumerate(values):
        height = max(float(abs(value) / room * HEIGHT), 1.0 if value else 0.0)
        x = step * number + (step - width) / 2
        top = zero - height if value > 0 else zero
        drawn.append(Bar(x=round(x, 1), y=round(top, 1), width=round(width, 1), height=round(height, 1),
                         label=label, value=value))  # fmt: skip
    series: list[list[Any]] = [[at for _, at, _ in values], [format(value, "f") for value in numbers]]
    return Bars(bars=drawn, zero=round(zero, 1), series=series, total=sum(numbers, Decimal(0)))


def stretch(
    since: datetime, until: datetime, first: datetime, last: datetime, kind: str, text: str
) -> Stretch | None:
    """Return the part of `first` to `last` that is seen between `since` and `until`, if any is."""
    first, last = max(first, since), min(last, until)
    if last < first or (last == first and kind == "proven"):
        return None
    span = (until - since).total_seconds()
    x = (first - since).total_seconds() / span * WIDTH
    width = max((last - first).total_seconds() / span * WIDTH, LEAST)
    return Stretch(x=round(min(x, WIDTH - width), 1), width=round(width, 1), kind=kind, text=text)
