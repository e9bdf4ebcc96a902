"""Reads what an audit judges: coverage, gaps, findings, blind windows, evidence."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from sqlalchemy import Connection, select
from sqlalchemy.engine import RowMapping

from accountd.core.audit import Dark, Doubt, Facts, Hole, Stretch
from accountd.store import tables

EVIDENCE = 500  # rows of a report


def facts(conn: Connection, account: str | None, expected: Mapping[str, Iterable[tuple[str, str]]]
          ) -> list[Facts]:  # fmt: skip
    """Read what the record says of one account, or of all; ``expected`` is what there must be, by venue."""
    c = tables.accounts.c
    query = select(tables.accounts).order_by(c.account_id)
    if account is not None:
        query = query.where(c.account_id == account)
    return [
        Facts(
            account=row["account_id"], venue=row["venue"], created_at=row["created_at"],
            expected=sorted(expected.get(row["venue"], ())), stretches=_stretches(conn, row["account_id"]),
            gaps=_gaps(conn, row["account_id"]), findings=_findings(conn, row["account_id"]),
            dark=_dark(conn, row["account_id"]),
        )
        for row in conn.execute(query).mappings().all()
    ]  # fmt: skip


def _stretches(conn: Connection, account: str) -> list[Stretch]:
    t = tables.coverage
    return [
        Stretch(
            dataset=row.dataset, market=row.market, symbol=row.symbol, start=row.from_time, end=row.to_time,
            proven_at=row.proven_at,
        )
        for row in conn.execute(select(t).where(t.c.account_id == account).order_by(t.c.from_time))
    ]  # fmt: skip


def _gaps(conn: Connection, account: str) -> list[Hole]:
    t = tables.gaps
    return [
        Hole(
            dataset=row.dataset, market=row.market, symbol=row.symbol, start=row.from_time, end=row.to_time,
            reason=row.reason, gap_id=row.gap_id, opened_at=row.opened_at, closed_at=row.closed_at,
            recovered=row.recovered,
        )
        for row in conn.execute(select(t).where(t.c.account_id == account).order_by(t.c.from_time))
    ]  # fmt: skip


def _findings(conn: Connection, account: str) -> list[Doubt]:
    t = tables.findings
    return [
        Doubt(
            finding_id=row.finding_id, kind=row.kind, severity=row.severity, subject=row.subject,
            detail=_json(row.detail), opened_at=row.opened_at, resolved_at=row.resolved_at,
            start=row.from_time, end=row.to_time,
        )
        for row in conn.execute(select(t).where(t.c.account_id == account).order_by(t.c.opened_at))
    ]  # fmt: skip


def _json(text: str) -> Any:
    try:
        return json.loads(text, parse_float=str)
    except ValueError:
        return text


def _dark(conn: Connection, account: str) -> list[Dark]:
    t = tables.blind_windows
    found = conn.execute(select(t).where(t.c.account_id == account).order_by(t.c.from_time))
    return [Dark(start=row.from_time, end=row.to_time, reason=row.reason) for row in found]


def evidence(conn: Connection, account: str) -> list[RowMapping]:
    """Return the latest evidence of an account's coverage: what was asked, when, and what it proved."""
    t = tables.evidence
    query = select(t).where(t.c.account_id == account).order_by(t.c.last_at.desc()).limit(EVIDENCE)
    return list(conn.execute(query).mappings())


def ties(conn: Connection, account: str) -> list[RowMapping]:
    """Return what was added up last, over which time, and whether it tied; what did not comes first."""
    t = tables.ties
    query = select(t).where(t.c.account_id == account)
    return list(conn.execute(query.order_by(t.c.tied, t.c.kind, t.c.market, t.c.subject)).mappings())
