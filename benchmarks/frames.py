"""The frames that every case records: execution reports as the venue sends them, two fills to an order."""

import json
from collections.abc import Iterator
from typing import Any

SYMBOLS = ("BTCUSDT", "ETHUSDT", "SOLUSDT", "BNBUSDT", "XRPUSDT", "DOGEUSDT", "ADAUSDT", "LINKUSDT")
OPEN = 16  # orders that live at the same time
STAGES = 3  # NEW, TRADE in part, TRADE of the rest
GROUP = OPEN * STAGES
EVENTS_PER_MS = 5


def body(number: int, stage: int, at: int) -> dict[str, Any]:
    """Return `o` of ORDER_TRADE_UPDATE with every documented field; ``at`` in ms."""
    tick = number % 977
    whole_lot, part = 200 + tick % 700, 100 + tick % 50  # thousandths
    quantity, half, rest = (f"0.{lot:03}" for lot in (whole_lot, part, whole_lot - part))
    price = f"{60_000 + tick}.{number % 10}0"
    traded = stage > 0
    last = ("0", half, rest)[stage]
    return {
        "s": SYMBOLS[number % len(SYMBOLS)], "c": f"bench-{number:012d}", "S": ("BUY", "SELL")[number % 2],
        "o": "LIMIT", "f": "GTC", "q": quantity, "p": price, "ap": price if traded else "0", "sp": "0",
        "x": "TRADE" if traded else "NEW", "X": ("NEW", "PARTIALLY_FILLED", "FILLED")[stage],
        "i": 8_000_000_000 + number, "l": last, "z": ("0", half, quantity)[stage],
        "L": price if traded else "0", "N": "USDT", "n": f"0.0{1000 + tick}" if traded else "0", "T": at,
        "t": 5_000_000_000 + 2 * number + stage if traded else 0, "b": "0", "a": "9.91",
        "m": bool(number % 3), "R": False, "wt": "CONTRACT_PRICE", "ot": "LIMIT", "ps": "BOTH", "cp": False,
        "AP": "0", "cr": "0",
        "pP": False, "si": 0, "ss": 0, "rp": f"{tick - 488}.12345678" if traded else "0",
        "V": "EXPIRE_TAKER", "pm": "NONE", "gtd": 0, "er": "0",
    }  # fmt: skip


def frames(count: int, start_ms: int) -> Iterator[bytes]:
    """Yield ``count`` frames; the orders of a group of 16 go through their lives side by side.

    Raises:
        ValueError: ``count`` would leave orders half told.
    """
    if count % GROUP:
        raise ValueError(f"not a multiple of {GROUP}: {count}")
    for index in range(count):
        group, inside = divmod(index, GROUP)
        stage, place = divmod(inside, OPEN)
        at = start_ms + index // EVENTS_PER_MS
        event = {"e": "ORDER_TRADE_UPDATE", "E": at, "T": at, "o": body(group * OPEN + place, stage, at)}
        yield json.dumps(event, separators=(",", ":")).encode()


def whole(count: int) -> int:
    """Return the nearest count of frames, not below ``count``, that tells every order to its end."""
    return -(-count // GROUP) * GROUP


def expected(count: int) -> dict[str, int]:
    """Return how many rows each table must hold in the end."""
    return {
        "journal": count,
        "orders": count // STAGES,
        "order_events": count,
        "fills": count // STAGES * 2,
    }
