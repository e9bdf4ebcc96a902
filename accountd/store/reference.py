"""The reference of tables and views, Datasette's words and Postgres's comments, from one place.

`python -m accountd.store.reference docs/reference` writes the pages again.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType

from sqlalchemy import Column, Connection, Integer, LargeBinary, Table, inspect
from sqlalchemy.engine.reflection import ObjectKind

from accountd.store.tables import metadata
from accountd.store.types import Flag, Instant, Money
from accountd.store.words import COMMON, Words
from accountd.store.words_keeping import KEEPING
from accountd.store.words_record import RECORD
from accountd.store.words_views import BASES, VIEWS

WORDS: Mapping[str, Words] = MappingProxyType(RECORD | KEEPING)
TYPES: tuple[tuple[type, str], ...] = (
    (Money, "money"), (Instant, "time"), (Flag, "truth"), (LargeBinary, "bytes"), (Integer, "integer"),
)  # fmt: skip
TABLES_HEAD = """\
# Tables

People build on these. Names and meaning are the same on SQLite and Postgres; they change only with a
migration and a line in the [changelog](../../CHANGELOG.md). `account_id` comes first in every key and is
the account's lower-case name. Columns that are not explained here may be added. On Postgres the same words
are the comments of tables and columns (`\\d+ fills` in psql).

**money** is exact: `NUMERIC` on Postgres, text in plain notation on SQLite, where `dsum(column)` adds it
exactly and `dmul(a, b)` multiplies it inside `accountd query` (and
[elsewhere](../how-to/sql.md#exact-sums-on-sqlite)), and `CAST(column AS REAL)` is good enough to sort or
plot. **time** is UTC with microseconds: `TIMESTAMPTZ` on Postgres, text `2026-11-23 10:00:00.123000+00:00`
on SQLite, which sorts and which its date functions read. **truth** is `BOOLEAN` on Postgres, 0 and 1 on
SQLite. Ids are text. A word such as FILLED or BUY is in upper case; a word that the venue adds is kept as
told. Columns in **bold** are the key; what may be null says what null means.

[Views](views.md) answer the usual questions; [SQL recipes](../how-to/sql.md) show how.
"""
VIEWS_HEAD = """\
# Views

What people ask most, in SQL. They are made of the [tables](tables.md) and have their units; a column that
is not explained here means what it means in the table that it comes from. On SQLite a sum or a product in a
view is floating-point; on Postgres it is exact.
"""


def word(name: str, column: str) -> str:
    """Return what a column of a table or view means; nothing if nobody has said it, which a test forbids."""
    own = VIEWS.get(name) or WORDS.get(name) or Words("")
    for told in (own.columns, *(WORDS[base].columns for base in BASES.get(name, ())), COMMON):
        if column in told:
            return told[column]
    return ""


def tables_page() -> str:
    """Return docs/reference/tables.md."""
    parts = [TABLES_HEAD]
    names = [*WORDS, *(name for name in metadata.tables if name not in WORDS)]
    for name in names:
        table, told = metadata.tables[name], WORDS.get(name, Words(""))
        lines = [f"## {name}", "", told.about, "", "| column | type | meaning |", "|---|---|---|"]
        lines += [_line(table, column) for column in table.columns]
        parts.append("\n".join(lines) + "\n")
        if told.after:
            parts.append(told.after + "\n")
    parts.append("## Views\n\n| view | what it shows |\n|---|---|\n" + "\n".join(
        f"| [`{name}`](views.md#{name}) | {told.about} |" for name, told in VIEWS.items()
    ) + "\n")  # fmt: skip
    return "\n".join(parts)


def views_page(columns: Mapping[str, list[str]]) -> str:
    """Return docs/reference/views.md; ``columns`` are those that a database's views have."""
    parts = [VIEWS_HEAD]
    for name, told in VIEWS.items():
        lines = [f"## {name}", "", told.about, "", "| column | meaning |", "|---|---|"]
        lines += [f"| `{column}` | {word(name, column)} |" for column in columns[name]]
        parts.append("\n".join(lines) + "\n")
    return "\n".join(parts)


def view_columns(conn: Connection) -> dict[str, list[str]]:
    """Return the columns of each view in a database."""
    look = inspect(conn)
    found = look.get_multi_columns(kind=ObjectKind.VIEW)
    return {name: [column["name"] for column in columns] for (_, name), columns in found.items()}


def comments(conn: Connection) -> Iterator[str]:
    """Yield the statements that put the words into a Postgres database."""
    there = {name: [column.name for column in table.columns] for name, table in metadata.tables.items()}
    for kind, found, told in (("TABLE", there, WORDS), ("VIEW", view_columns(conn), VIEWS)):
        for name in found.keys() & told.keys():
            yield f"COMMENT ON {kind} {name} IS {_quoted(told[name].about)}"
            for column in found[name]:
                yield f"COMMENT ON COLUMN {name}.{column} IS {_quoted(word(name, column))}"


def comment(conn: Connection) -> None:
    """Write the words into a Postgres database, all at once; SQLite has no comments."""
    if conn.dialect.name == "postgresql":
        conn.exec_driver_sql(";\n".join(comments(conn)).replace("%", "%%"))


# What a saved query asks for instead of the recipe's example.
ASKS = {
    "'main'": ":account", "'10000100'": ":order_id", "'bot-64'": ":client_order_id",
    "'2026-10-30 12:00:00+00:00'": ":moment", "'2026-10-30 23:00:00+00:00'": ":since",
    "'2026-10-01'": ":since",
    "'2026-10-25'": ":since", "'2026-10-31'": ":until", "'USDT'": ":asset", "'BTCUSDT'": ":symbol",
}  # fmt: skip


def datasette(columns: Mapping[str, list[str]], recipes: str) -> str:
    """Return docs/datasette.json: the words beside tables and views, and the recipes as saved queries."""
    there = {name: [column.name for column in table.columns] for name, table in metadata.tables.items()}
    about = {name: told.about for name, told in (*WORDS.items(), *VIEWS.items())}
    described = {
        name: {"description": about[name], "columns": {one: _plain(word(name, one)) for one in found}}
        for name, found in (*there.items(), *columns.items())
    }
    asked = {}
    for title, body in re.findall(r"^### (.*?)\n(.*?)(?=^##|\Z)", recipes, re.MULTILINE | re.DOTALL):
        sql = re.findall(r"```sql(?: sqlite)?\n(.*?)```", body, re.DOTALL)[0].strip()
        for example, parameter in ASKS.items():
            sql = sql.replace(example, parameter)
        # Datasette has no dsum; floating point is good enough to look at.
        sql = re.sub(r"dsum\((\w+)\)", r"SUM(CAST(\1 AS REAL))", sql)
        asked[re.sub(r"[^a-z0-9]+", "-", title.lower()).strip("-")] = {"title": title, "sql": sql}
    told = {
        "title": "accountd",
        "description": "A complete, exact record of exchange accounts. Money is text with all its digits; "
                       "CAST(column AS REAL) sorts and plots it.",
        "databases": {"accountd": {"tables": described, "queries": asked}},
    }  # fmt: skip
    return json.dumps(told, indent=1, ensure_ascii=False) + "\n"


def _plain(told: str) -> str:
    return told.replace("`", "")


def _line(table: Table, column: Column[object]) -> str:
    name = f"**`{column.name}`**" if column.primary_key else f"`{column.name}`"
    kind = next((told for type_, told in TYPES if isinstance(column.type, type_)), "text")
    if type(column.type).__name__ in ("Double", "Float"):
        kind = "number"
    return f"| {name} | {kind} | {word(table.name, column.name)} |"


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def main(folder: str) -> None:
    """Write the pages into a folder."""
    import tempfile

    from accountd.store.engine import reader_engine, reading
    from accountd.store.migrate import upgrade

    with tempfile.TemporaryDirectory() as place:
        url = f"sqlite:///{place}/reference.db"
        upgrade(url)
        engine = reader_engine(url)
        with reading(engine) as conn:
            columns = view_columns(conn)
        engine.dispose()
    Path(folder, "tables.md").write_text(tables_page(), encoding="utf-8")
    Path(folder, "views.md").write_text(views_page(columns), encoding="utf-8")
    recipes = Path(folder, "..", "how-to", "sql.md").read_text(encoding="utf-8")
    Path(folder, "..", "datasette.json").write_text(datasette(columns, recipes), encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1])
