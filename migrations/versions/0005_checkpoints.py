"""Signed checkpoints of the journal, and what a journal row needs so that all of it can be replayed."""

from __future__ import annotations

from alembic import op
from sqlalchemy import Column, Text

from accountd.store.types import Blob, Instant, Whole

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

JOURNAL = ("account_id", "seq", "source", "kind", "event_time", "received_at", "session_id", "salt",
           "digest", "head")  # fmt: skip
ADDED = ("live_since", "loaded_seq")


def _guard_journal(columns: tuple[str, ...]) -> None:
    """Make the journal's trigger anew: a row may lose its raw bytes, and nothing else of it changes."""
    if op.get_bind().dialect.name == "sqlite":
        kept = " AND ".join(f"NEW.{name} IS OLD.{name}" for name in columns)
        op.execute("DROP TRIGGER journal_no_update")
        op.execute(
            "CREATE TRIGGER journal_no_update BEFORE UPDATE ON journal "
            f"WHEN NOT (NEW.raw IS NULL AND {kept}) "
            "BEGIN SELECT RAISE(ABORT, 'journal is append-only'); END"
        )
        return
    kept = " AND ".join(f"NEW.{name} IS NOT DISTINCT FROM OLD.{name}" for name in columns)
    op.execute("DROP TRIGGER journal_no_update ON journal")
    op.execute(
        "CREATE TRIGGER journal_no_update BEFORE UPDATE ON journal FOR EACH ROW "
        f"WHEN (NOT (NEW.raw IS NULL AND {kept})) EXECUTE FUNCTION accountd_append_only()"
    )


def _guard_checkpoints() -> None:
    if op.get_bind().dialect.name == "sqlite":
        for action in ("delete", "update"):
            op.execute(
                f"CREATE TRIGGER checkpoints_no_{action} BEFORE {action.upper()} ON checkpoints "
                "BEGIN SELECT RAISE(ABORT, 'checkpoints is append-only'); END"
            )
        return
    for action, each in (("delete", "FOR EACH ROW "), ("update", "FOR EACH ROW "), ("truncate", "")):
        op.execute(
            f"CREATE TRIGGER checkpoints_no_{action} BEFORE {action.upper()} ON checkpoints "
            f"{each}EXECUTE FUNCTION accountd_append_only()"
        )


def upgrade() -> None:
    """Add the checkpoints and the two columns."""
    op.add_column("journal", Column("live_since", Instant))
    op.add_column("journal", Column("loaded_seq", Whole))
    _guard_journal((*JOURNAL, *ADDED))
    op.create_table(
        "checkpoints",
        Column("account_id", Text, primary_key=True),
        Column("size", Whole, primary_key=True),
        Column("root", Blob, nullable=False),
        Column("head", Blob, nullable=False),
        Column("note", Text, nullable=False),
        Column("frontier", Blob, nullable=False),
        Column("created_at", Instant, nullable=False),
        sqlite_strict=True,
    )
    _guard_checkpoints()


def downgrade() -> None:
    """Drop the checkpoints and the two columns."""
    sqlite = op.get_bind().dialect.name == "sqlite"
    for action in ("delete", "update") if sqlite else ("delete", "update", "truncate"):
        op.execute(f"DROP TRIGGER checkpoints_no_{action}" + ("" if sqlite else " ON checkpoints"))
    op.drop_table("checkpoints")
    _guard_journal(JOURNAL)
    for name in ADDED:
        op.drop_column("journal", name)
