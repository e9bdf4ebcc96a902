"""The picture of an account's time: what is proven, missing, unheard, and what did not tie."""

from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from html import escape

from accountd.core.audit import AccountVerdict, DatasetVerdict
from accountd.core.told import DATASETS

WIDTH, LEFT, RIGHT, ROW, TOP = 1000, 150, 10, 22, 24
LEAST = 2.0  # a bar is at least so wide, or a blind second would not be seen in a month
COLOURS = {"good": "#2e8b57", "bad": "#c43d3d", "late": "#e0a53a", "dark": "#6b7785", "error": "#c43d3d",
           "warning": "#e0a53a", "info": "#3674b5"}  # fmt: skip
TICKS = (
    (timedelta(minutes=1), "%H:%M"), (timedelta(minutes=5), "%H:%M"), (timedelta(minutes=15), "%H:%M"),
    (timedelta(hours=1), "%H:%M"), (timedelta(hours=6), "%d %b %H:%M"), (timedelta(days=1), "%d %b"),
    (timedelta(days=7), "%d %b"), (timedelta(days=30), "%d %b %Y"), (timedelta(days=182), "%b %Y"),
    (timedelta(days=365), "%Y"),
)  # fmt: skip
MOST_TICKS = 10
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

Place = Callable[[datetime], float]


def timeline(verdict: AccountVerdict, start: datetime | None, end: datetime | None) -> str:
    """Draw an account's datasets over time as one SVG; empty when nothing has a time yet."""
    span = _span(verdict, start, end)
    if span is None:
        return ""
    first, last = span
    scale = (WIDTH - LEFT - RIGHT) / ((last - first) / timedelta(microseconds=1))

    def place(moment: datetime) -> float:
        inside = min(max(moment, first), last)
        return LEFT + ((inside - first) / timedelta(microseconds=1)) * scale

    rows = sorted(verdict.datasets, key=_rank)
    height = TOP + ROW * (len(rows) + 2) + 8
    parts = list(_axis(first, last, place, height))
    for n, one in enumerate(rows):
        parts += _dataset(one, verdict, place, TOP + n * ROW, last)
    below = TOP + len(rows) * ROW
    parts += _blind(verdict, place, below, last)
    parts += _findings(verdict, place, below + ROW)
    label = escape(f"Timeline of {verdict.facts.account}")
    return (
        f'<svg viewBox="0 0 {WIDTH} {height}" role="img" aria-label="{label}" '
        f'xmlns="http://www.w3.org/2000/svg">{"".join(parts)}</svg>'
    )


def _rank(one: DatasetVerdict) -> tuple[str, int, str]:
    known = DATASETS.index(one.dataset) if one.dataset in DATASETS else len(DATASETS)
    return one.market, known, one.dataset


def _span(verdict: AccountVerdict, start: datetime | None, end: datetime | None
          ) -> tuple[datetime, datetime] | None:  # fmt: skip
    """Return from when to when the picture goes: the window asked for, or everything that is known."""
    facts = verdict.facts
    moments: list[datetime | None] = [one.start for one in facts.stretches]
    moments += [one.end for one in facts.stretches]
    moments += [one.opened_at for one in facts.findings]
    for hole in facts.gaps:
        moments += [hole.start, hole.end]
    for dark in facts.dark:
        moments += [dark.start, dark.end]
    known = [moment for moment in moments if moment is not None]
    if not known and (start is None or end is None):
        return None
    first, last = start or min(known), end or max(known)
    return (first, last) if first < last else (first, first + timedelta(seconds=1))


def _axis(first: datetime, last: datetime, place: Place, height: int) -> Iterable[str]:
    step, form = next(
        ((step, form) for step, form in TICKS if (last - first) / step <= MOST_TICKS), TICKS[-1]
    )
    tick = EPOCH + step * -((EPOCH - first) // step)
    while tick <= last:
        x = place(tick)
        yield f'<line x1="{x:.1f}" y1="16" x2="{x:.1f}" y2="{height}" stroke="#d8dfe6"/>'
        said = escape(tick.strftime(form))
        yield f'<text class="tick" x="{x:.1f}" y="12" text-anchor="middle">{said}</text>'
        tick += step


def _bar(place: Place, y: float, tall: float, start: datetime, end: datetime, colour: str, said: str,
         more: str = "") -> str:  # fmt: skip
    left = place(start)
    width = max(LEAST, place(end) - left)
    return (
        f'<rect x="{left:.1f}" y="{y:.1f}" width="{width:.1f}" height="{tall:.1f}" fill="{colour}"{more}>'
        f"<title>{escape(said)}</title></rect>"
    )


def _label(y: float, text: str) -> str:
    return f'<text x="8" y="{y + 14:.1f}">{escape(text)}</text>'


def _dataset(one: DatasetVerdict, verdict: AccountVerdict, place: Place, y: float, last: datetime
             ) -> Iterable[str]:  # fmt: skip
    yield _label(y, f"{one.market} {one.dataset}")
    whole = [stretch for stretch in one.stretches if not stretch.symbol] or one.stretches
    for stretch in whole:
        said = f"proven {_said(stretch.start, stretch.end)}"
        yield _bar(place, y + 5, 10, stretch.start, stretch.end, COLOURS["good"], said)
    for gap in verdict.facts.gaps:
        if (gap.dataset, gap.market) == (one.dataset, one.market) and gap.closed_at and gap.start:
            said = f"gap, closed: {gap.reason}, {_said(gap.start, gap.end)}, {gap.recovered} recovered"
            yield _bar(place, y + 13, 6, gap.start, gap.end or gap.closed_at, COLOURS["late"], said)
    for hole in one.holes:
        start = hole.start or verdict.facts.created_at
        said = f"gap {hole.symbol}: {hole.reason}, {_said(hole.start, hole.end)}"
        yield _bar(place, y + 2, 16, start, hole.end or last, COLOURS["bad"], said)


def _blind(verdict: AccountVerdict, place: Place, y: float, last: datetime) -> Iterable[str]:
    yield _label(y, "blind")
    for one in verdict.facts.dark:
        said = f"blind: {one.reason}, {_said(one.start, one.end)}"
        yield _bar(place, y + 5, 10, one.start, one.end or last, COLOURS["dark"], said)


def _findings(verdict: AccountVerdict, place: Place, y: float) -> Iterable[str]:
    yield _label(y, "findings")
    for one in verdict.facts.findings:
        x, colour = place(one.opened_at), COLOURS.get(one.severity, COLOURS["info"])
        still = "" if one.resolved_at is None else ' fill-opacity="0.25"'
        state = "open" if one.resolved_at is None else "resolved"
        yield (
            f'<circle cx="{x:.1f}" cy="{y + 10:.1f}" r="4" fill="{colour}" stroke="{colour}"{still}>'
            f"<title>{escape(f'{one.severity} {one.kind} {one.subject}, {state}')}</title></circle>"
        )


def _said(start: datetime | None, end: datetime | None) -> str:
    first = f"{start:%Y-%m-%d %H:%M:%S}" if start else "the beginning"
    return f"{first} to {end:%Y-%m-%d %H:%M:%S}" if end else f"{first} until now"
