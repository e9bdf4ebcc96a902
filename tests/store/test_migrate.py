"""The schema's migrations: all or nothing, once, and equal to the tables that the code declares."""

import os
import re
import sqlite3
import stat
import subprocess
import sys
import warnings
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import inspect, text
from sqlalchemy.engine import make_url

from accountd.errors import DatabaseError, SchemaTooNew, SchemaTooOld
from accountd.store import migrate
from accountd.store.engine import reader_engine, reading, writer_engine
from accountd.store.tables import APPEND_ONLY, metadata

ROOT = Path(__file__).parents[2]
VIEWS = {"fills_numeric", "daily_pnl", "open_orders", "order_timeline", "balances_at", "fill_latency",
         "alert_latency", "positions_at", "unproven", "fill_values", "positions_now", "equity_curve",
         "fill_quality"}  # fmt: skip


def shape(url):
    """Describe a database: columns, types, keys, checks and indexes of every table of ours."""
    engine = writer_engine(url)
    with engine.connect() as connection:
        look = inspect(connection)
        found = {
            name: (
                [(c["name"], str(c["type"]), c["nullable"]) for c in look.get_columns(name)],
                look.get_pk_constraint(name)["constrained_columns"],
                sorted((str(c["name"]), squeeze(c["sqltext"])) for c in look.get_check_constraints(name)),
                indexes(look, name),
            )
            for name in metadata.tables
        }
        if connection.dialect.name == "sqlite":
            rows = connection.execute(text("SELECT name, sql FROM sqlite_master WHERE type = 'table'"))
            strict = {name: squeeze(sql).endswith("STRICT") for name, sql in rows if name in metadata.tables}
            found = {name: (*told, strict[name]) for name, told in found.items()}
    engine.dispose()
    return found


def indexes(look, table):
    """List a table's indexes on columns; those on expressions belong to a revision, as triggers do."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Skipped unsupported reflection of expression-based index")
        found = [i for i in look.get_indexes(table) if not i.get("expressions")]
    return sorted((i["name"], tuple(i["column_names"]), where(i)) for i in found)


def squeeze(sql):
    """Leave out what does not matter."""
    return re.sub(r"\s+", " ", str(sql)).strip()


def where(index):
    """Return the condition of a partial index."""
    return [
        squeeze(value) for name, value in index.get("dialect_options", {}).items() if name.endswith("_where")
    ]


def objects(url):
    """List the triggers and views."""
    engine = reader_engine(url)
    with reading(engine) as connection:
        views = set(inspect(connection).get_view_names())
        if connection.dialect.name == "sqlite":
            sql = "SELECT name FROM sqlite_master WHERE type = 'trigger'"
        else:
            sql = "SELECT tgname FROM pg_trigger WHERE NOT tgisinternal"
        triggers = {row[0] for row in connection.execute(text(sql))}
        tables = set(inspect(connection).get_table_names())
    engine.dispose()
    return tables, triggers, views


@pytest.fixture
def other_url(postgres, tmp_path, database_url):
    """The address of a second fresh database of the same kind."""
    if database_url.startswith("sqlite"):
        yield f"sqlite:///{tmp_path / 'other.db'}"
        return
    url = postgres.new_database()
    yield url
    postgres.drop_database(url)


def test_migrated_equals_declared(database_url, other_url):
    """Columns, types, nulls, keys, checks, indexes and STRICT are those of the tables in the code."""
    migrate.upgrade(database_url)
    engine = writer_engine(other_url)
    with engine.begin() as connection:
        metadata.create_all(connection)
    engine.dispose()
    assert shape(database_url) == shape(other_url)
    tables, triggers, views = objects(database_url)
    assert tables == {*metadata.tables, "alembic_version"}
    assert views == VIEWS
    assert {f"{name}_no_{what}" for name in APPEND_ONLY for what in ("update", "delete")} <= triggers


def test_up_down_up(database_url):
    """Going down leaves nothing of ours, and up again gives the same schema."""
    assert migrate.check(database_url) == migrate.Schema(current=None, head="0011")
    with pytest.raises(SchemaTooOld):
        migrate.require(database_url)
    first = migrate.upgrade(database_url)
    assert (first.from_rev, first.to_rev, first.changed) == (None, "0011", True)
    before = shape(database_url), objects(database_url)
    migrate.downgrade(database_url, "base")
    tables, triggers, views = objects(database_url)
    assert (tables - {"alembic_version"}, triggers, views) == (set(), set(), set())
    assert migrate.upgrade(database_url).changed
    assert (shape(database_url), objects(database_url)) == before
    again = migrate.upgrade(database_url)
    assert (again.from_rev, again.to_rev, again.changed) == ("0011", "0011", False)
    migrate.require(database_url)


def test_a_newer_schema_is_refused(database_url):
    """A revision that this program does not know is named, and nothing is changed."""
    migrate.upgrade(database_url)
    engine = writer_engine(database_url)
    with engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    engine.dispose()
    for attempt in (migrate.check, migrate.upgrade, migrate.require):
        with pytest.raises(SchemaTooNew, match="9999"):
            attempt(database_url)


def test_check_creates_no_file(sqlite_url):
    """Looking at a database that is not there does not make one."""
    assert migrate.check(sqlite_url).current is None
    assert not Path(make_url(sqlite_url).database).exists()


def test_the_file_is_its_owners_only(sqlite_url):
    """A new SQLite file and its companions can be read by nobody else."""
    migrate.upgrade(sqlite_url)
    engine = writer_engine(sqlite_url)
    with engine.begin() as connection:
        connection.execute(text("INSERT INTO hooks (hook) VALUES ('x')"))
        files = list(Path(make_url(sqlite_url).database).parent.glob("accountd.db*"))
        assert len(files) == 3
        assert {stat.S_IMODE(file.stat().st_mode) for file in files} == {0o600}
    engine.dispose()


def test_two_processes_may_upgrade_at_once(database_url):
    """Of several that start together one migrates and the others find it done."""
    program = "import sys; from accountd.store.migrate import upgrade; print(upgrade(sys.argv[1]).changed)"
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    several = [
        subprocess.Popen(
            [sys.executable, "-c", program, database_url],
            env=env,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        for _ in range(3)
    ]
    told = [one.communicate(timeout=60) for one in several]
    assert [error for _, error in told] == [b"", b"", b""]
    assert sorted(out.strip() for out, _ in told) == [b"False", b"False", b"True"]
    assert migrate.check(database_url).up_to_date


def test_money_columns_take_only_canonical_text(sqlite_url):
    """SQLite refuses a REAL, an exponent or a word in a money column."""
    migrate.upgrade(sqlite_url)
    connection = sqlite3.connect(make_url(sqlite_url).database)
    insert = (
        "INSERT INTO transfers (account_id, market, kind, transfer_id, asset, amount, occurred_at, source, "
        "journal_seq) VALUES ('a', 'm', 'k', 't', 's', ?, 'now', 'rest', 1)"
    )
    for bad in ("1E-8", "NaN", "", "-", "1,5", "0x1", b"1"):
        with pytest.raises(sqlite3.IntegrityError):
            connection.execute(insert, (bad,))
    connection.execute(insert, ("-0.00000001",))
    connection.close()


def test_an_unreachable_server_is_told_without_its_password():
    """A server that does not answer is an error that may pass, and the password is not in it."""
    with pytest.raises(DatabaseError) as caught:
        migrate.check("postgresql://someone:hunter2@127.0.0.1:1/db")
    assert not caught.value.permanent
    assert "hunter2" not in str(caught.value)


def test_postgres_refuses_to_truncate_history(pg_url):
    """TRUNCATE does not go around the triggers."""
    migrate.upgrade(pg_url)
    with psycopg.connect(pg_url) as connection, pytest.raises(psycopg.errors.RaiseException):
        connection.execute("TRUNCATE journal")
