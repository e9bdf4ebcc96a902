"""The command that says whether a journal is what was recorded, and which row is the first that is not."""

import json as json_
import sys
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from accountd.cli import record
from accountd.config import Settings
from accountd.core.checkpoint import public_bytes
from accountd.errors import SettingsError
from accountd.runtime import journal_key
from accountd.runtime.anchors import read_notes
from accountd.store.rebuild import DERIVED
from accountd.store.verify import Journals, Verdict

BAD_ANSWER = 1
NOT_COMPARED = (
    f"not compared with the journal: the tables made from it ({', '.join(DERIVED)}); "
    "`accountd replay --into URL --compare` does that"
)

Tail = Annotated[
    bool, typer.Option("--tail/--full", help="Only the last rows and the last checkpoint, or every row.")
]
Account = Annotated[str | None, typer.Option("--account", "-a", help="Only this account.")]
Key = Annotated[
    list[str] | None,
    typer.Option("--key", help="A key to trust: a file, or the public key. Default: the key of this place."),
]
AnchorFile = Annotated[
    Path | None, typer.Option("--anchors", help="Checkpoints that were kept elsewhere. Default: as set.")
]
AsJson = Annotated[bool, typer.Option("--json", help="One object with a verdict for each account.")]


def verify(tail: Tail = False, account: Account = None, key: Key = None, anchors: AnchorFile = None,
           json: AsJson = False) -> None:  # fmt: skip
    """Verify the journal against its chain, checkpoints and anchors; exit 1 and name the first bad row."""
    with record.reader() as (settings, engine):
        publics = _publics(settings, key or [])
        notes, torn = _anchors(settings, anchors)
        with _bar(quiet=json) as bar:
            step = bar.add_task("", total=None)
            journals = Journals(
                engine, publics, notes, lambda done, total: bar.update(step, completed=done, total=total)
            )
            names = _names(journals, account)
            verdicts = []
            for name in names:
                bar.update(step, description=name, completed=0)
                verdicts.append(journals.tail(name) if tail else journals.full(name))
        warnings = journals.warnings()
    if not publics:
        warnings.append("no key here: signatures were not checked; --key names one")
    if torn:
        warnings.append(f"{torn} pieces of the anchor file are no checkpoints")
    ok = all(one.ok for one in verdicts) and not torn
    if json:
        told = {
            "ok": ok, "accounts": [as_json(one) for one in verdicts], "warnings": warnings,
            "not_compared": DERIVED,
        }  # fmt: skip
        sys.stdout.write(json_.dumps(told, indent=1, ensure_ascii=False) + "\n")
    else:
        _print(verdicts, warnings)
    if not ok:
        raise typer.Exit(BAD_ANSWER)


def as_json(verdict: Verdict) -> dict[str, Any]:
    """Return a verdict as it is told to programs; ``seq`` is the first bad row."""
    broken = verdict.broken
    return {
        "account": verdict.account, "ok": verdict.ok, "rows": verdict.rows, "verified": verdict.followed,
        "pruned": verdict.pruned, "checkpoints": verdict.checkpoints, "anchors": verdict.anchors,
        "signatures": verdict.signed, "proven": verdict.proven, "seq": broken.seq if broken else None,
        "until": broken.until if broken else None, "problem": broken.reason if broken else None,
        "warnings": verdict.warnings,
    }  # fmt: skip


def _publics(settings: Settings, written: list[str]) -> list[bytes]:
    if written:
        return [journal_key.public(one) for one in written]
    path = journal_key.path_of(settings)
    return [public_bytes(journal_key.load(path))] if path.exists() else []


def _anchors(settings: Settings, path: Path | None) -> tuple[dict[str, Any], int]:
    """Read the anchors that are named, or those that the settings name if they are there."""
    file = path or settings.journal.anchor_file
    if file is None or (path is None and not file.exists()):
        return {}, 0
    try:
        return read_notes(file)
    except OSError as refusal:
        raise SettingsError(f"--anchors: {file}: {refusal.strerror}") from None


def _names(journals: Journals, account: str | None) -> list[str]:
    known = journals.accounts()
    if account is None:
        return known
    if account.lower() not in known:
        there = ", ".join(known) or "the record has none yet"
        raise SettingsError(f"--account: {account!r} is no account; accounts: {there}")
    return [account.lower()]


def _bar(*, quiet: bool) -> Progress:
    console = Console(stderr=True)
    return Progress(
        TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), console=console, transient=True,
        disable=quiet or not console.is_terminal,
    )  # fmt: skip


def _print(verdicts: list[Verdict], warnings: list[str]) -> None:
    console = Console(highlight=False, soft_wrap=True)
    if not verdicts:
        console.print("no journal yet")
    for one in verdicts:
        if one.broken is not None:
            where = f"(account {one.account}, seq {one.broken.seq})"
            console.print(f"[bold red]✗ {escape(one.account)}[/]: {escape(f'{one.broken.text()} {where}')}")
            continue
        parts = [f"{one.followed:,} of {one.rows:,} rows follow the chain"]
        if one.pruned:
            parts.append(f"{one.pruned:,} of them without their raw bytes")
        if one.proven:
            sealed = "signed" if one.signed else "not checked for a signature"
            met = one.checkpoints + one.anchors
            parts.append(f"{met} checkpoints agree ({sealed}), the last at row {one.proven:,}")
        console.print(f"[bold green]✓ {escape(one.account)}[/]: {', '.join(parts)}")
        warnings = [*warnings, *(f"{one.account}: {told}" for told in one.warnings)]
    for told in warnings:
        console.print(f"[yellow]! {escape(told)}[/]")
    if any(one.ok for one in verdicts):
        console.print(escape(NOT_COMPARED))
