"""An upgrade that dies at any statement has changed nothing; one that is done made what a new record has."""

import re
import shutil
import sqlite3
from contextlib import contextmanager

import pytest
from sqlalchemy import Engine, event
from sqlalchemy.engine import make_url

from accountd.store import migrate
from accountd.store.engine import reader_engine
from tests.store.old_record import ROWS, build, data, described, objects

CHANGES = re.compile(r"\s*(CREATE|INSERT|UPDATE|ALTER|DROP|DELETE)")
STEP = 19  # a real death at every so many statements; what others see is looked at after each one


class Died(Exception):
    """What stops an upgrade."""


@pytest.fixture
def new_url(request, tmp_path, kind):
    """The address of a fresh database of the same kind, with today's schema."""
    if kind == "sqlite":
        url = f"sqlite:///{tmp_path / 'new.db'}"
        migrate.upgrade(url)
        yield url
        return
    postgres = request.getfixturevalue("postgres")
    url = postgres.new_database()
    migrate.upgrade(url)
    yield url
    postgres.drop_database(url)


def after_each_statement(url, look):
    """Upgrade, and call ``look`` with the number of each statement that has changed something."""
    number = 0

    def count(connection, cursor, statement, *rest):
        nonlocal number
        if CHANGES.match(statement):
            number += 1
            look(number)

    event.listen(Engine, "after_cursor_execute", count)
    try:
        migrate.upgrade(url)
    finally:
        event.remove(Engine, "after_cursor_execute", count)
    return number


@contextmanager
def outside(url):
    """Return a look at what another connection, or whoever comes after a power cut, finds."""
    if not url.startswith("sqlite"):
        engine = reader_engine(url)  # the upgrade has locked tables: only the catalogs can be read
        with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as conn:
            yield lambda: objects(conn)
        engine.dispose()
        return
    file = make_url(url).database

    def look():
        for end in ("", "-wal"):  # what a disk holds when the power goes
            shutil.copy(f"{file}{end}", f"{file}.cut{end}")
        conn = sqlite3.connect(f"{file}.cut")
        try:
            (fine,) = conn.execute("PRAGMA quick_check").fetchone()
            made = conn.execute("SELECT type, name, sql FROM sqlite_master ORDER BY name").fetchall()
            tables = [name for kind, name, _ in made if kind == "table"]
            return fine, made, {one: conn.execute(f"SELECT * FROM {one}").fetchall() for one in tables}
        finally:
            conn.close()

    yield look


@pytest.mark.parametrize(("kind", "old"), [("sqlite", False), ("sqlite", True), ("pg", True)])
def test_an_upgrade_that_dies_has_changed_nothing(request, new_url, kind, old):
    """At every statement, from nothing and from a record of the first schema; then it runs through."""
    database_url = request.getfixturevalue(f"{kind}_url")
    if old:
        build(database_url)
    elif database_url.startswith("sqlite"):
        sqlite3.connect(make_url(database_url).database).executescript("PRAGMA journal_mode=WAL").close()
    before, held = described(database_url), data(database_url)
    assert after_each_statement(new_url, lambda _: None) == 0
    numbers = []
    with outside(database_url) as look:
        unchanged = look()

        def compare(number):
            if number <= len(numbers):
                return
            numbers.append(number)
            assert look() == unchanged, number
            if number % STEP == 0:
                raise Died

        while True:
            try:
                after_each_statement(database_url, compare)
                break
            except Died:
                assert described(database_url) == before
                assert data(database_url) == held
    assert len(numbers) > (30 if old else 100)
    assert migrate.check(database_url).up_to_date
    assert described(database_url) == described(new_url)
    assert data(database_url, held[1]) == held
    assert all(len(rows) == ROWS for rows in held[0].values())
