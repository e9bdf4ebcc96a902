"""Frames of Binance spot and margin: events inside an envelope with a subscription's number, or bare.

Venue pages: binance-spot-api-docs user-data-stream and web-socket-api ("Event format", "Response format").
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

import msgspec

from accountd.core.told import Notice, Told
from accountd.venues.base import ACK, NO_LANES, TERMINATED, UNDECODABLE, Ack, Decoded, moment
from accountd.venues.binance_frames import stranger, unknown
from accountd.venues.binance_spot_events import Reader
from accountd.venues.binance_spot_wire import NOTHING, Refusal, RetryAt
from accountd.venues.wire import UNREADABLE, patiently, plain

LaneOf = Callable[[int | None], str]
REVOKED = 401
FOREIGN = -1  # the number of an answer to nobody here


class _Loose(msgspec.Struct, gc=False):
    e: str | None = None
    event: msgspec.Raw = NOTHING
    data: msgspec.Raw = NOTHING
    subscriptionId: int | None = None
    id: msgspec.Raw = NOTHING
    status: int | None = None
    result: msgspec.Raw = NOTHING
    error: msgspec.Raw = NOTHING
    code: msgspec.Raw = NOTHING
    msg: str | None = None
    expirationTime: int | None = None


_loose = msgspec.json.Decoder(_Loose, strict=False)
_refusal = msgspec.json.Decoder(Refusal, strict=False)
_retry = msgspec.json.Decoder(RetryAt, strict=False)


class SpotFrames:
    """Decodes the frames of one venue. ``readers`` are by the type of the event."""

    def __init__(self, readers: Mapping[type, Reader]) -> None:
        self.readers = dict(readers)
        self.known = frozenset(event.__struct_config__.tag for event in readers)  # type: ignore[attr-defined]
        kinds = list(readers)
        union: Any = kinds[0]
        for kind in kinds[1:]:
            union = union | kind
        self._event: msgspec.json.Decoder[Any] = msgspec.json.Decoder(union, strict=False)
        fields: list[tuple[str, Any] | tuple[str, Any, Any]] = [
            ("event", union),
            ("subscriptionId", int | None, None),
        ]
        envelope = msgspec.defstruct("Envelope", fields, gc=False)
        self._envelope: msgspec.json.Decoder[Any] = msgspec.json.Decoder(envelope, strict=False)

    def decode(
        self, frame: bytes | str, received_at: datetime, lanes: Mapping[int, str] = NO_LANES
    ) -> Decoded:
        """Return what a frame tells; never raises. Its kind ends with ``@lane`` where it has a lane."""

        def lane_of(number: int | None) -> str:
            if number is None:
                return ""
            # A subscription's first event may come before the answer that gives its number.
            return lanes.get(number, next(iter(lanes.values())) if len(lanes) == 1 else "")

        return self._dated(self._decode(frame, lane_of), received_at)

    def decode_kept(self, kind: str, raw: bytes, received_at: datetime) -> list[Told]:
        """Return what a journaled frame told: its kind says in which lane it came."""
        lane = kind.partition("@")[2]
        return self._dated(self._decode(raw, lambda _: lane), received_at).told

    def _dated(self, decoded: Decoded, received_at: datetime) -> Decoded:
        if decoded.event_time is None:
            for row in decoded.told:
                if isinstance(row, Notice) and row.at is None:
                    row.at = received_at
        return decoded

    def _decode(self, frame: bytes | str, lane_of: LaneOf) -> Decoded:
        try:
            if frame[:5] in (b'{"e":', '{"e":'):
                return self._read(self._event.decode(frame), None, lane_of)
            envelope = self._envelope.decode(frame)
            return self._read(envelope.event, envelope.subscriptionId, lane_of)
        except UNREADABLE as refusal:
            return self._otherwise(frame, str(refusal), lane_of)

    def _read(self, event: Any, number: int | None, lane_of: LaneOf) -> Decoded:
        lane = lane_of(number)
        decoded = self.readers[type(event)](event, lane)
        if lane:
            decoded.kind = f"{decoded.kind}@{lane}"
        if decoded.control == TERMINATED:
            decoded.subscription = number
        return decoded

    def _otherwise(
        self,
        frame: bytes | str,
        reason: str,
        lane_of: LaneOf,
        number: int | None = None,
        depth: int = 0,
    ) -> Decoded:
        """Decode what is no known event in the usual form: wrapped otherwise, an answer, unknown, or torn.

        ``reason`` is a text: an error would hold on to this call, and this call to it.
        """
        if (event := stranger(frame, self.known)) is not None:
            return event
        try:
            loose = _loose.decode(frame)
            if loose.e is None and depth == 0:
                inner = loose.event if len(loose.event) else loose.data
                if len(inner):
                    return self._inner(bytes(inner), loose.subscriptionId, lane_of)
                if len(loose.id) or loose.subscriptionId is not None or len(loose.error) or len(loose.code):
                    return _answer(loose)
            if loose.e is None:
                plain.decode(frame)  # bad UTF-8 outside the fields that were read
                return unknown("", None)
            return self._read(patiently(self._event.decode, frame), number, lane_of)
        except UNREADABLE as worse:
            reason = str(worse)
        # A ValidationError names a field and a type, a UnicodeDecodeError a byte: neither shows a value.
        notice = Notice(kind=UNDECODABLE, detail={"reason": reason[:200]})
        return Decoded(kind=UNDECODABLE, event_time=None, told=[notice])

    def _inner(self, frame: bytes, number: int | None, lane_of: LaneOf) -> Decoded:
        try:
            return self._read(self._event.decode(frame), number, lane_of)
        except UNREADABLE as refusal:
            return self._otherwise(frame, str(refusal), lane_of, number, depth=1)


def _answer(loose: _Loose) -> Decoded:
    number = plain.decode(loose.id) if len(loose.id) else None
    result = plain.decode(loose.result) if len(loose.result) else None
    if result is None and loose.subscriptionId is not None:  # the documentation's bare form
        result = {"subscriptionId": loose.subscriptionId, "expirationTime": loose.expirationTime}
    error, code, retry_at = _error(loose)
    if isinstance(number, str) and number.isdecimal():
        number = int(number)
    known = number if isinstance(number, int) else None if number is None else FOREIGN
    ack = Ack(
        id=known, result=result, error=error, status=loose.status,
        code=code, retry_at=retry_at,
    )  # fmt: skip
    if number is None and loose.status == REVOKED:  # nobody asked: the key of a logged-on session is gone
        notice = Notice(kind="stream.ended", detail={"code": code})
        return Decoded(kind="revoked", event_time=None, told=[notice], control=TERMINATED, ack=ack)
    return Decoded(kind=ACK, event_time=None, told=[], control=ACK, ack=ack)


def _error(loose: _Loose) -> tuple[str | None, int | None, datetime | None]:
    """Return the text, the number and the end of the pause of a refusal; Nones where there is none."""
    if len(loose.error):
        told = _refusal.decode(loose.error)
        after = _retry.decode(told.data).retry_after if bytes(told.data)[:1] == b"{" else None
        return told.msg or "refused", told.code, None if after is None else moment(after)
    if loose.msg is not None or len(loose.code):
        code = plain.decode(loose.code) if len(loose.code) else None
        return loose.msg or "refused", code if isinstance(code, int) else None, None
    return None, None, None
