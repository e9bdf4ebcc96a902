"""What a market answers about things that do not exist there: a `Section` takes these for its own.

As in ``algo_order = staticmethod(absent.algo_order)``.
"""

from __future__ import annotations

from datetime import datetime

from accountd.venues.base import Flow, Swept


def algo_orders(symbol: str, start: datetime, end: datetime) -> Flow[Swept]:
    """Tell nothing: what conditions there are stand on plain orders."""
    yield from ()
    return Swept()


def algo_order(algo_id: str) -> Flow[bool]:
    """Return False: there are no conditional orders."""
    yield from ()
    return False


def explain(symbol: str, order_id: str, what: str) -> Flow[None]:
    """Tell nothing: what happened to an order cannot be asked for."""
    yield from ()
