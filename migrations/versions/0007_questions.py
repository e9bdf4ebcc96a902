"""The prices, views and indexes that answer the documented questions."""

from __future__ import annotations

from types import ModuleType
from typing import Any

from alembic import op
from sqlalchemy import CheckConstraint, Column, Text, text

from accountd.store.types import Instant, Money

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

CANONICAL = "{0} IS NULL OR ({0} NOT GLOB '*[^0-9.-]*' AND {0} GLOB '*[0-9]*')"
HISTORIES = {
    "balance_history": ("account_id", "market", "asset", "updated_at"),
    "position_history": ("account_id", "market", "symbol", "position_side", "updated_at"),
}
BY_ORDER = ("account_id", "market", "symbol", "order_id")
# The views of 0003 that get more columns; those that read others come after them.
REPLACED = ("daily_pnl", "open_orders", "order_timeline")
# A day as text, immutable on Postgres so that an index can hold it.
DAY = """
CREATE FUNCTION accountd_day(moment timestamptz) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
SELECT EXTRACT(YEAR FROM timezone('UTC', moment))::text || '-' ||
       lpad(EXTRACT(MONTH FROM timezone('UTC', moment))::text, 2, '0') || '-' ||
       lpad(EXTRACT(DAY FROM timezone('UTC', moment))::text, 2, '0')
$$
"""
# What symbols end in: the assets that others are priced in.
QUOTES = {
    4: "'USDT','USDC','TUSD','BUSD','USDP','USD1','DOGE'",
    5: "'FDUSD','BFUSD'",
    3: "'DAI','USD','EUR','GBP','TRY','BRL','JPY','AUD','ARS','MXN','PLN','RON','UAH','ZAR','CZK','COP',"
       "'IDR','VAI','BTC','ETH','BNB','SOL','XRP','TRX','DOT'",
}  # fmt: skip

# Each fill with the asset in which its profit is, and the price of its commission's asset in that asset:
# 1 for the same asset, the fill's own price for the base asset, else the last known price that is no older
# than five minutes (the mark price, or the best bid where a market has none), else null.
FILL_VALUES = """
SELECT f.account_id, f.market, f.symbol, f.trade_id, f.order_id, f.side, f.price, f.quantity,
       f.quote_quantity, f.commission, f.commission_asset, f.realized_pnl, f.traded_at, f.pnl_asset,
       CASE WHEN f.commission_asset IS NULL THEN {no_money}
            WHEN f.commission_asset = f.pnl_asset THEN {one}
            WHEN f.market <> 'coinm' AND f.symbol = f.commission_asset || f.pnl_asset THEN f.price
            ELSE (SELECT COALESCE(p.mark, p.bid) FROM prices p
                  WHERE p.market = f.market AND p.symbol = f.commission_asset || f.pnl_asset
                    AND p.at <= f.traded_at AND p.at > {five_minutes_before}
                  ORDER BY p.at DESC LIMIT 1)
       END AS fee_price
FROM (SELECT fills.*, {settle} AS pnl_asset FROM fills) f
"""

# One row a day (UTC) and symbol. `commission` is a JSON object of asset to amount, positive = paid.
# Exact on Postgres; on SQLite, below, the sums are REAL (`accountd pnl` is exact everywhere).
DAILY_PNL = """
SELECT account_id, market, day, symbol, SUM(realized_pnl) AS realized_pnl,
       {all_fees} AS commission, SUM(funding) AS funding, MAX(pnl_asset) AS pnl_asset,
       SUM(valued) AS commission_valued, {unknown_fees} AS commission_unvalued,
       COALESCE(SUM(realized_pnl), 0) + COALESCE(SUM(funding), 0) - COALESCE(SUM(valued), 0) AS net,
       CAST(SUM(fills) AS {whole}) AS fills
FROM (
  SELECT account_id, market, {traded_day} AS day, symbol, pnl_asset, commission_asset,
         SUM({realized_pnl}) AS realized_pnl, SUM({commission}) AS paid,
         SUM({commission} * {fee_price}) AS valued,
         SUM(CASE WHEN fee_price IS NULL THEN {commission} END) AS unvalued,
         {no_number} AS funding, COUNT(*) AS fills
  FROM fill_values GROUP BY account_id, market, {traded_day}, symbol, pnl_asset, commission_asset
  UNION ALL
  SELECT account_id, market, {occurred_day}, COALESCE(symbol, ''), {no_text}, {no_text},
         {no_number}, {no_number}, {no_number}, {no_number}, SUM({amount}), 0
  FROM transfers WHERE kind = 'funding_fee'
  GROUP BY account_id, market, {occurred_day}, COALESCE(symbol, '')
) parts
GROUP BY account_id, market, day, symbol
"""

# SQLite takes a condition only into a query that groups one table, so what does not fit there is looked up
# for each row of the answer.
DAILY_PNL_SQLITE = """
SELECT g.account_id, g.market, g.day, g.symbol, g.realized_pnl,
       (SELECT NULLIF(json_group_object(commission_asset, paid), '{{}}')
        FROM (SELECT x.commission_asset, SUM(CAST(x.commission AS REAL)) AS paid FROM fills x
              WHERE x.account_id = g.account_id AND substr(x.traded_at, 1, 10) = g.day AND x.symbol = g.symbol
                AND x.market = g.market AND x.commission IS NOT NULL AND x.commission_asset IS NOT NULL
              GROUP BY x.commission_asset)) AS commission,
       {funding} AS funding, g.pnl_asset, g.valued AS commission_valued,
       CASE WHEN g.unvalued > 0 THEN
         (SELECT json_group_object(commission_asset, paid)
          FROM (SELECT x.commission_asset, SUM(CAST(x.commission AS REAL)) AS paid FROM fill_values x
                WHERE x.account_id = g.account_id AND substr(x.traded_at, 1, 10) = g.day
                  AND x.symbol = g.symbol AND x.market = g.market AND x.fee_price IS NULL
                  AND x.commission IS NOT NULL
                  AND x.commission_asset IS NOT NULL
                GROUP BY x.commission_asset)) END AS commission_unvalued,
       COALESCE(g.realized_pnl, 0) + COALESCE({funding}, 0) - COALESCE(g.valued, 0) AS net, g.fills
FROM (
  SELECT account_id, market, {traded_day} AS day, symbol, SUM({realized_pnl}) AS realized_pnl,
         MAX(pnl_asset) AS pnl_asset, SUM({commission} * {fee_price}) AS valued,
         COUNT(CASE WHEN fee_price IS NULL THEN commission_asset END) AS unvalued, COUNT(*) AS fills
  FROM fill_values GROUP BY account_id, market, {traded_day}, symbol
) g
UNION ALL
SELECT g.account_id, g.market, g.day, g.symbol, NULL, NULL, g.funding, NULL, NULL, NULL, g.funding, 0
FROM (
  SELECT account_id, market, {occurred_day} AS day, COALESCE(symbol, '') AS symbol, SUM({amount}) AS funding
  FROM transfers WHERE kind = 'funding_fee'
  GROUP BY account_id, market, {occurred_day}, COALESCE(symbol, '')
) g
WHERE NOT EXISTS (SELECT 1 FROM fills x WHERE x.account_id = g.account_id AND x.market = g.market
                    AND substr(x.traded_at, 1, 10) = g.day AND x.symbol = g.symbol)
"""
FUNDING = """
(SELECT SUM(CAST(t.amount AS REAL)) FROM transfers t
 WHERE t.account_id = g.account_id AND substr(t.occurred_at, 1, 10) = g.day AND t.kind = 'funding_fee'
   AND t.market = g.market AND t.symbol = g.symbol)
"""

# Whatever is not over; a status word that the venue invents tomorrow counts as open.
OPEN_ORDERS = """
SELECT * FROM orders
WHERE missing_since IS NULL
  AND status NOT IN ('FILLED','CANCELED','REJECTED','EXPIRED','EXPIRED_IN_MATCH','FINISHED')
"""

# An order's own events and fills, and what happened to the order that it placed or that placed it.
ORDER_TIMELINE = """
SELECT o.account_id, o.market, o.symbol, o.kind, o.order_id, e.event_time AS at, 'event' AS what, e.n,
       e.execution_type, e.status, e.price, e.quantity, e.filled_quantity, {no_text} AS trade_id,
       {no_money} AS commission, {no_text} AS commission_asset, e.source, e.journal_seq,
       CASE WHEN e.n = o.events THEN o.reason END AS reason, {no_text} AS linked_kind,
       {no_text} AS linked_order_id
FROM orders o JOIN order_events e ON e.account_id = o.account_id AND e.market = o.market
     AND e.symbol = o.symbol AND e.kind = o.kind AND e.order_id = o.order_id
UNION ALL
SELECT account_id, market, symbol, 'order', order_id, traded_at, 'fill', {no_whole}, {no_text}, {no_text},
       price, quantity, {no_money}, trade_id, commission, commission_asset, source, journal_seq,
       {no_text}, {no_text}, {no_text}
FROM fills
UNION ALL
SELECT account_id, market, symbol, kind, order_id, missing_since, 'missing', {no_whole}, {no_text}, status,
       price, quantity, filled_quantity, {no_text}, {no_money}, {no_text}, source, journal_seq,
       'the venue no longer shows it', {no_text}, {no_text}
FROM orders WHERE missing_since IS NOT NULL
UNION ALL
SELECT a.account_id, a.market, a.symbol, a.kind, a.order_id, e.event_time, 'linked event', e.n,
       e.execution_type, e.status, e.price, e.quantity, e.filled_quantity, {no_text}, {no_money}, {no_text},
       e.source, e.journal_seq, CASE WHEN e.n = o.events THEN o.reason END, 'order', e.order_id
FROM orders a
JOIN order_events e ON e.account_id = a.account_id AND e.market = a.market AND e.symbol = a.symbol
 AND e.kind = 'order' AND e.order_id = a.actual_order_id
LEFT JOIN orders o ON o.account_id = e.account_id AND o.market = e.market AND o.symbol = e.symbol
 AND o.kind = e.kind AND o.order_id = e.order_id
WHERE a.kind = 'algo'
UNION ALL
SELECT a.account_id, a.market, a.symbol, a.kind, a.order_id, f.traded_at, 'linked fill', {no_whole},
       {no_text}, {no_text}, f.price, f.quantity, {no_money}, f.trade_id, f.commission, f.commission_asset,
       f.source, f.journal_seq, {no_text}, 'order', f.order_id
FROM orders a
JOIN fills f ON f.account_id = a.account_id AND f.market = a.market AND f.symbol = a.symbol
 AND f.order_id = a.actual_order_id
WHERE a.kind = 'algo'
UNION ALL
SELECT a.account_id, a.market, a.symbol, 'order', a.actual_order_id, e.event_time, 'linked event', e.n,
       e.execution_type, e.status, e.price, e.quantity, e.filled_quantity, {no_text}, {no_money}, {no_text},
       e.source, e.journal_seq, CASE WHEN e.n = a.events THEN a.reason END, a.kind, a.order_id
FROM orders a
JOIN order_events e ON e.account_id = a.account_id AND e.market = a.market AND e.symbol = a.symbol
 AND e.kind = a.kind AND e.order_id = a.order_id
WHERE a.kind = 'algo' AND a.actual_order_id IS NOT NULL
ORDER BY account_id, market, symbol, kind, order_id, at, journal_seq, what, n, trade_id
"""

# The open positions, with the profit at the last known mark price where a market stream is on. An inverse
# contract (coinm) is worth a number of coins that its price alone does not tell.
POSITIONS_NOW = """
SELECT s.account_id, s.market, s.symbol, s.position_side, s.quantity, s.entry_price, s.break_even_price,
       s.unrealized_pnl, s.margin_type, s.leverage, s.updated_at, s.source, p.mark, p.at AS priced_at,
       CASE WHEN s.market <> 'coinm' THEN {s_quantity} * {p_mark} END AS notional,
       CASE WHEN s.market <> 'coinm' THEN {s_quantity} * ({p_mark} - {s_entry_price}) END AS mark_pnl
FROM positions s
LEFT JOIN prices p ON p.market = s.market AND p.symbol = s.symbol
 AND p.at = (SELECT MAX(q.at) FROM prices q
             WHERE q.market = s.market AND q.symbol = s.symbol AND q.mark IS NOT NULL)
WHERE {s_quantity} <> 0
"""

# The wallet after each change, and what the positions of that moment were worth at the mark price that was
# known then, no older than five minutes; null where one of them has none.
EQUITY_CURVE = """
SELECT account_id, market, asset, at, n, total, reason, unrealized_pnl,
       {total} + unrealized_pnl AS equity
FROM (
  SELECT b.account_id, b.market, b.asset, b.updated_at AS at, b.n, b.total, b.reason,
    (SELECT CASE WHEN COUNT(*) = COUNT(worth) THEN COALESCE(SUM(worth), 0) END
     FROM (
       SELECT CASE WHEN h.market <> 'coinm' THEN {h_quantity} * (
                (SELECT {p_mark} FROM prices p WHERE p.market = h.market AND p.symbol = h.symbol
                   AND p.mark IS NOT NULL AND p.at <= b.updated_at AND p.at > {b_five_minutes_before}
                 ORDER BY p.at DESC LIMIT 1) - {h_entry_price}) END AS worth
       FROM positions s
       JOIN position_history h ON h.account_id = s.account_id AND h.market = s.market AND h.symbol = s.symbol
        AND h.position_side = s.position_side
        AND h.n = (SELECT x.n FROM position_history x
                   WHERE x.account_id = s.account_id AND x.market = s.market AND x.symbol = s.symbol
                     AND x.position_side = s.position_side AND x.updated_at <= b.updated_at
                   ORDER BY x.updated_at DESC, x.n DESC LIMIT 1)
       WHERE s.account_id = b.account_id AND s.market = b.market AND {s_settle} = b.asset
         AND {h_quantity} <> 0
     ) held) AS unrealized_pnl
  FROM balance_history b
) curve
"""

# Each fill against its order's limit and against the market as last known within the minute before it.
# `better_than_limit` is positive when better, `slippage` positive when worse than the mid price (the mark
# price where no bid and ask are known), both in quote for one unit of base.
FILL_QUALITY = """
SELECT account_id, market, symbol, trade_id, order_id, side, order_type, is_maker, traded_at, price, quantity,
       limit_price, bid, ask, mark, priced_at,
       CASE side WHEN 'BUY' THEN {limit_price} - {price} WHEN 'SELL' THEN {price} - {limit_price} END
         AS better_than_limit,
       CASE side WHEN 'BUY' THEN {price} - fair WHEN 'SELL' THEN fair - {price} END AS slippage,
       CASE side WHEN 'BUY' THEN {price} - fair WHEN 'SELL' THEN fair - {price} END * 10000 / fair
         AS slippage_bps
FROM (
  SELECT f.account_id, f.market, f.symbol, f.trade_id, f.order_id, f.side, o.type AS order_type, f.is_maker,
         f.traded_at, f.price, f.quantity, p.bid, p.ask, p.mark, p.at AS priced_at,
         COALESCE(({p_bid} + {p_ask}) / 2, {p_mark}) AS fair,
         CASE WHEN o.type LIKE '%LIMIT%' THEN COALESCE(
           (SELECT e.price FROM order_events e
            WHERE e.account_id = f.account_id AND e.market = f.market AND e.symbol = f.symbol
              AND e.kind = 'order' AND e.order_id = f.order_id AND e.event_time <= f.traded_at
              AND {e_price} > 0
            ORDER BY e.n DESC LIMIT 1), CASE WHEN {o_price} > 0 THEN o.price END)
         WHEN {o_price} > 0 AND o.type NOT LIKE '%MARKET%' THEN o.price END AS limit_price
  FROM fills f
  LEFT JOIN orders o ON o.account_id = f.account_id AND o.market = f.market AND o.symbol = f.symbol
   AND o.kind = 'order' AND o.order_id = f.order_id
  LEFT JOIN prices p ON p.market = f.market AND p.symbol = f.symbol
   AND p.at = (SELECT MAX(q.at) FROM prices q WHERE q.market = f.market AND q.symbol = f.symbol
                 AND q.at <= f.traded_at AND q.at > {f_minute_before})
) seen
"""
# What SQLite's planner takes a large record to look like: rows in the index, then rows for one value of its
# first column, of its first two ... Else an index that gives the order wins over one that finds the row.
STATISTICS = {
    "fills": {"": "10000000 100000 100000 50000 1", "by_order": "10000000 2 2 2 2",
              "by_time": "10000000 100000 1", "by_day": "10000000 100000 300 40"},
    "orders": {"": "5000000 50000 50000 5000 5000 1", "by_id": "5000000 1 1", "by_client": "5000000 1 1",
               "by_actual": "50000 1", "by_time": "5000000 50000 1", "open": "1000 10 10 2"},
    "order_events": {"": "15000000 150000 150000 15000 15000 3 1"},
    "balance_history": {"": "10000000 100000 100000 50000 1", "by_time": "10000000 100000 100000 50000 1"},
    "position_history": {"": "10000000 100000 100000 10000 10000 1",
                         "by_time": "10000000 100000 100000 10000 10000 1"},
    "transfers": {"": "1000000 10000 10000 3000 1 1", "by_time": "1000000 10000 1",
                  "by_day": "1000000 10000 30 5"},
    "prices": {"": "5000000 1000000 500000 1"},
}  # fmt: skip
VIEWS = {
    "fill_values": FILL_VALUES, "daily_pnl": DAILY_PNL, "open_orders": OPEN_ORDERS,
    "order_timeline": ORDER_TIMELINE, "positions_now": POSITIONS_NOW, "equity_curve": EQUITY_CURVE,
    "fill_quality": FILL_QUALITY,
}  # fmt: skip
ASSET = "commission_asset"
NUMBERS = ("realized_pnl", "amount", "commission", "fee_price", "price", "limit_price", "total")
ALIASED = ("s.quantity", "s.entry_price", "h.quantity", "h.entry_price", "p.mark", "p.bid", "p.ask",
           "e.price", "o.price")  # fmt: skip


def _settle(table: str, position: str, ending: str) -> str:
    """Return the asset in which a symbol settles: its quote, or the coin of an inverse contract."""
    symbol, market = f"{table}.symbol", f"{table}.market"
    coin = f"substr({symbol}, 1, {position}({symbol}, 'USD') - 1)"
    cases = [f"{market} = 'coinm' THEN {coin}", f"{market} = 'options' THEN 'USDT'"]
    # Delivery futures: BTCUSDT_260327.
    cases.append(f"{symbol} LIKE '%USDT$_%' ESCAPE '$' THEN 'USDT'")
    for length, quotes in QUOTES.items():
        end = ending.format(symbol, length)
        cases.append(f"{end} IN ({quotes}) THEN {end}")
    return f"CASE {' '.join('WHEN ' + case for case in cases)} END"


def _sqlite_words() -> dict[str, str]:
    words = {name: f"CAST({name} AS REAL)" for name in NUMBERS}
    words |= {name.replace(".", "_"): f"CAST({name} AS REAL)" for name in ALIASED}
    words |= dict.fromkeys(("no_text", "no_money", "no_whole", "no_number"), "NULL")
    return words | {
        "one": "'1'", "funding": FUNDING.strip(),
        "traded_day": "substr(traded_at, 1, 10)", "occurred_day": "substr(occurred_at, 1, 10)",
        "five_minutes_before": "datetime(substr(f.traded_at, 1, 19), '-5 minutes')",
        "b_five_minutes_before": "datetime(substr(b.updated_at, 1, 19), '-5 minutes')",
        "f_minute_before": "datetime(substr(f.traded_at, 1, 19), '-1 minutes')",
        "settle": _settle("fills", "instr", "substr({0}, -{1})"),
        "s_settle": _settle("s", "instr", "substr({0}, -{1})"),
    }  # fmt: skip


def _postgres_words() -> dict[str, str]:
    words = {name: name for name in NUMBERS} | {name.replace(".", "_"): name for name in ALIASED}
    fees = (
        "CAST(json_object_agg(commission_asset, {0}) "
        "FILTER (WHERE {0} IS NOT NULL AND {1} IS NOT NULL) AS TEXT)"
    )
    return words | {
        "no_text": "CAST(NULL AS TEXT)", "no_money": "CAST(NULL AS NUMERIC)",
        "no_number": "CAST(NULL AS NUMERIC)", "no_whole": "CAST(NULL AS BIGINT)", "one": "CAST(1 AS NUMERIC)",
        "whole": "BIGINT",
        "traded_day": "accountd_day(traded_at)", "occurred_day": "accountd_day(occurred_at)",
        "five_minutes_before": "f.traded_at - interval '5 minutes'",
        "b_five_minutes_before": "b.updated_at - interval '5 minutes'",
        "f_minute_before": "f.traded_at - interval '1 minute'",
        "settle": _settle("fills", "strpos", "right({0}, {1})"),
        "s_settle": _settle("s", "strpos", "right({0}, {1})"),
        "all_fees": fees.format("paid", ASSET), "unknown_fees": fees.format("unvalued", ASSET),
    }  # fmt: skip


def _first_views() -> tuple[dict[str, str], dict[str, str]]:
    """Return the views as revision 0003 made them, and the words of this database."""
    script: Any = op.get_context().environment_context
    first: ModuleType = script.script.get_revision("0003").module
    bodies = {"daily_pnl": first.DAILY_PNL, "open_orders": first.OPEN_ORDERS,
              "order_timeline": first.ORDER_TIMELINE}  # fmt: skip
    sqlite = op.get_bind().dialect.name == "sqlite"
    return bodies, first._sqlite_words() if sqlite else first._postgres_words()


def _create_views(bodies: dict[str, str], words: dict[str, str]) -> None:
    for name, body in bodies.items():
        # Straight to the driver: a colon in a view is no parameter.
        sql = f"CREATE VIEW {name} AS {body.format_map(words).strip()}"
        sqlite = op.get_bind().dialect.name == "sqlite"
        op.get_bind().exec_driver_sql(sql if sqlite else sql.replace("%", "%%"))


def _tell_planner() -> None:
    """Write the statistics into SQLite's own table, which an ANALYZE of something small creates."""
    op.execute("ANALYZE accounts")
    told = [
        (table, f"{table}_{index}" if index else f"sqlite_autoindex_{table}_1", numbers)
        for table, indexes in STATISTICS.items() for index, numbers in indexes.items()
    ]  # fmt: skip
    op.execute("DELETE FROM sqlite_stat1")
    op.execute(f"INSERT INTO sqlite_stat1 (tbl, idx, stat) VALUES {', '.join(map(str, told))}")


def upgrade() -> None:
    """Create the prices, the views and the indexes."""
    sqlite = op.get_bind().dialect.name == "sqlite"
    money = ("mark", "bid", "ask")
    checks = [CheckConstraint(CANONICAL.format(name), name=f"prices_{name}_exact") for name in money]
    op.create_table(
        "prices", Column("market", Text, primary_key=True), Column("symbol", Text, primary_key=True),
        Column("at", Instant, primary_key=True), *(Column(name, Money) for name in money),
        Column("source", Text, nullable=False), *(checks if sqlite else ()), sqlite_strict=True,
    )  # fmt: skip
    op.drop_index("fills_by_order", "fills")
    # The order first: a person who looks for an order knows its number and nothing else.
    op.create_index("fills_by_order", "fills", ["order_id", "account_id", "market", "symbol"])
    op.create_index("orders_by_id", "orders", ["order_id", "account_id"])
    op.create_index("orders_by_client", "orders", ["client_order_id", "account_id"])
    placed = text("kind = 'algo' AND actual_order_id IS NOT NULL")
    op.create_index("orders_by_actual", "orders", ["actual_order_id"], sqlite_where=placed,
                    postgresql_where=placed)  # fmt: skip
    for table, columns in HISTORIES.items():
        op.create_index(f"{table}_by_time", table, [*columns])
    if not sqlite:
        op.execute(DAY)
    for table, column in (("fills", "traded_at"), ("transfers", "occurred_at")):
        day = f"substr({column}, 1, 10)" if sqlite else f"accountd_day({column})"
        op.execute(f"CREATE INDEX {table}_by_day ON {table} (account_id, {day}, symbol)")
    for name in REPLACED:
        op.execute(f"DROP VIEW {name}")
    if sqlite:
        _tell_planner()
        _create_views(VIEWS | {"daily_pnl": DAILY_PNL_SQLITE}, _sqlite_words())
    else:
        _create_views(VIEWS, _postgres_words())


def downgrade() -> None:
    """Take them back, and the older views with them."""
    for name in reversed(VIEWS):
        op.execute(f"DROP VIEW {name}")
    _create_views(*_first_views())
    for name in ("fills_by_day", "transfers_by_day", "orders_by_actual", "orders_by_client", "orders_by_id",
                 "fills_by_order", *(f"{table}_by_time" for table in HISTORIES)):  # fmt: skip
        op.execute(f"DROP INDEX {name}")
    op.create_index("fills_by_order", "fills", [*BY_ORDER])
    if op.get_bind().dialect.name == "sqlite":
        op.execute("DELETE FROM sqlite_stat1")
    else:
        op.execute("DROP FUNCTION accountd_day(timestamptz)")
    op.drop_table("prices")
