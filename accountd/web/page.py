"""The one HTML page: how each account stands, what is missing and what waits."""

import base64
import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from html import escape
from typing import Any

from accountd import __version__
from accountd.core.health import Health
from accountd.core.states import State
from accountd.store import engine, queries

STYLE = """
:root{color-scheme:light dark;font:16px/1.5 system-ui,sans-serif}
body{max-width:60rem;margin:2rem auto;padding:0 1rem}
h1{font-size:1.4rem}h2{font-size:1.1rem;margin-top:2rem}
table{border-collapse:collapse;width:100%}th,td{text-align:left;padding:.3rem .8rem .3rem 0}
th{font-weight:600;border-bottom:1px solid #8886}td{font-variant-numeric:tabular-nums}
.good{color:#18794e}.bad{color:#c62a2f}footer{margin-top:3rem;opacity:.6}
@media(prefers-color-scheme:dark){.good{color:#4cc38a}.bad{color:#ff6369}}
"""
SHOWN = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """What the page shows of the database."""

    gaps: Sequence[Any]
    findings: Sequence[Any]
    deliveries: Sequence[Any]
    names: dict[str, str]


def style_hash() -> str:
    """Return the hash under which the content security policy lets the style through."""
    return base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()


def read(database_url: str) -> Record:
    """Read what the page shows, on a connection that cannot write.

    Raises:
        DatabaseError: the database does not answer or is not migrated.
    """
    some = queries.Filter(limit=SHOWN, newest=True)
    reader = engine.reader_engine(database_url)
    try:
        with engine.reading(reader) as connection:
            return Record(
                gaps=list(queries.gaps(connection, some, open_only=True)),
                findings=list(queries.findings(connection, some, open_only=True)),
                deliveries=list(queries.deliveries(connection)),
                names={row["account_id"]: row["name"] for row in queries.accounts(connection)},
            )
    finally:
        reader.dispose()


def render(health: Health, record: Record | str | None, now: datetime | None = None) -> str:
    """Return the page; a string for `record` says why the database could not be read."""
    now = now or datetime.now(UTC)
    reasons = health.reasons()
    verdict = (
        '<p class="good">Ready: every account is live and the record is being written.</p>'
        if not reasons
        else '<p class="bad">Not ready: ' + escape("; ".join(reasons)) + "</p>"
    )
    body = [verdict, "<h2>Accounts</h2>", _accounts(health, now)]
    if isinstance(record, str):
        body.append(f'<h2>Record</h2><p class="bad">{escape(record)}</p>')
    elif record is not None:
        body += _record(record)
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>accountd</title>'
        '<meta name="viewport" content="width=device-width"><meta name="color-scheme" content="light dark">'
        f"<style>{STYLE}</style></head><body><h1>accountd</h1>{''.join(body)}"
        f"<footer>accountd {escape(__version__)}, {_time(now)}. "
        '<a href="/readyz">readyz</a> <a href="/metrics">metrics</a></footer></body></html>'
    )


def _accounts(health: Health, now: datetime) -> str:
    rows = []
    for name, account in sorted(health.accounts.items()):
        tone = "good" if account.state is State.LIVE else "bad"
        key = "" if account.key_age is None else f"{account.key_age:.0f} s"
        rows.append(
            f'<tr><td>{escape(name)}</td><td class="{tone}">{escape(str(account.state))}</td>'
            + _cells(
                _time(account.since), _ago(account.last_event_at, now), f"{account.blind_seconds:.0f} s", key
            )
            + f"<td>{escape(account.detail)}</td></tr>"
        )
    return _table(("account", "state", "since", "last event", "blind", "key renewed", ""), rows)


def _record(record: Record) -> Iterable[str]:
    def name(row: Any) -> str:
        return record.names.get(row["account_id"], "") or str(row["account_id"])

    yield "<h2>Open gaps</h2>"
    yield _rows(
        ("account", "dataset", "symbol", "from", "reason"),
        [
            (name(r), r["dataset"], r["symbol"] or "all", _time(r["from_time"]), r["reason"])
            for r in record.gaps
        ],
    )
    yield "<h2>Open findings</h2>"
    yield _rows(
        ("account", "severity", "kind", "subject", "since"),
        [(name(r), r["severity"], r["kind"], r["subject"], _time(r["opened_at"])) for r in record.findings],
    )
    yield "<h2>Alerts</h2>"
    yield _rows(
        ("hook", "status", "count"), [(r["hook"], r["status"], str(r["count"])) for r in record.deliveries]
    )


def _rows(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    return _table(heads, [f"<tr>{_cells(*row)}</tr>" for row in rows]) if rows else "<p>none</p>"


def _table(heads: Sequence[str], rows: Sequence[str]) -> str:
    return f"<table><tr>{''.join(f'<th>{escape(head)}</th>' for head in heads)}</tr>{''.join(rows)}</table>"


def _cells(*values: str) -> str:
    return "".join(f"<td>{escape(value)}</td>" for value in values)


def _time(moment: datetime | None) -> str:
    return moment.strftime("%Y-%m-%d %H:%M:%S UTC") if moment else ""


def _ago(moment: datetime | None, now: datetime) -> str:
    return f"{max(0.0, (now - moment).total_seconds()):.0f} s ago" if moment else "none yet"
