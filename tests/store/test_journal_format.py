"""A verifier written from docs/reference/journal.md, with nothing of accountd's, agrees with accountd's."""

import hashlib
import struct
from base64 import b64decode
from datetime import UTC, datetime, timedelta

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from sqlalchemy import create_engine, select

from accountd.store import tables
from tests.journals import PUBLIC, signed, write, write_old

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def sha(*parts):
    return hashlib.sha256(b"".join(parts)).digest()


def micros(moment):
    return (moment - EPOCH) // timedelta(microseconds=1)


def short(text):
    return struct.pack(">H", len(text.encode())) + text.encode()


def moment_or_not(moment):
    return b"\x00" if moment is None else b"\x01" + struct.pack(">q", micros(moment))


def leaf_of(row):
    """Check what a row says of itself and return its leaf."""
    if len(row.salt) == 32:
        seed = row.salt[:16]
        told = moment_or_not(row.event_time) + moment_or_not(row.live_since)
        told += struct.pack(">Q", row.loaded_seq) + short(row.session_id or "")
        assert row.salt == seed + sha(b"accountd/c1\x00", seed, told)[:16]
    else:
        assert (len(row.salt), row.live_since, row.loaded_seq) == (16, None, None)
    assert row.digest == sha(row.salt, row.raw)
    number = struct.pack(">QQ", row.seq, micros(row.received_at) * 1000)
    return sha(b"\x00accountd/j1\x00", number, short(row.account_id), short(row.kind), short(row.source),
               row.digest)  # fmt: skip


def tree(leaves):
    """Return the hash of RFC 6962, section 2.1, by its definition."""
    if len(leaves) == 1:
        return leaves[0]
    half = 1
    while half * 2 < len(leaves):
        half *= 2
    return sha(b"\x01", tree(leaves[:half]), tree(leaves[half:]))


def test_an_independent_verifier_agrees(database_url):
    """Chain, tree, note and signature are what the reference says, for rows of the first schema and after."""
    write_old(database_url, 5)
    write(database_url, 18)
    for size in (1, 2, 7, 16, 23):
        signed(database_url, size=size)
    engine = create_engine(database_url)
    with engine.connect() as conn:
        rows = conn.execute(select(tables.journal).order_by(tables.journal.c.seq)).all()
        notes = conn.execute(select(tables.checkpoints)).all()
        end = conn.execute(select(tables.heads)).one()
    engine.dispose()
    head, leaves = bytes(32), []
    for n, row in enumerate(rows, 1):
        assert row.seq == n
        leaves.append(leaf_of(row))
        head = sha(b"accountd/h1", head, leaves[-1])
        assert row.head == head
    assert (end.seq, end.head) == (len(rows), head) and len(rows) == 23
    assert [note.size for note in notes] == [1, 2, 7, 16, 23]
    for note in notes:
        text, _, signature = note.note.partition("\n\n")
        origin, size, root, chain, _ = text.split("\n")
        assert (origin, int(size)) == ("accountd.journal/main", note.size)
        assert b64decode(root) == tree(leaves[: note.size]) == note.root
        assert b64decode(chain.removeprefix("head ")) == rows[note.size - 1].head
        dash, name, encoded = signature.split()
        data = b64decode(encoded)
        assert (dash, name, data[:4]) == ("—", origin, sha(name.encode(), b"\n\x01", PUBLIC)[:4])
        Ed25519PublicKey.from_public_bytes(PUBLIC).verify(data[4:], f"{text}\n".encode())
