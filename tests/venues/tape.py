"""The official samples as they were published, and how to speak them."""

import json
from datetime import UTC, datetime
from pathlib import Path

TAPES = Path(__file__).parent.parent / "tapes" / "um"
AT = datetime(2026, 1, 1, tzinfo=UTC)


def raw(name):
    """Return the bytes of a sample."""
    return (TAPES / f"{name}.json").read_bytes()


def load(name):
    """Return a sample as plain values."""
    return json.loads(raw(name))


def frame(event):
    """Return plain values as a frame."""
    return json.dumps(event).encode()


def wrap(event):
    """Return a frame of a combined stream."""
    return frame({"stream": "k" * 64 + "@" + str(event.get("e")), "data": event})
