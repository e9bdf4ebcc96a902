"""What REST tells for the first time although its moment was proven: the proof was wrong."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta

from sqlalchemy import select

from accountd.core.changes import Changes
from accountd.core.told import ALGO_ORDERS, FILLS, ORDERS, REST, TRANSFERS
from accountd.store.bookkeeping import Bookkeeping
from accountd.store.tables import coverage

LATE = "proof_broken"
# Dated when they were asked for, and told when they are done: late by nature.
SLOW = ("deposit", "withdrawal", "withdrawal_fee")
SECOND = timedelta(seconds=1)
# (dataset, market, symbol, what it is about, its moment)
News = tuple[str, str, str, str, datetime]


def late(books: Bookkeeping, changes: Changes) -> list[tuple[str, datetime, dict[str, object]]]:
    """Return (subject, moment, detail) of what is new, told by REST and inside what was proven already.

    Call it in the transaction that writes ``changes``, so that there is no moment at which the record
    says more than it knew without saying so.
    """
    news = list(_news(changes))
    if not news:
        return []
    c = coverage.c
    proven: dict[tuple[str, str, str], list[tuple[datetime, datetime, datetime]]] = {}
    query = select(c.dataset, c.market, c.symbol, c.from_time, c.to_time, c.proven_at)
    for row in books.connection.execute(query.where(c.account_id == changes.account_id)):
        proven.setdefault((row[0], row[1], row[2]), []).append((row[3], row[4], row[5]))
    found = []
    for dataset, market, symbol, subject, at in news:
        stretches = [*proven.get((dataset, market, symbol), ()), *proven.get((dataset, market, ""), ())]
        # what is dated to the second may have been up to a second later
        latest = at if at.microsecond else at + SECOND
        wrong = [one for one in stretches if one[0] <= at and latest <= one[1]]
        if wrong:
            detail: dict[str, object] = {
                "dataset": dataset, "at": at.isoformat(), "proven_from": wrong[0][0].isoformat(),
                "proven_to": wrong[0][1].isoformat(), "proven_at": wrong[0][2].isoformat(),
            }  # fmt: skip
            found.append((subject, at, detail))
    return found


def _news(changes: Changes) -> Iterator[News]:
    for fill in changes.fills.values():
        if fill.source == REST:
            name = ":".join(("fill", fill.market, fill.symbol, fill.trade_id))
            yield FILLS, fill.market, fill.symbol, name, fill.traded_at
    for order in changes.orders.values():
        if order.source == REST and order.events == 1 and order.created_at is not None:
            dataset = ORDERS if order.kind == "order" else ALGO_ORDERS
            name = ":".join(("order", order.market, order.symbol, order.kind, order.order_id))
            yield dataset, order.market, order.symbol, name, order.created_at
    for transfer in changes.transfers.values():
        if transfer.kind in SLOW:
            continue
        name = ":".join(("transfer", transfer.market, transfer.kind, transfer.transfer_id, transfer.asset))
        yield TRANSFERS, transfer.market, "", name, transfer.occurred_at
