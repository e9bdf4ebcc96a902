"""The command that sweeps REST history once and says what it found."""

import asyncio
from datetime import UTC, datetime
from typing import Annotated

import typer

from accountd import config
from accountd.cli import moments
from accountd.errors import SettingsError
from accountd.runtime import daemon, logs

Account = Annotated[str | None, typer.Option("--account", "-a", help="Only this account.")]
Since = Annotated[
    str | None,
    typer.Option("--since", help="From then on: ISO time, 2h, 7d, today. Default: where sweeps stopped."),
]


def reconcile(account: Account = None, since: Since = None) -> None:
    """Compare the record with the venue's history once, and mend what differs; exit 1 if a gap stays open."""
    settings = config.load()
    logs.hide_settings(settings)
    if account is not None and account.lower() not in settings.accounts:
        known = ", ".join(sorted(settings.accounts))
        raise SettingsError(f"--account: {account!r} is no account; accounts: {known}")
    start = moments.read("--since", since, datetime.now(UTC))
    names = [account.lower()] if account else sorted(settings.accounts)
    good = True
    for name in names:
        report = asyncio.run(daemon.reconcile_once(settings, name, start))
        for line in report.lines():
            typer.echo(line)
        good = good and report.ok
    if not good:
        raise typer.Exit(1)
