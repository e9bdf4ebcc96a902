"""Beliefs to write: orders, fills, balances and what they change, with every column told."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

from accountd.core.changes import Changes, Finding, JournalRow, OrderEvent
from accountd.core.told import Balance, Fill, Order, Position, Transfer

T0 = datetime(2026, 11, 1, 12, 0, 0, 500_000, tzinfo=UTC)


def order(number=1, **told):
    """An order whose every column says something."""
    told = {
        "market": "usdm", "symbol": "BTCUSDT", "kind": "order", "order_id": str(number), "status": "NEW",
        "updated_at": T0, "client_order_id": f"c{number}", "side": "BUY", "position_side": "BOTH",
        "type": "LIMIT", "time_in_force": "GTC", "price": Decimal("60000.10"), "stop_price": Decimal("0"),
        "quantity": Decimal("0.010"), "filled_quantity": Decimal("0.000"), "average_price": Decimal("0"),
        "filled_quote": Decimal("0"), "reduce_only": False, "created_at": T0, "actual_order_id": "77",
        "reason": "NONE", "journal_seq": 1, "events": 1,
    } | told  # fmt: skip
    return Order(**told)


def event(of, n=1, **told):
    """An event in the life of an order."""
    told = {
        "execution_type": "NEW", "status": of.status, "price": of.price, "quantity": of.quantity,
        "filled_quantity": of.filled_quantity, "event_time": of.updated_at, "source": "stream",
        "journal_seq": 1,
    } | told  # fmt: skip
    return OrderEvent((of.market, of.symbol, of.kind, of.order_id), n, *told.values())


def fill(number=1, **told):
    """A fill whose every column says something."""
    told = {
        "market": "usdm", "symbol": "BTCUSDT", "trade_id": str(number), "order_id": str(number),
        "side": "BUY", "price": Decimal("60000.10"), "quantity": Decimal("0.010"),
        "quote_quantity": Decimal("600.00100"), "traded_at": T0, "client_order_id": f"c{number}",
        "position_side": "BOTH", "commission": Decimal("0.24000040"), "commission_asset": "USDT",
        "realized_pnl": Decimal("-1.50000000"), "is_maker": True,
        "received_at": T0 + timedelta(milliseconds=12), "journal_seq": 1,
    } | told  # fmt: skip
    return Fill(**told)


def balance(total="100.00000000", **told):
    """A balance; free and locked are not told."""
    told = {"market": "usdm", "asset": "USDT", "total": Decimal(total), "as_of": T0, "n": 1, "journal_seq": 1,
            "reason": "ORDER"} | told  # fmt: skip
    return Balance(**told)


def position(quantity="0.010", **told):
    """A position as ACCOUNT_UPDATE tells it."""
    told = {"market": "usdm", "symbol": "BTCUSDT", "position_side": "BOTH", "as_of": T0,
            "quantity": Decimal(quantity), "entry_price": Decimal("60000.1"), "margin_type": "CROSS",
            "leverage": Decimal(20), "n": 1, "journal_seq": 1} | told  # fmt: skip
    return Position(**told)


def transfer(number=1, **told):
    """A funding fee."""
    told = {"market": "usdm", "kind": "funding_fee", "transfer_id": str(number), "asset": "USDT",
            "amount": Decimal("-0.01230000"), "occurred_at": T0, "symbol": "BTCUSDT", "trade_id": "9",
            "info": "FUNDING_FEE", "journal_seq": 1} | told  # fmt: skip
    return Transfer(**told)


def finding(**told):
    """A conflict between two tellings."""
    told = {"finding_id": "f1", "kind": "conflict", "severity": "error", "subject": "fill:1",
            "detail": {"price": {"held": "1", "told": "2"}}, "opened_at": T0} | told  # fmt: skip
    return Finding(**told)


def journal_row(seq, raw=b'{"e":"ORDER_TRADE_UPDATE"}'):
    """A journal row; its hashes are not true ones."""
    return JournalRow(
        seq, "stream", "ORDER_TRADE_UPDATE", T0, T0, "s1", raw, b"s" * 16, b"d" * 32, bytes([seq % 256]) * 32
    )


def changes(first=0, count=1, account="main", **rows):
    """What one batch changes, with ``count`` journal rows after seq ``first``."""
    journal = [journal_row(first + n + 1) for n in range(count)]
    head = journal[-1].head if journal else bytes(32)
    made = Changes(account_id=account, first_seq=first, seq=first + count, head=head, journal=journal)
    for o in rows.get("orders", ()):
        made.orders[(o.market, o.symbol, o.kind, o.order_id)] = o
    for f in rows.get("fills", ()):
        made.fills[(f.market, f.symbol, f.trade_id)] = f
    for b in rows.get("balances", ()):
        made.balances[(b.market, b.asset)] = b
        made.balance_history.append(b)
    for p in rows.get("positions", ()):
        made.positions[(p.market, p.symbol, p.position_side)] = p
        made.position_history.append(p)
    for t in rows.get("transfers", ()):
        made.transfers[(t.market, t.kind, t.transfer_id, t.asset)] = t
    for f in rows.get("findings", ()):
        made.findings[f.finding_id] = f
    made.order_events.extend(rows.get("order_events", ()))
    made.fill_client_ids.update(rows.get("fill_client_ids", {}))
    return made
