"""How quickly each documented query answers on a large record, and by which plan.

`python -m benchmarks.queries --fills 1000000 --database sqlite` writes a record of that many fills over 100
accounts and a year, with what belongs to them (benchmarks/large_record.py), and then asks every recipe of
docs/how-to/sql.md and every named query. `--keep PATH` keeps the record (a file of SQLite, a data folder of
Postgres), and uses it if it is there. Then it asks for every page and every path of the API
(benchmarks/large_web.py). `--write` puts what was measured, with the plans, into benchmarks/queries.json and
from there into benchmarks/QUERIES.md.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
import statistics
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, event

from accountd.store import queries
from accountd.store.engine import reader_engine, reading
from accountd.store.migrate import upgrade
from accountd.store.queries import Filter
from benchmarks import large_web
from benchmarks.large_record import ASKED, BEGIN, FIRST_ORDER, YEAR, load_postgres, load_sqlite, order_of
from tests.postgres import Postgres

RECIPES = Path(__file__).parents[1] / "docs" / "how-to" / "sql.md"
ACCOUNT, ORDER = f"a{ASKED:03}", order_of(ASKED)
CLIENT = f"bot-{int(ORDER) - FIRST_ORDER:x}"
REPEATS = 9
LIMIT_MS = 20.0
RESULTS = Path(__file__).with_name("queries.json")
Told = tuple[str, float, float, int, str]
REPORT = Path(__file__).with_name("QUERIES.md")
BEGIN_MARK, END_MARK = "<!-- measured: begin -->", "<!-- measured: end -->"


def recipes(sqlite: bool) -> dict[str, str]:
    """Return the queries of the how-to by their headings, with values of this record."""
    page = RECIPES.read_text(encoding="utf-8")
    found: dict[str, str] = {}
    for title, body in re.findall(r"^### (.*?)\n(.*?)(?=^##|\Z)", page, re.MULTILINE | re.DOTALL):
        blocks = re.findall(r"```sql( sqlite| postgres)?\n(.*?)```", body, re.DOTALL)
        for dialect, sql in blocks:
            if dialect.strip() in ("", "sqlite" if sqlite else "postgres"):
                found[title] = sql
    return found


def named() -> dict[str, Callable[[Any], Any]]:
    """Return the named queries that commands and web ask most."""
    last = BEGIN + YEAR
    one = Filter(account=ACCOUNT, newest=True, limit=50)
    return {
        "fills of an account, newest 50": lambda c: list(queries.fills(c, one)),
        "fills of all accounts, newest 50": lambda c: list(queries.fills(c, Filter(newest=True, limit=50))),
        "fills of a symbol, newest 50": lambda c: list(queries.fills(c, Filter(
            account=ACCOUNT, market="usdm", symbol="SOLUSDT", newest=True, limit=50))),
        "orders of all accounts, newest 50": lambda c: list(queries.orders(c, Filter(newest=True, limit=50))),
        "orders --order": lambda c: list(queries.orders(c, Filter(order_id=ORDER))),
        "orders --client-id": lambda c: list(queries.orders(c, Filter(client_order_id=CLIENT))),
        "fills --client-id": lambda c: list(queries.fills(c, Filter(client_order_id=CLIENT))),
        "open orders": lambda c: list(queries.open_orders(c, Filter(account=ACCOUNT))),
        "timeline": lambda c: list(queries.timeline(c, ORDER)),
        "a page in the middle": lambda c: queries.page(c, "fills", Filter(
            newest=True, account=ACCOUNT, until=last - YEAR / 2)),
        "profit of a day": lambda c: list(queries.pnl(c, "day", Filter(
            account=ACCOUNT, since=last - timedelta(days=3), until=last - timedelta(days=2)))),
        "equity, 200 points of a year": lambda c: list(queries.equity(
            c, ACCOUNT, "usdm", "USDT", BEGIN, last)),
        "positions": lambda c: list(queries.positions(c, Filter(account=ACCOUNT))),
    }  # fmt: skip


def plan(conn: Connection, statements: list[tuple[str, Any]]) -> list[str]:
    """Return the plan of the last statement asked, a line each."""
    if not statements:
        return []
    statement, values = statements[-1]
    explain = "EXPLAIN QUERY PLAN " if conn.dialect.name == "sqlite" else "EXPLAIN "
    return [str(row[-1]) for row in conn.exec_driver_sql(explain + statement, values)]


def summary(lines: list[str]) -> str:
    """Return what of a plan reads tables: each kind of read once, those by index by the index's name."""
    found = []
    for line in lines:
        told = re.search(r"(?:INDEX|using|Index Scan on) ([a-z]\w+)", line)
        if told or re.search(r"PRIMARY KEY", line):
            found.append(told[1] if told else "primary key")
        elif told := re.search(r"(?:^SCAN|Seq Scan on) (\w+)", line):
            found.append(f"all of {told[1]}")
    return ", ".join(dict.fromkeys(found))


def measure(url: str, show_plans: bool) -> list[Told]:
    """Ask everything; print and return median and least time in ms, the rows and the plan in short."""
    sqlite, engine, told = url.startswith("sqlite"), reader_engine(url), []
    statements: list[tuple[str, Any]] = []
    listen: Any = event.listen
    with reading(engine) as conn:
        asked: dict[str, Callable[[Any], Any]] = dict(named())
        for title, sql in recipes(sqlite).items():
            plain = sql.replace("'main'", f"'{ACCOUNT}'").strip().rstrip(";")
            plain = plain.replace("10000100", ORDER).replace("bot-64", CLIENT)
            asked[title] = lambda c, plain=plain: c.exec_driver_sql(
                plain.replace("%", "%%") if not sqlite else plain
            ).all()
        listen(
            conn, "before_cursor_execute", lambda c, u, sql, values, x, m: statements.append((sql, values))
        )
        for name, ask in asked.items():
            times = []
            for _ in range(REPEATS):
                begun = time.perf_counter()
                rows = ask(conn)
                times.append((time.perf_counter() - begun) * 1000)
                if times[-1] > 5000:
                    break
            middle = statistics.median(times)
            count = len(rows) if isinstance(rows, list) else len(rows.rows)
            lines = plan(conn, statements)
            told.append((name, round(middle, 2), round(min(times), 2), count, summary(lines)))
            mark = "!" if middle > LIMIT_MS else " "
            print(f"{mark} {middle:9.2f} ms ({min(times):.2f})  {count:6} rows  {name}", flush=True)
            if show_plans or middle > LIMIT_MS:
                for line in lines:
                    print("        ", line)
    engine.dispose()
    return told


def write(database: str, fills: int, accounts: int, told: list[Told], seen: list[large_web.Seen]) -> None:
    """Keep what was measured of one database beside that of the other, and write the page anew."""
    kept = json.loads(RESULTS.read_text(encoding="utf-8")) if RESULTS.exists() else {}
    kept[database] = {
        "date": datetime.now(UTC).date().isoformat(),
        "machine": f"{platform.machine()}, {os.cpu_count()} cores",
        "load": round(os.getloadavg()[0], 1), "fills": fills, "accounts": accounts, "told": told, "web": seen,
    }  # fmt: skip
    RESULTS.write_text(json.dumps(kept, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    page = REPORT.read_text(encoding="utf-8")
    before, after = page.split(BEGIN_MARK)[0], page.split(END_MARK)[1]
    REPORT.write_text(f"{before}{BEGIN_MARK}\n{tables(kept)}\n{END_MARK}{after}", encoding="utf-8")


def tables(kept: dict[str, Any]) -> str:
    """Return a section for each database, and one of the pages and the API on both."""
    parts, of = [], {}
    for database, of in sorted(kept.items()):
        parts += [
            f"## {database}\n",
            f"{of['fills']:,} fills, {of['accounts']} accounts; {of['date']}, {of['machine']}, load "
            f"average {of['load']}. Of {REPEATS} times, warm, the median and the least.\n",
            "| question | median ms | least ms | rows | reads by |\n|---|---|---|---|---|",
            *(f"| {name}{' **over 20 ms**' if ms > LIMIT_MS else ''} | {ms} | {least} | {rows} | {how} |"
              for name, ms, least, rows, how in of["told"]),
            "",
        ]  # fmt: skip
    databases = sorted(kept)
    parts += [
        "## Pages and API\n",
        f"The same records, through the web: of {large_web.REPEATS} times the median in ms.\n",
        f"| path | {' | '.join(databases)} |\n|---|{'---|' * len(databases)}",
    ]  # fmt: skip
    for path, *_ in of.get("web", []):
        each = [{one: ms for one, ms, *_ in kept[name].get("web", [])}.get(path, "") for name in databases]
        parts.append(f"| `{path}` | {' | '.join(map(str, each))} |")
    return "\n".join(parts).rstrip()


def main() -> None:
    """Write a record, or take the one that is there, and measure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--fills", type=int, default=1_000_000)
    parser.add_argument("--accounts", type=int, default=100)
    parser.add_argument("--database", choices=("sqlite", "postgres"), default="sqlite")
    parser.add_argument("--keep", type=Path, help="where to keep the record")
    parser.add_argument("--plans", action="store_true", help="print every plan")
    parser.add_argument("--write", action="store_true", help="write the results into QUERIES.md")
    asked = parser.parse_args()
    with ExitStack() as stack:
        if asked.database == "sqlite":
            folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="accountd-bench"))
            path = asked.keep or Path(folder) / "bench.db"
            url, there = f"sqlite:///{path}", path.exists()
        else:
            there = asked.keep is not None and asked.keep.exists()
            server = Postgres(keep=asked.keep and asked.keep.absolute(), shared_buffers="128MB")
            stack.callback(server.close)
            url = server.url("t1") if there else server.new_database()
        begun = time.perf_counter()
        if not there:
            upgrade(url)
            (load_sqlite if asked.database == "sqlite" else load_postgres)(url, asked.fills, asked.accounts)
        print(f"{asked.database}: {asked.fills} fills, {asked.accounts} accounts, "
              f"written in {time.perf_counter() - begun:.0f} s")  # fmt: skip
        told = measure(url, asked.plans)
        seen = large_web.measure(url, asked.accounts)
        if asked.write:
            write(asked.database, asked.fills, asked.accounts, told, seen)


if __name__ == "__main__":
    main()
