"""Conditions, mutes and the latencies of alerts."""

from __future__ import annotations

from typing import Any

from alembic import op
from sqlalchemy import CheckConstraint, Column, Text

from accountd.store.types import Instant, Whole

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

TIMES = ("event_at", "received_at", "committed_at", "first_attempt_at", "replayed_at")

# One row for each event alert and hook; milliseconds between the moments of its life.
ALERT_LATENCY = """
SELECT message_id, account_id, hook, type, status, event_at, received_at, committed_at, first_attempt_at,
       delivered_at,
       {received} AS event_to_received_ms,
       {committed} AS received_to_committed_ms,
       {attempted} AS committed_to_attempt_ms,
       {delivered} AS attempt_to_delivered_ms,
       {whole} AS received_to_delivered_ms
FROM outbox WHERE received_at IS NOT NULL
"""
STAGES = {
    "received": ("event_at", "received_at"),
    "committed": ("received_at", "committed_at"),
    "attempted": ("committed_at", "first_attempt_at"),
    "delivered": ("first_attempt_at", "delivered_at"),
    "whole": ("received_at", "delivered_at"),
}


def _sqlite_ms(start: str, end: str) -> str:
    # Seconds and microseconds apart: SQLite's own clock functions round to the millisecond.
    seconds = f"(CAST(strftime('%s', substr({end}, 1, 19)) AS INTEGER) - "
    seconds += f"CAST(strftime('%s', substr({start}, 1, 19)) AS INTEGER)) * 1000.0"
    micros = f"(CAST(substr({end}, 21, 6) AS INTEGER) - CAST(substr({start}, 21, 6) AS INTEGER)) / 1000.0"
    return f"({seconds} + {micros})"


def _postgres_ms(start: str, end: str) -> str:
    return f"CAST(EXTRACT(EPOCH FROM ({end} - {start})) * 1000 AS DOUBLE PRECISION)"


def _need(type_: Any, *names: str) -> list[Column[Any]]:
    return [Column(name, type_, nullable=False) for name in names]


def _text(*names: str) -> list[Column[Any]]:
    return [Column(name, Text) for name in names]


def _table(name: str, *columns: Column[Any]) -> None:
    op.create_table(name, *columns, sqlite_strict=True)


def upgrade() -> None:
    """Let alerts know their latencies; keep conditions and mutes."""
    for name in TIMES:
        op.add_column("outbox", Column(name, Instant))
    op.add_column("outbox", Column("replayed_after", Whole))
    op.add_column("outbox", Column("summary_id", Text))
    op.add_column("hooks", Column("poked_at", Instant))
    op.create_index("outbox_by_summary", "outbox", ["summary_id"])
    op.create_index("outbox_by_time", "outbox", ["created_at"])
    status = CheckConstraint("status IN ('firing','resolved')")
    _table(
        "conditions", Column("fingerprint", Text, primary_key=True),
        *_need(Text, "type", "account_id", "subject"), Column("status", Text, status, nullable=False),
        *_need(Text, "data"), *_need(Instant, "fired_at"), Column("resolved_at", Instant),
        Column("last_told_at", Instant), *_need(Whole, "told"),
    )  # fmt: skip
    _table(
        "mutes", Column("mute_id", Text, primary_key=True), *_text("hook", "type", "account", "symbol"),
        *_need(Instant, "created_at", "until"), *_text("reason"),
    )  # fmt: skip
    milliseconds = _sqlite_ms if op.get_bind().dialect.name == "sqlite" else _postgres_ms
    view = ALERT_LATENCY.format_map({name: milliseconds(*ends) for name, ends in STAGES.items()})
    op.get_bind().exec_driver_sql(f"CREATE VIEW alert_latency AS {view.strip()}")


def downgrade() -> None:
    """Take it back."""
    op.execute("DROP VIEW alert_latency")
    op.drop_table("mutes")
    op.drop_table("conditions")
    op.drop_index("outbox_by_time", "outbox")
    op.drop_index("outbox_by_summary", "outbox")
    op.drop_column("hooks", "poked_at")
    for name in ("summary_id", "replayed_after", *reversed(TIMES)):
        op.drop_column("outbox", name)
