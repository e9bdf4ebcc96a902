"""The command that runs one read-only SQL statement."""

from collections.abc import Sequence
from typing import Annotated

import typer

from accountd.cli import output, record
from accountd.cli.filters import AsCsv, AsJson
from accountd.store import select

Sql = Annotated[str, typer.Argument(help="A SELECT; the tables and views are in docs/reference/tables.md.")]
Limit = Annotated[int | None, typer.Option("--limit", "-n", min=1, help="At most N rows.")]


def query(sql: Sql, limit: Limit = None, json: AsJson = False, csv: AsCsv = False) -> None:
    """Run one SQL statement that reads; a write is refused."""
    how = output.form(json, csv)
    with record.opened() as connection:
        told, found = select.run_select(connection, sql)
        columns = distinct(told)
        rows = (
            dict(zip(columns, values, strict=True))
            for n, values in enumerate(found)
            if limit is None or n < limit
        )
        output.write(how, columns, rows)


def distinct(names: Sequence[str]) -> list[str]:
    """Return the names with a number behind those that came before, so that no column hides another."""
    seen: list[str] = []
    for name in names:
        number = 2
        candidate = name
        while candidate in seen:
            candidate, number = f"{name}_{number}", number + 1
        seen.append(candidate)
    return seen
