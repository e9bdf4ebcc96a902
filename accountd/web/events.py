"""What is told, as it is told: server-sent events in the order of the journal, resumed after any restart."""

import asyncio
import base64
import binascii
import json
import time
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from typing import Any

import msgspec

from accountd.errors import DatabaseError
from accountd.store import queries, query_feed
from accountd.web import params, shapes
from accountd.web.params import Param
from accountd.web.problem import Problem
from accountd.web.record import Look, Record

POLL = 0.5  # seconds between looks at the heads of the journal
BREATH = 15.0  # seconds of silence after which a comment keeps proxies from closing
PATIENCE = 15  # seconds after which an answer ends for who did not ask for a stream
TROUBLE = 2.0  # seconds until the database is asked again
ROWS = 200
START = "start"
MOST = 32  # streams at a time

Place = dict[str, int]  # by account id, the last sequence of the journal that was told

AFTER = Param(
    name="after", text="Go on after the event of this id, or from the very first with `start`.",
    schema={"type": "string", "pattern": "^[A-Za-z0-9_-]+$"},
    read=lambda written: written, allowed="the id of an event, or start",
)  # fmt: skip
WAIT = params.whole(
    "wait", "End the answer when nothing new came for so many seconds.", 0, params.LONGEST_WAIT
)
EVENT_PARAMS: Sequence[Param] = (params.ACCOUNT, AFTER, WAIT)


def write_place(place: Place) -> str:
    """Write a place as the id of an event."""
    told = json.dumps(place, ensure_ascii=False, separators=(",", ":"), sort_keys=True)
    return base64.urlsafe_b64encode(told.encode()).rstrip(b"=").decode()


def read_place(written: str) -> Place:
    """Read the id of an event.

    Raises:
        Problem: it is none.
    """
    try:
        raw = base64.b64decode(written + "=" * (-len(written) % 4), altchars=b"-_", validate=True)
        return msgspec.json.decode(raw, type=Place)
    except (ValueError, binascii.Error, msgspec.DecodeError):
        raise Problem.parameter("after", written, AFTER.allowed, status=404) from None


def here(look: Look, only: str | None) -> Place:
    """Return where the journals end at this moment; with `only` that of one account, by its name.

    Raises:
        Problem: there is no such account.
    """
    heads = queries.heads(look.conn)
    if only is None:
        return {key: heads.get(key, 0) for key in look.rows}
    key = look.account_id(only)
    return {key: heads.get(key, 0)}


def told_since(look: Look, place: Place, only: str | None) -> list[tuple[str, dict[str, Any], Place]]:
    """Return what follows `place`: the kind of event, what it says, and the place after it.

    A fill comes before the row of the journal that brought it, with the place before it: whoever is cut off
    between the two gets the fill again rather than never.
    """
    heads = here(look, only)
    found: list[tuple[str, dict[str, Any], Place]] = []
    for account, head in sorted(heads.items()):
        seq = place.get(account, 0)
        if head <= seq:
            continue
        rows = query_feed.journal_after(look.conn, account, seq, ROWS)
        if not rows:
            continue
        fills: dict[int, list[Any]] = {}
        for fill in query_feed.fills_told(look.conn, account, rows[0]["seq"], rows[-1]["seq"]):
            fills.setdefault(fill["journal_seq"], []).append(fill)
        for row in rows:
            brought = fills.get(row["seq"], ())
            found += [("fill", shapes.row_json("fills", fill, look.names), place) for fill in brought]
            place = place | {account: row["seq"]}
            found.append(("told", _told(look, row), place))
    return found


def _told(look: Look, row: Any) -> dict[str, Any]:
    told = shapes.row_json("journal", row, look.names)
    # A page of REST history may have a thousand rows: what it brought is told, not the page.
    raw = row["raw"] if row["source"] == "stream" else None
    return told | {"message": None if raw is None else _message(bytes(raw))}


def _message(raw: bytes) -> Any:
    """Return a frame as it was received; numbers that JavaScript would round stay as the venue wrote them."""
    try:
        msgspec.json.decode(raw)
        return msgspec.Raw(raw)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None


def frame(kind: str, told: Mapping[str, Any], place: Place) -> bytes:
    """Write one event."""
    data = msgspec.json.encode(told).replace(b"\r", b" ").replace(b"\n", b" ")
    return b"id: %s\nevent: %s\ndata: %s\n\n" % (write_place(place).encode(), kind.encode(), data)


async def follow(record: Record, place: Place, only: str | None, wait: float | None) -> AsyncIterator[bytes]:
    """Yield events for ever, or until nothing new came for `wait` seconds or the web goes away."""
    yield f"retry: 2000\nid: {write_place(place)}\n\n".encode()
    heard = breathed = time.monotonic()
    while not record.closed:
        pause = POLL
        batch: Iterable[tuple[str, dict[str, Any], Place]] = ()
        try:
            batch = await record.look(lambda look, since=place: told_since(look, since, only))  # type: ignore[misc]
        except DatabaseError:
            pause = TROUBLE
        now = time.monotonic()
        if batch:
            for kind, told, place in batch:
                yield frame(kind, told, place)
            heard = breathed = time.monotonic()
            continue
        if wait is not None and now - heard >= wait:
            return
        if now - breathed >= BREATH:
            yield b": nothing new\n\n"
            breathed = now
        await asyncio.sleep(pause if wait is None else min(pause, max(wait / 4, 0.01)))
