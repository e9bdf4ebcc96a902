"""What was told since a place in the journal, alerts by time, and the lines of a picture."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import Connection, Double, and_, cast, column, func, literal, or_, select, table
from sqlalchemy.engine import RowMapping

from accountd.store import tables
from accountd.store.query_filter import Filter, account_ids, where

_daily_pnl = table("daily_pnl", column("account_id"), column("day"), column("pnl_asset"), column("net"))
_HISTORIES = {
    "balances": (tables.balances, tables.balance_history),
    "positions": (tables.positions, tables.position_history),
}


def journal_after(conn: Connection, account_id: str, seq: int, limit: int) -> list[RowMapping]:
    """Return the rows of one account's journal that follow `seq`, in their order."""
    c = tables.journal.c
    told = (c.account_id, c.seq, c.source, c.kind, c.event_time, c.received_at, c.session_id, c.raw)
    query = select(*told).where(c.account_id == account_id, c.seq > seq).order_by(c.seq).limit(limit)
    return list(conn.execute(query).mappings())


def fills_told(conn: Connection, account_id: str, first: int, last: int) -> list[RowMapping]:
    """Return the fills that the journal rows `first` to `last` of one account told."""
    c = tables.fills.c
    query = select(tables.fills).where(c.account_id == account_id, c.journal_seq.between(first, last))
    return list(conn.execute(query.order_by(c.journal_seq, c.traded_at, c.symbol, c.trade_id)).mappings())


def sessions_since(conn: Connection, account_id: str, since: Any, limit: int) -> list[RowMapping]:
    """Return the latest sessions of an account that were not over at `since`, newest first."""
    c = tables.sessions.c
    alive = c.closed_at.is_(None) | (c.closed_at >= since)
    query = select(tables.sessions).where(c.account_id == account_id, alive)
    return list(conn.execute(query.order_by(c.opened_at.desc()).limit(limit)).mappings())


def alerts(conn: Connection, *, limit: int, after: Sequence[Any] | None = None, **equal: str
           ) -> list[RowMapping]:  # fmt: skip
    """Return alerts, newest first, that follow the key (created_at, message_id), each column as given."""
    c = tables.outbox.c
    query = select(tables.outbox).where(*(c[name] == value for name, value in equal.items()))
    if after is not None:
        earlier = and_(c.created_at == after[0], c.message_id < after[1])
        query = query.where(c.created_at <= after[0], or_(c.created_at < after[0], earlier))
    return list(
        conn.execute(query.order_by(c.created_at.desc(), c.message_id.desc()).limit(limit)).mappings()
    )


def attempts(conn: Connection, message_ids: Sequence[str]) -> list[RowMapping]:
    """Return the attempts to deliver these messages, in their order."""
    c = tables.deliveries.c
    query = select(tables.deliveries).where(c.message_id.in_(message_ids))
    return list(conn.execute(query.order_by(c.message_id, c.attempt)).mappings())


def concerns_by_account(conn: Connection) -> dict[str, dict[str, int]]:
    """Return, for each account that has some, how many gaps and findings are open."""
    found: dict[str, dict[str, int]] = {}
    for what, ended in ((tables.gaps, "closed_at"), (tables.findings, "resolved_at")):
        query = select(what.c.account_id, func.count().label("n")).where(what.c[ended].is_(None))
        for row in conn.execute(query.group_by(what.c.account_id)):
            found.setdefault(row.account_id, {})[what.name] = row.n
    return found


def standing_at(conn: Connection, name: str, f: Filter, at: datetime) -> list[RowMapping]:
    """Return `balances` or `positions` as they stood at a moment: the last change until then of each."""
    table, history = _HISTORIES[name]
    keys = [column.name for column in table.primary_key]
    held = where(table, table.c.updated_at, f).with_only_columns(*(table.c[key] for key in keys)).subquery()
    h = history.c
    last = (
        select(h.n).where(*(h[key] == held.c[key] for key in keys), h.updated_at <= at)
        .order_by(h.updated_at.desc(), h.n.desc()).limit(1).correlate(held).scalar_subquery()
    )  # fmt: skip
    query = select(history).join(held, and_(*(h[key] == held.c[key] for key in keys), h.n == last))
    return list(conn.execute(query.order_by(*(h[key] for key in keys))).mappings())


def conditions_firing(conn: Connection, limit: int) -> list[RowMapping]:
    """Return what is wrong at this moment, the latest first."""
    c = tables.conditions.c
    query = select(tables.conditions).where(c.status == "firing").order_by(c.fired_at.desc()).limit(limit)
    return list(conn.execute(query).mappings())


def gaps_since(conn: Connection, account_id: str, dataset: str | None, since: datetime, limit: int
               ) -> list[RowMapping]:  # fmt: skip
    """Return the latest gaps of an account that reach past `since`, of one dataset or of all."""
    c = tables.gaps.c
    query = select(tables.gaps).where(
        c.account_id == account_id, or_(c.to_time.is_(None), c.to_time >= since, c.closed_at.is_(None))
    )
    if dataset is not None:
        query = query.where(c.dataset == dataset)
    return list(conn.execute(query.order_by(c.from_time.desc()).limit(limit)).mappings())


def blind_since(conn: Connection, account_id: str, since: datetime, limit: int) -> list[RowMapping]:
    """Return the latest stretches of time past `since` in which an account had no live stream."""
    c = tables.blind_windows.c
    query = select(tables.blind_windows).where(
        c.account_id == account_id, or_(c.to_time.is_(None), c.to_time >= since)
    )
    return list(conn.execute(query.order_by(c.from_time.desc()).limit(limit)).mappings())


def proven(conn: Connection, account_id: str, dataset: str | None, since: datetime
           ) -> list[tuple[datetime, datetime]]:  # fmt: skip
    """Return what is proven past `since` of one dataset, or of every dataset at once, in order of time.

    Coverage under no symbol stands for the whole dataset.
    """
    c = tables.coverage.c
    query = select(c.dataset, c.market, c.from_time, c.to_time).where(
        c.account_id == account_id, c.symbol == "", c.to_time >= since
    )
    if dataset is not None:
        query = query.where(c.dataset == dataset)
    lanes: dict[tuple[str, str], list[tuple[datetime, datetime]]] = {}
    for row in conn.execute(query.order_by(c.from_time)):
        lanes.setdefault((row.dataset, row.market), []).append((row.from_time, row.to_time))
    # Balances and positions are a picture of a moment; time is proven by what has a history.
    parts = [lane for key, lane in lanes.items() if dataset or key[0] not in ("balances", "positions")]
    common = parts[0] if parts else []
    for part in parts[1:]:
        common = [
            (max(a[0], b[0]), min(a[1], b[1])) for a in common for b in part if a[0] < b[1] and b[0] < a[1]
        ]
    return common


def daily_net(conn: Connection, account_id: str | None, first_day: str) -> list[tuple[str, str, Decimal]]:
    """Return (asset, day, net profit) from `first_day` on, written YYYY-MM-DD; for pictures.

    Rounded to four digits: on SQLite the view adds up in floating point.
    """
    c = _daily_pnl.c
    # The index by day begins with the account: without its name the whole record is read.
    names = [account_id] if account_id is not None else account_ids(conn)
    query = select(c.pnl_asset, c.day, func.sum(c.net).label("net"))
    query = query.where(c.account_id.in_(names), c.day >= first_day)
    found = conn.execute(query.group_by(c.pnl_asset, c.day).order_by(c.pnl_asset, c.day))
    exact = Decimal("0.0001")
    return [(row.pnl_asset, row.day, Decimal(str(row.net)).quantize(exact)) for row in found if row.pnl_asset]


def nearest_price(conn: Connection, market: str, symbol: str, side: str, since: datetime, until: datetime
                  ) -> RowMapping | None:  # fmt: skip
    """Return the recorded price that came nearest to filling an order: `at`, `word` and `price`.

    For a BUY the lowest ask, for a SELL the highest bid; where neither is recorded, the mark price.
    """
    c = tables.prices.c
    inside = (c.market == market, c.symbol == symbol, c.at >= since, c.at <= until)
    for word in ("ask" if side == "BUY" else "bid", "mark"):
        size = cast(c[word], Double)
        query = select(c.at, literal(word).label("word"), c[word].label("price")).where(*inside)
        query = query.where(c[word].is_not(None)).order_by(size if side == "BUY" else size.desc(), c.at)
        found = conn.execute(query.limit(1)).mappings().first()
        if found is not None:
            return found
    return None
