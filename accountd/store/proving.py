"""What the record's completeness is proven by: evidence, blind time, ties, wishes for older history."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import msgspec
from sqlalchemy import Connection, Table, and_, func, select, update

from accountd.store import proven
from accountd.store.proven import Proven
from accountd.store.tables import backfills, blind_windows, fill_corrections, fills, sessions, ties

FOR_EVER = "older than the venue keeps"


def upsert(connection: Connection, table: Table) -> Any:
    """Return an INSERT that knows ON CONFLICT in the dialect of the connection."""
    return proven.upsert(connection.dialect.name, table)


class Tie(msgspec.Struct, kw_only=True):
    """What was compared last: it ties from ``from_time`` to ``to_time``, where it had ``amount``."""

    kind: str
    market: str
    subject: str
    from_time: datetime
    to_time: datetime
    tied: bool
    compared: int = 0
    amount: Decimal | None = None
    detail: dict[str, Any] = {}


class Proving:
    """Writes proofs on a connection that is in a transaction."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection

    # -- coverage

    def prove(self, account_id: str, told: Sequence[Proven], at: datetime) -> None:
        """Add proven stretches of time to the coverage, each with its evidence."""
        proven.write(self.connection, account_id, told, at)

    # -- blind time

    def last_life(self, account_id: str) -> datetime | None:
        """Return when a session of the account was last known to receive; None if none ever was."""
        c = sessions.c
        life = func.coalesce(c.last_seen_at, c.live_at, c.subscribed_at, type_=c.opened_at.type)
        ended = select(c.closed_at, c.close_reason, life).where(c.account_id == account_id, life.is_not(None))
        found = [
            (closed if closed and reason in ("stopped", "rotation") else seen)
            for closed, reason, seen in self.connection.execute(ended.order_by(c.opened_at.desc()).limit(10))
        ]
        return max(found, default=None)

    def go_blind(self, account_id: str, since: datetime, reason: str, session_id: str | None) -> None:
        """Write that nothing is received since then, unless it is dark already."""
        c = blind_windows.c
        dark = select(c.from_time).where(c.account_id == account_id, c.to_time.is_(None))
        if self.connection.execute(dark).first() is None:
            row = {"account_id": account_id, "from_time": since, "to_time": None, "reason": reason,
                   "session_id": session_id}  # fmt: skip
            fresh = upsert(self.connection, blind_windows).values(row)
            self.connection.execute(fresh.on_conflict_do_update(
                index_elements=["account_id", "from_time"], set_={"to_time": None}
            ))  # fmt: skip

    def see_again(self, account_id: str, session_id: str, at: datetime) -> float:
        """Write that a session receives again, end what was dark and return the seconds of it."""
        c = blind_windows.c
        found = self.connection.execute(
            select(c.from_time).where(c.account_id == account_id, c.to_time.is_(None))
        ).scalars().all()  # fmt: skip
        if not found:
            return 0.0
        since = min(found)
        end = max(at, since)
        self.connection.execute(
            update(blind_windows).where(c.account_id == account_id, c.to_time.is_(None)).values(to_time=end)
        )
        seconds: float = (end - since) / timedelta(seconds=1)
        self.connection.execute(
            update(sessions).where(sessions.c.session_id == session_id)
            .values(blind_from=since, blind_seconds=seconds)
        )  # fmt: skip
        return seconds

    # -- ties

    def write_ties(self, account_id: str, told: Iterable[Tie], at: datetime) -> None:
        """Write down what was compared, in place of the last comparison."""
        for one in told:
            fresh = upsert(self.connection, ties).values(
                account_id=account_id, kind=one.kind, market=one.market, subject=one.subject,
                from_time=one.from_time, to_time=one.to_time, checked_at=at, compared=one.compared,
                tied=one.tied, amount=one.amount, detail=msgspec.json.encode(one.detail).decode(),
            )  # fmt: skip
            keys = [column.name for column in ties.primary_key]
            moved = {c.name: fresh.excluded[c.name] for c in ties.c if c.name not in keys}
            self.connection.execute(fresh.on_conflict_do_update(index_elements=keys, set_=moved))

    # -- backfills

    def ask_backfill(self, account_id: str, since: datetime, at: datetime) -> None:
        """Write down that history from then on is wanted; an older wish stays."""
        fresh = upsert(self.connection, backfills).values(
            account_id=account_id, since=since, asked_at=at, done_at=None
        )
        c = backfills.c
        earliest = func.min if self.connection.dialect.name == "sqlite" else func.least
        self.connection.execute(fresh.on_conflict_do_update(
            index_elements=["account_id"],
            set_={
                "since": earliest(c.since, fresh.excluded.since), "asked_at": fresh.excluded.asked_at,
                "done_at": None,
            },
        ))  # fmt: skip

    def wanted_since(self, account_id: str) -> datetime | None:
        """Return from when on history is wanted, where somebody asked."""
        c = backfills.c
        found = self.connection.execute(select(c.since).where(c.account_id == account_id)).scalar()
        return found

    def is_backfill_due(self, account_id: str) -> bool:
        """Say whether history was asked for that has not been read to its end."""
        c = backfills.c
        due = select(c.since).where(c.account_id == account_id, c.done_at.is_(None))
        return self.connection.execute(due).first() is not None

    def end_backfill(self, account_id: str, at: datetime) -> None:
        """Write that all that was asked for has been read."""
        c = backfills.c
        self.connection.execute(
            update(backfills).where(c.account_id == account_id, c.done_at.is_(None)).values(done_at=at)
        )

    def withdraw_fill(self, account_id: str, market: str, symbol: str, trade_id: str, at: datetime) -> None:
        """Write beside a fill that the venue no longer shows it; the fill itself stays as it was told."""
        key = {"account_id": account_id, "market": market, "symbol": symbol, "trade_id": trade_id}
        here = and_(*(fills.c[name] == value for name, value in key.items()))
        told = self.connection.execute(select(fills).where(here)).mappings().first()
        if told is None:
            return
        row = {c.name: told[c.name] for c in fill_corrections.c if c.name in told}
        row |= {"correction_id": "withdrawn", "kind": "withdrawn", "received_at": at, "source": "rest"}
        fresh = upsert(self.connection, fill_corrections).values(row)
        self.connection.execute(fresh.on_conflict_do_nothing())
