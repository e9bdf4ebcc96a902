"""The journal's hash chain: a salted digest of the raw bytes, a leaf over the row, a head over all leaves."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import lru_cache
from hashlib import sha256
from struct import pack

GENESIS = bytes(32)
SALT_BYTES = 16  # random bytes of a salt; what the salt commits to comes behind them
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_SALT = b"accountd/c1\x00"
_LEAF = b"\x00accountd/j1\x00"
_HEAD = b"accountd/h1"


def nanoseconds(moment: datetime) -> int:
    """Return a UTC moment as nanoseconds since 1970, exactly (datetimes hold microseconds)."""
    return (moment - _EPOCH) // _MICROSECOND * 1000


def salt(
    seed: bytes, event_time: datetime | None, session_id: str | None, live_since: datetime | None,
    loaded_seq: int,
) -> bytes:  # fmt: skip
    """Return the salt of a row: 16 random bytes, and 16 that commit to how the row came about.

    The leaf does not name these four; through salt and digest the chain covers them all the same.
    """
    session = (session_id or "").encode()
    place = pack(">QH", loaded_seq, len(session))
    told = b"".join((_instant(event_time), _instant(live_since), place, session))
    return seed + sha256(_SALT + seed + told).digest()[:SALT_BYTES]


def _instant(moment: datetime | None) -> bytes:
    """Write a moment that a venue may have told as signed microseconds; no moment as nothing but a zero."""
    return b"\x00" if moment is None else b"\x01" + pack(">q", (moment - _EPOCH) // _MICROSECOND)


def digest(salt: bytes, raw: bytes) -> bytes:
    """Commit to raw bytes so that they can be pruned later without breaking the chain."""
    return sha256(salt + raw).digest()


def leaf(seq: int, received_at: datetime, account: bytes, kind: str, source: str, payload: bytes) -> bytes:
    """Hash one row: fixed-width or length-prefixed fields, domain separated; ``payload`` is its digest."""
    head = pack(">QQH", seq, nanoseconds(received_at), len(account))
    return sha256(_LEAF + head + account + _named(kind, source) + payload).digest()


@lru_cache(256)
def _named(kind: str, source: str) -> bytes:
    word, origin = kind.encode(), source.encode()
    return b"".join((pack(">H", len(word)), word, pack(">H", len(origin)), origin))


def advance(head: bytes, leaf_hash: bytes) -> bytes:
    """Return the chain head after one more leaf."""
    return sha256(_HEAD + head + leaf_hash).digest()
