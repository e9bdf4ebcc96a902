"""The command that reads old history, as far back as asked and as the venue keeps it."""

import asyncio
import re
import time
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Annotated

import typer

from accountd import config
from accountd.cli import moments
from accountd.cli.progress import Bars
from accountd.config import Settings
from accountd.errors import SettingsError
from accountd.runtime import backfill as reading
from accountd.runtime import logs
from accountd.store import wishes
from accountd.store.lock import DatabaseBusy

Account = Annotated[str | None, typer.Option("--account", "-a", help="Only this account.")]
Since = Annotated[
    str, typer.Option("--since", help="How far back: 2y, 90d, an ISO date, or max for all that is kept.")
]
Wait = Annotated[
    bool, typer.Option("--wait/--no-wait", help="If `accountd run` does the work: wait until it is done.")
]
INTERRUPTED = 130
YEAR = timedelta(days=366)
LOOK = 1.0  # seconds between looks at how far the daemon is


def backfill(since: Since, account: Account = None, wait: Wait = True) -> None:
    """Read old history back to --since; interrupt it at will, the next run goes on where it stopped."""
    settings = config.load()
    logs.hide_settings(settings)
    start = beginning(since, datetime.now(UTC))
    names = [account.lower()] if account else sorted(settings.accounts)
    if unknown := [name for name in names if name not in settings.accounts]:
        known = ", ".join(sorted(settings.accounts))
        raise SettingsError(f"--account: {unknown[0]!r} is no account; accounts: {known}")
    try:
        good = _here(settings, names, start)
    except DatabaseBusy:
        good = _there(settings, names, start, wait)
    except KeyboardInterrupt:
        typer.echo("interrupted: what was read stays, the next backfill goes on from there", err=True)
        raise typer.Exit(INTERRUPTED) from None
    if not good:
        raise typer.Exit(1)


def beginning(written: str, now: datetime) -> datetime:
    """Return the moment that --since names.

    Raises:
        SettingsError: nobody can tell what is meant, or it is not in the past.
    """
    word = written.strip().lower()
    years = re.fullmatch(r"(\d{1,2})\s*y(?:ears?)?", word)
    if word == "max":
        return datetime(2017, 1, 1, tzinfo=UTC)  # before the oldest of these venues
    if years:
        return now - int(years[1]) * YEAR
    found = moments.read("--since", written, now)
    if found is None or found >= now:
        raise SettingsError(f"--since: {written!r} is not in the past")
    return found


def _here(settings: Settings, names: Sequence[str], since: datetime) -> bool:
    """Read it in this process; return whether every account was read to the end."""
    with Bars() as bars:

        def step(name: str, done: int, total: int) -> None:
            bars.total(name, total)
            bars.advance(name, f"{done} of {total} pieces")

        reports = asyncio.run(reading.backfill(settings, names, since, step))
    for report in reports:
        for line in report.lines():
            typer.echo(line)
    return not any(report.error for report in reports)


def _there(settings: Settings, names: Sequence[str], since: datetime, wait: bool) -> bool:
    """Ask the running daemon, which goes on with it whatever becomes of this command."""
    wishes.ask_backfill(settings.database_url, names, since, datetime.now(UTC))
    typer.echo("`accountd run` holds this record: it has been asked, and reads the history beside its work")
    if not wait:
        return True
    try:
        while left := wishes.waiting(settings.database_url, names):
            time.sleep(LOOK)
    except KeyboardInterrupt:
        typer.echo("no longer waiting; `accountd run` goes on with it", err=True)
        return True
    typer.echo("done" if not left else "")
    return True
