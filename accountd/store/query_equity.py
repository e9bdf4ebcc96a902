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
_SQLITE = """
SELECT c.at, c.total, c.unrealized_pnl
FROM (
  SELECT DISTINCT
    (SELECT b.n FROM balance_history b
     WHERE b.account_id = :account AND b.market = :market AND b.asset = :asset AND b.updated_at <= step.value
     ORDER BY b.updated_at DESC, b.n DESC LIMIT 1) AS n
  FROM json_each(:steps) step
) chosen
CROSS JOIN equity_curve c
WHERE c.account_id = :account AND c.market = :market AND c.asset = :asset AND c.n = chosen.n
ORDER BY c.at, c.n
"""
# What the view equity_curve says, for one balance and some of its rows. To find the last row before a moment
# Postgres reads a page of the index from there down, which is most of the work; so the row is looked for in
# the two hours before, and further back only if none is there.
_LAST = """
LEFT JOIN LATERAL (
  SELECT {columns} FROM {history} x WHERE {same} AND x.updated_at <= {at}
    AND x.updated_at > {at} - interval '2 hours'
  ORDER BY x.updated_at DESC, x.n DESC LIMIT 1) recent ON TRUE
LEFT JOIN LATERAL (
  SELECT {columns} FROM {history} x WHERE {same} AND x.updated_at <= {at} - interval '2 hours'
    AND recent.n IS NULL
  ORDER BY x.updated_at DESC, x.n DESC LIMIT 1) older ON TRUE
"""
_BALANCE = _LAST.format(
    history="balance_history", columns="x.n, x.updated_at, x.total", at="step.value",
    same="x.account_id = :account AND x.market = :market AND x.asset = :asset",
)  # fmt: skip
_POSITION = _LAST.format(
    history="position_history", columns="x.n, x.quantity, x.entry_price", at="c.at",
    same="x.account_id = :account AND x.market = :market AND x.symbol = s.symbol "
         "AND x.position_side = s.position_side",
)  # fmt: skip
_POSTGRES = f"""
WITH held AS MATERIALIZED (
  SELECT symbol, position_side FROM positions
  WHERE account_id = :account AND market = :market AND accountd_asset(market, symbol) = :asset
), chosen AS MATERIALIZED (
  SELECT DISTINCT COALESCE(recent.n, older.n) AS n, COALESCE(recent.updated_at, older.updated_at) AS at,
         COALESCE(recent.total, older.total) AS total
  FROM (SELECT CAST(:since AS TIMESTAMPTZ) + number * CAST(:step AS INTERVAL) AS value
        FROM generate_series(1, CAST(:points AS INTEGER)) number) step {_BALANCE}
)
SELECT c.at, c.total, v.unrealized_pnl
FROM chosen c
CROSS JOIN LATERAL (
  SELECT CASE WHEN COUNT(*) = COUNT(worth) THEN COALESCE(SUM(worth), 0) END AS unrealized_pnl
  FROM (
    SELECT CASE WHEN CAST(:market AS TEXT) <> 'coinm' THEN COALESCE(recent.quantity, older.quantity)
           * (p.mark - COALESCE(recent.entry_price, older.entry_price)) END AS worth
    FROM held s {_POSITION}
    LEFT JOIN LATERAL (
      SELECT q.mark FROM prices q
      WHERE q.market = :market AND q.symbol = s.symbol AND q.mark IS NOT NULL AND q.at <= c.at
        AND q.at > c.at - interval '5 minutes'
      ORDER BY q.at DESC LIMIT 1) p ON TRUE
    WHERE COALESCE(recent.quantity, older.quantity) <> 0
  ) worths
) v
WHERE c.n IS NOT NULL
ORDER BY c.at, c.n
"""


def equity(
    conn: Connection, account: str, market: str, asset: str, since: datetime, until: datetime,
    points: int = 200,
) -> Iterator[EquityPoint]:  # fmt: skip
    """Yield at most ``points`` states of a balance from ``since`` to ``until``, the last of each step.

    What did not change is not repeated. The cost is that of ``points`` index look-ups, however long the
    history is.
    """
    step = (until - since) / max(points, 1)
    asked: dict[str, Any] = {"account": account, "market": market, "asset": asset}
    if conn.dialect.name == "sqlite":
        steps = [time_text(since + step * number) for number in range(1, points + 1)]
        found = conn.execute(text(_SQLITE), asked | {"steps": json.dumps(steps)})
    else:
        found = conn.execute(text(_POSTGRES), asked | {"since": since, "step": step, "points": points})
    for told in found:
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
