"""Signed checkpoints: the RFC 6962 root over a journal's leaves in a C2SP note, and how to read one again."""

from __future__ import annotations

from base64 import b64decode, b64encode
from binascii import Error as Base64Error
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from hashlib import sha256
from urllib.parse import quote, unquote

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

ORIGIN = "accountd.journal/"
HASH = 32  # bytes
EMPTY = sha256(b"").digest()
_ALGORITHM = b"\x01"  # Ed25519 in C2SP signed-note
_SIGNATURE = "\u2014 "


class Frontier:
    """The right edge of a Merkle tree: enough to add leaves to it and to name its root.

    ``nodes`` are the roots of the perfect subtrees that make up the tree, the largest first: one for each
    bit of ``size``.
    """

    def __init__(self, size: int = 0, nodes: Iterable[bytes] = ()) -> None:
        self.size = size
        self.nodes = list(nodes)

    @classmethod
    def unpacked(cls, size: int, packed: bytes) -> Frontier:
        """Read a frontier as it is kept.

        Raises:
            ValueError: no tree of this size has such an edge.
        """
        if size < 0 or len(packed) != HASH * size.bit_count():
            raise ValueError("the frontier does not fit its size")
        return cls(size, [packed[n : n + HASH] for n in range(0, len(packed), HASH)])

    def packed(self) -> bytes:
        """Write the frontier as it is kept."""
        return b"".join(self.nodes)

    def add(self, leaf: bytes) -> None:
        """Add one leaf hash on the right."""
        node, size = leaf, self.size
        while size & 1:
            node = sha256(b"\x01" + self.nodes.pop() + node).digest()
            size >>= 1
        self.nodes.append(node)
        self.size += 1

    def root(self) -> bytes:
        """Return the RFC 6962 root over all leaves."""
        if not self.nodes:
            return EMPTY
        node = self.nodes[-1]
        for left in reversed(self.nodes[:-1]):
            node = sha256(b"\x01" + left + node).digest()
        return node


class Checkpoint(msgspec.Struct, frozen=True, kw_only=True):
    """What a journal was at some time: how many rows, the root over their leaves, and the chain's head."""

    account: str
    size: int
    root: bytes
    head: bytes
    at: datetime

    def text(self) -> str:
        """Write what is signed: origin, size, root, and two lines of our own."""
        return (
            f"{origin(self.account)}\n{self.size}\n{_base64(self.root)}\n"
            f"head {_base64(self.head)}\ntime {self.at.astimezone(UTC).isoformat(timespec='seconds')}\n"
        )


def origin(account: str) -> str:
    """Return the name of an account's journal in notes, which is also the name of the key there."""
    return ORIGIN + quote(account, safe="")


def key_id(name: str, public: bytes) -> bytes:
    """Return the four bytes by which a signature line says which key it is of."""
    return sha256(name.encode() + b"\n" + _ALGORITHM + public).digest()[:4]


def public_bytes(key: Ed25519PrivateKey) -> bytes:
    """Return the 32 bytes of the public half."""
    return key.public_key().public_bytes_raw()


def verifier_key(name: str, public: bytes) -> str:
    """Return the public key as other programs for signed notes read it: name+id+key."""
    return f"{name}+{key_id(name, public).hex()}+{_base64(_ALGORITHM + public)}"


def sign(checkpoint: Checkpoint, key: Ed25519PrivateKey) -> str:
    """Return the signed note."""
    text, name = checkpoint.text(), origin(checkpoint.account)
    signed = key_id(name, public_bytes(key)) + key.sign(text.encode())
    return f"{text}\n{_SIGNATURE}{name} {_base64(signed)}\n"


def parse(note: str) -> Checkpoint:
    """Read a note without asking who signed it.

    Raises:
        ValueError: this is no checkpoint of a journal.
    """
    lines = note.partition("\n\n")[0].split("\n")
    told = dict(line.split(" ", 1) for line in lines[3:] if " " in line)
    if len(lines) < 5 or not lines[0].startswith(ORIGIN) or not {"head", "time"} <= told.keys():
        raise ValueError("no checkpoint of a journal")
    if not (lines[1].isascii() and lines[1].isdecimal()):
        raise ValueError("a checkpoint without a size")
    made = Checkpoint(
        account=unquote(lines[0].removeprefix(ORIGIN)), size=int(lines[1]), root=_hash(lines[2]),
        head=_hash(told["head"]), at=datetime.fromisoformat(told["time"]),
    )  # fmt: skip
    if note.partition("\n\n")[0] + "\n" != made.text():
        raise ValueError("a checkpoint that is not written as it should be")
    return made


def is_signed(note: str, publics: Sequence[bytes]) -> bool:
    """Say whether one of the keys signed the note; lines of other keys are passed over, as C2SP has it."""
    text, _, signatures = note.partition("\n\n")
    name = text.partition("\n")[0]
    for line in signatures.splitlines():
        who, _, encoded = line.removeprefix(_SIGNATURE).partition(" ")
        if not line.startswith(_SIGNATURE) or who != name:
            continue
        try:
            signed = b64decode(encoded, validate=True)
        except (Base64Error, ValueError):
            continue
        if any(_verifies(public, name, text + "\n", signed) for public in publics):
            return True
    return False


def _verifies(public: bytes, name: str, text: str, signed: bytes) -> bool:
    if signed[:4] != key_id(name, public):
        return False
    try:
        Ed25519PublicKey.from_public_bytes(public).verify(signed[4:], text.encode())
    except InvalidSignature:
        return False
    return True


def split(text: str) -> list[str]:
    """Cut a file of notes, one behind the other, into notes; what is torn at its end stays a piece."""
    notes: list[str] = []
    lines: list[str] = []
    for line in text.splitlines(keepends=True):
        if line == "\n" and not lines:
            continue
        if lines and lines[-1].startswith(_SIGNATURE) and not line.startswith(_SIGNATURE):
            notes.append("".join(lines))
            lines = []
            if line == "\n":
                continue
        lines.append(line)
    return [*notes, "".join(lines)] if lines else notes


def _base64(data: bytes) -> str:
    return b64encode(data).decode()


def _hash(text: str) -> bytes:
    found = b64decode(text, validate=True)
    if len(found) != HASH:
        raise ValueError("a hash of another length")
    return found
