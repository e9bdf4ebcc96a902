"""What accountd itself finds out by asking, as journal rows of the source ``local``."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

import msgspec

from accountd.core.changes import OrderKey
from accountd.core.told import LOCAL, Absent, Telling, Told

MISSING = "orders.missing"

_encode = msgspec.json.Encoder().encode
_absent = msgspec.json.Decoder(list[Absent])


def missing(account_id: str, keys: Iterable[OrderKey], since: datetime, received_at: datetime) -> Telling:
    """Tell of orders that the venue, asked for each, no longer shows; ``since`` is in venue time."""
    told = [Absent(key=key, since=since) for key in keys]
    return Telling(
        account_id=account_id, source=LOCAL, kind=MISSING, raw=_encode(told), received_at=received_at,
        told=told, event_time=since, keep=False,
    )  # fmt: skip


def decode(kind: str, raw: bytes) -> list[Told]:
    """Return what a local journal row told.

    Raises:
        KeyError: no local row is of this kind.
        msgspec.MsgspecError: the bytes are not what was written.
    """
    return list({MISSING: _absent}[kind].decode(raw))
