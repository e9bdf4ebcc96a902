"""How a table becomes a file: CSV, JSON lines, Parquet with exact decimals."""

import csv
import io
import json
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any, BinaryIO, Protocol

from accountd.cli.output import time_text
from accountd.errors import RecordRefused, SettingsError

Columns = Sequence[tuple[str, str]]
Rows = Sequence[tuple[Any, ...]]
PRECISION, SCALE = 38, 18  # the widest decimal that DuckDB, Spark and pandas read exactly
ROW_GROUP = 100_000  # rows


class Writer(Protocol):
    """Takes rows in batches; `close` completes the file."""

    def write(self, rows: Rows) -> None:
        """Write some rows."""

    def close(self) -> None:
        """Write what is still held, and the end of the file."""

    def abandon(self) -> None:
        """End without the end of the file, so that no reader takes it for whole."""


def _time(value: Any) -> str:
    """Write a time as --json does; SQLite's text 2026-11-23 10:00:00.123000+00:00 has the same digits."""
    return time_text(value) if isinstance(value, datetime) else f"{value[:10]}T{value[11:26]}Z"


def _blob(value: Any) -> str:
    return bytes(value).hex()


# What CSV and JSON need done to the values of a kind; the others are written as they are.
PLAIN: dict[str, Callable[[Any], Any]] = {"time": _time, "blob": _blob, "flag": bool}


class _Lines:
    """Turns rows into what text formats hold, which have no end to write."""

    def __init__(self, columns: Columns, out: BinaryIO) -> None:
        self.names = [name for name, _ in columns]
        self.turned = [(n, PLAIN[kind]) for n, (_, kind) in enumerate(columns) if kind in PLAIN]
        self.out = out

    def close(self) -> None:
        """Do nothing."""

    def abandon(self) -> None:
        """Do nothing."""

    def plain(self, row: tuple[Any, ...]) -> list[Any]:
        """Return a row as --json and --csv have it."""
        told = list(row)
        for n, turn in self.turned:
            if told[n] is not None:
                told[n] = turn(told[n])
        return told


class CsvWriter(_Lines):
    """A header and a line for each row; null is empty."""

    def __init__(self, columns: Columns, out: BinaryIO) -> None:
        super().__init__(columns, out)
        self._write([self.names])

    def write(self, rows: Rows) -> None:
        """Write some rows."""
        self._write([self.plain(row) for row in rows])

    def _write(self, lines: list[list[Any]]) -> None:
        text = io.StringIO()
        csv.writer(text, lineterminator="\n").writerows(lines)
        self.out.write(text.getvalue().encode())


class JsonLinesWriter(_Lines):
    """An object for each row, decimals as strings."""

    def write(self, rows: Rows) -> None:
        """Write some rows."""
        encode = json.JSONEncoder(ensure_ascii=False).encode
        lines = [encode(dict(zip(self.names, self.plain(row), strict=True))) for row in rows]
        self.out.write("".join(line + "\n" for line in lines).encode())


class _Valve(io.RawIOBase):
    """Hands bytes on until it is shut: pyarrow writes a footer whenever it ends, also after an error."""

    def __init__(self, out: BinaryIO) -> None:
        self.out: BinaryIO | None = out

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        return self.out.write(data) if self.out is not None else len(data)


class ParquetWriter:
    """Columns of their kind: decimals with 18 exact places, times in UTC with microseconds, zstd."""

    def __init__(self, columns: Columns, out: BinaryIO) -> None:
        """Write the head of the file.

        Raises:
            SettingsError: pyarrow is not installed.
        """
        try:
            import pyarrow
            import pyarrow.parquet
        except ImportError:
            raise SettingsError("--format parquet needs an extra: pip install 'accountd[parquet]'") from None
        self._arrow: Any = pyarrow
        types = {
            "text": pyarrow.string(),
            "money": pyarrow.decimal128(PRECISION, SCALE),
            "time": pyarrow.timestamp("us", tz="UTC"),
            "flag": pyarrow.bool_(),
            "whole": pyarrow.int64(),
            "number": pyarrow.float64(),
            "blob": pyarrow.binary(),
        }
        self._schema = pyarrow.schema([(name, types[kind]) for name, kind in columns])
        self._kinds = [kind for _, kind in columns]
        self._valve = _Valve(out)
        self._file: Any = pyarrow.parquet.ParquetWriter(self._valve, self._schema, compression="zstd")
        self._held: list[Any] = []  # record batches, a tenth of the size of Python's rows
        self._rows = 0

    def write(self, rows: Rows) -> None:
        """Take some rows; they are written a row group at a time.

        Raises:
            RecordRefused: a number has more digits than the file's decimals.
        """
        arrays = [
            self._array(values, field, kind)
            for values, field, kind in zip(zip(*rows, strict=True), self._schema, self._kinds, strict=True)
        ]
        self._held.append(self._arrow.RecordBatch.from_arrays(arrays, schema=self._schema))
        self._rows += len(rows)
        if self._rows >= ROW_GROUP:
            self._group()

    def close(self) -> None:
        """Write the last row group and the footer, without which no reader takes the file."""
        if self._held:
            self._group()
        self._file.close()

    def abandon(self) -> None:
        """Leave the footer out."""
        self._valve.out = None
        self._file.close()

    def _group(self) -> None:
        self._file.write_table(self._arrow.Table.from_batches(self._held, self._schema), self._rows)
        self._held, self._rows = [], 0

    def _array(self, values: Sequence[Any], field: Any, kind: str) -> Any:
        """Return a column; text becomes decimals and times in one step for all rows."""
        arrow = self._arrow
        written = next((value for value in values if value is not None), None)
        if kind == "flag":
            values = [None if value is None else bool(value) for value in values]
        if kind not in ("money", "time") or not isinstance(written, str):
            return arrow.array(values, field.type)
        try:
            return arrow.array(values, arrow.string()).cast(field.type)
        except arrow.ArrowInvalid as error:
            raise RecordRefused(
                f"{field.name}: a number does not fit into {PRECISION} digits with {SCALE} places: {error}"
            ) from None


FORMATS: dict[str, Callable[[Columns, BinaryIO], Writer]] = {
    "parquet": ParquetWriter, "csv": CsvWriter, "jsonl": JsonLinesWriter,
}  # fmt: skip
