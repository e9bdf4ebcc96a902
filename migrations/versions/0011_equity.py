"""What was so at a moment is found in an index alone; equity and latencies take fewer look-ups."""

from __future__ import annotations

from types import ModuleType
from typing import Any

from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

# What 0007 says of it holds: the wallet after each change, and what the positions of that moment were worth
# at the mark price that was known then, no older than five minutes; null where one of them has none.
POSTGRES = """
SELECT b.account_id, b.market, b.asset, b.updated_at AS at, b.n, b.total, b.reason, v.unrealized_pnl,
       b.total + v.unrealized_pnl AS equity
FROM balance_history b
CROSS JOIN LATERAL (
  SELECT CASE WHEN COUNT(*) = COUNT(worth) THEN COALESCE(SUM(worth), 0) END AS unrealized_pnl
  FROM (
    SELECT CASE WHEN s.market <> 'coinm' THEN h.quantity * (p.mark - h.entry_price) END AS worth
    FROM positions s
    CROSS JOIN LATERAL (
      SELECT x.quantity, x.entry_price FROM position_history x
      WHERE x.account_id = s.account_id AND x.market = s.market AND x.symbol = s.symbol
        AND x.position_side = s.position_side AND x.updated_at <= b.updated_at
      ORDER BY x.updated_at DESC, x.n DESC LIMIT 1
    ) h
    LEFT JOIN LATERAL (
      SELECT q.mark FROM prices q
      WHERE q.market = s.market AND q.symbol = s.symbol AND q.mark IS NOT NULL AND q.at <= b.updated_at
        AND q.at > b.updated_at - interval '5 minutes'
      ORDER BY q.at DESC LIMIT 1
    ) p ON TRUE
    WHERE s.account_id = b.account_id AND s.market = b.market AND accountd_asset(s.market, s.symbol) = b.asset
      AND h.quantity <> 0
  ) held
) v
"""
# The row of a position is found by its number in the file. Without the LIMIT, which limits nothing, SQLite
# would merge the two queries and look each price up twice.
SQLITE = """
SELECT account_id, market, asset, at, n, total, reason, unrealized_pnl,
       CAST(total AS REAL) + unrealized_pnl AS equity
FROM (
  SELECT b.account_id, b.market, b.asset, b.updated_at AS at, b.n, b.total, b.reason,
    (SELECT CASE WHEN COUNT(*) = COUNT(worth) THEN COALESCE(SUM(worth), 0) END
     FROM (
       SELECT CASE WHEN h.market <> 'coinm' THEN CAST(h.quantity AS REAL) * (
                (SELECT CAST(p.mark AS REAL) FROM prices p WHERE p.market = h.market AND p.symbol = h.symbol
                   AND p.mark IS NOT NULL AND p.at <= b.updated_at
                   AND p.at > datetime(substr(b.updated_at, 1, 19), '-5 minutes')
                 ORDER BY p.at DESC LIMIT 1) - CAST(h.entry_price AS REAL)) END AS worth
       FROM positions s
       CROSS JOIN position_history h
         ON h.rowid = (SELECT x.rowid FROM position_history x
                       WHERE x.account_id = s.account_id AND x.market = s.market AND x.symbol = s.symbol
                         AND x.position_side = s.position_side AND x.updated_at <= b.updated_at
                       ORDER BY x.updated_at DESC, x.n DESC LIMIT 1)
       WHERE s.account_id = b.account_id AND s.market = b.market AND {asset} = b.asset
         AND CAST(h.quantity AS REAL) <> 0
       LIMIT -1
     ) held) AS unrealized_pnl
  FROM balance_history b
) curve
"""
# The asset in which an instrument settles, for views and for queries.
ASSET = """
CREATE FUNCTION accountd_asset(market text, symbol text) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE
AS $$ SELECT {asset} $$
"""
# The number of a row follows its time in the indexes by time: two rows may have the same time, and without
# it the later one is found by reading and sorting them. With what SQLite's planner must know of each.
HISTORIES = {
    "balance_history": (("account_id", "market", "asset", "updated_at"), "10000000 100000 100000 50000 1"),
    "position_history": (("account_id", "market", "symbol", "position_side", "updated_at"),
                         "10000000 100000 100000 10000 10000 1"),
}  # fmt: skip


def _revision(name: str) -> ModuleType:
    """Return an earlier revision: 0007 made the view of equity first, 0006 that of latencies."""
    script: Any = op.get_context().environment_context
    module: ModuleType = script.script.get_revision(name).module
    return module


def _latencies(more: str) -> None:
    """Make the view of latencies anew; with the time of an alert, by which there is an index."""
    alerts = _revision("0006")
    milliseconds = alerts._sqlite_ms if op.get_bind().dialect.name == "sqlite" else alerts._postgres_ms
    body = alerts.ALERT_LATENCY.replace("\nFROM outbox", f"{more}\nFROM outbox")
    told = body.format_map({name: milliseconds(*ends) for name, ends in alerts.STAGES.items()})
    op.execute("DROP VIEW alert_latency")
    _run(f"CREATE VIEW alert_latency AS {told.strip()}")


def _run(sql: str) -> None:
    """Run it as it is: a colon is no parameter."""
    connection = op.get_bind()
    connection.exec_driver_sql(sql if connection.dialect.name == "sqlite" else sql.replace("%", "%%"))


def _index(more: tuple[str, ...]) -> None:
    """Make the indexes by time anew; what the planner was told of one goes with it."""
    for table, (columns, numbers) in HISTORIES.items():
        name = f"{table}_by_time"
        op.drop_index(name, table)
        op.create_index(name, table, [*columns, *more])
        if op.get_bind().dialect.name == "sqlite":
            told = " ".join([numbers, *("1" for _ in more)])
            op.execute(f"INSERT INTO sqlite_stat1 (tbl, idx, stat) VALUES ('{table}', '{name}', '{told}')")


def upgrade() -> None:
    """Replace the indexes and the views."""
    before = _revision("0007")
    _index(("n",))
    _latencies(", created_at")
    op.execute("DROP VIEW equity_curve")
    if op.get_bind().dialect.name == "sqlite":
        _run(f"CREATE VIEW equity_curve AS {SQLITE.format(asset=before._sqlite_words()['s_settle']).strip()}")
        return
    asset = before._postgres_words()["s_settle"].replace("s.market", "market").replace("s.symbol", "symbol")
    _run(ASSET.format(asset=asset))
    _run(f"CREATE VIEW equity_curve AS {POSTGRES.strip()}")


def downgrade() -> None:
    """Put the older ones back."""
    before = _revision("0007")
    _index(())
    _latencies("")
    op.execute("DROP VIEW equity_curve")
    sqlite = op.get_bind().dialect.name == "sqlite"
    words = before._sqlite_words() if sqlite else before._postgres_words()
    before._create_views({"equity_curve": before.EQUITY_CURVE}, words)
    if not sqlite:
        op.execute("DROP FUNCTION accountd_asset(text, text)")
