"""Reading what is open, and what became of the orders that were open here and are not shown any more."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from datetime import timedelta
from typing import TYPE_CHECKING

import structlog

from accountd.core import local
from accountd.core.changes import OrderKey
from accountd.core.told import ALGO_ORDERS, ORDERS, Order
from accountd.errors import BadRequest
from accountd.runtime import proof
from accountd.runtime.budget import Priority
from accountd.runtime.looks import IN_FLIGHT
from accountd.runtime.rounds import Cursors, Ground, Round
from accountd.store.writer import Transaction

if TYPE_CHECKING:
    from accountd.runtime.sweeper import Sweeper

log = structlog.get_logger("accountd.sweeper")

FRESH = timedelta(days=1)  # a proof no older than this leaves no open order out
MANY = 8  # orders of a symbol that cost less as a page of its history than one by one
KINDS = {ORDERS: "order", ALGO_ORDERS: "algo"}


async def read(sweeper: Sweeper, job: Round, ground: Ground, cursors: Cursors, *, again: bool) -> None:
    """Read the open orders: all, or in a seam those of symbols where some are known to be open.

    Where the record was complete up to the cursor, whatever else is open now was made since, and the sweep
    reads that as well. ``again``: replicas have settled since, and what they showed as open may be over.
    """
    only: dict[str, set[str]] = {}
    if ground.section.by_symbol:
        held = await _held(sweeper, ground.market)
        if held:
            job.held[ground.market] = set().union(*held.values())
        if ground.is_tiny:
            every = {*ground.symbols, *await sweeper.known(ground.market)}
            only = {ORDERS: every, ALGO_ORDERS: every}
        if job.priority is Priority.SEAM:
            only |= {name: held[name] for name in held if again or _is_known(job, ground, cursors, name)}
    elif again:
        return
    await _list(sweeper, job, ground, only)


async def glance(sweeper: Sweeper, job: Round) -> Mapping[str, int]:
    """Look whether what is believed to be open still is: of an end that the stream dropped, unless it
    filled something, nothing else tells before the next slow sweep. What ended is read with its symbol.

    Return what the look cost, by pool.
    """
    for ground in sweeper.grounds:
        held = await _held(sweeper, ground.market)
        if any(held.values()):
            await _list(sweeper, job, ground, held if ground.section.by_symbol else {})
    cost = dict(job.cost)
    if not await _unshown(sweeper, job):
        return cost
    await sweeper.rest.clock.clock.sleep(IN_FLIGHT)
    places = {(market, symbol) for market, symbol, _, _ in await _unshown(sweeper, job)}
    await _ask(sweeper, job)
    if places:
        sweeper.doubt()
    for market, symbol in sorted(places):
        await sweeper.symbol(symbol, market)
    return cost


async def _list(sweeper: Sweeper, job: Round, ground: Ground, only: Mapping[str, set[str]]) -> None:
    flow = ground.section.open_orders(sweeper.settle, only)
    swept = await sweeper.rest.run(flow, job.priority, sweeper.recording(job))
    await proof.absent(sweeper, job, swept, ALGO_ORDERS)
    job.opened.add(ground.market)


async def _held(sweeper: Sweeper, market: str) -> dict[str, set[str]]:
    """Return the symbols of the orders that are open as far as is known, by dataset; {} if unknown."""

    def look(_: Transaction) -> dict[str, set[str]]:
        beliefs = sweeper.ledger.beliefs
        if beliefs is None:
            return {}
        keys = list(beliefs.open)
        return {
            name: {symbol for m, symbol, k, _ in keys if (m, k) == (market, kind)}
            for name, kind in KINDS.items()
        }

    return await sweeper.submit(look)


def _is_known(job: Round, ground: Ground, cursors: Cursors, name: str) -> bool:
    """Say whether this sweep and those before it tell of every order of a dataset that was made."""
    cursor = cursors.get((name, ground.market, ""))
    whole = ground.is_small or (name == ORDERS and ground.orders_whole is True)
    return whole and cursor is not None and job.now - cursor[1] < FRESH


async def vanished(sweeper: Sweeper, job: Round) -> None:
    """Ask for each order that is open here and was not shown, where that was asked: it ended while nobody
    told us. What the venue does not know any more is marked."""
    missing = await _ask(sweeper, job)
    if missing:
        log.warning("orders the venue no longer shows", account=sweeper.account, orders=len(missing))
        now = sweeper.recorder.clock.now()  # through the journal, so that a replay knows it too
        await sweeper.recorder.record(local.missing(sweeper.account, missing, job.now, now))


async def _ask(sweeper: Sweeper, job: Round) -> list[OrderKey]:
    """Ask for each order that is open here and was not shown; return those that the venue does not know.

    What the end of one made of balances is due as well: no snapshot may have told it yet.
    """
    await _by_history(sweeper, job)
    sections = {ground.market: ground.section for ground in sweeper.grounds}
    missing: list[OrderKey] = []
    for key in [key for key in await _unshown(sweeper, job) if key not in job.shown]:
        market, symbol, kind, order_id = key
        section = sections.get(market)
        if section is None:
            continue
        flow = section.order(symbol, order_id) if kind == "order" else section.algo_order(order_id)
        sweeper.unsettled.set()
        if not await sweeper.rest.run(flow, job.priority, sweeper.recording(job)):
            missing.append(key)
    return missing


async def _unshown(sweeper: Sweeper, job: Round) -> dict[OrderKey, Order]:
    ledger, before = sweeper.ledger, job.proven

    def held(_: Transaction) -> dict[OrderKey, Order]:
        beliefs = ledger.beliefs
        open_ = {} if beliefs is None else beliefs.open
        return {
            key: order for key, order in open_.items()
            if key[0] in job.opened and key not in job.shown and order.updated_at < before
        }  # fmt: skip

    return await sweeper.submit(held)


async def _by_history(sweeper: Sweeper, job: Round) -> None:
    """Where many orders of a symbol ended, read the history from the first to the last of them instead."""
    many: defaultdict[tuple[str, str], list[Order]] = defaultdict(list)
    for (market, symbol, kind, _), order in (await _unshown(sweeper, job)).items():
        if kind == "order" and order.created_at is not None:
            many[market, symbol].append(order)
    for ground in sweeper.grounds:
        width = ground.section.retention[ORDERS].window if ground.has(ORDERS) else timedelta(0)
        for (market, symbol), orders in sorted(many.items()):
            times = [order.created_at for order in orders if order.created_at is not None]
            first, last = min(times), max(times)
            if market != ground.market or len(orders) < MANY or last - first > width:
                continue
            try:
                flow = ground.section.orders(symbol, first, last)
                await sweeper.rest.run(flow, job.priority, sweeper.recording(job))
            except BadRequest as error:  # each is asked for by itself
                log.info("no history of a symbol", account=sweeper.account, symbol=symbol, code=error.code)
