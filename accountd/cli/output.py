"""How rows leave a command: a table for people, JSON or CSV for programs."""

import csv
import json
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, TextIO

from rich import box
from rich.cells import cell_len
from rich.console import Console
from rich.table import Table
from rich.text import Text

from accountd.cli import pager
from accountd.errors import SettingsError

Row = Mapping[str, Any]
RIGHT = (Decimal, int, float)
TONES = {
    "BUY": "green",
    "SELL": "red",
    "LIVE": "green",
    "FILLED": "green",
    "REJECTED": "red",
    "CLOSED": "red",
}


def form(as_json: bool, as_csv: bool) -> str:
    """Return `table`, `json` or `csv`.

    Raises:
        SettingsError: both are asked for.
    """
    if as_json and as_csv:
        raise SettingsError("--json and --csv exclude each other")
    return "json" if as_json else "csv" if as_csv else "table"


def plain(value: Any) -> Any:
    """Return what JSON can hold: decimals as their exact digits, times as ISO 8601 with Z, bytes as hex."""
    if isinstance(value, Decimal):
        return format(value, "f")
    if isinstance(value, datetime):
        return time_text(value)
    if isinstance(value, (bytes, memoryview)):
        return bytes(value).hex()
    return value


def time_text(value: datetime) -> str:
    """Write a moment as ISO 8601 in UTC with microseconds and Z."""
    return value.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="microseconds") + "Z"


def write_json(rows: Iterable[Row], out: TextIO | None = None) -> None:
    """Write one array of objects, a row a line, without holding the rows in memory."""
    out = out or sys.stdout
    out.write("[")
    before = "\n"
    for row in rows:
        told = {name: plain(value) for name, value in row.items()}
        out.write(before + json.dumps(told, ensure_ascii=False, default=str))
        before = ",\n"
    out.write("\n]\n" if before == ",\n" else "]\n")


def write_csv(columns: Sequence[str], rows: Iterable[Row], out: TextIO | None = None) -> None:
    """Write a header and a line for each row; null is empty."""
    writer = csv.writer(out or sys.stdout, lineterminator="\n")
    writer.writerow(columns)
    for row in rows:
        writer.writerow(["" if row[name] is None else plain(row[name]) for name in columns])


def write_table(
    columns: Sequence[str], rows: Iterable[Row], *, heads: Mapping[str, str] | None = None, note: str = ""
) -> None:
    """Write a table for people: coloured on a terminal, aligned plain text elsewhere."""
    heads = heads or {}
    shown = list(rows)
    if sys.stdout.isatty():
        _rich_table(columns, shown, heads)
    else:
        for line in plain_lines(
            [heads.get(name, name) for name in columns], [[r[c] for c in columns] for r in shown]
        ):
            sys.stdout.write(line + "\n")
    if note:
        sys.stdout.flush()
        sys.stderr.write(note + "\n")


def _rich_table(columns: Sequence[str], rows: Sequence[Row], heads: Mapping[str, str]) -> None:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, header_style="bold")
    for name in columns:
        number = any(isinstance(row[name], RIGHT) for row in rows)
        table.add_column(heads.get(name, name), justify="right" if number else "left", overflow="fold")
    for row in rows:
        table.add_row(*(_cell(row[name]) for name in columns))
    console = Console()
    with console.capture() as written:
        console.print(table if rows else "[dim]nothing[/dim]")
    pager.show(written.get())


def _cell(value: Any) -> Text:
    text = human(value)
    if isinstance(value, Decimal) and value < 0:
        return Text(text, "red")
    return Text(text, TONES.get(text, ""))


def human(value: Any) -> str:
    """Return a value as people read it: times to the millisecond, null as nothing."""
    if value is None:
        return ""
    if isinstance(value, datetime):
        return value.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S.%f")[:-3]
    if isinstance(value, bool):
        return "yes" if value else "no"
    return str(plain(value))


def plain_lines(heads: Sequence[str], rows: Sequence[Sequence[Any]]) -> Iterator[str]:
    """Yield aligned lines without any colour or rule."""
    if not rows:
        yield "nothing"
        return
    cells = [[human(value) for value in row] for row in rows]
    widths = [max(cell_len(line[i]) for line in [list(heads), *cells]) for i in range(len(heads))]
    right = [any(isinstance(row[i], RIGHT) for row in rows) for i in range(len(heads))]
    for line in [list(heads), *cells]:
        padded = (
            " " * (width - cell_len(text)) + text if at_right else text + " " * (width - cell_len(text))
            for text, width, at_right in zip(line, widths, right, strict=True)
        )
        yield "  ".join(padded).rstrip()


def write(
    how: str,
    columns: Sequence[str],
    rows: Iterable[Row],
    *,
    shown: Sequence[str] | None = None,
    heads: Mapping[str, str] | None = None,
    note: Callable[[int], str] | None = None,
) -> None:
    """Write rows in the form `how`; a table shows only the columns `shown`, the other forms all of them."""
    if how == "json":
        write_json(rows)
    elif how == "csv":
        write_csv(columns, rows)
    else:
        held = list(rows)
        write_table(shown or columns, held, heads=heads, note=note(len(held)) if note else "")
