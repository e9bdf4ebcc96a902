"""The schema, which people query: the same names and meaning on SQLite and Postgres."""

from __future__ import annotations

from typing import Any

from sqlalchemy import CheckConstraint, Column, Index, MetaData, Table, Text, text

from accountd.store.types import Blob, Flag, Instant, Money, Seconds, Whole

metadata = MetaData()


def _table(name: str, *parts: Any) -> Table:
    """Declare a table, STRICT on SQLite: a column takes only values of its type."""
    return Table(name, metadata, *parts, sqlite_strict=True)


def _key(*names: str) -> list[Column[Any]]:
    return [Column(name, Text, primary_key=True) for name in names]


def _text(*names: str) -> list[Column[Any]]:
    return [Column(name, Text) for name in names]


def _money(*names: str) -> list[Column[Any]]:
    """Money columns; the CHECK keeps SQLite's text canonical (digits, one sign, one point)."""
    return [Column(name, Money) for name in names]


def _need(type_: Any, *names: str) -> list[Column[Any]]:
    return [Column(name, type_, nullable=False) for name in names]


accounts = _table(
    "accounts", *_key("account_id"), *_need(Text, "name", "venue", "environment"),
    *_need(Instant, "created_at"),
)  # fmt: skip
heads = _table(  # sequencer, fence and chain head of each account's journal
    "heads", *_key("account_id"), *_need(Whole, "seq", "epoch"), *_need(Blob, "head"),
)  # fmt: skip
journal = _table(
    "journal", *_key("account_id"), Column("seq", Whole, primary_key=True),
    *_need(Text, "source", "kind"), Column("event_time", Instant), *_need(Instant, "received_at"),
    *_text("session_id"), Column("raw", Blob), *_need(Blob, "salt", "digest", "head"),
    Column("live_since", Instant),  # since when the stream was LIVE when a REST page came
    Column("loaded_seq", Whole),  # after which row beliefs were read from the record: a replay does as well
)  # fmt: skip
checkpoints = _table(  # signed notes about how long a journal is and what it holds
    "checkpoints", *_key("account_id"), Column("size", Whole, primary_key=True),
    *_need(Blob, "root", "head"), *_need(Text, "note"), *_need(Blob, "frontier"),
    *_need(Instant, "created_at"),
)  # fmt: skip
orders = _table(
    "orders", *_key("account_id", "market", "symbol", "kind", "order_id"),
    *_text("client_order_id", "side", "position_side", "type", "time_in_force"), *_need(Text, "status"),
    *_money("price", "stop_price", "quantity", "filled_quantity", "average_price", "filled_quote"),
    Column("reduce_only", Flag), Column("created_at", Instant), *_need(Instant, "updated_at"),
    *_need(Text, "source"), *_text("actual_order_id", "reason"), Column("missing_since", Instant),
    Column("journal_seq", Whole, nullable=False), Column("events", Whole, nullable=False),
)  # fmt: skip
order_events = _table(
    "order_events", *_key("account_id", "market", "symbol", "kind", "order_id"),
    Column("n", Whole, primary_key=True), *_text("execution_type"), *_need(Text, "status"),
    *_money("price", "quantity", "filled_quantity"), *_need(Instant, "event_time"), *_need(Text, "source"),
    Column("journal_seq", Whole, nullable=False),
)  # fmt: skip
fills = _table(
    "fills", *_key("account_id", "market", "symbol", "trade_id"), *_need(Text, "order_id"),
    *_text("client_order_id"), *_need(Text, "side"), *_text("position_side"),
    *_need(Money, "price", "quantity", "quote_quantity"), *_money("commission"), *_text("commission_asset"),
    *_money("realized_pnl"), Column("is_maker", Flag),
    *_need(Instant, "traded_at", "received_at", "committed_at"), *_need(Text, "source"),
    Column("journal_seq", Whole, nullable=False),
)  # fmt: skip
balances = _table(
    "balances", *_key("account_id", "market", "asset"), *_money("free", "locked"),
    *_need(Money, "total"), *_text("reason"), *_need(Instant, "updated_at"), *_need(Text, "source"),
    Column("journal_seq", Whole, nullable=False), Column("n", Whole, nullable=False),
)  # fmt: skip
balance_history = _table(
    "balance_history", *_key("account_id", "market", "asset"), Column("n", Whole, primary_key=True),
    *_money("free", "locked"), *_need(Money, "total"), *_text("reason"), *_need(Instant, "updated_at"),
    *_need(Text, "source"), Column("journal_seq", Whole, nullable=False),
)  # fmt: skip
_POSITION = ("quantity", "entry_price", "break_even_price", "unrealized_pnl")
positions = _table(
    "positions", *_key("account_id", "market", "symbol", "position_side"), *_money(*_POSITION),
    *_text("margin_type"), *_money("leverage"), *_text("reason"), *_need(Instant, "updated_at"),
    *_need(Text, "source"), Column("journal_seq", Whole, nullable=False), Column("n", Whole, nullable=False),
)  # fmt: skip
position_history = _table(
    "position_history", *_key("account_id", "market", "symbol", "position_side"),
    Column("n", Whole, primary_key=True), *_money(*_POSITION), *_text("margin_type"), *_money("leverage"),
    *_text("reason"), *_need(Instant, "updated_at"), *_need(Text, "source"),
    Column("journal_seq", Whole, nullable=False),
)  # fmt: skip
transfers = _table(
    "transfers", *_key("account_id", "market", "kind", "transfer_id", "asset"),
    *_need(Money, "amount"), *_text("symbol"), *_need(Instant, "occurred_at"), *_need(Text, "source"),
    *_text("trade_id", "info"), Column("journal_seq", Whole, nullable=False),
)  # fmt: skip
sessions = _table(
    "sessions", *_key("session_id"), *_need(Text, "account_id"), *_need(Instant, "opened_at"),
    Column("subscribed_at", Instant), Column("live_at", Instant), Column("last_seen_at", Instant),
    Column("closed_at", Instant), *_text("close_reason"), Column("frames", Whole, nullable=False),
    Column("blind_from", Instant), Column("blind_seconds", Seconds),  # the dark that this session ended
)  # fmt: skip
coverage = _table(
    "coverage", *_key("account_id", "dataset", "market", "symbol"),
    Column("from_time", Instant, primary_key=True), *_need(Instant, "to_time", "proven_at"),
)  # fmt: skip
gaps = _table(
    "gaps", *_key("gap_id"), *_need(Text, "account_id", "dataset", "market", "symbol"),
    *_need(Instant, "from_time"), Column("to_time", Instant), *_need(Text, "reason"),
    *_need(Instant, "opened_at"), Column("closed_at", Instant), Column("recovered", Whole, nullable=False),
)  # fmt: skip
findings = _table(
    "findings", *_key("finding_id"), *_need(Text, "account_id", "kind", "severity", "subject", "detail"),
    *_need(Instant, "opened_at"), Column("resolved_at", Instant), Column("from_time", Instant),
    Column("to_time", Instant),
)  # fmt: skip
finding_history = _table(  # written by triggers
    "finding_history", *_key("account_id", "finding_id"), Column("n", Whole, primary_key=True),
    *_need(Instant, "at"), *_need(Text, "what", "severity", "detail"),
)  # fmt: skip
evidence = _table(  # what each stretch of coverage was proven by
    "evidence", *_key("account_id", "dataset", "market", "symbol", "sweep"),
    Column("first_at", Instant, primary_key=True), *_need(Instant, "last_at", "from_time", "to_time"),
    *_need(Text, "requests", "asked_by"), *_need(Whole, "sweeps", "calls", "rows"),
)  # fmt: skip
blind_windows = _table(
    "blind_windows", *_key("account_id"), Column("from_time", Instant, primary_key=True),
    Column("to_time", Instant), *_need(Text, "reason"), *_text("session_id"),
)  # fmt: skip
fill_corrections = _table(  # what was told of a fill otherwise than first
    "fill_corrections", *_key("account_id", "market", "symbol", "trade_id", "correction_id"),
    *_need(Text, "kind", "order_id"), *_text("side", "position_side"),
    *_money("price", "quantity", "quote_quantity", "commission"), *_text("commission_asset"),
    *_money("realized_pnl"), Column("is_maker", Flag), Column("traded_at", Instant),
    *_need(Instant, "received_at"), *_need(Text, "source"), Column("journal_seq", Whole, nullable=False),
)  # fmt: skip
ties = _table(  # what tied last, and over which stretch of time
    "ties", *_key("account_id", "kind", "market", "subject"),
    *_need(Instant, "from_time", "to_time", "checked_at"), *_need(Whole, "compared"), *_need(Flag, "tied"),
    *_money("amount"), *_need(Text, "detail"),
)  # fmt: skip
backfills = _table(  # how far back somebody asked to read
    "backfills", *_key("account_id"), *_need(Instant, "since", "asked_at"), Column("done_at", Instant),
)  # fmt: skip
outbox = _table(
    "outbox", *_key("message_id"), *_need(Text, "account_id", "hook", "type", "body"),
    Column("status", Text, CheckConstraint("status IN ('pending','delivered','suppressed','dead')"),
           nullable=False),
    Column("reason", Text), Column("attempts", Whole, nullable=False), *_need(Instant, "created_at"),
    Column("next_attempt_at", Instant), Column("delivered_at", Instant), Column("order_key", Text),
    *(Column(name, Instant) for name in (
        "event_at", "received_at", "committed_at", "first_attempt_at", "replayed_at",
    )),
    Column("replayed_after", Whole), *_text("summary_id"),
)  # fmt: skip
deliveries = _table(
    "deliveries", *_key("message_id"), Column("attempt", Whole, primary_key=True),
    Column("status_code", Whole), *_text("error"), *_need(Instant, "started_at"),
    Column("duration", Whole, nullable=False),  # microseconds
)  # fmt: skip
hooks = _table(  # what the dispatcher remembers about a hook across restarts (410 disables it)
    "hooks", *_key("hook"), Column("disabled_at", Instant), *_text("reason"), Column("poked_at", Instant),
)  # fmt: skip
conditions = _table(  # what is wrong, or was
    "conditions", *_key("fingerprint"), *_need(Text, "type", "account_id", "subject"),
    Column("status", Text, CheckConstraint("status IN ('firing','resolved')"), nullable=False),
    *_need(Text, "data"), *_need(Instant, "fired_at"), Column("resolved_at", Instant),
    Column("last_told_at", Instant), Column("told", Whole, nullable=False),
)  # fmt: skip
mutes = _table(  # which alerts are not to be told for a while; an empty filter matches everything
    "mutes", *_key("mute_id"), *_text("hook", "type", "account", "symbol"),
    *_need(Instant, "created_at", "until"), *_text("reason"),
)  # fmt: skip

prices = _table(  # no account: what public market streams told, at fills and once a minute
    "prices", *_key("market", "symbol"), Column("at", Instant, primary_key=True),
    *_money("mark", "bid", "ask"), *_need(Text, "source"),
)  # fmt: skip
candles = _table(  # of public market streams; ``family`` is spot, us, usdm or coinm
    "candles", *_key("family", "symbol", "interval"), Column("open_time", Instant, primary_key=True),
    *_need(Money, "open", "high", "low", "close", "volume"), *_money("quote_volume"),
    Column("trades", Whole), *_need(Instant, "close_time"), *_need(Flag, "closed"),
)  # fmt: skip
market_events = _table(  # other public streams that the settings name; ``n`` grows with time
    "market_events", *_key("family", "stream"), Column("n", Whole, primary_key=True),
    *_need(Text, "event"), *_text("symbol"), *_money("price", "quantity", "bid", "ask"),
    Column("event_time", Instant), *_need(Instant, "received_at"), *_need(Blob, "raw"),
)  # fmt: skip

# Append-only tables: a DELETE, or an UPDATE of what was told, is refused by trigger. Two exceptions: the
# journal's raw bytes may be pruned to NULL, and a fill may learn its client order id.
APPEND_ONLY = ("order_events", "balance_history", "position_history", "journal", "fills", "fill_corrections",
               "finding_history", "checkpoints")  # fmt: skip
# SQLite keeps money as text; every one of these columns gets a CHECK of its canonical form.
CANONICAL = "{0} IS NULL OR ({0} NOT GLOB '*[^0-9.-]*' AND {0} GLOB '*[0-9]*')"

# No order with one of these words is open; a word that the venue invents tomorrow counts as open.
CLOSED = "'FILLED','CANCELED','REJECTED','EXPIRED','EXPIRED_IN_MATCH','FINISHED'"

# The order first: a person who looks for an order knows its number and nothing else. Indexes by day
# (fills_by_day, transfers_by_day) are on expressions, which differ by database: revision 0007 makes them.
Index("fills_by_order", fills.c.order_id, fills.c.account_id, fills.c.market, fills.c.symbol)
Index("orders_by_id", orders.c.order_id, orders.c.account_id)
Index("orders_by_client", orders.c.client_order_id, orders.c.account_id)
_placed = text("kind = 'algo' AND actual_order_id IS NOT NULL")
Index("orders_by_actual", orders.c.actual_order_id, sqlite_where=_placed, postgresql_where=_placed)
Index("fills_by_time", fills.c.account_id, fills.c.traded_at)
Index("fills_by_journal", fills.c.account_id, fills.c.journal_seq)
Index("orders_by_time", orders.c.account_id, orders.c.updated_at)
OPEN = f"missing_since IS NULL AND status NOT IN ({CLOSED})"
_open = text(OPEN)
Index(
    "orders_open", orders.c.account_id, orders.c.market, orders.c.symbol, sqlite_where=_open,
    postgresql_where=_open,
)  # fmt: skip
for _history in (balance_history, position_history):
    _by_time = [column for column in _history.primary_key if column.name != "n"]
    Index(f"{_history.name}_by_time", *_by_time, _history.c.updated_at, _history.c.n)
Index("transfers_by_time", transfers.c.account_id, transfers.c.occurred_at)
Index("market_events_by_time", market_events.c.received_at)
Index("outbox_due", outbox.c.status, outbox.c.hook, outbox.c.next_attempt_at)
Index("outbox_by_summary", outbox.c.summary_id)
Index("outbox_by_time", outbox.c.created_at)
Index("gaps_open", gaps.c.account_id, gaps.c.closed_at)
Index("findings_open", findings.c.account_id, findings.c.resolved_at)
Index("evidence_by_time", evidence.c.account_id, evidence.c.last_at)
Index("sessions_by_account", sessions.c.account_id, sessions.c.opened_at)

for _each in metadata.tables.values():
    for _column in _each.columns:
        if isinstance(_column.type, Money):
            _each.append_constraint(
                CheckConstraint(
                    CANONICAL.format(_column.name), name=f"{_each.name}_{_column.name}_exact"
                ).ddl_if(dialect="sqlite")
            )
