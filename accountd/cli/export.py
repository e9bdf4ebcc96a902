"""The command that writes the record to files for other programs."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, BinaryIO

import typer
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)  # fmt: skip

from accountd.cli import filters, record
from accountd.cli.draft import Draft
from accountd.cli.export_beancount import Ledger
from accountd.cli.export_files import FORMATS
from accountd.cli.filters import Account, During, Kind, Limit, Market, Side, Since, Status, Symbol, Until
from accountd.errors import SettingsError
from accountd.store import queries, query_export

FORMAT_NAMES = (*FORMATS, "beancount")
SUFFIXES = {".parquet": "parquet", ".csv": "csv", ".jsonl": "jsonl", ".ndjson": "jsonl",
            ".beancount": "beancount", ".bean": "beancount"}  # fmt: skip
Format = Annotated[
    str | None, typer.Option("--format", "-f", help="parquet, csv, jsonl, beancount; else by --out's name.")
]
Named = Annotated[str | None, typer.Argument(metavar="TABLE", help="fills (the default), orders ...")]
Table = Annotated[str | None, typer.Option("--table", "-t", help="The same as TABLE.")]
Out = Annotated[Path | None, typer.Option("--out", help="The file; without it standard output.")]


def export(
    named: Named = None, fmt: Format = None, table: Table = None, out: Out = None, account: Account = None,
    market: Market = None, symbol: Symbol = None, side: Side = None, status: Status = None,
    kind: Kind = None, since: Since = None, until: Until = None, during: During = None, limit: Limit = None,
) -> None:  # fmt: skip
    """Write a table to a file, however long it is; beancount writes fills and transfers as a ledger."""
    if named is not None and table not in (None, named):
        raise SettingsError(f"TABLE {named!r} and --table {table!r}: one table at a time")
    table = table or named
    how = _format(fmt, out)
    wanted = filters.wanted(
        account=account, market=market, symbol=symbol, side=side, status=status, kind=kind, since=since,
        until=until, during=during, limit=limit, newest=limit is not None,
    )  # fmt: skip
    if how == "beancount" and table not in (None, "fills", "transfers"):
        raise SettingsError("--format beancount: the table is fills or transfers; both without it")
    if how == "beancount" and limit is not None:
        raise SettingsError("--format beancount: a ledger has no --limit; use --since, --until or --during")
    query_export.find(table or "fills", wanted)
    with record.opened() as connection:
        record.require_account(connection, wanted.account)
        with _destination(out, how) as file:
            if how == "beancount":
                _ledger(connection, file, wanted, table)
            else:
                _table(connection, file, wanted, table or "fills", how)


def _format(fmt: str | None, out: Path | None) -> str:
    """Return the format by its name, by the file's name, or CSV.

    Raises:
        SettingsError: it is none of ours.
    """
    names = ", ".join(FORMAT_NAMES)
    if fmt is not None:
        if fmt.lower() not in FORMAT_NAMES:
            raise SettingsError(f"--format: {fmt!r} is none of {names}")
        return fmt.lower()
    if out is None or str(out) == "-":
        return "csv"
    if out.suffix.lower() not in SUFFIXES:
        raise SettingsError(f"--out: the name {out.name!r} says no format; add --format: {names}")
    return SUFFIXES[out.suffix.lower()]


@contextmanager
def _destination(out: Path | None, how: str) -> Iterator[BinaryIO]:
    """Open the file, which appears when it is whole, or standard output."""
    if out is not None and str(out) != "-":
        with Draft(out) as draft:
            yield draft.file
        return
    if how == "parquet" and sys.stdout.isatty():
        raise SettingsError("--format parquet: name a file with --out")
    yield sys.stdout.buffer
    sys.stdout.buffer.flush()


def _table(connection: Any, file: BinaryIO, wanted: queries.Filter, table: str, how: str) -> None:
    told = query_export.export(connection, table, wanted)
    writer = FORMATS[how](told.columns, file)
    try:
        with _bar(connection, table, wanted) as (progress, task):
            for rows in told.batches:
                writer.write(rows)
                progress.advance(task, len(rows))
        writer.close()
    except BaseException:
        writer.abandon()
        raise


def _ledger(connection: Any, file: BinaryIO, wanted: queries.Filter, table: str | None) -> None:
    ledger = Ledger()
    _write(file, ledger.begin())
    if table != "transfers":
        with _bar(connection, "fills", wanted) as (progress, task):
            for row in query_export.valued_fills(connection, wanted):
                _write(file, ledger.fill(row))
                progress.advance(task)
    if table != "fills":
        with _bar(connection, "transfers", wanted) as (progress, task):
            for row in queries.transfers(connection, wanted):
                _write(file, ledger.transfer(row))
                progress.advance(task)
    _write(file, ledger.end())


def _write(file: BinaryIO, lines: Iterator[str]) -> None:
    file.write("".join(line + "\n" for line in lines).encode())


@contextmanager
def _bar(connection: Any, table: str, wanted: queries.Filter) -> Iterator[tuple[Progress, Any]]:
    """Show how far it is, where somebody watches."""
    console = Console(stderr=True)
    progress = Progress(
        TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(),
        TimeRemainingColumn(), console=console, transient=True, disable=not console.is_terminal,
    )  # fmt: skip
    with progress:
        total = query_export.count(connection, table, wanted) if console.is_terminal else None
        yield progress, progress.add_task(table, total=total)
