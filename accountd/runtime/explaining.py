"""Asks why an order is not what it was: the history of one order, for the few that need it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import structlog

from accountd.core.changes import OrderKey
from accountd.errors import BadRequest, VenueError
from accountd.runtime.rounds import Round
from accountd.store.writer import Transaction

if TYPE_CHECKING:
    from accountd.runtime.sweeper import Sweeper

log = structlog.get_logger("accountd.sweeper")

AT_MOST = 20  # orders in one sweep: each costs weight of its own


async def explain(sweeper: Sweeper, job: Round) -> None:
    """Read the events of orders of which REST showed more than any event told.

    What cannot be had now is asked for after the next sweep; nothing is proven by it.
    """
    ledger = sweeper.ledger

    def take(_: Transaction) -> list[tuple[OrderKey, set[str]]]:
        if ledger.beliefs is None:
            return []
        left = ledger.beliefs.unexplained
        return [left.popitem(last=False) for _ in range(min(AT_MOST, len(left)))]

    def put_back(due: list[tuple[OrderKey, set[str]]]) -> None:
        if ledger.beliefs is not None:
            ledger.beliefs.unexplained.update(due)

    sections = {ground.market: ground.section for ground in sweeper.grounds}
    due = await sweeper.submit(take)
    while due:
        (market, symbol, kind, order_id), whats = due[0]
        try:
            for what in sorted(whats) if kind == "order" and market in sections else ():
                flow = sections[market].explain(symbol, order_id, what)
                await sweeper.rest.run(flow, job.priority, sweeper.recording(job))
        except BadRequest as error:  # archived, or no such history at this venue
            log.info("no history of an order", account=sweeper.account, order=order_id, code=error.code)
        except VenueError as error:
            log.warning("orders stay unexplained", account=sweeper.account, error=str(error))
            await sweeper.submit(lambda _: put_back(due))
            return
        due.pop(0)
