"""The command that says whether the record is complete and ties, from the database alone."""

import json as json_
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer
from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from accountd.cli import moments, output, record, report
from accountd.core import audit as judge
from accountd.core.audit import AccountVerdict, DatasetVerdict, Doubt, Hole
from accountd.errors import SettingsError
from accountd.store import audit_read, journal_read
from accountd.venues import VENUES, open_venue

BAD_ANSWER = 1
LISTED = 20  # holes and findings on a screen
TONES = {"error": "red", "warning": "yellow", "info": "cyan"}

Account = Annotated[str | None, typer.Option("--account", "-a", help="Only this account.")]
From = Annotated[
    str | None, typer.Option("--from", help="Judge from then on: ISO time, 2h, 7d, today. Default: all.")
]
To = Annotated[
    str | None, typer.Option("--to", help="Judge until then; same words. Default: each dataset's last proof.")
]
AsJson = Annotated[bool, typer.Option("--json", help="One object: complete, and a verdict for each account.")]
Html = Annotated[Path | None, typer.Option("--html", help="Write a report that can be printed to this file.")]


def audit(account: Account = None, since: From = None, until: To = None, json: AsJson = False,
          html: Html = None) -> None:  # fmt: skip
    """Say of each account and dataset whether the record is complete and ties; exit 1 if it does not."""
    now = datetime.now(UTC)
    start, end = moments.read("--from", since, now), moments.read("--to", until, now)
    if start is not None and end is not None and start >= end:
        raise SettingsError("--from must be before --to")
    with record.opened() as connection:
        record.require_account(connection, account)
        found = audit_read.facts(connection, account.lower() if account else None, expected())
        verdicts = [judge.account(facts, start, end) for facts in found]
        if html is not None:
            names = [one.facts.account for one in verdicts]
            more = {name: _more(connection, name) for name in names}
            _write(html, report.page(verdicts, more, now, start, end))
    complete = judge.is_complete(verdicts)
    if json:
        told = {"complete": complete, "accounts": [as_json(one) for one in verdicts]}
        sys.stdout.write(json_.dumps(told, indent=1, ensure_ascii=False, default=output.plain) + "\n")
    else:
        _print(verdicts, start, end)
    if not complete or not all(one.tied for one in verdicts):
        raise typer.Exit(BAD_ANSWER)


def expected() -> dict[str, list[tuple[str, str]]]:
    """Return which datasets each venue has, by market."""
    return {
        name: [(dataset, part.market) for part in open_venue(name).sections for dataset in part.retention]
        for name in VENUES
    }


def as_json(verdict: AccountVerdict) -> dict[str, Any]:
    """Return an account's verdict as it is told to programs: open gaps and findings only."""
    return {
        "account": verdict.facts.account, "complete": verdict.complete, "tied": verdict.tied,
        "proven_to": verdict.proven_to, "datasets": [_dataset(one) for one in verdict.datasets],
        "gaps": [_hole(one) for one in verdict.holes],
        "findings": [_finding(one) for one in verdict.findings],
        "gaps_closed": sum(one.closed for one in verdict.datasets), "findings_resolved": verdict.resolved,
    }  # fmt: skip


def _dataset(one: DatasetVerdict) -> dict[str, Any]:
    return {
        "dataset": one.dataset, "market": one.market, "complete": one.complete,
        "proven_from": one.proven_from, "proven_to": one.proven_to, "proven_at": one.proven_at,
        "symbols": one.symbols, "gaps": len(one.holes),
    }  # fmt: skip


def _hole(one: Hole) -> dict[str, Any]:
    return {
        "gap_id": one.gap_id, "dataset": one.dataset, "market": one.market, "symbol": one.symbol,
        "from_time": one.start, "to_time": one.end, "reason": one.reason, "opened_at": one.opened_at,
    }  # fmt: skip


def _finding(one: Doubt) -> dict[str, Any]:
    return {
        "finding_id": one.finding_id, "kind": one.kind, "severity": one.severity, "subject": one.subject,
        "detail": one.detail, "opened_at": one.opened_at, "from_time": one.start, "to_time": one.end,
    }  # fmt: skip


def _more(connection: Any, account: str) -> report.More:
    """Read what only the report shows."""
    head = journal_read.head_row(connection, account)
    last = journal_read.last_checkpoint(connection, account)
    return report.More(
        rows=head.seq if head else 0, head=head.head.hex() if head else "",
        note=last["note"] if last is not None else "", ties=audit_read.ties(connection, account),
        evidence=audit_read.evidence(connection, account),
    )  # fmt: skip


def _write(path: Path, text: str) -> None:
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as refusal:
        raise SettingsError(f"--html: {path}: {refusal.strerror}") from None


def _print(verdicts: Sequence[AccountVerdict], start: datetime | None, end: datetime | None) -> None:
    console = Console(highlight=False)
    if not console.is_terminal:
        console = Console(highlight=False, width=160)
    if not verdicts:
        console.print("[bold red]✗ the record has no account yet[/]: `accountd run` begins one")
    if start or end:
        first, last = output.human(start) or "the beginning", output.human(end) or "the last proof"
        console.print(f"from {first} to {last}")
    for one in verdicts:
        console.print(headline(one))
        console.print(_table(one))
        _print_details(console, one)


def headline(one: AccountVerdict) -> str:
    """Say an account's verdict in a line, in rich's markup."""
    name = escape(one.facts.account)
    holes, errors = len(one.holes), sum(1 for found in one.findings if found.severity == judge.ERROR)
    if one.complete and one.tied:
        proven = f" to {output.human(one.proven_to)} UTC" if one.proven_to else ""
        return f"[bold green]✓ {name}[/] is complete{proven} and ties"
    parts = [f"{holes} hole{'s' * (holes != 1)}"] if holes else ["complete"]
    parts.append(f"{errors} finding{'s' * (errors != 1)} of severity error" if errors else "ties")
    return f"[bold red]✗ {name}[/]: {', '.join(parts)}"


def _table(verdict: AccountVerdict) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, header_style="bold")
    for name in ("", "dataset", "market", "proven from (UTC)", "proven to (UTC)"):
        table.add_column(name, no_wrap=True)
    for name in ("symbols", "holes", "closed"):
        table.add_column(name, justify="right")
    for one in verdict.datasets:
        mark, tone = ("✓", "green") if one.complete else ("✗", "red")
        table.add_row(
            f"[{tone}]{mark}[/]", one.dataset, one.market, output.human(one.proven_from),
            output.human(one.proven_to) or "[red]never[/]", str(one.symbols or "all"),
            f"[red]{len(one.holes)}[/]" if one.holes else "0", str(one.closed),
        )  # fmt: skip
    return table


def _print_details(console: Console, verdict: AccountVerdict) -> None:
    holes, findings = verdict.holes, sorted(verdict.findings, key=_gravity)
    for hole in holes[:LISTED]:
        what = " ".join(part for part in (hole.market, hole.dataset, hole.symbol) if part)
        span = f"{output.human(hole.start) or 'the beginning'} .. {output.human(hole.end) or 'now'}"
        console.print(f"  [red]gap[/] {escape(f'{what}  {span}  {hole.reason}')}")
    for found in findings[:LISTED]:
        tone, detail = TONES.get(found.severity, "white"), json_.dumps(found.detail, ensure_ascii=False)
        told = f"{found.kind}  {found.subject}  since {output.human(found.opened_at)}  {detail}"
        console.print(f"  [{tone}]{escape(found.severity)}[/] {escape(told)}", overflow="fold")
    more = max(0, len(holes) - LISTED) + max(0, len(findings) - LISTED)
    if more:
        console.print(f"  [dim]and {more} more: --json and --html list them all[/]")


def _gravity(found: Doubt) -> tuple[int, datetime]:
    return (list(TONES).index(found.severity) if found.severity in TONES else len(TONES)), found.opened_at
