"""The course of an account's money over time, thinned out to as many points as a picture has."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import Connection, text

from accountd.store.exact import plus
from accountd.store.types import time_text


@dataclass(frozen=True, slots=True, kw_only=True)
class EquityPoint:
    """The wallet at a moment, and with the open positions at the mark price of then; None: price not known.

    On SQLite ``unrealized_pnl`` and ``equity`` went through floating point; ``total`` is exact everywhere.
    """

    at: datetime
    total: Decimal
    unrealized_pnl: Decimal | None
    equity: Decimal | None


# One statement for all points: each finds its row by a look-up in the index, and only those rows are valued.
# SQLite keeps the order of a CROSS JOIN; else it reads the whole history to find the few that are chosen.
_POINTS = """
SELECT c.at, c.n, c.total, c.unrealized_pnl
FROM (
  SELECT DISTINCT
    (SELECT b.n FROM balance_history b
     WHERE b.account_id = :account AND b.market = :market AND b.asset = :asset AND b.updated_at <= step.value
     ORDER BY b.updated_at DESC, b.n DESC LIMIT 1) AS n
  FROM {steps}
) chosen
CROSS JOIN equity_curve c
WHERE c.account_id = :account AND c.market = :market AND c.asset = :asset AND c.n = chosen.n
ORDER BY c.at, c.n
"""
_STEPS = {
    "sqlite": "json_each(:steps) step",
    "postgresql": "unnest(CAST(:steps AS TIMESTAMPTZ[])) step(value)",
}


def equity(
    conn: Connection, account: str, market: str, asset: str, since: datetime, until: datetime,
    points: int = 200,
) -> Iterator[EquityPoint]:  # fmt: skip
    """Yield at most ``points`` states of a balance from ``since`` to ``until``, the last of each step.

    What did not change is not repeated. The cost is that of ``points`` index look-ups, however long the
    history is.
    """
    step = (until - since) / max(points, 1)
    steps = json.dumps([time_text(since + step * number) for number in range(1, points + 1)])
    if conn.dialect.name != "sqlite":
        steps = f"{{{steps[1:-1]}}}"
    query = text(_POINTS.format(steps=_STEPS[conn.dialect.name]))
    asked = {"account": account, "market": market, "asset": asset, "steps": steps}
    for told in conn.execute(query, asked):
        total, open_profit = _decimal(told.total), _maybe(told.unrealized_pnl)
        yield EquityPoint(
            at=_moment(told.at), total=total, unrealized_pnl=open_profit,
            equity=None if open_profit is None else plus(total, open_profit),
        )  # fmt: skip


def _moment(value: Any) -> datetime:
    return value if isinstance(value, datetime) else datetime.fromisoformat(value)


def _decimal(value: Any) -> Decimal:
    return value if isinstance(value, Decimal) else Decimal(str(value))


def _maybe(value: Any) -> Decimal | None:
    return None if value is None else _decimal(value)
