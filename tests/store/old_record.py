"""A database of the first landed schema (0003) with rows in every table, and what a database holds."""

import re
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from sqlalchemy import inspect, text

from accountd.store import migrate
from accountd.store.engine import reader_engine, reading, writer_engine

FIRST_LANDED = "0003"
ROWS = 3
T0 = datetime(2026, 10, 1, 8, 0, 0, 250_000, tzinfo=UTC)
JSON = ("detail", "body")
OF_STATUS = {"outbox": ("pending", "delivered", "dead")}


def build(url):
    """Make the old database: every column of every row says something of its own."""
    migrate.upgrade(url, FIRST_LANDED)
    engine = writer_engine(url)
    try:
        with engine.begin() as conn:
            look = inspect(conn)
            for table in sorted(set(look.get_table_names()) - {"alembic_version"}):
                exact = {check["name"] for check in look.get_check_constraints(table)}
                columns = look.get_columns(table)
                names = [column["name"] for column in columns]
                marks = ", ".join(f":{name}" for name in names)
                sql = text(f"INSERT INTO {table} ({', '.join(names)}) VALUES ({marks})")
                for n in range(ROWS):
                    told = {
                        c["name"]: value(conn.dialect.name, table, c["name"], str(c["type"]), exact, n)
                        for c in columns
                    }
                    conn.execute(sql, told)
    finally:
        engine.dispose()


def value(dialect, table, name, kind, exact, n):
    """Return what a cell holds, by the column's name and type."""
    if kind.startswith(("NUMERIC", "DOUBLE")) or f"{table}_{name}_exact" in exact:
        amount = Decimal("-1234567.000000012345678901") + n
        return amount if dialect == "postgresql" else format(amount, "f")
    if kind.startswith(("TIMESTAMP", "DATETIME")) or name.endswith(("_at", "_time", "_since")):
        at = T0 + timedelta(hours=n, microseconds=sum(map(ord, name)))
        return at if dialect == "postgresql" else at.isoformat(" ", "microseconds")
    if kind.startswith(("BYTEA", "BLOB")):
        return bytes([n, 0, 255]) + name.encode()
    if kind.startswith("BOOL"):
        return bool(n % 2)
    if kind.startswith(("BIGINT", "INTEGER")):
        return n if name == "reduce_only" or name.startswith("is_") else n + 1
    if table in OF_STATUS and name == "status":
        return OF_STATUS[table][n % 3]
    if name == "account_id":
        return f"account-{n}" if table in ("accounts", "heads") else "account-0"
    return f'{{"n": {n}}}' if name in JSON else f"{name}-{n}-é"


def objects(conn):
    """Describe every table, index, check, trigger, view and function, as the database tells it."""
    if conn.dialect.name == "sqlite":
        sql = "SELECT type || ' ' || name, sql FROM sqlite_master WHERE name NOT LIKE 'sqlite_%'"
        found = {name: re.sub(r"\s+", " ", told or "") for name, told in conn.execute(text(sql))}
        for name in [name for name in found if name.startswith("table ")]:
            found[name] = _columns(conn, name.removeprefix("table ")), found[name].endswith("STRICT")
        return found
    return {name: told for sql in POSTGRES for name, told in conn.execute(text(sql))}


def _columns(conn, table):
    """Describe a table without its words: a column that was added later is the same column."""
    look = inspect(conn)
    checks = look.get_check_constraints(table)
    return (
        [(c["name"], str(c["type"]), c["nullable"], c["primary_key"]) for c in look.get_columns(table)],
        sorted((str(check["name"]), re.sub(r"\s+", " ", check["sqltext"])) for check in checks),
    )


HERE = "n.nspname = 'public'"
POSTGRES = (
    "SELECT 'column ' || c.relname || '.' || a.attname, format_type(a.atttypid, a.atttypmod) || ' ' || "
    "a.attnotnull || ' ' || a.attnum FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid JOIN "
    f"pg_namespace n ON n.oid = c.relnamespace WHERE {HERE} AND a.attnum > 0 AND NOT a.attisdropped "
    "AND c.relkind IN ('r', 'v')",
    "SELECT 'constraint ' || c.relname || '.' || o.conname, o.contype::text || o.conkey::text FROM "
    "pg_constraint o JOIN pg_class c ON c.oid = o.conrelid JOIN pg_namespace n ON n.oid = c.relnamespace "
    f"WHERE {HERE}",
    f"SELECT 'index ' || c.relname, i.indkey::text || ' ' || (i.indpred IS NOT NULL) || i.indisunique FROM "
    f"pg_index i JOIN pg_class c ON c.oid = i.indexrelid JOIN pg_namespace n ON n.oid = c.relnamespace "
    f"WHERE {HERE}",
    "SELECT 'trigger ' || c.relname || '.' || t.tgname, t.tgtype || ' ' || t.tgenabled::text || ' ' || "
    "t.tgattr::text || ' ' || (t.tgqual IS NOT NULL) FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid "
    "WHERE NOT t.tgisinternal",
    f"SELECT 'function ' || p.proname, p.prosrc FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace "
    f"WHERE {HERE}",
)
# Definitions in words; they need a look at the tables, which a migration that is under way has locked.
WORDED = (
    "SELECT 'view ' || viewname, definition FROM pg_views WHERE schemaname = 'public'",
    "SELECT 'index ' || indexname, indexdef FROM pg_indexes WHERE schemaname = 'public'",
    "SELECT 'trigger ' || tgname, pg_get_triggerdef(oid) FROM pg_trigger WHERE NOT tgisinternal",
    "SELECT 'constraint ' || conname, pg_get_constraintdef(oid) FROM pg_constraint WHERE connamespace = "
    "'public'::regnamespace",
)


def described(url):
    """Describe a database that nobody changes at the moment, in full."""
    engine = reader_engine(url)
    try:
        with reading(engine) as conn:
            found = objects(conn)
            if conn.dialect.name == "postgresql":
                for sql in WORDED:
                    found.update((f"worded {name}", told) for name, told in conn.execute(text(sql)))
            return found
    finally:
        engine.dispose()


def data(url, columns=None):
    """Return every row of every table; with ``columns`` only these of these tables."""
    engine = reader_engine(url)
    try:
        with reading(engine) as conn:
            look = inspect(conn)
            wanted = columns
            if wanted is None:
                names = set(look.get_table_names()) - {"alembic_version"}
                wanted = {name: [column["name"] for column in look.get_columns(name)] for name in names}
            return {
                table: sorted(
                    (tuple(row) for row in conn.execute(text(f"SELECT {', '.join(names)} FROM {table}"))),
                    key=repr,
                )
                for table, names in wanted.items()
            }, wanted
    finally:
        engine.dispose()
