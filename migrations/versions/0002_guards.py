"""Triggers that refuse to change or delete what was once told: against accidents, not attackers."""

from __future__ import annotations

from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

FOR_EVER = ("order_events", "balance_history", "position_history")
JOURNAL = ("account_id", "seq", "source", "kind", "event_time", "received_at", "session_id", "salt",
           "digest", "head")  # fmt: skip
# A fill may learn its client order id from its order; nothing else of it changes.
FILL = ("account_id", "market", "symbol", "trade_id", "order_id", "side", "position_side", "price",
        "quantity", "quote_quantity", "commission", "commission_asset", "realized_pnl", "is_maker",
        "traded_at", "received_at", "committed_at", "source", "journal_seq")  # fmt: skip
GUARDED = (*FOR_EVER, "journal", "fills")
FUNCTION = """
CREATE FUNCTION accountd_append_only() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION '% is append-only', TG_TABLE_NAME;
END $$
"""


def _pruned(same: str) -> str:
    """Return the condition under which a journal row only loses its raw bytes."""
    kept = " AND ".join(f"NEW.{name} {same} OLD.{name}" for name in JOURNAL)
    return f"NEW.raw IS NULL AND {kept}"


def _sqlite() -> None:
    refuse = "BEGIN SELECT RAISE(ABORT, '{0} is append-only'); END"
    for table in GUARDED:
        op.execute(f"CREATE TRIGGER {table}_no_delete BEFORE DELETE ON {table} {refuse.format(table)}")
    for table in FOR_EVER:
        op.execute(f"CREATE TRIGGER {table}_no_update BEFORE UPDATE ON {table} {refuse.format(table)}")
    op.execute(
        f"CREATE TRIGGER journal_no_update BEFORE UPDATE ON journal WHEN NOT ({_pruned('IS')}) "
        + refuse.format("journal")
    )
    op.execute(
        f"CREATE TRIGGER fills_no_update BEFORE UPDATE OF {', '.join(FILL)} ON fills {refuse.format('fills')}"
    )


def _postgres() -> None:
    op.execute(FUNCTION)
    refuse = "EXECUTE FUNCTION accountd_append_only()"
    for table in GUARDED:
        op.execute(f"CREATE TRIGGER {table}_no_delete BEFORE DELETE ON {table} FOR EACH ROW {refuse}")
        op.execute(f"CREATE TRIGGER {table}_no_truncate BEFORE TRUNCATE ON {table} {refuse}")
    for table in FOR_EVER:
        op.execute(f"CREATE TRIGGER {table}_no_update BEFORE UPDATE ON {table} FOR EACH ROW {refuse}")
    op.execute(
        "CREATE TRIGGER journal_no_update BEFORE UPDATE ON journal FOR EACH ROW "
        f"WHEN (NOT ({_pruned('IS NOT DISTINCT FROM')})) {refuse}"
    )
    op.execute(
        f"CREATE TRIGGER fills_no_update BEFORE UPDATE OF {', '.join(FILL)} ON fills FOR EACH ROW {refuse}"
    )


def upgrade() -> None:
    """Create the triggers."""
    if op.get_bind().dialect.name == "sqlite":
        _sqlite()
    else:
        _postgres()


def downgrade() -> None:
    """Drop the triggers."""
    sqlite = op.get_bind().dialect.name == "sqlite"
    for table in GUARDED:
        for action in ("delete", "update") if sqlite else ("delete", "update", "truncate"):
            op.execute(f"DROP TRIGGER {table}_no_{action}" + ("" if sqlite else f" ON {table}"))
    if not sqlite:
        op.execute("DROP FUNCTION accountd_append_only()")
