"""Profit by day, month or symbol, added up exactly on both databases."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import Connection, text

from accountd.errors import QueryRefused
from accountd.store.exact import plus
from accountd.store.query_filter import EVERYTHING, Filter
from accountd.store.types import time_text

ZERO = Decimal(0)
FOREVER = datetime(9999, 1, 1, tzinfo=UTC)
BY = ("day", "month", "symbol")
# Kinds of transfers that move money without earning it, or that the fills tell already.
_MOVES = (
    "('realized_pnl','commission','transfer','deposit','withdrawal','coin_swap_deposit','coin_swap_withdraw',"
    "'dust','loan','borrow','repay','exercise')"
)


@dataclass(slots=True, kw_only=True)
class PnlRow:
    """What one day, month or symbol earned in one asset; every amount is of that asset unless said otherwise.

    ``realized_pnl`` is None where the venue tells none (spot). ``fees`` holds the commission by asset as
    paid, positive; ``fees_valued`` is what of it has a price in ``asset``, ``fees_unvalued`` the rest by
    asset. ``other`` is income that is neither trading nor funding: interest, rebates, insurance. ``net`` is
    realized_pnl + funding + other − fees_valued.
    """

    account_id: str
    market: str
    bucket: str
    asset: str
    fills: int = 0
    realized_pnl: Decimal | None = None
    funding: Decimal = ZERO
    other: Decimal = ZERO
    fees: dict[str, Decimal] = field(default_factory=dict)
    fees_valued: Decimal = ZERO
    fees_unvalued: dict[str, Decimal] = field(default_factory=dict)

    @property
    def net(self) -> Decimal:
        """What was earned after fees, in ``asset``; fees without a known price are not in it."""
        return plus(self.realized_pnl or ZERO, self.funding, self.other, self.fees_valued.copy_negate())

    def add(self, other: PnlRow) -> None:
        """Take another row's amounts in; it must be of the same asset."""
        self.fills += other.fills
        if other.realized_pnl is not None:
            self.realized_pnl = plus(self.realized_pnl or ZERO, other.realized_pnl)
        self.funding = plus(self.funding, other.funding)
        self.other = plus(self.other, other.other)
        self.fees_valued = plus(self.fees_valued, other.fees_valued)
        for mine, its in ((self.fees, other.fees), (self.fees_unvalued, other.fees_unvalued)):
            for asset, paid in its.items():
                mine[asset] = plus(mine.get(asset, ZERO), paid)


_FILLS = """
SELECT account_id, market, {bucket} AS bucket, pnl_asset, commission_asset, COUNT(*) AS fills,
       {sum}(realized_pnl) AS realized_pnl, {sum}(commission) AS paid,
       {sum}({valued}) AS valued, {sum}(CASE WHEN fee_price IS NULL THEN commission END) AS unvalued
FROM fill_values WHERE {where}
GROUP BY account_id, market, {bucket}, pnl_asset, commission_asset
"""
_INCOME = """
SELECT account_id, market, {bucket} AS bucket, asset,
       {sum}(CASE WHEN kind = 'funding_fee' THEN amount END) AS funding,
       {sum}(CASE WHEN kind <> 'funding_fee' THEN amount END) AS other
FROM transfers
WHERE kind NOT IN {moves} AND kind NOT LIKE '%transfer%' AND {where}
GROUP BY account_id, market, {bucket}, asset
"""


def pnl(conn: Connection, by: str = "day", f: Filter = EVERYTHING) -> Iterator[PnlRow]:
    """Yield profit by ``day``, ``month`` (UTC) or ``symbol``, sorted by that and then by account.

    Rows of different assets are never added. Reads account, market, symbol, since and until of the filter.

    Raises:
        QueryRefused: ``by`` is none of the three.
    """
    if by not in BY:
        raise QueryRefused(f"--by: {by!r} is none of {', '.join(BY)}")
    rows: dict[tuple[str, str, str, str], PnlRow] = {}

    for part in _parts(conn, by, f):
        key = (part.bucket, part.account_id, part.market, part.asset)
        if key in rows:
            rows[key].add(part)
        else:
            rows[key] = part
    yield from (rows[key] for key in sorted(rows))


def _parts(conn: Connection, by: str, f: Filter) -> Iterator[PnlRow]:
    """Yield what the fills earned, a row for each asset of their fees, and then what else came in."""
    for told in _ask(conn, _FILLS, by, "traded_at", f):
        row = _row(told, told.pnl_asset)
        row.fills = told.fills
        row.realized_pnl = None if told.realized_pnl is None else _exact(told.realized_pnl)
        if told.commission_asset is not None and told.paid is not None:
            row.fees[told.commission_asset] = _exact(told.paid)
            row.fees_valued = _exact(told.valued or 0)
            if told.unvalued is not None:
                row.fees_unvalued[told.commission_asset] = _exact(told.unvalued)
        yield row
    for told in _ask(conn, _INCOME, by, "occurred_at", f):
        row = _row(told, told.asset)
        row.funding, row.other = _exact(told.funding or 0), _exact(told.other or 0)
        yield row


def _row(told: Any, asset: str | None) -> PnlRow:
    return PnlRow(
        account_id=told.account_id, market=told.market, bucket=told.bucket or "", asset=asset or ""
    )


def _ask(conn: Connection, sql: str, by: str, at: str, f: Filter) -> Iterator[Any]:
    sqlite = conn.dialect.name == "sqlite"
    limits: dict[str, tuple[str, Any]] = {
        "account": ("account_id = :account", f.account),
        "market": ("market = :market", f.market),
        "symbol": ("symbol = :symbol", f.symbol),
        "since": (f"{at} >= :since", f.since),
        "until": (f"{at} < :until", f.until),
    }
    wanted = {name: value for name, (_, value) in limits.items() if value is not None}
    if sqlite:
        if f.since is not None:  # SQLite takes a stretch with one end for a quarter of everything
            wanted.setdefault("until", FOREVER)
        wanted |= {name: time_text(wanted[name]) for name in ("since", "until") if name in wanted}
    length = {"day": 10, "month": 7}.get(by)
    day = f"substr({at}, 1, {length})" if sqlite else f"substr(accountd_day({at}), 1, {length})"
    query = sql.format(
        bucket="symbol" if length is None else day,
        sum="dsum" if sqlite else "SUM",
        valued="dmul(commission, fee_price)" if sqlite else "commission * fee_price",
        where=" AND ".join(limits[name][0] for name in wanted) or "1 = 1",
        moves=_MOVES,
    )
    yield from conn.execute(text(query), wanted)


def _exact(value: Any) -> Decimal:
    """Read a sum, which SQLite tells as text."""
    return value if isinstance(value, Decimal) else Decimal(value)
