"""The views that people query: numbers for plotting, profit by day, open orders, timelines, latencies."""

from __future__ import annotations

from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

NAMES = ("fills_numeric", "daily_pnl", "open_orders", "order_timeline", "balances_at", "fill_latency")

# Floating-point twins of the money columns, to sort and plot by; sums belong on `fills`.
FILLS_NUMERIC = """
SELECT account_id, market, symbol, trade_id, order_id, client_order_id, side, position_side,
       CAST(price AS DOUBLE PRECISION) AS price,
       CAST(quantity AS DOUBLE PRECISION) AS quantity,
       CAST(quote_quantity AS DOUBLE PRECISION) AS quote_quantity,
       CAST(commission AS DOUBLE PRECISION) AS commission, commission_asset,
       CAST(realized_pnl AS DOUBLE PRECISION) AS realized_pnl,
       is_maker, traded_at, received_at, committed_at, source
FROM fills
"""

# One row a day (UTC) and symbol. `commission` is a JSON object of asset to amount, positive = paid.
# Exact on Postgres; on SQLite the sums are REAL (the dsum() of `accountd query` is exact).
DAILY_PNL = """
WITH parts AS (
  SELECT account_id, market, {traded_day} AS day, symbol, SUM({realized_pnl}) AS realized_pnl,
         NULL AS funding
  FROM fills GROUP BY account_id, market, {traded_day}, symbol
  UNION ALL
  SELECT account_id, market, {occurred_day}, COALESCE(symbol, ''), NULL, SUM({amount})
  FROM transfers WHERE kind = 'funding_fee'
  GROUP BY account_id, market, {occurred_day}, COALESCE(symbol, '')
), days AS (
  SELECT account_id, market, day, symbol, SUM(realized_pnl) AS realized_pnl, SUM(funding) AS funding
  FROM parts GROUP BY account_id, market, day, symbol
), fees AS (
  SELECT account_id, market, {traded_day} AS day, symbol, commission_asset, SUM({commission}) AS paid
  FROM fills WHERE commission IS NOT NULL AND commission_asset IS NOT NULL
  GROUP BY account_id, market, {traded_day}, symbol, commission_asset
), fees_of_day AS (
  SELECT account_id, market, day, symbol, {object} AS commission
  FROM fees GROUP BY account_id, market, day, symbol
)
SELECT days.account_id, days.market, days.day, days.symbol, days.realized_pnl,
       fees_of_day.commission, days.funding
FROM days LEFT JOIN fees_of_day
  ON fees_of_day.account_id = days.account_id AND fees_of_day.market = days.market
 AND fees_of_day.day = days.day AND fees_of_day.symbol = days.symbol
"""

# Whatever is not over; a status word that the venue invents tomorrow counts as open.
OPEN_ORDERS = """
SELECT * FROM orders
WHERE missing_since IS NULL
  AND status NOT IN ('FILLED','CANCELED','REJECTED','EXPIRED','EXPIRED_IN_MATCH','FINISHED')
"""

ORDER_TIMELINE = """
SELECT account_id, market, symbol, kind, order_id, event_time AS at, 'event' AS what, n,
       execution_type, status, price, quantity, filled_quantity, {no_text} AS trade_id,
       {no_money} AS commission, {no_text} AS commission_asset, source, journal_seq
FROM order_events
UNION ALL
SELECT account_id, market, symbol, 'order', order_id, traded_at, 'fill', {no_whole}, {no_text}, {no_text},
       price, quantity, {no_money}, trade_id, commission, commission_asset, source, journal_seq
FROM fills
ORDER BY account_id, market, symbol, kind, order_id, at, journal_seq, what, n, trade_id
"""

# The balance at a moment T: the row with valid_from <= T and (valid_to > T or valid_to is null).
BALANCES_AT = """
SELECT account_id, market, asset, free, locked, total, reason, updated_at AS valid_from,
       LEAD(updated_at) OVER (PARTITION BY account_id, market, asset ORDER BY n) AS valid_to, source, n
FROM balance_history
"""

FILL_LATENCY = """
WITH tries AS (
  SELECT message_id, MIN(started_at) AS started_at FROM deliveries GROUP BY message_id
), rung AS (
  SELECT message_id, account_id, hook, delivered_at, {market} AS market, {symbol} AS symbol,
         {trade_id} AS trade_id
  FROM outbox WHERE type = 'fill'
)
SELECT rung.message_id, rung.account_id, rung.hook, rung.market, rung.symbol, rung.trade_id,
       fills.source, fills.traded_at, fills.received_at, fills.committed_at,
       tries.started_at AS first_attempt_at, rung.delivered_at,
       {received} AS traded_to_received_ms,
       {committed} AS received_to_committed_ms,
       {attempted} AS committed_to_attempt_ms,
       {delivered} AS attempt_to_delivered_ms,
       {whole} AS received_to_delivered_ms
FROM rung
JOIN fills ON fills.account_id = rung.account_id AND fills.market = rung.market
          AND fills.symbol = rung.symbol AND fills.trade_id = rung.trade_id
LEFT JOIN tries ON tries.message_id = rung.message_id
"""
STAGES = {
    "received": ("fills.traded_at", "fills.received_at"),
    "committed": ("fills.received_at", "fills.committed_at"),
    "attempted": ("fills.committed_at", "tries.started_at"),
    "delivered": ("tries.started_at", "rung.delivered_at"),
    "whole": ("fills.received_at", "rung.delivered_at"),
}


def _sqlite_ms(start: str, end: str) -> str:
    # Seconds and microseconds apart: SQLite's own clock functions round to the millisecond.
    seconds = f"(CAST(strftime('%s', substr({end}, 1, 19)) AS INTEGER) - "
    seconds += f"CAST(strftime('%s', substr({start}, 1, 19)) AS INTEGER)) * 1000.0"
    micros = f"(CAST(substr({end}, 21, 6) AS INTEGER) - CAST(substr({start}, 21, 6) AS INTEGER)) / 1000.0"
    return f"({seconds} + {micros})"


def _postgres_ms(start: str, end: str) -> str:
    return f"CAST(EXTRACT(EPOCH FROM ({end} - {start})) * 1000 AS DOUBLE PRECISION)"


def _sqlite_words() -> dict[str, str]:
    words = {name: f"CAST({name} AS REAL)" for name in ("realized_pnl", "amount", "commission")}
    words |= {name: f"json_extract(body, '$.data.{name}')" for name in ("market", "symbol", "trade_id")}
    words |= {name: _sqlite_ms(*ends) for name, ends in STAGES.items()}
    words |= {"no_text": "NULL", "no_money": "NULL", "no_whole": "NULL"}
    return words | {
        "traded_day": "substr(traded_at, 1, 10)",
        "occurred_day": "substr(occurred_at, 1, 10)",
        "object": "json_group_object(commission_asset, paid)",
    }


def _postgres_words() -> dict[str, str]:
    words = {name: name for name in ("realized_pnl", "amount", "commission")}
    told = "(CAST(body AS json) #>> '{{data,{0}}}')"
    words |= {name: told.format(name) for name in ("market", "symbol", "trade_id")}
    words |= {name: _postgres_ms(*ends) for name, ends in STAGES.items()}
    words |= {
        "no_text": "CAST(NULL AS TEXT)",
        "no_money": "CAST(NULL AS NUMERIC)",
        "no_whole": "CAST(NULL AS BIGINT)",
    }
    return words | {
        "traded_day": "to_char(traded_at AT TIME ZONE 'UTC', 'YYYY-MM-DD')",
        "occurred_day": "to_char(occurred_at AT TIME ZONE 'UTC', 'YYYY-MM-DD')",
        "object": "CAST(json_object_agg(commission_asset, paid) AS TEXT)",
    }


def upgrade() -> None:
    """Create the views."""
    words = _sqlite_words() if op.get_bind().dialect.name == "sqlite" else _postgres_words()
    bodies = (FILLS_NUMERIC, DAILY_PNL, OPEN_ORDERS, ORDER_TIMELINE, BALANCES_AT, FILL_LATENCY)
    for name, body in zip(NAMES, bodies, strict=True):
        # Straight to the driver: a colon in a view is no parameter.
        op.get_bind().exec_driver_sql(f"CREATE VIEW {name} AS {body.format_map(words).strip()}")


def downgrade() -> None:
    """Drop the views."""
    for name in NAMES:
        op.execute(f"DROP VIEW {name}")
