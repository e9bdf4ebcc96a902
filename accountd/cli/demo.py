"""The command that shows everything in a minute, without keys and without a network."""

import asyncio
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from accountd.cli import demo_run
from accountd.cli.demo_view import LiveView, PlainView, View
from accountd.errors import SettingsError
from accountd.runtime import logs
from accountd.settings_values import read_database_url

Seconds = Annotated[float, typer.Option("--seconds", min=6, max=3600, help="How long to trade.")]
Seed = Annotated[int, typer.Option("--seed", help="The same seed trades the same.")]
Url = Annotated[
    str | None, typer.Option("--database-url", help="Another database, which should be empty; it is kept.")
]
Keep = Annotated[bool, typer.Option("--keep", help="Keep the database and the log, and say where they are.")]


def demo(seconds: Seconds = 35, seed: Seed = 7, database_url: Url = None, keep: Keep = False) -> None:
    """Trade on a simulated exchange, cut the stream, and compare the record with the exchange's truth."""
    folder = Path(tempfile.mkdtemp(prefix="accountd-demo-"))
    kept = keep or database_url is not None
    try:
        plan = demo_run.Plan(
            seconds=seconds, seed=seed, database_url=_database(database_url, folder), kept=kept
        )  # fmt: skip
        with (folder / "accountd.log").open("w", encoding="utf-8") as log_file:
            logs.setup("info", "json", log_file)
            try:
                exact = _play(plan)
            finally:
                logs.setup("warning")
    finally:
        if not keep:
            shutil.rmtree(folder)
    if not exact:
        raise typer.Exit(1)


def _play(plan: demo_run.Plan) -> bool:
    console = Console(highlight=False)
    view: View = LiveView(console) if console.is_terminal else PlainView(sys.stdout)
    with view:
        return asyncio.run(demo_run.play(plan, view.show)).exact


def _database(written: str | None, folder: Path) -> str:
    """Return the database's address: one of the reader's own, or a new file in `folder`."""
    if written is None:
        return demo_run.file_url(folder)
    try:
        return read_database_url(written)
    except ValueError as refusal:
        raise SettingsError(f"--database-url: {refusal}") from None
