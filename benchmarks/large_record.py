"""A large record, written as fast as it goes: what `benchmarks.queries` asks.

For each fill a balance and a position, for each two fills an order with two events; now and then funding
and an alert; a mark price, bid and ask of each symbol for each minute. Rows lie in the order of time, as a
daemon writes them, so that those of one account are spread over the whole file. One account has the journal
of its fills too.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
from sqlalchemy.engine import make_url

from accountd.store.tables import metadata

BEGIN = datetime(2025, 10, 31, tzinfo=UTC)
YEAR = timedelta(days=365)
MINUTE = timedelta(minutes=1)
SYMBOLS = ("BTCUSDT", "ETHUSDT", "SOLUSDT", "XRPUSDT", "DOGEUSDT", "BNBUSDT", "ADAUSDT", "LINKUSDT")
BATCH = 20_000  # fills
ASKED = 7  # the account that the questions name, and that has a journal
FIRST_ORDER = 10_000_000
RAW = b'{"e":"ORDER_TRADE_UPDATE",' + b'"x":"0123456789",' * 40 + b'"n":"0"}'
Rows = dict[str, list[tuple[Any, ...]]]
TABLES = ("orders", "order_events", "fills", "balance_history", "position_history", "transfers", "outbox",
          "journal", "prices")  # fmt: skip
COLUMNS = {name: ", ".join(column.name for column in metadata.tables[name].columns) for name in TABLES}


def stamp(moment: datetime) -> str:
    """Write a time as both databases read it."""
    return moment.isoformat(" ", "microseconds")


def order_of(account: int) -> str:
    """Return the id of an early order of an account."""
    return str(FIRST_ORDER + 100 + account)


def chunk(first: int, last: int, fills: int, accounts: int) -> Rows:
    """Return the rows of some fills and of their orders, evenly spread over accounts and the year."""
    rows: Rows = {name: [] for name in TABLES}
    for n in range(first, last):
        number, block = n // 2, n // 2 // accounts
        of, symbol, seq = number % accounts, SYMBOLS[block % len(SYMBOLS)], 2 * block + n % 2 + 1
        account, order, client = f"a{of:03}", str(FIRST_ORDER + number), f"bot-{number:x}"
        when = stamp(BEGIN + YEAR // fills * n)
        price, side = f"{60000 + n % 977}.10", "SELL" if block // len(SYMBOLS) % 2 else "BUY"
        fee = ("0.00040000", "BNB") if n % 11 == 0 else ("0.24000040", "USDT")
        rows["fills"].append((
            account, "usdm", symbol, str(n), order, client, side, "BOTH", price, "0.010", "600.00100", *fee,
            f"{n % 7 - 3}.50000000", n % 2 == 0, when, when, when, "stream", seq,
        ))  # fmt: skip
        rows["balance_history"].append(
            (account, "usdm", "USDT", seq, None, None, f"{100000 + n % 991}.5", "ORDER", when, "stream", seq)
        )
        key = block // len(SYMBOLS) * 2 + n % 2 + 1
        rows["position_history"].append((
            account, "usdm", symbol, "BOTH", key, "0.010" if n % 3 else "0", price, price, "1.5", "CROSS",
            "20", "ORDER", when, "stream", seq,
        ))  # fmt: skip
        if n % 2 == 0:
            whose = (account, "usdm", symbol, "order", order)
            status = "NEW" if number % 1009 == 0 else "FILLED" if n % 3 else "CANCELED"
            rows["orders"].append((
                *whose, client, side, "BOTH", "LIMIT", "GTC", status, price, "0", "0.020", "0.020", price,
                "1200.002", False, when, when, "stream", None, "NONE", None, seq, 2,
            ))  # fmt: skip
            rows["order_events"] += [
                (*whose, 1, "NEW", "NEW", price, "0.020", "0", when, "stream", seq),
                (*whose, 2, "TRADE", status, price, "0.020", "0.020", when, "stream", seq),
            ]
        if n % 51 == 0:
            rows["transfers"].append((
                account, "usdm", "funding_fee", str(n), "USDT", "-0.01230000", symbol, when, "rest", None,
                None, seq,
            ))  # fmt: skip
        if n % 97 == 0:
            rows["outbox"].append((
                f"m{n}", account, "ops", "fill", "{}", "delivered", None, 1, when, None, when, account,
                *[when] * 4, None, None, None,
            ))  # fmt: skip
        if of == ASKED:
            digest = b"0" * 32
            rows["journal"].append((
                account, seq, "stream", "ORDER_TRADE_UPDATE", when, when, f"s{account}", RAW, b"0" * 16,
                digest, digest, None, None,
            ))  # fmt: skip
    return rows


def prices(day: int) -> Rows:
    """Return the prices of a day of the year, each minute."""
    rows = []
    for minute in range(24 * 60):
        at = stamp(BEGIN + timedelta(days=day) + minute * MINUTE)
        rows += [("usdm", symbol, at, "60500.1", "60500.0", "60500.2", "mark") for symbol in SYMBOLS]
    return {"prices": rows}


def all_rows(fills: int, accounts: int) -> Iterator[Rows]:
    """Yield everything that is large, some rows at a time."""
    for first in range(0, fills, BATCH):
        yield chunk(first, min(first + BATCH, fills), fills, accounts)
    for day in range(365):
        yield prices(day)


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
        columns = ", ".join(column.name for column in metadata.tables[f"{table}s"].columns)
        yield (f"INSERT INTO {table}s ({columns}) SELECT {columns} FROM {table}_history WHERE "
               f"(account_id, market, {key}, n) IN (SELECT account_id, market, {key}, MAX(n) "
               f"FROM {table}_history GROUP BY account_id, market, {key})")  # fmt: skip


def load_sqlite(url: str, fills: int, accounts: int) -> None:
    """Write the record into a SQLite file in one transaction; indexes come after the rows."""
    path = make_url(url).database or ""
    connection = sqlite3.connect(path, isolation_level=None)
    for pragma in ("journal_mode=OFF", "synchronous=OFF", "locking_mode=EXCLUSIVE", "cache_size=-6000000",
                   "ignore_check_constraints=ON", "threads=2"):  # fmt: skip
        connection.execute(f"PRAGMA {pragma}").fetchall()
    indexes = connection.execute("SELECT name, sql FROM sqlite_master WHERE type = 'index' AND sql IS NOT "
                                 "NULL").fetchall()  # fmt: skip
    told = connection.execute("SELECT tbl, idx, stat FROM sqlite_stat1").fetchall()
    connection.execute("BEGIN")
    for name, _ in indexes:
        connection.execute(f"DROP INDEX {name}")
    for written in all_rows(fills, accounts):
        for table, rows in written.items():
            if rows:
                marks = ", ".join("?" * len(rows[0]))
                connection.executemany(f"INSERT INTO {table} ({COLUMNS[table]}) VALUES ({marks})", rows)
    for statement in few(accounts):
        connection.execute(statement)
    for _, sql in indexes:
        connection.execute(sql)
    # What the schema tells the planner goes with an index that is dropped.
    connection.execute("DELETE FROM sqlite_stat1")
    connection.executemany("INSERT INTO sqlite_stat1 (tbl, idx, stat) VALUES (?, ?, ?)", told)
    connection.execute("COMMIT")
    connection.close()
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA journal_mode=WAL").fetchall()
    connection.close()


def load_postgres(url: str, fills: int, accounts: int) -> None:
    """Write the record into a Postgres database with COPY; keys and indexes come after the rows."""
    with psycopg.connect(url) as connection, connection.cursor() as cursor:
        cursor.execute("SET synchronous_commit = off")
        cursor.execute("SET maintenance_work_mem = '1GB'")
        cursor.execute("SELECT indexname, indexdef FROM pg_indexes WHERE schemaname = 'public' AND indexdef "
                       "NOT LIKE '%UNIQUE%'")  # fmt: skip
        indexes = cursor.fetchall()
        cursor.execute("SELECT conrelid::regclass::text, conname, pg_get_constraintdef(oid) FROM "
                       "pg_constraint WHERE contype = 'p'")  # fmt: skip
        keyed = [key for key in cursor.fetchall() if key[0] in TABLES]
        for name, _ in indexes:
            cursor.execute(f"DROP INDEX {name}")
        for table, name, _ in keyed:
            cursor.execute(f"ALTER TABLE {table} DROP CONSTRAINT {name}")
        for written in all_rows(fills, accounts):
            for table, rows in written.items():
                if rows:
                    with cursor.copy(f"COPY {table} ({COLUMNS[table]}) FROM STDIN") as copy:
                        copy.write("".join(map(line, rows)))
            connection.commit()
        for table, name, definition in keyed:
            cursor.execute(f"ALTER TABLE {table} ADD CONSTRAINT {name} {definition}")
        for _, sql in indexes:
            cursor.execute(sql)
        for statement in few(accounts):
            cursor.execute(statement)
        connection.commit()
    with psycopg.connect(url, autocommit=True) as connection:  # as the server itself does by and by
        connection.execute("VACUUM ANALYZE")


def line(row: tuple[Any, ...]) -> str:
    """Return a row as a line of COPY."""
    return "\t".join([cell if type(cell) is str else _cell(cell) for cell in row]) + "\n"


def _cell(value: Any) -> str:
    if value is None:
        return "\\N"
    return f"\\\\x{value.hex()}" if type(value) is bytes else str(value)
