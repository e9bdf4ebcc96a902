"""How quickly each documented query answers on a large record, and by which plan.

`python -m benchmarks.queries --fills 1000000 --database sqlite` writes a record of that many fills, half as
many orders, two events an order, a balance and a position for each fill, over 100 accounts and a year, and
then asks every recipe of docs/how-to/sql.md and every named query. `--keep PATH` keeps the record (a file of
SQLite, a data folder of Postgres), and uses it if it is there. `--write` puts what was measured, with the
plans, into benchmarks/queries.json and from there into benchmarks/QUERIES.md.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
import sqlite3
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
from sqlalchemy import Connection, event
from sqlalchemy.engine import make_url

from accountd.store import queries
from accountd.store.engine import reader_engine, reading
from accountd.store.migrate import upgrade
from accountd.store.queries import Filter
from accountd.store.tables import metadata
from tests.postgres import Postgres

RECIPES = Path(__file__).parents[1] / "docs" / "how-to" / "sql.md"
BEGIN = datetime(2025, 10, 31, tzinfo=UTC)
YEAR = timedelta(days=365)
SYMBOLS = ("BTCUSDT", "ETHUSDT", "SOLUSDT", "XRPUSDT", "DOGEUSDT", "BNBUSDT", "ADAUSDT", "LINKUSDT")
BATCH = 20_000  # fills
REPEATS = 9
LIMIT_MS = 20.0
RESULTS = Path(__file__).with_name("queries.json")
Told = tuple[str, float, float, int, str]
REPORT = Path(__file__).with_name("QUERIES.md")
BEGIN_MARK, END_MARK = "<!-- measured: begin -->", "<!-- measured: end -->"


def stamp(moment: datetime) -> str:
    """Write a time as both databases read it."""
    return moment.isoformat(" ", "microseconds")


def chunk(first: int, last: int, fills: int, accounts: int) -> dict[str, list[tuple[Any, ...]]]:
    """Return the rows of some fills and of their orders, evenly spread over accounts and the year."""
    rows: dict[str, list[tuple[Any, ...]]] = {name: [] for name in (
        "fills", "orders", "order_events", "balance_history", "position_history", "transfers",
    )}  # fmt: skip
    for n in range(first, last):
        account, symbol = f"a{n % accounts:03}", SYMBOLS[n // accounts % len(SYMBOLS)]
        at = BEGIN + YEAR // fills * n
        when, order = stamp(at), str(10_000_000 + n // 2)
        price, side, seq = f"{60000 + n % 977}.10", "BUY" if n % 4 < 2 else "SELL", n // accounts + 1
        bnb = n % 10 == 0
        rows["fills"].append((
            account, "usdm", symbol, str(n), order, f"bot-{n // 2:x}", side, "BOTH", price, "0.010",
            "600.00100",
            "0.00040000" if bnb else "0.24000040", "BNB" if bnb else "USDT", f"{n % 7 - 3}.50000000",
            n % 2 == 0,
            when, when, when, "stream", seq,
        ))  # fmt: skip
        rows["balance_history"].append(
            (account, "usdm", "USDT", seq, None, None, f"{100000 + n % 991}.5", "ORDER", when, "stream", seq)
        )
        key = seq // len(SYMBOLS) + 1
        rows["position_history"].append((
            account, "usdm", symbol, "BOTH", key, "0.010" if n % 3 else "0", price, price, "1.5", "CROSS",
            "20",
            "ORDER", when, "stream", seq,
        ))  # fmt: skip
        if n % 2 == 0:
            key_of = (account, "usdm", symbol, "order", order)
            status = "NEW" if n % 20_000 == 0 else "FILLED" if n % 3 else "CANCELED"
            rows["orders"].append((
                *key_of, f"bot-{n // 2:x}", side, "BOTH", "LIMIT", "GTC", status, price, "0", "0.020",
                "0.020",
                price, "1200.002", False, when, when, "stream", None, "NONE", None, seq, 2,
            ))  # fmt: skip
            rows["order_events"] += [
                (*key_of, 1, "NEW", "NEW", price, "0.020", "0", when, "stream", seq),
                (*key_of, 2, "TRADE", status, price, "0.020", "0.020", when, "stream", seq),
            ]
        if n % 50 == 0:
            rows["transfers"].append((
                account, "usdm", "funding_fee", str(n), "USDT", "-0.01230000", symbol, when, "rest", None,
                None, seq,
            ))  # fmt: skip
    return rows


TABLES = ("orders", "order_events", "fills", "balance_history", "position_history", "transfers")
COLUMNS = {name: " ".join(column.name for column in metadata.tables[name].columns) for name in TABLES}


def few(accounts: int) -> Iterator[str]:
    """Yield the statements that write the small tables."""
    names = [f"a{n:03}" for n in range(accounts)]
    for name in names:
        yield (f"INSERT INTO accounts (account_id, name, venue, environment, created_at) VALUES "
               f"('{name}', '{name}', 'binance-usdm', 'live', '{stamp(BEGIN)}')")  # fmt: skip
        yield (f"INSERT INTO sessions (session_id, account_id, opened_at, frames) VALUES ('s{name}', "
               f"'{name}', '{stamp(BEGIN)}', 0)")  # fmt: skip
        yield (f"INSERT INTO gaps (gap_id, account_id, dataset, market, symbol, from_time, reason, "
               f"opened_at, recovered) VALUES ('g{name}', '{name}', 'fills', 'usdm', '', '{stamp(BEGIN)}', "
               f"'lost', '{stamp(BEGIN)}', 0)")  # fmt: skip
    for table, key in (("balance", "asset"), ("position", "symbol")):
        columns = COLUMNS[f"{table}_history"].replace(" ", ", ")
        yield (f"INSERT INTO {table}s ({columns}) SELECT {columns} FROM {table}_history WHERE "
               f"(account_id, market, {key}, n) IN (SELECT account_id, market, {key}, MAX(n) "
               f"FROM {table}_history GROUP BY account_id, market, {key})")  # fmt: skip
    for hour in range(365 * 24):
        moments = [stamp(BEGIN + timedelta(hours=hour, minutes=minute)) for minute in range(0, 60, 5)]
        values = ", ".join(f"('usdm', '{symbol}', '{at}', '60500.1', '60500.0', '60500.2', 'x')"
                           for at in moments for symbol in (SYMBOLS[0], SYMBOLS[5]))  # fmt: skip
        yield f"INSERT INTO prices (market, symbol, at, mark, bid, ask, source) VALUES {values}"


def load_sqlite(url: str, fills: int, accounts: int) -> None:
    """Write the record into a SQLite file, as fast as it goes; indexes come with the rows."""
    connection = sqlite3.connect(make_url(url).database or "", isolation_level=None)
    connection.execute("PRAGMA synchronous=OFF")
    connection.execute("PRAGMA cache_size=-1000000")
    indexes = [row for row in connection.execute(
        "SELECT name, sql FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL")]  # fmt: skip
    told = connection.execute("SELECT tbl, idx, stat FROM sqlite_stat1").fetchall()
    for name, _ in indexes:
        connection.execute(f"DROP INDEX {name}")
    for first in range(0, fills, BATCH):
        connection.execute("BEGIN")
        for table, rows in chunk(first, min(first + BATCH, fills), fills, accounts).items():
            if rows:
                marks = ", ".join("?" * len(rows[0]))
                connection.executemany(
                    f"INSERT INTO {table} ({COLUMNS[table].replace(' ', ', ')}) VALUES ({marks})",
                    rows,
                )
        connection.execute("COMMIT")
    connection.execute("BEGIN")
    for statement in few(accounts):
        connection.execute(statement)
    connection.execute("COMMIT")
    for _, sql in indexes:
        connection.execute(sql)
    # What the schema tells the planner goes with an index that is dropped.
    connection.execute("DELETE FROM sqlite_stat1")
    connection.executemany("INSERT INTO sqlite_stat1 (tbl, idx, stat) VALUES (?, ?, ?)", told)
    connection.close()


def load_postgres(url: str, fills: int, accounts: int) -> None:
    """Write the record into a Postgres database with COPY."""
    with psycopg.connect(url) as connection, connection.cursor() as cursor:
        cursor.execute("SET synchronous_commit = off")
        cursor.execute("SELECT indexname, indexdef FROM pg_indexes WHERE schemaname = 'public' AND indexdef "
                       "NOT LIKE '%UNIQUE%'")  # fmt: skip
        indexes = cursor.fetchall()
        for name, _ in indexes:
            cursor.execute(f"DROP INDEX {name}")
        for first in range(0, fills, BATCH):
            for table, rows in chunk(first, min(first + BATCH, fills), fills, accounts).items():
                with cursor.copy(f"COPY {table} ({COLUMNS[table].replace(' ', ', ')}) FROM STDIN") as copy:
                    for row in rows:
                        copy.write_row(row)
            connection.commit()
        for statement in few(accounts):
            cursor.execute(statement)
        for _, sql in indexes:
            cursor.execute(sql)
        connection.commit()
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("VACUUM ANALYZE")


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
    one = Filter(account="a007", newest=True, limit=50)
    return {
        "fills of an account, newest 50": lambda c: list(queries.fills(c, one)),
        "fills of all accounts, newest 50": lambda c: list(queries.fills(c, Filter(newest=True, limit=50))),
        "fills of a symbol, newest 50": lambda c: list(queries.fills(c, Filter(
            account="a007", market="usdm", symbol="SOLUSDT", newest=True, limit=50))),
        "orders of all accounts, newest 50": lambda c: list(queries.orders(c, Filter(newest=True, limit=50))),
        "orders --order": lambda c: list(queries.orders(c, Filter(order_id="10000100"))),
        "orders --client-id": lambda c: list(queries.orders(c, Filter(client_order_id="bot-64"))),
        "fills --client-id": lambda c: list(queries.fills(c, Filter(client_order_id="bot-64"))),
        "open orders": lambda c: list(queries.open_orders(c, Filter(account="a000"))),
        "timeline": lambda c: list(queries.timeline(c, "10000100")),
        "a page in the middle": lambda c: queries.page(c, "fills", Filter(
            newest=True, account="a007", until=last - YEAR / 2)),
        "profit of a day": lambda c: list(queries.pnl(c, "day", Filter(
            account="a007", since=last - timedelta(days=3), until=last - timedelta(days=2)))),
        "equity, 200 points of a year": lambda c: list(queries.equity(
            c, "a007", "usdm", "USDT", BEGIN, last)),
        "positions": lambda c: list(queries.positions(c, Filter(account="a007"))),
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
        told = re.search(r"(?:INDEX|using) ([a-z]\w+)", line)
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
            plain = sql.replace("'main'", "'a007'").strip().rstrip(";")
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


def write(database: str, fills: int, accounts: int, told: list[Told]) -> None:
    """Keep what was measured of one database beside that of the other, and write the page anew."""
    kept = json.loads(RESULTS.read_text(encoding="utf-8")) if RESULTS.exists() else {}
    kept[database] = {
        "date": datetime.now(UTC).date().isoformat(),
        "machine": f"{platform.machine()}, {os.cpu_count()} cores",
        "load": round(os.getloadavg()[0], 1), "fills": fills, "accounts": accounts, "told": told,
    }  # fmt: skip
    RESULTS.write_text(json.dumps(kept, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    page = REPORT.read_text(encoding="utf-8")
    before, after = page.split(BEGIN_MARK)[0], page.split(END_MARK)[1]
    REPORT.write_text(f"{before}{BEGIN_MARK}\n{tables(kept)}\n{END_MARK}{after}", encoding="utf-8")


def tables(kept: dict[str, Any]) -> str:
    """Return a section for each database."""
    parts = []
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
            server = Postgres(keep=asked.keep and asked.keep.absolute())
            stack.callback(server.close)
            url = server.url("t1") if there else server.new_database()
        begun = time.perf_counter()
        if not there:
            upgrade(url)
            (load_sqlite if asked.database == "sqlite" else load_postgres)(url, asked.fills, asked.accounts)
        print(f"{asked.database}: {asked.fills} fills, {asked.accounts} accounts, "
              f"written in {time.perf_counter() - begun:.0f} s")  # fmt: skip
        told = measure(url, asked.plans)
        if asked.write:
            write(asked.database, asked.fills, asked.accounts, told)


if __name__ == "__main__":
    main()
