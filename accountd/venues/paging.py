"""Reading history completely through pages that are cut off at a limit.

Nothing is assumed about which rows a cut-off page shows, nor whether a window's end is included: a full
page only says that the window holds more, so the window is narrowed until its page is not full.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import timedelta

import msgspec

from accountd.core.told import Fill, Notice, Order, Told, Transfer
from accountd.venues.base import MILLISECOND, Call, Flow, Page, Reply, Swept, Window, from_ms, to_ms

Read = Callable[[Call, Reply], Page]
# Reads the rest of a millisecond that alone overflows a page; returns whether all of it was seen.
Dense = Callable[[int, Page, Swept], Flow[bool]]


class Question(msgspec.Struct, frozen=True, kw_only=True):
    """A history that is asked for by time. ``ask`` takes both ends in ms, included."""

    ask: Callable[[int, int], Call]
    read: Read
    limit: int
    max_window: timedelta
    symbol: str | None = None
    dense: Dense | None = None


def reply_to(call: Call) -> Flow[Reply]:
    """Yield ``call`` and return its reply."""
    reply = yield call
    if reply is None:
        raise TypeError("a flow that yields a call is sent a reply")
    return reply


def fetch(call: Call, read: Read, swept: Swept) -> Flow[Page]:
    """Ask, have the page recorded at once, and count it in ``swept``."""
    page = read(call, (yield from reply_to(call)))
    swept.calls += 1
    swept.rows += len(page.told)
    told = (row for row in page.told if isinstance(row, Fill | Order | Transfer))
    swept.symbols.update(row.symbol for row in told if row.symbol)
    yield page
    return page


def place(row: Told) -> tuple[int, int] | None:
    """Return where a row stands in its history: its time in ms and its number, or None if it has none."""
    if isinstance(row, Fill):
        moment, number = row.traded_at, row.trade_id
    elif isinstance(row, Order):
        moment, number = row.created_at or row.updated_at, row.order_id
    elif isinstance(row, Transfer):
        moment, number = row.occurred_at, row.transfer_id
    else:
        return None
    last = number.rpartition("-")[2]  # of an allocation too, whose number has a name before it
    return to_ms(moment), int(last) if last.isdecimal() else 0


def places(page: Page) -> list[tuple[int, int]]:
    """Return the places of a page's rows, in the order of their numbers."""
    found = [spot for row in page.told if (spot := place(row)) is not None]
    return sorted(found, key=lambda spot: spot[1])


def by_time(question: Question, start_ms: int, end_ms: int) -> Flow[Swept]:
    """Read everything from ``start_ms`` to ``end_ms``, both included.

    The width of the windows follows the density of the rows. Windows share a millisecond, so rows may be
    told twice. What cannot be read is listed in ``unproven``, never skipped in silence.
    """
    swept = Swept()
    widest = question.max_window // MILLISECOND
    cursor, width = start_ms, widest
    # A page that is cut off shows the oldest rows: tried until it was wrong once, and nothing rests on it.
    guess, guessed = True, False
    crowd: tuple[int, Page] | None = None  # a millisecond that fills a page alone, met before its turn
    while cursor <= end_ms:
        if crowd is not None and crowd[0] == cursor:
            stop, page = crowd
        else:
            width = width if crowd is None or crowd[0] < cursor else min(width, crowd[0] - cursor)
            stop = min(end_ms, cursor + width - 1)
            page = yield from fetch(question.ask(cursor, stop), question.read, swept)
        if page.size >= question.limit and stop > cursor:
            only = _only(page)
            if only is not None and cursor <= only <= stop:
                crowd = only, page
            else:
                guess = guess and not guessed
                width = _pivot(page, cursor, stop, guess) - cursor + 1
            guessed = guess
            continue
        if page.size >= question.limit:
            complete = question.dense is not None and (yield from question.dense(cursor, page, swept))
            if not complete:
                swept.unproven.append(_window(question, cursor, cursor, "one millisecond overflows a page"))
        elif any(isinstance(row, Notice) for row in page.told):
            swept.unproven.append(_window(question, cursor, stop, "a row that makes no sense"))
        past_crowd = crowd is not None and crowd[0] == cursor
        nearly_all = page.size < question.limit // 2 or (guessed and _is_sudden(page, cursor))
        cursor = stop if cursor < stop < end_ms else stop + 1
        if past_crowd or not page.size or (guess and nearly_all):
            width = widest  # a page that is cut off then costs one call, creeping up to it several
        else:
            near = _width_near(page, question.limit) if guessed else width * 8
            width = min(widest, near, _next_width(width, page.size, question.limit))
        guessed = False
    return swept


def _only(page: Page) -> int | None:
    """Return the one millisecond that all rows of a page are of, if there is one."""
    moments = {at for at, _ in places(page)}
    return moments.pop() if len(moments) == 1 else None


def _window(question: Question, start_ms: int, end_ms: int, reason: str) -> Window:
    return Window(start=from_ms(start_ms), end=from_ms(end_ms), symbol=question.symbol, reason=reason)


def _pivot(page: Page, start_ms: int, stop_ms: int, guess: bool) -> int:
    """Return where to cut a window whose page was full: before the last of its rows if they are the oldest.

    Without that ``guess`` never past the middle, so that few steps lead to a page that is not full.
    """
    middle = (start_ms + stop_ms) // 2
    times = sorted(at for at, _ in places(page) if start_ms <= at <= stop_ms) or _moved(page)
    most = times[-1] if times else middle
    return min(stop_ms - 1 if guess else middle, max(start_ms, most - 1))


def _moved(page: Page) -> list[int]:
    """Return when the orders of a page last moved, where they were placed before its window."""
    return sorted(to_ms(row.updated_at) for row in page.told if isinstance(row, Order))


def _width_near(page: Page, limit: int) -> int:
    """Return how wide a page four fifths full is where rows lie as densely as at this one's end."""
    times = sorted(at for at, _ in places(page))
    late = times[len(times) // 2 :]
    return max(1, (late[-1] - late[0] + 1) * limit * 4 // (len(late) * 5)) if late else 1


def _is_sudden(page: Page, start_ms: int) -> bool:
    """Say whether the rows came after a silence: they are a burst, of which little may be left."""
    times = sorted(at for at, _ in places(page))
    late = times[len(times) // 2 :]
    return bool(late) and (late[-1] - late[0]) * 4 < late[0] - start_ms


def _next_width(width: int, rows: int, limit: int) -> int:
    """Aim at a page four fifths full, growing eightfold at most."""
    return max(1, min(width * 8, width * limit * 4 // (max(rows, 1) * 5)))


def by_id(ask: Callable[[int], Call], read: Read, limit: int) -> Dense:
    """Return a reader of one overfull millisecond for histories whose numbers grow with time.

    ``ask`` takes the first number wanted. The numbers before the millisecond are not known, so they are
    searched for: down in growing steps, then halving, then up page by page.
    """

    def dense(ms: int, page: Page, swept: Swept) -> Flow[bool]:
        numbers = [number for at, number in places(page) if at == ms]
        if not numbers:
            return False
        low = yield from _before(min(numbers), ms)
        number = low
        while True:
            shown = yield from fetch(ask(number), read, swept)
            rows = places(shown)
            if len(rows) != len(shown.told) or (rows and rows[-1][1] < number):
                return False
            if len(rows) < limit or max(at for at, _ in rows) > ms:
                return True
            number = rows[-1][1] + 1

    def _before(first: int, ms: int) -> Flow[int]:
        """Find a number whose page starts before ``ms`` and, if one can, reaches into it."""
        uncounted = Swept()
        high, low, step = first, first, limit
        reaches = False
        while low > 1:
            low, step = max(1, first - step), step * 8
            rows = places((yield from fetch(ask(low), read, uncounted)))
            if rows and rows[0][0] < ms:
                reaches = _reaches(rows, ms)
                break
            high = low
        while not reaches and high - low > 1:
            middle = (low + high) // 2
            rows = places((yield from fetch(ask(middle), read, uncounted)))
            if rows and rows[0][0] < ms:
                low, reaches = middle, _reaches(rows, ms)
            else:
                high = middle
        return low

    return dense


def whole(ask: Callable[[int], Call], read: Read, limit: int, most: int) -> Dense:
    """Return a reader of an overfull millisecond for histories whose numbers do not stand in its order.

    Everything that there is, is read by number, once; where that is more than ``most`` pages, it is not seen.
    """
    seen: list[bool] = []

    def dense(ms: int, page: Page, swept: Swept) -> Flow[bool]:
        if not seen:
            seen.append((yield from _all(swept)))
        return seen[0]

    def _all(swept: Swept) -> Flow[bool]:
        number = 0
        for _ in range(most):
            shown = yield from fetch(ask(number), read, swept)
            rows = places(shown)
            if len(rows) != len(shown.told) or (rows and rows[0][1] < number):
                return False
            if len(rows) < limit:
                return True
            number = rows[-1][1] + 1
        return False

    return dense


def _reaches(rows: Sequence[tuple[int, int]], ms: int) -> bool:
    return max(at for at, _ in rows) >= ms
