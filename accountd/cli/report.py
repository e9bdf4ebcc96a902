"""The audit as one HTML page without any outside resource, to be read and printed."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from html import escape
from importlib.resources import files
from string import Template
from typing import Any

from accountd import __version__
from accountd.cli.output import human
from accountd.cli.report_picture import COLOURS, timeline
from accountd.core.audit import AccountVerdict, Doubt, Hole, is_complete

MOST = 1_000  # rows of one table; the JSON form has them all
LEGEND = (
    ("good", "proven by REST"),
    ("bad", "open gap"),
    ("late", "closed gap"),
    ("dark", "blind"),
    ("error", "finding: error"),
    ("warning", "warning"),
    ("info", "info"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class More:
    """What else is known of an account: where its journal stands, what was added up, what was asked."""

    rows: int
    head: str
    note: str
    ties: Sequence[Mapping[Any, Any]]
    evidence: Sequence[Mapping[Any, Any]]


def page(verdicts: Sequence[AccountVerdict], more: Mapping[str, More], now: datetime, start: datetime | None,
         end: datetime | None) -> str:  # fmt: skip
    """Return the whole page; every value that comes from the record is escaped."""
    complete, tied = is_complete(verdicts), all(one.tied for one in verdicts)
    good = complete and tied
    words = "complete, and it ties" if good else "complete, but does not tie" if complete else "not complete"
    template = Template(files("accountd.cli").joinpath("report.html").read_text(encoding="utf-8"))
    return template.substitute(
        title=escape(f"accountd audit {now:%Y-%m-%d %H:%M}"), version=escape(__version__),
        made=f"{now:%Y-%m-%d %H:%M:%S}", tone="good" if good else "bad", verdict=escape(words),
        window=escape(f"{human(start) or 'from the beginning'} to {human(end) or 'each last proof'}"),
        summary=_summary(verdicts),
        accounts="".join(
            _account(one, more[one.facts.account], start, end, n)
            for n, one in enumerate(verdicts)
        ),
    )  # fmt: skip


def _table(heads: Sequence[str], rows: Iterable[Sequence[str]], right: Sequence[int] = ()) -> str:
    """Return a table of cells that are HTML already."""
    kinds = [' class="n"' if n in right else "" for n in range(len(heads))]
    head = "".join(f"<th{kind}>{escape(name)}</th>" for kind, name in zip(kinds, heads, strict=True))
    body = "".join(
        "<tr>" + "".join(f"<td{kind}>{cell}</td>" for kind, cell in zip(kinds, row, strict=True)) + "</tr>"
        for row in rows
    )
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def _mark(good: bool) -> str:
    return '<span class="yes">yes</span>' if good else '<span class="no">no</span>'


def _text(value: Any) -> str:
    return escape(human(value))


def _summary(verdicts: Sequence[AccountVerdict]) -> str:
    if not verdicts:
        return "<p>The record has no account yet.</p>"
    rows = [
        (
            _text(one.facts.account), _text(one.facts.venue), _mark(one.complete), _mark(one.tied),
            _text(one.proven_to) or "never", str(len(one.holes)), str(len(one.findings)),
        )
        for one in verdicts
    ]  # fmt: skip
    heads = ("account", "venue", "complete", "ties", "proven to", "open gaps", "open findings")
    return _table(heads, rows, right=(5, 6))


def _account(one: AccountVerdict, more: More, start: datetime | None, end: datetime | None, n: int) -> str:
    first = ' class="first"' if n == 0 else ""
    key = "".join(f'<span><i style="background:{COLOURS[name]}"></i>{said}</span>' for name, said in LEGEND)
    picture = timeline(one, start, end)
    parts = [
        f"<h2{first}>{_text(one.facts.account)} <span class='dim'>{_text(one.facts.venue)}</span></h2>",
        f'{picture}<p class="key">{key}</p>' if picture else "<p>Nothing was ever proven or missed.</p>",
        "<h3>Datasets</h3>", _datasets(one),
        f"<h3>Open gaps ({len(one.holes)})</h3>", _holes(one.holes),
        f"<h3>Open findings ({len(one.findings)})</h3>", _findings(one.findings),
        *_ties(more.ties), *_past(one), *_evidence(more.evidence), *_journal(more),
    ]  # fmt: skip
    return "\n".join(parts)


def _datasets(one: AccountVerdict) -> str:
    heads = ("market", "dataset", "complete", "proven from", "proven to", "proven at", "symbols", "gaps",
             "closed")  # fmt: skip
    rows = [
        (
            _text(d.market), _text(d.dataset), _mark(d.complete), _text(d.proven_from),
            _text(d.proven_to) or "never", _text(d.proven_at), str(d.symbols or "all"), str(len(d.holes)),
            str(d.closed),
        )
        for d in one.datasets
    ]  # fmt: skip
    return _table(heads, rows, right=(6, 7, 8))


def _holes(holes: Sequence[Hole]) -> str:
    if not holes:
        return '<p class="dim">None.</p>'
    heads = ("market", "dataset", "symbol", "from", "to", "reason", "closed", "recovered")
    rows = [
        (
            _text(hole.market), _text(hole.dataset), _text(hole.symbol) or "all", _text(hole.start),
            _text(hole.end) or "now", _text(hole.reason), _text(hole.closed_at),
            str(hole.recovered) if hole.closed_at else "",
        )
        for hole in holes[:MOST]
    ]  # fmt: skip
    return _table(heads, rows, right=(7,)) + _more(len(holes))


def _findings(findings: Sequence[Doubt]) -> str:
    if not findings:
        return '<p class="dim">None.</p>'
    heads = ("severity", "kind", "subject", "opened", "resolved", "detail")
    rows = [
        (
            _text(one.severity), _text(one.kind), f'<span class="id">{_text(one.subject)}</span>',
            _text(one.opened_at), _text(one.resolved_at),
            f'<span class="id">{escape(json.dumps(one.detail, ensure_ascii=False, default=str))}</span>',
        )
        for one in findings[:MOST]
    ]  # fmt: skip
    return _table(heads, rows).replace("<td><span", '<td class="wide"><span') + _more(len(findings))


def _past(one: AccountVerdict) -> Iterable[str]:
    closed = [gap for gap in one.facts.gaps if gap.closed_at is not None]
    resolved = [found for found in one.facts.findings if found.resolved_at is not None]
    if closed:
        yield f"<h3>Gaps that were closed ({len(closed)})</h3>"
        yield _holes(closed[::-1])
    if resolved:
        yield f"<h3>Findings that were resolved ({len(resolved)})</h3>"
        yield _findings(resolved[::-1])
    if one.facts.dark:
        yield f"<h3>Blind times ({len(one.facts.dark)})</h3>"
        rows = [(_text(d.start), _text(d.end) or "now", _text(d.reason)) for d in one.facts.dark[::-1][:MOST]]
        yield _table(("from", "to", "reason"), rows) + _more(len(one.facts.dark))


def _ties(rows: Sequence[Mapping[Any, Any]]) -> Iterable[str]:
    if not rows:
        return
    yield "<h3>What was added up last</h3>"
    heads = ("check", "market", "subject", "from", "to", "compared", "ties", "difference")
    yield _table(heads, [
        (
            _text(r["kind"]), _text(r["market"]), f'<span class="id">{_text(r["subject"])}</span>',
            _text(r["from_time"]), _text(r["to_time"]), str(r["compared"]), _mark(bool(r["tied"])),
            _text(r["amount"]),
        )
        for r in rows[:MOST]
    ], right=(5,)) + _more(len(rows))  # fmt: skip


def _evidence(rows: Sequence[Mapping[Any, Any]]) -> Iterable[str]:
    if not rows:
        return
    yield "<h3>Evidence: what was asked, and what it proved</h3>"
    heads = ("market", "dataset", "symbol", "from", "to", "requests", "by", "sweeps", "calls", "rows",
             "last at")  # fmt: skip
    yield _table(heads, [
        (
            _text(r["market"]), _text(r["dataset"]), _text(r["symbol"]) or "all", _text(r["from_time"]),
            _text(r["to_time"]), f'<span class="id">{_text(r["requests"])}</span>', _text(r["asked_by"]),
            str(r["sweeps"]), str(r["calls"]), str(r["rows"]), _text(r["last_at"]),
        )
        for r in rows
    ], right=(7, 8, 9))  # fmt: skip


def _journal(journal: More) -> Iterable[str]:
    yield "<h3>Journal</h3>"
    yield f"<p>{journal.rows} rows, head <code>{escape(journal.head)}</code>. "
    yield "The last signed checkpoint:</p>" if journal.note else "No checkpoint was signed yet.</p>"
    if journal.note:
        yield f"<pre>{escape(journal.note)}</pre>"


def _more(number: int) -> str:
    return f'<p class="dim">and {number - MOST} more</p>' if number > MOST else ""
