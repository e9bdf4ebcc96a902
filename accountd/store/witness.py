"""What the stream told of a window: REST has to show it too, or else REST lags."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime

from sqlalchemy import Connection, select

from accountd.core.changes import venue_number
from accountd.store.tables import fills, orders, transfers

AT_A_TIME = 500  # trades of one look
# (what, moment)
Witness = tuple[tuple[str, ...], datetime]


def told_fills(connection: Connection, account: str, market: str, symbol: str, start: datetime,
               end: datetime) -> list[Witness]:  # fmt: skip
    """Return (symbol, trade id) of the fills in a window that the stream told first."""
    c = fills.c
    found = connection.execute(
        select(c.symbol, c.trade_id, c.traded_at).where(
            c.account_id == account, c.market == market, c.source == "stream", c.traded_at >= start,
            c.traded_at <= end, *([c.symbol == symbol] if symbol else []),
        ).order_by(c.traded_at)
    )  # fmt: skip
    return [((row[0], row[1]), row[2]) for row in found]


def unknown_fills(connection: Connection, account: str, market: str, symbol: str,
                  trades: Collection[str]) -> set[str]:  # fmt: skip
    """Return those trades of a symbol that are not in the record."""
    c, left = fills.c, sorted(trades)
    unknown = set(left)
    for start in range(0, len(left), AT_A_TIME):
        some = left[start : start + AT_A_TIME]
        known = select(c.trade_id).where(
            c.account_id == account, c.market == market, c.symbol == symbol, c.trade_id.in_(some)
        )
        unknown -= set(connection.scalars(known))
    return unknown


def told_orders(connection: Connection, account: str, market: str, kind: str, symbol: str, start: datetime,
                end: datetime) -> list[Witness]:  # fmt: skip
    """Return the keys of the orders made in a window; what was rejected never came into being."""
    c = orders.c
    found = connection.execute(
        select(c.symbol, c.order_id, c.created_at).where(
            c.account_id == account, c.updated_at >= start, c.market == market, c.kind == kind,
            c.created_at >= start, c.created_at <= end, c.status != "REJECTED", c.missing_since.is_(None),
            *([c.symbol == symbol] if symbol else []),
        ).order_by(c.created_at)
    )  # fmt: skip
    return [((market, row[0], kind, row[1]), row[2]) for row in found]


def income_moments(connection: Connection, account: str, market: str, start: datetime, end: datetime,
                   most: int) -> list[datetime]:  # fmt: skip
    """Return when fills in a window, the first so many, left income, in order: a commission and a profit."""
    c = fills.c
    found = connection.execute(
        select(c.traded_at, c.commission, c.realized_pnl).where(
            c.account_id == account, c.market == market, c.traded_at >= start, c.traded_at <= end,
        ).order_by(c.traded_at).limit(most)
    )  # fmt: skip
    return [at for at, *amounts in found for amount in amounts if amount]


def order_moments(connection: Connection, account: str, market: str, start: datetime, end: datetime,
                  most: int) -> list[datetime]:  # fmt: skip
    """Return when the plain orders of a window, the first so many, were made, in order."""
    c = orders.c
    found = connection.scalars(
        select(c.created_at).where(
            c.account_id == account, c.market == market, c.kind == "order", c.updated_at >= start,
            c.created_at >= start, c.created_at <= end,
        ).order_by(c.created_at).limit(most)
    )  # fmt: skip
    return list(found)


def unpaid_fills(connection: Connection, account: str, market: str, start: datetime,
                 end: datetime) -> list[Witness]:  # fmt: skip
    """Return (symbol, trade id) of the fills in a window whose commission is not among the income."""
    c, t = fills.c, transfers.c
    told = connection.execute(
        select(c.symbol, c.trade_id, c.traded_at, c.commission).where(
            c.account_id == account, c.market == market, c.source == "stream", c.traded_at >= start,
            c.traded_at <= end, c.commission.is_not(None),
        ).order_by(c.traded_at)
    ).all()  # fmt: skip
    if not told:
        return []
    paid: Collection[tuple[str, str]] = {
        (row[0], row[1])
        for row in connection.execute(
            select(t.symbol, t.trade_id).where(
                t.account_id == account, t.market == market, t.occurred_at >= start, t.kind == "commission"
            )
        )
    }
    return [
        ((row[0], row[1]), row[2])
        for row in told
        if row[3] and (row[0], venue_number(row[1])) not in paid
    ]
