"""The command that rebuilds a record from its journal, in another database."""

from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from accountd.cli import record
from accountd.errors import SettingsError
from accountd.runtime.replay import Replay, Replayed
from accountd.settings_values import read_database_url
from accountd.store.engine import reading

BAD_ANSWER = 1
NOTED = 20  # differences that are listed

Into = Annotated[str, typer.Option("--into", help="An empty database: sqlite:///FILE or postgresql://...")]
Account = Annotated[str | None, typer.Option("--account", "-a", help="Only this account.")]
Compare = Annotated[
    bool, typer.Option("--compare", help="Then compare it with the record; exit 1 if a row differs.")
]


def replay(into: Into, account: Account = None, compare: Compare = False) -> None:
    """Rebuild every derived table from the journal, in an empty database of either kind."""
    try:
        target = read_database_url(into)
    except ValueError as refusal:
        raise SettingsError(f"--into: {refusal}") from None
    with record.reader() as (settings, engine), _bar() as bar:
        if target == settings.database_url:
            raise SettingsError("--into: that is the record itself")
        with reading(engine) as connection:
            record.require_account(connection, account)
        step = bar.add_task("", total=None)
        work = Replay(
            settings.database_url, target,
            lambda name, done, total: bar.update(step, description=name, completed=done, total=total),
        )  # fmt: skip
        try:
            done = work.run(account.lower() if account else None)
            for one in done if compare else ():
                work.compare(one)
        finally:
            work.close()
    _print(done, compare)
    if any(sum(one.different.values()) for one in done):
        raise typer.Exit(BAD_ANSWER)


def _print(done: list[Replayed], compare: bool) -> None:
    if not done:
        typer.echo("the record has no account yet: nothing to replay")
    for one in done:
        typer.echo(f"{one.account}: {one.rows} journal rows replayed, {one.checkpoints} checkpoints copied")
        if not compare:
            continue
        differing = ", ".join(f"{number} in {table}" for table, number in one.different.items() if number)
        verdict = f"rows that differ: {differing}" if differing else "every row is the same"
        typer.echo(f"{one.account}: {verdict}")
        for note in one.notes[:NOTED]:
            typer.echo(f"  {note}")


def _bar() -> Progress:
    console = Console(stderr=True)
    return Progress(
        TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), console=console, transient=True,
        disable=not console.is_terminal,
    )  # fmt: skip
