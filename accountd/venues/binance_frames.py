"""Frames of Binance's streams: an event raw or wrapped, an answer, something unknown, or something torn.

Venue pages: derivatives/*/user-data-streams. A venue file brings its events as structs tagged by ``e``.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from datetime import datetime
from typing import Any

import msgspec

from accountd.core.told import Notice
from accountd.venues.base import ACK, UNDECODABLE, Ack, Decoded, moment
from accountd.venues.wire import UNREADABLE, named, patiently, plain

NOTHING = msgspec.Raw(b"")

Reader = Callable[[Any], Decoded]


class Loose(msgspec.Struct, gc=False):
    """Any JSON object: read when it is none of the known events."""

    e: str | None = None
    data: msgspec.Raw = NOTHING
    id: msgspec.Raw = NOTHING
    result: msgspec.Raw = NOTHING
    error: msgspec.Raw = NOTHING
    code: msgspec.Raw = NOTHING
    msg: str | None = None


class _Named(msgspec.Struct, gc=False):
    """What any event has, whatever else stands in it."""

    e: str
    E: msgspec.Raw = NOTHING


_loose = msgspec.json.Decoder(Loose, strict=False)
_named = msgspec.json.Decoder(_Named)
_whole = msgspec.json.Decoder(int, strict=False)


def stranger(frame: bytes | str | msgspec.Raw, known: Collection[str]) -> Decoded | None:
    """Return an event of an unknown name as such, whatever it holds; None for anything else."""
    try:
        event = _named.decode(frame)
        if event.e in known:
            return None
        plain.decode(frame)  # bad UTF-8 outside the fields that were read
    except UNREADABLE:
        return None
    return unknown(event.e, _time(event.E))


def _time(raw: msgspec.Raw) -> datetime | None:
    """Return a time of ms or µs since 1970; None for what is none."""
    try:
        return moment(_whole.decode(raw))
    except UNREADABLE:
        return None


class Frames:
    """Decodes the frames of one product. ``readers`` are by the type of the event."""

    def __init__(self, readers: Mapping[type, Reader]) -> None:
        self.readers = dict(readers)
        self.known = frozenset(event.__struct_config__.tag for event in readers)  # type: ignore[attr-defined]
        kinds = list(readers)
        union: Any = kinds[0]
        for kind in kinds[1:]:
            union = union | kind
        # strict=False: the venue writes E as a number or as text.
        self._event: msgspec.json.Decoder[Any] = msgspec.json.Decoder(union, strict=False)
        wrapped = msgspec.defstruct("Wrapped", [("data", union)], gc=False)
        self._wrapped: msgspec.json.Decoder[Any] = msgspec.json.Decoder(wrapped, strict=False)

    def decode(self, frame: bytes | str) -> Decoded:
        """Return what a frame tells; never raises: a frame that makes no sense is told as such."""
        try:
            if frame[:9] in (b'{"stream"', '{"stream"'):
                event = self._wrapped.decode(frame).data
            else:
                event = self._event.decode(frame)
            return self._read(event)
        except UNREADABLE as refusal:
            return self._otherwise(frame, str(refusal))

    def _read(self, event: Any) -> Decoded:
        decoded = self.readers[type(event)](event)
        for row in decoded.told:
            named(row)
        return decoded

    def dated(self, frame: bytes | str, received_at: datetime) -> Decoded:
        """Return what a frame tells; ``received_at`` dates what does not date itself."""
        decoded = self.decode(frame)
        if decoded.event_time is None:
            for row in decoded.told:
                if isinstance(row, Notice) and row.at is None:
                    row.at = received_at
        return decoded

    def _otherwise(self, frame: bytes | str, reason: str, depth: int = 0) -> Decoded:
        """Decode what is no known event in the usual form: wrapped otherwise, an ack, unknown, or torn.

        ``reason`` is a text: an error would hold on to this call, and this call to it.
        """
        if (event := stranger(frame, self.known)) is not None:
            return event
        try:
            loose = _loose.decode(frame)
            if len(loose.data) and loose.e is None and depth == 0:
                return self._inner(bytes(loose.data))
            if loose.e is None and len(loose.id):
                return _answer(loose)
            if loose.e is None:
                plain.decode(frame)  # bad UTF-8 outside the fields that were read
                return _answer(loose) if len(loose.code) or len(loose.error) else unknown("", None)
            return self._read(patiently(self._event.decode, frame))
        except UNREADABLE as worse:
            reason = str(worse)
        return _undecodable(reason)

    def _inner(self, frame: bytes) -> Decoded:
        try:
            return self._read(self._event.decode(frame))
        except UNREADABLE as refusal:
            return self._otherwise(frame, str(refusal), depth=1)


def leftover(kind: str, made: datetime, raw: msgspec.Raw) -> Decoded:
    """Return an event that is known, shown whole, and believed in no table."""
    detail: Any = plain.decode(raw)
    symbol = detail.get("s") if isinstance(detail, dict) else None
    notice = Notice(kind="leftover", symbol=symbol, detail={"event": kind, "body": detail}, at=made)
    return Decoded(kind=kind, event_time=made, told=[notice])


def _answer(loose: Loose) -> Decoded:
    number = plain.decode(loose.id) if len(loose.id) else None
    error = (
        loose.msg if loose.msg is not None else (bytes(loose.error).decode() if len(loose.error) else None)
    )
    if error is None and len(loose.code):
        error = bytes(loose.code).decode()
    result = plain.decode(loose.result) if len(loose.result) else None
    ack = Ack(id=number if isinstance(number, int) else None, result=result, error=error)
    return Decoded(kind=ACK, event_time=None, told=[], control=ACK, ack=ack)


def unknown(name: str, at: datetime | None) -> Decoded:
    # The name comes from outside and becomes a column and a metric's label: keep it short.
    short = name[:64]
    notice = Notice(kind="unknown", detail={"event": short}, at=at)
    return Decoded(kind=f"unknown:{short}", event_time=at, told=[notice])


def _undecodable(reason: str) -> Decoded:
    # A ValidationError names a field and a type, a UnicodeDecodeError a byte: neither shows a value.
    notice = Notice(kind=UNDECODABLE, detail={"reason": reason[:200]})
    return Decoded(kind=UNDECODABLE, event_time=None, told=[notice])
