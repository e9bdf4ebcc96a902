"""The command that says how each account stands, from the record alone."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

import typer

from accountd.cli import output, record
from accountd.cli.filters import AsCsv, AsJson
from accountd.store import queries

Account = Annotated[str | None, typer.Option("--account", "-a", help="Only this account.")]
COLUMNS = (
    "account", "venue", "environment", "state", "since", "last_event_at", "blind_seconds", "open_gaps",
    "open_findings", "alerts_pending", "alerts_dead", "detail",
)  # fmt: skip
HEADS = {
    "last_event_at": "last seen (UTC)",
    "since": "since (UTC)",
    "blind_seconds": "blind s",
    "open_gaps": "gaps",
    "open_findings": "findings",
    "alerts_pending": "pending",
    "alerts_dead": "dead",
}

# A LIVE session writes its last proof of life every 15 seconds; a killed process writes none.
SIGN_OF_LIFE = timedelta(seconds=60)


def status(account: Account = None, json: AsJson = False, csv: AsCsv = False) -> None:
    """Show each account's session, blind time, open gaps, findings and waiting alerts."""
    how = output.form(json, csv)
    name = account.lower() if account else None
    with record.opened() as connection:
        record.require_account(connection, name)
        wanted = queries.Filter(account=name)
        rows = standing(
            accounts=[row for row in queries.accounts(connection) if name in (None, row["name"])],
            sessions=list(queries.sessions(connection, name)),
            blind=queries.blind(connection),
            gaps=list(queries.gaps(connection, wanted, open_only=True)),
            findings=list(queries.findings(connection, wanted, open_only=True)),
            outbox=list(queries.deliveries(connection)),
            now=datetime.now(UTC),
        )
        output.write(how, COLUMNS, rows, shown=COLUMNS, heads=HEADS)


def standing(
    *,
    accounts: Iterable[Mapping[Any, Any]],
    sessions: Iterable[Mapping[Any, Any]],
    blind: Mapping[str, datetime],
    gaps: Iterable[Mapping[Any, Any]],
    findings: Iterable[Mapping[Any, Any]],
    outbox: Iterable[Mapping[Any, Any]],
    now: datetime,
) -> list[dict[str, Any]]:
    """Return one row an account; alerts are counted over all accounts, because hooks are shared."""
    latest = {row["account_id"]: row for row in sessions}
    open_gaps = Counter(row["account_id"] for row in gaps)
    open_findings = Counter(row["account_id"] for row in findings)
    alerts: Counter[str] = Counter()
    for row in outbox:
        alerts[row["status"]] += row["count"]
    rows = []
    for account in accounts:
        key = account["account_id"]
        session, silent = latest.get(key), blind.get(key)
        seen = (silent, session and session["last_seen_at"])
        state, since, seconds, detail = session_state(session, silent, now)
        rows.append(
            {
                "account": account["name"],
                "venue": account["venue"],
                "environment": account["environment"],
                "state": state,
                "since": since,
                "last_event_at": max(filter(None, seen), default=None),
                "blind_seconds": seconds,
                "open_gaps": open_gaps[key],
                "open_findings": open_findings[key],
                "alerts_pending": alerts["pending"],
                "alerts_dead": alerts["dead"],
                "detail": detail,
            }
        )
    return rows


def session_state(
    session: Mapping[Any, Any] | None, silent: datetime | None, now: datetime
) -> tuple[str, datetime | None, int | None, str]:
    """Return the state, since when, for how many seconds nothing was heard while not LIVE, and a remark.

    ``session`` is the latest; ``silent`` is since when nothing is heard, over all attempts since then.
    """
    if session is None:
        return "NEVER", None, None, "no session yet"
    if session["closed_at"] is not None:
        closed = session["closed_at"]
        blind_from = silent or session["last_seen_at"] or closed
        return "CLOSED", silent or closed, _seconds(blind_from, now), session["close_reason"] or ""
    if session["live_at"] is not None:
        seen = max(session["live_at"], session["last_seen_at"] or session["live_at"])
        if now - seen > SIGN_OF_LIFE:
            return "LOST", seen, _seconds(seen, now), "no sign of life: is accountd running?"
        return "LIVE", session["live_at"], 0, ""
    begun = session["subscribed_at"] or session["opened_at"]
    state = "SYNCING" if session["subscribed_at"] else "CONNECTING"
    return state, begun, _seconds(silent or session["opened_at"], now), ""


def _seconds(since: datetime, now: datetime) -> int:
    return max(0, int((now - since).total_seconds()))


__all__: Sequence[str] = ("session_state", "standing", "status")
