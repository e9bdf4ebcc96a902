"""Records with the whole schema for tests that write a little: a copied file, a database used again."""

import shutil
from pathlib import Path

import psycopg

from accountd.store.migrate import upgrade
from tests.postgres import Postgres

TABLES = "SELECT tablename FROM pg_tables WHERE schemaname = 'public' AND tablename <> 'alembic_version'"
SHAPE = """
SELECT md5(string_agg(what, ',' ORDER BY what)) FROM (
    SELECT concat('c', table_name, column_name, data_type, is_nullable, column_default)
        FROM information_schema.columns WHERE table_schema = 'public'
    UNION ALL SELECT concat('i', indexdef) FROM pg_indexes WHERE schemaname = 'public'
    UNION ALL SELECT concat('v', viewname, definition) FROM pg_views WHERE schemaname = 'public'
    UNION ALL SELECT concat('t', pg_get_triggerdef(oid), tgenabled) FROM pg_trigger WHERE NOT tgisinternal
    UNION ALL SELECT concat('k', conrelid, pg_get_constraintdef(oid)) FROM pg_constraint
    UNION ALL SELECT concat('f', proname, prosrc) FROM pg_proc WHERE pronamespace = 'public'::regnamespace
    UNION ALL SELECT concat('a', version_num) FROM alembic_version
) AS all_of_it (what)
"""


class SqliteRecords:
    """Copies of one migrated file."""

    def __init__(self, folder: Path) -> None:
        self._first = folder / "first.db"
        upgrade(f"sqlite:///{self._first}")

    def copy(self, path: Path) -> str:
        """Put an empty record there and return its address."""
        shutil.copyfile(self._first, path)
        return f"sqlite:///{path}"


class PostgresRecords:
    """Migrated databases, emptied after use; one whose schema a test has changed is not used again."""

    def __init__(self, server: Postgres) -> None:
        self._server = server
        self._free: list[str] = []
        self._shape = ""

    def lend(self) -> str:
        """Return the address of an empty record."""
        if self._free:
            return self._free.pop()
        url = self._server.new_database()
        upgrade(url)
        with psycopg.connect(url) as connection:
            self._shape = _one(connection, SHAPE)
            for table in _tables(connection):
                assert _one(connection, f"SELECT count(*) FROM {table}") == 0, table
        return url

    def take_back(self, url: str) -> None:
        """Empty a record for the next test, or drop it."""
        try:
            with psycopg.connect(url) as connection:
                connection.execute(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                    "WHERE datname = current_database() AND pid <> pg_backend_pid()"
                )
                connection.execute("SET LOCAL session_replication_role = replica")
                connection.execute(f"TRUNCATE {', '.join(_tables(connection))} RESTART IDENTITY CASCADE")
                same = _one(connection, SHAPE) == self._shape
        except psycopg.Error:
            same = False
        if same:
            self._free.append(url)
        else:
            self._server.drop_database(url)


def _tables(connection: psycopg.Connection) -> list[str]:
    return [row[0] for row in connection.execute(TABLES)]


def _one(connection: psycopg.Connection, question: str) -> object:
    (found,) = connection.execute(question).fetchone()
    return found
