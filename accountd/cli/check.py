"""The command that tries everything a run needs, without running."""

import asyncio
import json as encoder
import sys
from typing import Annotated

import typer
from rich.console import Console

from accountd import config
from accountd.errors import SettingsError
from accountd.runtime import check as checks
from accountd.runtime import logs

Account = Annotated[str | None, typer.Option("--account", "-a", help="Only this account.")]
AsJson = Annotated[bool, typer.Option("--json", help="One array of objects.")]


def check(account: Account = None, json: AsJson = False) -> None:
    """Try settings, database, clock, key, stream and rights; exit 1 if something is not good."""
    settings = config.load()
    logs.hide_settings(settings)
    if account is not None and account.lower() not in settings.accounts:
        known = ", ".join(sorted(settings.accounts))
        raise SettingsError(f"--account: {account!r} is no account; accounts: {known}")
    lines = asyncio.run(checks.check(settings, account.lower() if account else None))
    if json:
        told = [
            {"account": x.account, "ok": x.ok, "what": x.what, "detail": logs.mask(x.detail)} for x in lines
        ]
        typer.echo(encoder.dumps(told, indent=1, ensure_ascii=False))
    else:
        console = Console(highlight=False, soft_wrap=True)
        for line in lines:
            _show(console, line)
    if not all(line.ok for line in lines):
        raise typer.Exit(1)


def _show(console: Console, line: "checks.CheckLine") -> None:
    mark = "good" if line.ok else "BAD "
    text = f"{line.account or '-':<12} {line.what:<12} {logs.mask(line.detail)}"
    if sys.stdout.isatty():
        console.print(f"[{'green' if line.ok else 'bold red'}]{mark}[/]  ", end="")
        console.print(text, markup=False)
    else:
        typer.echo(f"{mark}  {text}")
