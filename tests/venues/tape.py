"""The official samples as they were published, and how to speak them."""

import copy
import json
from datetime import UTC, datetime
from pathlib import Path

TAPES = Path(__file__).parent.parent / "tapes" / "um"
AT = datetime(2026, 1, 1, tzinfo=UTC)
GONE = object()


def raw(name, product="um"):
    """Return the bytes of a sample."""
    return (TAPES.parent / product / f"{name}.json").read_bytes()


def load(name, product="um"):
    """Return a sample as plain values."""
    return json.loads(raw(name, product))


def names(product, pattern):
    """Return the names of a product's samples that match."""
    return sorted(path.stem for path in (TAPES.parent / product).glob(f"{pattern}.json"))


def frame(event):
    """Return plain values as a frame."""
    return json.dumps(event).encode()


def wrap(event):
    """Return a frame of a combined stream."""
    return frame({"stream": "k" * 64 + "@" + str(event.get("e")), "data": event})


def bent(value, place, thing):
    """Return a copy of plain values with another thing, or nothing (`GONE`), in one place."""
    made = copy.deepcopy(value)
    inside = made
    for key in place[:-1]:
        inside = inside[key]
    if thing is GONE:
        del inside[place[-1]]
    else:
        inside[place[-1]] = thing
    return made
