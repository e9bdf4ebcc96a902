"""The ties: named reads that compare what one dataset says with what another one does, exactly."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from decimal import Decimal, localcontext
from typing import Any

import msgspec
from sqlalchemy import Connection, and_, func, select
from sqlalchemy.sql.elements import ColumnElement

from accountd.core.money import money_text
from accountd.core.ties import (
    BALANCE,
    BOOKS,
    ENTANGLED,
    NEEDS,
    NEEDS_OF_BALANCE,
    ORDER_FILLS,
    ORDER_UNSEEN,
    POSITION,
    Stretch,
    Verdict,
    Window,
    common,
    judge,
)
from accountd.core.told import BALANCES, FILLS, POSITIONS
from accountd.store.checks_moves import (
    Moves,
    amount_at,
    certain_until,
    fill_moves,
    first_amount,
    leg_moves,
    transfer_moves,
)
from accountd.store.proving import Tie
from accountd.store.tables import (
    accounts,
    balance_history,
    balances,
    coverage,
    fills,
    findings,
    orders,
    position_history,
    positions,
    ties,
)
from accountd.store.types import Money

AT_A_TIME = 5_000  # orders or fills that one run compares at most
OVERLAP = timedelta(minutes=5)  # what was told late is compared again
SIGNED = ("usdm", "coinm")  # markets whose positions move by fills alone
DIGITS = 100
_ZERO = Decimal(0)


class Broken(msgspec.Struct, kw_only=True):
    """What does not tie: becomes a finding."""

    kind: str
    subject: str
    severity: str
    window: Stretch
    detail: dict[str, Any]


class Outcome(msgspec.Struct, kw_only=True):
    """What one run of the checks found. ``good`` are (kind, subject) of findings that now tie."""

    ties: list[Tie] = []
    broken: list[Broken] = []
    good: list[tuple[str, str]] = []


class Checks:
    """Compares one account's datasets as far as they are proven. ``legs``: symbol to (base, quote) asset.

    ``slack`` is how far the clocks of two datasets may be apart.
    """

    def __init__(self, connection: Connection, account_id: str, slack: timedelta,
                 legs: Mapping[tuple[str, str], tuple[str, str]]) -> None:  # fmt: skip
        self.connection = connection
        self.account = account_id
        self.slack = slack
        self.legs = legs
        self.out = Outcome()
        a = accounts.c
        self.venue = connection.execute(select(a.venue).where(a.account_id == account_id)).scalar()
        self.proven = self._proven()
        self.last = self._last()
        c = findings.c
        still = select(c.kind, c.subject).where(c.account_id == account_id, c.resolved_at.is_(None))
        self.open = {(row[0], row[1]) for row in connection.execute(still)}

    def run(self) -> Outcome:
        """Run every check over what is new since it last tied, and over what did not."""
        with localcontext(prec=DIGITS):
            for market in sorted({key[1] for key in self.proven}):
                for symbol in self._scopes(market):
                    self._order_fills(market, symbol)
                    self._orders_seen(market, symbol)
                self._recheck_orders(market)
                if market in BOOKS and self.venue not in ENTANGLED:
                    self._balances(market)
                if market in SIGNED:
                    self._positions(market)
        return self.out

    # -- what is proven, what was compared

    def _proven(self) -> dict[tuple[str, str, str], Stretch]:
        c = coverage.c
        query = select(c.dataset, c.market, c.symbol, c.from_time, c.to_time)
        found = self.connection.execute(query.where(c.account_id == self.account).order_by(c.to_time))
        return {(row[0], row[1], row[2]): (row[3], row[4]) for row in found}

    def _last(self) -> dict[tuple[str, str, str], Tie]:
        found = self.connection.execute(select(ties).where(ties.c.account_id == self.account)).mappings()
        return {
            (row["kind"], row["market"], row["subject"]): Tie(
                kind=row["kind"], market=row["market"], subject=row["subject"], from_time=row["from_time"],
                to_time=row["to_time"], tied=row["tied"], compared=row["compared"], amount=row["amount"],
            )
            for row in found
        }  # fmt: skip

    def _stretch(self, datasets: tuple[str, ...], market: str, symbol: str) -> Stretch | None:
        """Return where all of these are proven; what is proven of one symbol reaches further than of all."""
        return common(
            self.proven.get((one, market, symbol)) or self.proven.get((one, market, "")) for one in datasets
        )

    def _scopes(self, market: str) -> list[str]:
        """Return the symbols to compare one by one, or only "": all at once."""
        symbols = {key[2] for key in self.proven if key[:2] == (FILLS, market) and key[2]}
        return sorted(symbols) or [""]

    def _windows(self, kind: str, market: str, symbol: str, stretch: Stretch) -> Iterator[Stretch]:
        """Yield what of a stretch was not compared yet: what is new, and what a backfill has added."""
        last = self.last.get((kind, market, symbol))
        if last is None:
            yield stretch
            return
        if stretch[0] < last.from_time:
            yield stretch[0], last.from_time
        if stretch[1] > last.to_time:
            yield max(stretch[0], last.to_time - OVERLAP), stretch[1]

    def _compared(self, kind: str, market: str, symbol: str, window: Stretch, count: int) -> None:
        last = self.last.get((kind, market, symbol))
        if last is None:
            last = Tie(kind=kind, market=market, subject=symbol, from_time=window[0], to_time=window[1],
                       tied=True)  # fmt: skip
            self.last[kind, market, symbol] = last
        last.from_time = min(last.from_time, window[0])
        last.to_time = max(last.to_time, window[1])
        last.compared += count
        self.out.ties = [one for one in self.out.ties if one is not last] + [last]

    def _good(self, kind: str, subject: str) -> None:
        if (kind, subject) in self.open:
            self.out.good.append((kind, subject))

    # -- orders and fills

    def _sum(self, column: ColumnElement[Any]) -> ColumnElement[Any]:
        name = func.dsum if self.connection.dialect.name == "sqlite" else func.sum
        return name(column, type_=Money())

    def _order_rows(self, *where: ColumnElement[bool], until: datetime) -> list[Any]:
        o, f = orders.c, fills.c
        told = (
            select(self._sum(f.quantity)).where(
                f.account_id == o.account_id, f.market == o.market, f.symbol == o.symbol,
                f.order_id == o.order_id, f.traded_at <= until,
            ).scalar_subquery()
        )  # fmt: skip
        query = select(o.symbol, o.order_id, o.filled_quantity, o.created_at, o.updated_at, told).where(
            o.account_id == self.account, o.kind == "order", o.filled_quantity.is_not(None), *where
        )
        return list(self.connection.execute(query.order_by(o.updated_at).limit(AT_A_TIME)))

    def _order_fills(self, market: str, symbol: str) -> None:
        stretch = self._stretch(NEEDS[ORDER_FILLS], market, symbol)
        if stretch is None:
            return
        o = orders.c
        for start, end in self._windows(ORDER_FILLS, market, symbol, stretch):
            begin, count = start, 0
            while True:
                rows = self._order_rows(
                    o.market == market, *([o.symbol == symbol] if symbol else []), o.updated_at > begin,
                    o.updated_at <= end, o.created_at >= stretch[0], until=end,
                )  # fmt: skip
                for row in rows:
                    self._judge_order(market, row)
                count += len(rows)
                if len(rows) < AT_A_TIME:
                    break
                begin = rows[-1].updated_at
            self._compared(ORDER_FILLS, market, symbol, (start, end), count)

    def _judge_order(self, market: str, row: Any) -> None:
        subject = f"order:{market}:{row.symbol}:{row.order_id}"
        filled, told = row.filled_quantity, row[5] or _ZERO
        if filled == told:
            self._good(ORDER_FILLS, subject)
            return
        detail = {
            "expected": money_text(filled), "actual": money_text(told),
            "difference": money_text(told - filled), "what": "sum of fills against filled quantity",
        }  # fmt: skip
        self.out.broken.append(Broken(kind=ORDER_FILLS, subject=subject, severity="error",
                                      window=(row.created_at, row.updated_at), detail=detail))  # fmt: skip

    def _recheck_orders(self, market: str) -> None:
        """Look again at the orders that did not tie; their findings resolve once they do."""
        o, prefix = orders.c, f"order:{market}:"
        known = {one.subject for one in self.out.broken} | {subject for _, subject in self.out.good}
        for kind, subject in sorted(self.open):
            if kind not in (ORDER_FILLS, ORDER_UNSEEN) or not subject.startswith(prefix):
                continue
            symbol, order_id = subject.removeprefix(prefix).split(":", 1)
            stretch = self._stretch(NEEDS[ORDER_FILLS], market, symbol)
            if stretch is None or subject in known:
                continue
            here = (o.market == market, o.symbol == symbol, o.order_id == order_id)
            for row in self._order_rows(*here, until=stretch[1]):
                if kind == ORDER_UNSEEN:
                    self._good(kind, subject)
                elif row.updated_at <= stretch[1]:
                    self._judge_order(market, row)

    def _orders_seen(self, market: str, symbol: str) -> None:
        """Every fill has an order; what was open at the first snapshot was told by it."""
        snapshot = POSITIONS if (POSITIONS, market, "") in self.proven else BALANCES
        seen = self.proven.get((snapshot, market, ""))
        stretch = self._stretch(NEEDS[ORDER_FILLS], market, symbol)
        if stretch is None or seen is None:
            return
        # a snapshot proves from before it was taken: an order that ended in between was not in it
        if (start := max(stretch[0], seen[0] + self.slack)) >= stretch[1]:
            return
        o, f = orders.c, fills.c
        same = and_(o.account_id == f.account_id, o.market == f.market, o.symbol == f.symbol,
                    o.kind == "order", o.order_id == f.order_id)  # fmt: skip
        for begin, end in self._windows(ORDER_UNSEEN, market, symbol, (start, stretch[1])):
            query = select(f.symbol, f.trade_id, f.order_id, f.traded_at).where(
                f.account_id == self.account, f.market == market, f.traded_at > begin, f.traded_at <= end,
                *([f.symbol == symbol] if symbol else []),
            )  # fmt: skip
            joined = query.select_from(fills.outerjoin(orders, same)).where(o.order_id.is_(None))
            for row in self.connection.execute(joined.order_by(f.traded_at).limit(AT_A_TIME)):
                self._unseen(market, row)
            self._compared(ORDER_UNSEEN, market, symbol, (begin, end), 0)

    def _unseen(self, market: str, row: Any) -> None:
        subject = f"order:{market}:{row.symbol}:{row.order_id}"
        detail = {"trade_id": row.trade_id, "order_id": row.order_id,
                  "what": "a fill of an order that nothing told of"}  # fmt: skip
        self.out.broken.append(Broken(kind=ORDER_UNSEEN, subject=subject, severity="warning",
                                      window=(row.traded_at, row.traded_at), detail=detail))  # fmt: skip

    # -- balances and positions

    def _balances(self, market: str) -> None:
        way = BOOKS[market]
        stretch = self._stretch(NEEDS_OF_BALANCE[way], market, "")
        if stretch is None:
            return
        c = balances.c
        held = select(c.asset).where(c.account_id == self.account, c.market == market)
        for asset in self.connection.execute(held).scalars().all():
            moves = transfer_moves(self.connection, self.account, market, asset)
            parts = [moves]
            if way == "legs":
                parts += leg_moves(self.connection, self.account, market, asset, self.legs)
            here = and_(balance_history.c.account_id == self.account, balance_history.c.market == market,
                        balance_history.c.asset == asset)  # fmt: skip
            amounts = (balance_history, balance_history.c.total, here)
            # a withdrawal leaves the wallet before the venue tells of it: no error yet
            severity = "warning" if way == "legs" else "error"
            self._explain(BALANCE, market, f"balance:{market}:{asset}", stretch, amounts, parts, severity)

    def _positions(self, market: str) -> None:
        c, h = positions.c, position_history.c
        held = select(c.symbol, c.position_side).where(c.account_id == self.account, c.market == market)
        for symbol, side in self.connection.execute(held).all():
            stretch = self._stretch(NEEDS[POSITION], market, symbol)
            if stretch is None:
                continue
            here = and_(h.account_id == self.account, h.market == market, h.symbol == symbol,
                        h.position_side == side)  # fmt: skip
            parts = [fill_moves(self.connection, self.account, market, symbol, side)]
            amounts = (position_history, h.quantity, here)
            self._explain(POSITION, market, f"position:{market}:{symbol}:{side}", stretch, amounts, parts)

    def _explain(self, kind: str, market: str, subject: str, stretch: Stretch, amounts: Any,
                 parts: list[Moves], severity: str = "error") -> None:  # fmt: skip
        """Compare how an amount changed since it last tied with what is said to have moved."""
        last = self.last.get((kind, market, subject))
        end = certain_until(self.connection, amounts, stretch[1] - self.slack)
        if end is None:
            return
        if last is None or last.amount is None or last.to_time < stretch[0]:
            start, before = first_amount(self.connection, amounts, stretch[0], self.slack)
            last = Tie(kind=kind, market=market, subject=subject, from_time=start, to_time=start, tied=True,
                       amount=before)  # fmt: skip
        assert last.amount is not None
        if end - last.to_time < 2 * self.slack:
            return
        after = amount_at(self.connection, amounts, end)
        window = Window(start=last.to_time, end=end, slack=self.slack, before=last.amount,
                        after=_ZERO if after is None else after)  # fmt: skip
        verdict = self._judge(window, parts)
        if not verdict.tied and last.from_time < last.to_time:
            # what was told late may be dated before the last comparison: compare from the beginning
            begin, first = first_amount(self.connection, amounts, last.from_time, self.slack)
            whole = msgspec.structs.replace(window, start=begin, before=first)
            verdict = max(verdict, self._judge(whole, parts), key=lambda one: one.tied)
        if verdict.tied:
            last = msgspec.structs.replace(last, to_time=end, amount=window.after, tied=True, detail={},
                                           compared=last.compared + 1)  # fmt: skip
            self._good(kind, subject)
        else:
            detail = {
                "expected": money_text(window.before + verdict.moved), "actual": money_text(window.after),
                "difference": money_text(verdict.unexplained), "before": money_text(window.before),
                "moved": money_text(verdict.moved), "from": window.start.isoformat(),
                "to": window.end.isoformat(),
            }  # fmt: skip
            last = msgspec.structs.replace(last, tied=False, detail=detail)
            self.out.broken.append(Broken(kind=kind, subject=subject, severity=severity,
                                          window=(window.start, window.end), detail=detail))  # fmt: skip
        self.out.ties.append(last)

    def _judge(self, window: Window, parts: list[Moves]) -> Verdict:
        slack = window.slack
        early = [one for part in parts for one in part.listed(window.start - slack, window.start + slack)]
        middle = sum((part.summed(window.start + slack, window.end - slack) for part in parts), _ZERO)
        late = [one for part in parts for one in part.listed(window.end - slack, window.end + slack)]
        return judge(window, early, middle, late)
