"""What SQLite's planner must know of the index of 0009, which it else takes to find ten rows an account."""

from __future__ import annotations

from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Tell it, as 0007 did for the other indexes; real numbers of an ANALYZE stay."""
    if op.get_bind().dialect.name == "sqlite":
        op.execute(
            "INSERT INTO sqlite_stat1 (tbl, idx, stat) "
            "SELECT 'fills', 'fills_by_journal', '10000000 100000 1' "
            "WHERE NOT EXISTS (SELECT 1 FROM sqlite_stat1 WHERE idx = 'fills_by_journal')"
        )


def downgrade() -> None:
    """Take it back."""
    if op.get_bind().dialect.name == "sqlite":
        op.execute("DELETE FROM sqlite_stat1 WHERE idx = 'fills_by_journal'")
