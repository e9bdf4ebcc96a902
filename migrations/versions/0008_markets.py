"""Candles and events that public market streams tell; the prices that views read came with 0007."""

from __future__ import annotations

from alembic import op
from sqlalchemy import CheckConstraint, Column, Text

from accountd.store.types import Blob, Flag, Instant, Money, Whole

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

CANONICAL = "{0} IS NULL OR ({0} NOT GLOB '*[^0-9.-]*' AND {0} GLOB '*[0-9]*')"
CANDLE = ("open", "high", "low", "close", "volume", "quote_volume")
EVENT = ("price", "quantity", "bid", "ask")


def upgrade() -> None:
    """Create both tables."""
    sqlite = op.get_bind().dialect.name == "sqlite"

    def exact(table: str, names: tuple[str, ...]) -> list[CheckConstraint]:
        return [
            CheckConstraint(CANONICAL.format(name), name=f"{table}_{name}_exact") for name in names if sqlite
        ]

    op.create_table(
        "candles",
        Column("family", Text, primary_key=True), Column("symbol", Text, primary_key=True),
        Column("interval", Text, primary_key=True), Column("open_time", Instant, primary_key=True),
        *(Column(name, Money, nullable=name == "quote_volume") for name in CANDLE),
        Column("trades", Whole), Column("close_time", Instant, nullable=False),
        Column("closed", Flag, nullable=False), *exact("candles", CANDLE), sqlite_strict=True,
    )  # fmt: skip
    op.create_table(
        "market_events",
        Column("family", Text, primary_key=True), Column("stream", Text, primary_key=True),
        Column("n", Whole, primary_key=True), Column("event", Text, nullable=False), Column("symbol", Text),
        *(Column(name, Money) for name in EVENT), Column("event_time", Instant),
        Column("received_at", Instant, nullable=False), Column("raw", Blob, nullable=False),
        *exact("market_events", EVENT), sqlite_strict=True,
    )  # fmt: skip
    op.create_index("market_events_by_time", "market_events", ["received_at"])


def downgrade() -> None:
    """Drop both."""
    op.drop_index("market_events_by_time", "market_events")
    op.drop_table("market_events")
    op.drop_table("candles")
