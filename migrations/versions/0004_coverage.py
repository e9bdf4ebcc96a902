"""What completeness is proven by: evidence, blind time, history of findings, ties, corrections."""

from __future__ import annotations

from typing import Any

from alembic import op
from sqlalchemy import CheckConstraint, Column, Double, Text
from sqlalchemy.dialects.sqlite import REAL

from accountd.store.types import Flag, Instant, Money, Whole

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

CANONICAL = "{0} IS NULL OR ({0} NOT GLOB '*[^0-9.-]*' AND {0} GLOB '*[0-9]*')"
GUARDED = ("fill_corrections", "finding_history")
TABLES = ("evidence", "blind_windows", "fill_corrections", "finding_history", "ties", "backfills")
Seconds: Any = Double().with_variant(REAL(), "sqlite")
Cells = list[Column[Any]]

# The position at a moment T: the row with valid_from <= T and (valid_to > T or valid_to is null).
POSITIONS_AT = """
SELECT account_id, market, symbol, position_side, quantity, entry_price, break_even_price, unrealized_pnl,
       margin_type, leverage, reason, updated_at AS valid_from,
       LEAD(updated_at) OVER (PARTITION BY account_id, market, symbol, position_side ORDER BY n) AS valid_to,
       source, n
FROM position_history
"""

# Every stretch of time of which completeness is not proven: the open gaps, and what came after the last
# proof of each dataset (to_time is null: until now).
UNPROVEN = """
WITH datasets AS (
  SELECT 'orders' AS dataset UNION ALL SELECT 'algo_orders' UNION ALL SELECT 'fills'
  UNION ALL SELECT 'transfers' UNION ALL SELECT 'balances' UNION ALL SELECT 'positions'
), proven AS (
  SELECT account_id, dataset, market, MAX(to_time) AS to_time
  FROM coverage WHERE symbol = '' GROUP BY account_id, dataset, market
)
SELECT account_id, dataset, market, symbol, from_time, to_time, reason FROM gaps WHERE closed_at IS NULL
UNION ALL
SELECT account_id, dataset, market, '', to_time, {no_time}, 'not yet proven' FROM proven
UNION ALL
SELECT accounts.account_id, datasets.dataset, '', '', accounts.created_at, {no_time}, 'never proven'
FROM accounts CROSS JOIN datasets
WHERE NOT EXISTS (SELECT 1 FROM proven WHERE proven.account_id = accounts.account_id
                  AND proven.dataset = datasets.dataset)
"""

HISTORY = """
INSERT INTO finding_history (account_id, finding_id, n, at, what, severity, detail)
SELECT NEW.account_id, NEW.finding_id, COALESCE(MAX(n), 0) + 1, {now}, {what}, NEW.severity, NEW.detail
FROM finding_history WHERE account_id = NEW.account_id AND finding_id = NEW.finding_id
"""
WHAT = """
CASE WHEN OLD.resolved_at IS NULL AND NEW.resolved_at IS NOT NULL THEN 'resolved'
     WHEN OLD.resolved_at IS NOT NULL AND NEW.resolved_at IS NULL THEN 'reopened' ELSE 'changed' END
"""
MOVED = "(OLD.resolved_at IS NULL) {differs} (NEW.resolved_at IS NULL) OR OLD.detail <> NEW.detail"


def _key(*names: str) -> Cells:
    return [Column(name, Text, primary_key=True) for name in names]


def _at(name: str) -> Cells:
    return [Column(name, Instant, primary_key=True)]


def _text(*names: str) -> Cells:
    return [Column(name, Text) for name in names]


def _money(*names: str) -> Cells:
    return [Column(name, Money) for name in names]


def _time(*names: str) -> Cells:
    return [Column(name, Instant) for name in names]


def _need(type_: Any, *names: str) -> Cells:
    return [Column(name, type_, nullable=False) for name in names]


def _table(name: str, *columns: Column[Any]) -> None:
    checks = []
    if op.get_bind().dialect.name == "sqlite":
        money = [column.name for column in columns if isinstance(column.type, Money)]
        checks = [CheckConstraint(CANONICAL.format(cell), name=f"{name}_{cell}_exact") for cell in money]
    op.create_table(name, *columns, *checks, sqlite_strict=True)


def _tables() -> None:
    _table("evidence", *_key("account_id", "dataset", "market", "symbol", "sweep"), *_at("first_at"),
           *_need(Instant, "last_at", "from_time", "to_time"), *_need(Text, "requests", "asked_by"),
           *_need(Whole, "sweeps", "calls", "rows"))  # fmt: skip
    _table("blind_windows", *_key("account_id"), *_at("from_time"), *_time("to_time"),
           *_need(Text, "reason"), *_text("session_id"))  # fmt: skip
    _table("fill_corrections", *_key("account_id", "market", "symbol", "trade_id", "correction_id"),
           *_need(Text, "kind", "order_id"), *_text("side", "position_side"),
           *_money("price", "quantity", "quote_quantity", "commission"), *_text("commission_asset"),
           *_money("realized_pnl"), Column("is_maker", Flag), *_time("traded_at"),
           *_need(Instant, "received_at"), *_need(Text, "source"),
           *_need(Whole, "journal_seq"))  # fmt: skip
    _table("finding_history", *_key("account_id", "finding_id"), Column("n", Whole, primary_key=True),
           *_need(Instant, "at"), *_need(Text, "what", "severity", "detail"))  # fmt: skip
    _table("ties", *_key("account_id", "kind", "market", "subject"),
           *_need(Instant, "from_time", "to_time", "checked_at"), *_need(Whole, "compared"),
           *_need(Flag, "tied"), *_money("amount"), *_need(Text, "detail"))  # fmt: skip
    _table("backfills", *_key("account_id"), *_need(Instant, "since", "asked_at"),
           *_time("done_at"))  # fmt: skip


def _sqlite() -> None:
    now = "strftime('%Y-%m-%d %H:%M:%f', 'now') || '000+00:00'"
    for table in GUARDED:
        for action in ("UPDATE", "DELETE"):
            op.execute(
                f"CREATE TRIGGER {table}_no_{action.lower()} BEFORE {action} ON {table} "
                f"BEGIN SELECT RAISE(ABORT, '{table} is append-only'); END"
            )
    opened = HISTORY.format(now=now, what="'opened'").strip()
    moved = HISTORY.format(now=now, what=WHAT).strip()
    run = op.get_bind().exec_driver_sql
    run(f"CREATE TRIGGER findings_opened AFTER INSERT ON findings BEGIN {opened}; END")
    run(
        f"CREATE TRIGGER findings_moved AFTER UPDATE ON findings WHEN {MOVED.format(differs='IS NOT')} "
        f"BEGIN {moved}; END"
    )


def _postgres() -> None:
    refuse = "EXECUTE FUNCTION accountd_append_only()"
    for table in GUARDED:
        op.execute(f"CREATE TRIGGER {table}_no_update BEFORE UPDATE ON {table} FOR EACH ROW {refuse}")
        op.execute(f"CREATE TRIGGER {table}_no_delete BEFORE DELETE ON {table} FOR EACH ROW {refuse}")
        op.execute(f"CREATE TRIGGER {table}_no_truncate BEFORE TRUNCATE ON {table} {refuse}")
    run = op.get_bind().exec_driver_sql
    for name, what in (("opened", "'opened'"), ("moved", WHAT)):
        body = HISTORY.format(now="clock_timestamp()", what=what).strip()
        run(
            f"CREATE FUNCTION accountd_finding_{name}() RETURNS trigger LANGUAGE plpgsql AS "
            f"$$ BEGIN {body}; RETURN NULL; END $$"
        )
    run(
        "CREATE TRIGGER findings_opened AFTER INSERT ON findings FOR EACH ROW "
        "EXECUTE FUNCTION accountd_finding_opened()"
    )
    run(
        "CREATE TRIGGER findings_moved AFTER UPDATE ON findings FOR EACH ROW "
        f"WHEN ({MOVED.format(differs='IS DISTINCT FROM')}) EXECUTE FUNCTION accountd_finding_moved()"
    )


def upgrade() -> None:
    """Create the tables, the columns, the triggers that keep history, and the views."""
    sqlite = op.get_bind().dialect.name == "sqlite"
    _tables()
    op.add_column("sessions", Column("blind_from", Instant))
    op.add_column("sessions", Column("blind_seconds", Seconds))
    op.add_column("findings", Column("from_time", Instant))
    op.add_column("findings", Column("to_time", Instant))
    op.create_index("evidence_by_time", "evidence", ["account_id", "last_at"])
    if sqlite:
        _sqlite()
    else:
        _postgres()
    no_time = "NULL" if sqlite else "CAST(NULL AS TIMESTAMPTZ)"
    run = op.get_bind().exec_driver_sql
    run(f"CREATE VIEW positions_at AS {POSITIONS_AT.strip()}")
    run(f"CREATE VIEW unproven AS {UNPROVEN.format(no_time=no_time).strip()}")


def downgrade() -> None:
    """Take it back; what is written down here is lost."""
    sqlite = op.get_bind().dialect.name == "sqlite"
    for view in ("unproven", "positions_at"):
        op.execute(f"DROP VIEW {view}")
    for trigger in ("opened", "moved"):
        op.execute(f"DROP TRIGGER findings_{trigger}" + ("" if sqlite else " ON findings"))
        if not sqlite:
            op.execute(f"DROP FUNCTION accountd_finding_{trigger}()")
    op.drop_index("evidence_by_time", "evidence")
    for name in TABLES:
        op.drop_table(name)
    for table, column in (
        ("findings", "to_time"), ("findings", "from_time"),
        ("sessions", "blind_seconds"), ("sessions", "blind_from"),
    ):  # fmt: skip
        op.execute(f"ALTER TABLE {table} DROP COLUMN {column}")
