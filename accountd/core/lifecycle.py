"""Order statuses: which are final, and which telling of an order supersedes which."""

from __future__ import annotations

from decimal import Decimal

from accountd.core.told import Order

# Words of FIX-style APIs. A word that is not here is kept as told and ranks between open and final.
RANKS: dict[tuple[str, str], int] = {
    ("order", "PENDING_NEW"): 0,
    ("order", "NEW"): 1,
    ("order", "PARTIALLY_FILLED"): 1,
    ("order", "PENDING_CANCEL"): 2,
    ("order", "FILLED"): 9,
    ("order", "CANCELED"): 9,
    ("order", "REJECTED"): 9,
    ("order", "EXPIRED"): 9,
    ("order", "EXPIRED_IN_MATCH"): 9,
    ("algo", "NEW"): 1,
    ("algo", "TRIGGERING"): 2,
    ("algo", "TRIGGERED"): 3,
    ("algo", "FINISHED"): 9,
    ("algo", "CANCELED"): 9,
    ("algo", "REJECTED"): 9,
    ("algo", "EXPIRED"): 9,
}
FINAL = 9
UNKNOWN = 4
_ZERO = Decimal(0)


def rank(kind: str, status: str) -> int:
    """Return how far along its life an order with this status is; 9 is final."""
    return RANKS.get((kind, status), UNKNOWN)


def is_final(order: Order) -> bool:
    """Say whether nothing more can happen to the order."""
    return rank(order.kind, order.status) == FINAL


def supersedes(told: Order, held: Order) -> bool:
    """Say whether a telling is later in the order's life than what is held, whatever order they came in.

    A total order over (life, filled quantity, venue time, word, less quantity), so that the result of any
    sequence of tellings is their maximum: late, duplicated and stale tellings change nothing. Of one
    instant the smaller quantity is the later: an amendment that keeps its place can only reduce it.
    """
    a, b = rank(told.kind, told.status), rank(held.kind, held.status)
    if a != b:
        return a > b
    x, y = told.filled_quantity or _ZERO, held.filled_quantity or _ZERO
    if x != y:
        return x > y
    if told.updated_at != held.updated_at:
        return told.updated_at > held.updated_at
    if told.status != held.status:
        return told.status > held.status
    return told.quantity is not None and held.quantity is not None and told.quantity < held.quantity
