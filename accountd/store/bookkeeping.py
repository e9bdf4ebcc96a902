"""What is kept about the record itself: sessions, gaps, coverage, findings, missing orders."""

from __future__ import annotations

import hashlib
from datetime import datetime
from typing import Any

import msgspec
from sqlalchemy import and_, func, select, union_all, update

from accountd.core.changes import finding_name
from accountd.core.noticed import CONFLICT
from accountd.core.told import ALGO_ORDERS, FILLS, ORDERS, TRANSFERS
from accountd.store.proving import Proving
from accountd.store.proving import upsert as upsert
from accountd.store.rows import Gap
from accountd.store.tables import accounts, coverage, fills, findings, gaps, orders, sessions, transfers

CRASH = "crash"
# Where the rows of a dataset are, and the venue time that says whether a gap spans them.
_RECOVERED = {
    FILLS: (fills, fills.c.traded_at),
    ORDERS: (orders, orders.c.updated_at),
    ALGO_ORDERS: (orders, orders.c.updated_at),
    TRANSFERS: (transfers, transfers.c.occurred_at),
}


def gap_name(account_id: str, dataset: str, market: str, symbol: str, from_time: datetime) -> str:
    """Return the id of a gap, the same whoever finds it and however often."""
    parts = [account_id, dataset, market, symbol, from_time.isoformat()]
    return hashlib.sha256(msgspec.json.encode(parts)).hexdigest()[:32]


class Bookkeeping(Proving):
    """The record's own books, written on a connection that is in a transaction."""

    # -- sessions

    def open_session(self, session_id: str, account_id: str, opened_at: datetime) -> None:
        """Write down that a session begins."""
        row = {"session_id": session_id, "account_id": account_id, "opened_at": opened_at, "frames": 0}
        self.connection.execute(sessions.insert(), row)

    def update_session(
        self,
        session_id: str,
        *,
        subscribed_at: datetime | None = None,
        live_at: datetime | None = None,
        last_seen_at: datetime | None = None,
        closed_at: datetime | None = None,
        close_reason: str | None = None,
        frames: int | None = None,
    ) -> None:
        """Write down how a session goes on; None leaves what is there."""
        told = {
            "subscribed_at": subscribed_at, "live_at": live_at, "last_seen_at": last_seen_at,
            "closed_at": closed_at, "close_reason": close_reason, "frames": frames,
        }  # fmt: skip
        values = {name: value for name, value in told.items() if value is not None}
        if values:
            self.connection.execute(
                update(sessions).where(sessions.c.session_id == session_id).values(values)
            )

    def close_crashed_sessions(self, account_id: str, now: datetime) -> list[tuple[str, datetime]]:
        """Close the sessions that a dead process left open; return each with its last proof of life."""
        c = sessions.c
        alive = func.coalesce(c.last_seen_at, c.live_at, c.subscribed_at, c.opened_at, type_=c.opened_at.type)
        left = and_(c.account_id == account_id, c.closed_at.is_(None))
        found = self.connection.execute(select(c.session_id, alive).where(left).order_by(c.opened_at)).all()
        if found:
            self.connection.execute(update(sessions).where(left).values(closed_at=now, close_reason=CRASH))
        return [(name, seen) for name, seen in found]

    # -- gaps

    def open_gap(
        self, account_id: str, dataset: str, market: str, symbol: str, from_time: datetime, reason: str,
        now: datetime, to_time: datetime | None = None,
    ) -> str:  # fmt: skip
        """Write down a hole and return its id. The same hole again is open again, and may learn its end.

        ``symbol`` is empty where the hole is in every symbol; ``from_time`` is the last proof of life.
        """
        name = gap_name(account_id, dataset, market, symbol, from_time)
        fresh = upsert(self.connection, gaps).values(
            gap_id=name, account_id=account_id, dataset=dataset, market=market, symbol=symbol,
            from_time=from_time, to_time=to_time, reason=reason, opened_at=now, closed_at=None, recovered=0,
        )  # fmt: skip
        known = {"closed_at": None, "to_time": fresh.excluded.to_time}
        self.connection.execute(fresh.on_conflict_do_update(index_elements=["gap_id"], set_=known))
        return name

    def close_gaps(
        self, account_id: str, dataset: str, market: str, symbol: str | None, covered_to: datetime,
        now: datetime, recovered: int = 0, covered_from: datetime | None = None,
    ) -> list[Gap]:  # fmt: skip
        """Close the open gaps that a sweep has covered, and return them as they are now.

        Covered are those that begin not before ``covered_from`` (None: whenever) and whose end, or whose
        beginning while the end is not known, is not after ``covered_to``, which then becomes the end.
        ``symbol`` None closes those of every symbol. ``recovered`` rows are counted on the oldest.
        """
        c = gaps.c
        covered = and_(
            c.account_id == account_id, c.dataset == dataset, c.market == market, c.closed_at.is_(None),
            func.coalesce(c.to_time, c.from_time, type_=c.from_time.type) <= covered_to,
        )  # fmt: skip
        if symbol is not None:
            covered = and_(covered, c.symbol == symbol)
        if covered_from is not None:
            covered = and_(covered, c.from_time >= covered_from)
        found = self.connection.execute(
            select(gaps).where(covered).order_by(c.from_time, c.gap_id)
        ).mappings()
        closed = [Gap(**row) for row in found.all()]
        for gap in closed:
            gap.to_time, gap.closed_at = gap.to_time or covered_to, now
            gap.recovered, recovered = gap.recovered + recovered, 0
            self.connection.execute(
                update(gaps).where(c.gap_id == gap.gap_id)
                .values(to_time=gap.to_time, closed_at=now, recovered=gap.recovered)
            )  # fmt: skip
        return closed

    def count_recovered(self, gap: Gap) -> int:
        """Count the rows inside a closed gap that REST told first, write the number down and return it."""
        what = _RECOVERED.get(gap.dataset)
        if what is None or gap.to_time is None:
            return 0
        table, at = what
        inside = and_(
            table.c.account_id == gap.account_id, table.c.market == gap.market, table.c.source == "rest",
            at >= gap.from_time, at <= gap.to_time,
        )  # fmt: skip
        if "kind" in table.c and gap.dataset in (ORDERS, ALGO_ORDERS):
            inside = and_(inside, table.c.kind == ("order" if gap.dataset == ORDERS else "algo"))
        number = self.connection.execute(select(func.count()).select_from(table).where(inside)).scalar_one()
        self.connection.execute(update(gaps).where(gaps.c.gap_id == gap.gap_id).values(recovered=number))
        return int(number)

    def open_gaps(self, account_id: str) -> list[Gap]:
        """Return the account's holes that no sweep has covered yet, the oldest first."""
        query = select(gaps).where(gaps.c.account_id == account_id, gaps.c.closed_at.is_(None))
        found = self.connection.execute(query.order_by(gaps.c.from_time, gaps.c.gap_id)).mappings()
        return [Gap(**row) for row in found]

    def end_gap(self, gap_id: str, to_time: datetime) -> None:
        """Write when a blind time ended; the gap stays open until a sweep covers it."""
        self.connection.execute(update(gaps).where(gaps.c.gap_id == gap_id).values(to_time=to_time))

    # -- coverage

    def cursors(self, account_id: str) -> dict[tuple[str, str, str], tuple[datetime, datetime]]:
        """Return the latest proven stretch of each (dataset, market, symbol)."""
        c = coverage.c
        query = select(c.dataset, c.market, c.symbol, c.from_time, c.to_time)
        found = self.connection.execute(query.where(c.account_id == account_id).order_by(c.to_time))
        return {(row[0], row[1], row[2]): (row[3], row[4]) for row in found}

    def stretches(self, account_id: str) -> dict[tuple[str, str, str], list[tuple[datetime, datetime]]]:
        """Return every proven stretch of each (dataset, market, symbol), the oldest first."""
        c = coverage.c
        query = select(c.dataset, c.market, c.symbol, c.from_time, c.to_time)
        found: dict[tuple[str, str, str], list[tuple[datetime, datetime]]] = {}
        for row in self.connection.execute(query.where(c.account_id == account_id).order_by(c.from_time)):
            found.setdefault((row[0], row[1], row[2]), []).append((row[3], row[4]))
        return found

    # -- findings, orders, accounts

    def resolve_findings(self, account_id: str, kind: str, subject: str | None, now: datetime) -> int:
        """Resolve open findings of a kind, about one subject or (None) all; return how many."""
        c = findings.c
        mine = and_(c.account_id == account_id, c.kind == kind, c.resolved_at.is_(None))
        if subject is not None:
            mine = and_(mine, c.subject == subject)
        return self.connection.execute(update(findings).where(mine).values(resolved_at=now)).rowcount

    def open_finding(
        self, account_id: str, kind: str, severity: str, subject: str, detail: dict[str, Any], now: datetime,
        window: tuple[datetime, datetime | None] | None = None,
    ) -> str:  # fmt: skip
        """Open a finding and return its id; one that is there already is open again and says what is new."""
        name = finding_name(account_id, kind, subject)
        since, until = window or (None, None)
        fresh = upsert(self.connection, findings).values(
            finding_id=name, account_id=account_id, kind=kind, severity=severity, subject=subject,
            detail=msgspec.json.encode(detail).decode(), opened_at=now, resolved_at=None, from_time=since,
            to_time=until,
        )  # fmt: skip
        new = fresh.excluded
        known = {"resolved_at": None, "detail": new.detail, "from_time": new.from_time,
                 "to_time": new.to_time}  # fmt: skip
        self.connection.execute(fresh.on_conflict_do_update(index_elements=["finding_id"], set_=known))
        return name

    def open_subjects(self, account_id: str, kind: str, prefix: str = "") -> list[str]:
        """Return what the open findings of a kind are about."""
        c = findings.c
        mine = and_(c.account_id == account_id, c.kind == kind, c.resolved_at.is_(None))
        found = self.connection.execute(select(c.subject).where(mine)).scalars()
        return [subject for subject in found if subject.startswith(prefix)]

    def open_conflicts(self, account_id: str) -> dict[str, dict[str, object]]:
        """Return the detail of each open conflict, by what it is about."""
        c = findings.c
        mine = and_(c.account_id == account_id, c.kind == CONFLICT, c.resolved_at.is_(None))
        found = self.connection.execute(select(c.subject, c.detail).where(mine))
        return {subject: msgspec.json.decode(detail) for subject, detail in found}

    def known_symbols(self, account_id: str, market: str) -> dict[str, datetime]:
        """Return the symbols with orders, fills or transfers, each with its last activity (venue time)."""
        parts = [
            select(table.c.symbol.label("symbol"), func.max(at, type_=at.type).label("at"))
            .where(table.c.account_id == account_id, table.c.market == market, table.c.symbol.is_not(None))
            .group_by(table.c.symbol)
            for table, at in (
                (orders, orders.c.updated_at), (fills, fills.c.traded_at), (transfers,
                transfers.c.occurred_at),
            )
        ]  # fmt: skip
        found: dict[str, datetime] = {}
        for symbol, at in self.connection.execute(union_all(*parts)):
            found[symbol] = max(at, found.get(symbol, at))
        return {symbol: at for symbol, at in found.items() if symbol}

    def set_created_at(self, account_id: str, when: datetime) -> None:
        """Correct the account's first start, from which on its events ring."""
        self.connection.execute(
            update(accounts).where(accounts.c.account_id == account_id).values(created_at=when)
        )
