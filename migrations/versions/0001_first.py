"""The first schema: every table and index, written out so that later changes of the code cannot change it."""

from __future__ import annotations

from typing import Any

from alembic import op
from sqlalchemy import CheckConstraint, Column, Text, text

from accountd.store.types import Blob, Flag, Instant, Money, Whole

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

CANONICAL = "{0} IS NULL OR ({0} NOT GLOB '*[^0-9.-]*' AND {0} GLOB '*[0-9]*')"
CLOSED = "'FILLED','CANCELED','REJECTED','EXPIRED','EXPIRED_IN_MATCH','FINISHED'"
INDEXES = (
    ("fills_by_order", "fills", ("account_id", "market", "symbol", "order_id")),
    ("fills_by_time", "fills", ("account_id", "traded_at")),
    ("orders_by_time", "orders", ("account_id", "updated_at")),
    ("transfers_by_time", "transfers", ("account_id", "occurred_at")),
    ("outbox_due", "outbox", ("status", "hook", "next_attempt_at")),
    ("gaps_open", "gaps", ("account_id", "closed_at")),
    ("findings_open", "findings", ("account_id", "resolved_at")),
    ("sessions_by_account", "sessions", ("account_id", "opened_at")),
)  # fmt: skip
Cells = list[Column[Any]]


def _key(*names: str) -> Cells:
    return [Column(name, Text, primary_key=True) for name in names]


def _text(*names: str) -> Cells:
    return [Column(name, Text) for name in names]


def _money(*names: str) -> Cells:
    return [Column(name, Money) for name in names]


def _time(*names: str) -> Cells:
    return [Column(name, Instant) for name in names]


def _need(type_: Any, *names: str) -> Cells:
    return [Column(name, type_, nullable=False) for name in names]


def _seq(name: str) -> Cells:
    return [Column(name, Whole, primary_key=True)]


def _table(name: str, *columns: Column[Any]) -> None:
    checks = []
    if op.get_bind().dialect.name == "sqlite":
        money = [column.name for column in columns if isinstance(column.type, Money)]
        checks = [CheckConstraint(CANONICAL.format(cell), name=f"{name}_{cell}_exact") for cell in money]
    op.create_table(name, *columns, *checks, sqlite_strict=True)


def _accounts_and_journal() -> None:
    _table("accounts", *_key("account_id"), *_need(Text, "name", "venue", "environment"),
           *_need(Instant, "created_at"))  # fmt: skip
    _table("heads", *_key("account_id"), *_need(Whole, "seq", "epoch"), *_need(Blob, "head"))
    _table("journal", *_key("account_id"), *_seq("seq"), *_need(Text, "source", "kind"), *_time("event_time"),
           *_need(Instant, "received_at"), *_text("session_id"), Column("raw", Blob),
           *_need(Blob, "salt", "digest", "head"))  # fmt: skip


def _orders_and_fills() -> None:
    _table("orders", *_key("account_id", "market", "symbol", "kind", "order_id"),
           *_text("client_order_id", "side", "position_side", "type", "time_in_force"), *_need(Text,
           "status"), *_money("price", "stop_price", "quantity", "filled_quantity", "average_price",
           "filled_quote"), Column("reduce_only", Flag), *_time("created_at"), *_need(Instant, "updated_at"),
           *_need(Text, "source"), *_text("actual_order_id", "reason"), *_time("missing_since"),
           *_need(Whole, "journal_seq", "events"))  # fmt: skip
    _table("order_events", *_key("account_id", "market", "symbol", "kind", "order_id"), *_seq("n"),
           *_text("execution_type"), *_need(Text, "status"), *_money("price", "quantity", "filled_quantity"),
           *_need(Instant, "event_time"), *_need(Text, "source"), *_need(Whole, "journal_seq"))  # fmt: skip
    _table("fills", *_key("account_id", "market", "symbol", "trade_id"), *_need(Text, "order_id"),
           *_text("client_order_id"), *_need(Text, "side"), *_text("position_side"),
           *_need(Money, "price", "quantity", "quote_quantity"), *_money("commission"),
           *_text("commission_asset"), *_money("realized_pnl"), Column("is_maker", Flag),
           *_need(Instant, "traded_at", "received_at", "committed_at"), *_need(Text, "source"),
           *_need(Whole, "journal_seq"))  # fmt: skip


def _balances_and_positions() -> None:
    position = ("quantity", "entry_price", "break_even_price", "unrealized_pnl")
    _table("balances", *_key("account_id", "market", "asset"), *_money("free", "locked"),
           *_need(Money, "total"), *_text("reason"), *_need(Instant, "updated_at"), *_need(Text, "source"),
           *_need(Whole, "journal_seq", "n"))  # fmt: skip
    _table("balance_history", *_key("account_id", "market", "asset"), *_seq("n"), *_money("free", "locked"),
           *_need(Money, "total"), *_text("reason"), *_need(Instant, "updated_at"), *_need(Text, "source"),
           *_need(Whole, "journal_seq"))  # fmt: skip
    _table("positions", *_key("account_id", "market", "symbol", "position_side"), *_money(*position),
           *_text("margin_type"), *_money("leverage"), *_text("reason"), *_need(Instant, "updated_at"),
           *_need(Text, "source"), *_need(Whole, "journal_seq", "n"))  # fmt: skip
    _table("position_history", *_key("account_id", "market", "symbol", "position_side"), *_seq("n"),
           *_money(*position), *_text("margin_type"), *_money("leverage"), *_text("reason"),
           *_need(Instant, "updated_at"), *_need(Text, "source"), *_need(Whole, "journal_seq"))  # fmt: skip
    _table("transfers", *_key("account_id", "market", "kind", "transfer_id", "asset"), *_need(Money,
           "amount"), *_text("symbol"), *_need(Instant, "occurred_at"), *_need(Text, "source"),
           *_text("trade_id", "info"), *_need(Whole, "journal_seq"))  # fmt: skip


def _proof() -> None:
    _table("sessions", *_key("session_id"), *_need(Text, "account_id"), *_need(Instant, "opened_at"),
           *_time("subscribed_at", "live_at", "last_seen_at", "closed_at"), *_text("close_reason"),
           *_need(Whole, "frames"))  # fmt: skip
    _table("coverage", *_key("account_id", "dataset", "market", "symbol"),
           Column("from_time", Instant, primary_key=True), *_need(Instant, "to_time",
           "proven_at"))  # fmt: skip
    _table("gaps", *_key("gap_id"), *_need(Text, "account_id", "dataset", "market", "symbol"),
           *_need(Instant, "from_time"), *_time("to_time"), *_need(Text, "reason"), *_need(Instant,
           "opened_at"), *_time("closed_at"), *_need(Whole, "recovered"))  # fmt: skip
    _table("findings", *_key("finding_id"), *_need(Text, "account_id", "kind", "severity", "subject",
           "detail"), *_need(Instant, "opened_at"), *_time("resolved_at"))  # fmt: skip


def _alerts() -> None:
    status = CheckConstraint("status IN ('pending','delivered','suppressed','dead')")
    _table("outbox", *_key("message_id"), *_need(Text, "account_id", "hook", "type", "body"),
           Column("status", Text, status, nullable=False), *_text("reason"), *_need(Whole, "attempts"),
           *_need(Instant, "created_at"), *_time("next_attempt_at", "delivered_at"),
           *_text("order_key"))  # fmt: skip
    _table("deliveries", *_key("message_id"), *_seq("attempt"), Column("status_code", Whole), *_text("error"),
           *_need(Instant, "started_at"), *_need(Whole, "duration"))  # fmt: skip
    _table("hooks", *_key("hook"), *_time("disabled_at"), *_text("reason"))


def upgrade() -> None:
    """Create the tables and their indexes."""
    _accounts_and_journal()
    _orders_and_fills()
    _balances_and_positions()
    _proof()
    _alerts()
    for name, table, columns in INDEXES:
        op.create_index(name, table, list(columns))
    still_open = text(f"missing_since IS NULL AND status NOT IN ({CLOSED})")
    op.create_index("orders_open", "orders", ["account_id", "market", "symbol"],
                    sqlite_where=still_open, postgresql_where=still_open)  # fmt: skip


def downgrade() -> None:
    """Drop everything: the record is gone."""
    for table in (
        "hooks", "deliveries", "outbox", "findings", "gaps", "coverage", "sessions", "transfers",
        "position_history", "positions", "balance_history", "balances", "fills", "order_events", "orders",
        "journal", "heads", "accounts",
    ):  # fmt: skip
        op.drop_table(table)
