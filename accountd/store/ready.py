"""Changes as the rows that they leave behind: ready to be written whatever becomes of the beliefs."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import chain

from accountd.core.changes import Changes
from accountd.store import rows
from accountd.store.rows import Row

# Written in this order; fills come last so that their committed_at is as close to the commit as can be.
MAPPED: tuple[tuple[str, Callable[[Changes], Iterable[Row]]], ...] = (
    ("journal", rows.journal),
    ("orders", rows.orders),
    ("order_events", rows.order_events),
    ("fill_corrections", rows.fill_corrections),
    ("balances", rows.balances),
    ("balance_history", rows.balance_history),
    ("positions", rows.positions),
    ("position_history", rows.position_history),
    ("transfers", rows.transfers),
    ("findings", rows.findings),
)


@dataclass(slots=True)
class Move:
    """How far an account's head moves, from ``first_seq``."""

    account_id: str
    first_seq: int
    seq: int
    head: bytes


@dataclass(slots=True)
class Ready:
    """Rows by table, and what else their transaction does; fills still lack ``committed_at``."""

    moves: list[Move]
    work: dict[str, list[Row]]
    fills: list[Row]
    named: list[Row]
    resolved: list[tuple[str, str, str, datetime]]  # account, kind, subject, when


def ready(changes: Sequence[Changes]) -> Ready:
    """Map changes to rows; at most one ``Changes`` an account."""
    return Ready(
        moves=[Move(one.account_id, one.first_seq, one.seq, one.head) for one in changes],
        work={name: list(chain.from_iterable(map(mapped, changes))) for name, mapped in MAPPED},
        fills=list(chain.from_iterable(map(rows.fills, changes))),
        named=list(chain.from_iterable(map(rows.fill_names, changes))),
        resolved=[
            (one.account_id, kind, subject, at)
            for one in changes for (kind, subject), at in one.resolved.items()
        ],
    )  # fmt: skip
