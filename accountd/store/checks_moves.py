"""What moved an amount, and what the amount was: the reads under the ties of balances and positions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from sqlalchemy import Connection, Select, and_, func, or_, select
from sqlalchemy.sql.elements import ColumnElement

from accountd.core.ties import Move
from accountd.core.told import REST
from accountd.store.tables import fills, transfers
from accountd.store.types import Money

_ZERO = Decimal(0)
# (table of history, its column, which rows)
Amounts = tuple[Any, Any, ColumnElement[bool]]
Sign = tuple[ColumnElement[bool], int]


class Moves:
    """Movements told by one column of one table; each of ``signs`` says which rows count, and how."""

    def __init__(self, connection: Connection, amount: Any, at: Any, where: Sequence[ColumnElement[bool]],
                 signs: Sequence[Sign]) -> None:  # fmt: skip
        self.connection = connection
        self.amount = amount
        self.at = at
        self.where = where
        self.signs = signs

    def listed(self, start: datetime, end: datetime) -> list[Move]:
        """Return the movements after ``start`` up to ``end``."""
        found: list[Move] = []
        for which, sign in self.signs:
            query = select(self.at, self.amount).where(
                *self.where, which, self.amount.is_not(None), self.at > start, self.at <= end
            )
            found += [(at, sign * amount) for at, amount in self.connection.execute(query)]
        return found

    def summed(self, start: datetime, end: datetime) -> Decimal:
        """Return the exact sum of the movements after ``start`` up to ``end``."""
        name = func.dsum if self.connection.dialect.name == "sqlite" else func.sum
        total = _ZERO
        for which, sign in self.signs:
            query = select(name(self.amount, type_=Money())).where(
                *self.where, which, self.at > start, self.at <= end
            )
            total += sign * (self.connection.execute(query).scalar() or _ZERO)
        return total


def transfer_moves(connection: Connection, account: str, market: str, asset: str) -> Moves:
    """Return what income, deposits and transfers moved of an asset."""
    c = transfers.c
    where = [c.account_id == account, c.market == market]
    return Moves(connection, c.amount, c.occurred_at, where, [(c.asset == asset, 1)])


def fill_moves(connection: Connection, account: str, market: str, symbol: str, side: str) -> Moves:
    """Return what fills moved of a position: bought positive, sold negative."""
    c = fills.c
    sides = or_(c.position_side == side, c.position_side.is_(None)) if side == "BOTH" else (
        c.position_side == side
    )  # fmt: skip
    where = [c.account_id == account, c.market == market, c.symbol == symbol, sides]
    return Moves(connection, c.quantity, c.traded_at, where, [(c.side == "BUY", 1), (c.side == "SELL", -1)])


def leg_moves(connection: Connection, account: str, market: str, asset: str,
              legs: Mapping[tuple[str, str], tuple[str, str]]) -> list[Moves]:  # fmt: skip
    """Return what fills moved of an asset on spot: the base, the quote, and the commission."""
    c = fills.c
    where = [c.account_id == account, c.market == market]
    as_base = sorted(symbol for (m, symbol), (base, _) in legs.items() if m == market and base == asset)
    as_quote = sorted(symbol for (m, symbol), (_, quote) in legs.items() if m == market and quote == asset)
    buy, sell = c.side == "BUY", c.side == "SELL"
    base, quote = c.symbol.in_(as_base), c.symbol.in_(as_quote)
    return [
        Moves(connection, c.quantity, c.traded_at, where, [(and_(base, buy), 1), (and_(base, sell), -1)]),
        Moves(connection, c.quote_quantity, c.traded_at, where,
              [(and_(quote, buy), -1), (and_(quote, sell), 1)]),
        Moves(connection, c.commission, c.traded_at, where, [(c.commission_asset == asset, -1)]),
    ]  # fmt: skip


def amount_at(connection: Connection, amounts: Amounts, at: datetime) -> Decimal | None:
    """Return an amount as of a moment; None when nothing was told of it yet."""
    found = connection.execute(_last(amounts, amounts[1], at)).first()
    return None if found is None else found[0] or _ZERO


def _last(amounts: Amounts, column: Any, at: datetime) -> Select[Any]:
    """Return the question for a column of the last that was told up to ``at``."""
    table, _, where = amounts
    return select(column).where(where, table.c.updated_at <= at).order_by(table.c.n.desc()).limit(1)


def certain_until(connection: Connection, amounts: Amounts, at: datetime) -> datetime | None:
    """Return the last moment up to ``at`` of which an amount is certain; None when there is no such.

    What only REST told next may have happened at any time since the telling before: the stream was not
    heard, or left it out.
    """
    table, _, where = amounts
    c = table.c
    following = select(c.source).where(where, c.updated_at > at).order_by(c.n).limit(1)
    if connection.execute(following).scalar() != REST:
        return at
    return connection.execute(_last(amounts, c.updated_at, at)).scalar()


def first_amount(connection: Connection, amounts: Amounts, proven: datetime,
                 slack: timedelta) -> tuple[datetime, Decimal]:  # fmt: skip
    """Return from when on an amount is known, and what it was: nothing, if the first snapshot lacks it.

    Of several rows of the first instant the last one counts: movements of one instant stay together.
    """
    held = amount_at(connection, amounts, proven)
    if held is not None:
        return proven, held
    table, _, where = amounts
    query = select(table.c.updated_at).where(where, table.c.updated_at <= proven + slack)
    first = connection.execute(query.order_by(table.c.n).limit(1)).scalar()
    return (proven, _ZERO) if first is None else (first, amount_at(connection, amounts, first) or _ZERO)
