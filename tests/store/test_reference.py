"""Every table, view and column is explained, in the reference and in Postgres itself, in the same words."""

from pathlib import Path

import psycopg
import pytest

from accountd.store import migrate, reference
from accountd.store.engine import reader_engine, reading
from accountd.store.tables import metadata
from accountd.store.types import Money
from accountd.store.words_views import BASES, VIEWS

REFERENCE = Path(__file__).parents[2] / "docs" / "reference"
HOW = "write it down in accountd/store/words_*.py and run: python -m accountd.store.reference docs/reference"
UNITS = ("quote", "base", "asset", "factor", "commission_asset")


def test_every_table_and_column_has_words():
    """No table or column is without its meaning."""
    missing = [name for name in metadata.tables if name not in reference.WORDS]
    missing += [f"{name}.{c.name}" for name, t in metadata.tables.items() for c in t.columns
                if not reference.word(name, c.name)]  # fmt: skip
    assert missing == [], HOW


def test_no_words_are_left_over():
    """Nothing is explained that does not exist."""
    assert set(reference.WORDS) - set(metadata.tables) == set()
    left = {f"{name}.{column}" for name, told in reference.WORDS.items() for column in told.columns
            if column not in metadata.tables[name].columns}  # fmt: skip
    assert left == set()
    assert set(BASES) - set(VIEWS) == set()


def test_null_is_explained_exactly_where_it_can_be():
    """A column says what null means if and only if it can be null."""
    wrong = [
        f"{name}.{c.name}" for name, table in metadata.tables.items() for c in table.columns
        if bool(c.nullable) != ("Null:" in reference.word(name, c.name))
    ]  # fmt: skip
    assert wrong == [], HOW


def test_amounts_say_their_unit():
    """Every amount of money says what it is counted in."""
    wrong = [
        f"{name}.{c.name}" for name, table in metadata.tables.items() for c in table.columns
        if isinstance(c.type, Money) and not any(unit in reference.word(name, c.name) for unit in UNITS)
    ]  # fmt: skip
    assert wrong == [], HOW


@pytest.fixture
def views(record_url):
    """The columns of the views of each database."""
    engine = reader_engine(record_url)
    with reading(engine) as connection:
        found = reference.view_columns(connection)
    engine.dispose()
    return found


def test_every_view_and_column_has_words(views):
    """No view or column of one is without its meaning, and none is explained that does not exist."""
    assert set(views) == set(VIEWS), HOW
    missing = [
        f"{name}.{c}" for name, columns in views.items() for c in columns if not reference.word(name, c)
    ]  # fmt: skip
    assert missing == [], HOW
    left = [f"{name}.{c}" for name, told in VIEWS.items() for c in told.columns if c not in views[name]]
    assert [one for one in left if not one.endswith("_ms")] == []


def test_pages_are_written_from_the_words(views):
    """The reference of tables and views is what the words make of it."""
    assert (REFERENCE / "tables.md").read_text(encoding="utf-8") == reference.tables_page(), HOW
    assert (REFERENCE / "views.md").read_text(encoding="utf-8") == reference.views_page(views), HOW


def test_postgres_carries_the_words(pg_url):
    """Each table, view and column has its comment in Postgres after an upgrade."""
    migrate.upgrade(pg_url)
    sql = """
        SELECT c.relname, a.attname, col_description(c.oid, a.attnum), obj_description(c.oid)
        FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
        WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'v')
          AND c.relname <> 'alembic_version'
    """
    with psycopg.connect(pg_url) as connection:
        found = connection.execute(sql).fetchall()
    assert len(found) > 300
    wrong = {(name, column) for name, column, told, _ in found if told != reference.word(name, column)}
    assert wrong == set()
    assert {name for name, _, _, about in found if not about} == set()
