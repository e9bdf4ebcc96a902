"""An index that finds the fills a stretch of the journal told, for readers that follow along."""

from __future__ import annotations

from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the index; it grows at its end only, which costs a writer next to nothing."""
    op.create_index("fills_by_journal", "fills", ["account_id", "journal_seq"])


def downgrade() -> None:
    """Drop the index."""
    op.drop_index("fills_by_journal", "fills")
