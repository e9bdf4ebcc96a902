"""What every test may ask for: databases of both kinds."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.postgres import Postgres
from tests.records import PostgresRecords, SqliteRecords
from tests.settings import Settings


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """One server for all tests that leave it alive; a test that kills it starts it again."""
    server = Postgres()
    try:
        yield server
    finally:
        server.close()


@pytest.fixture
def pg_url(postgres: Postgres) -> Iterator[str]:
    """The address of a fresh Postgres database."""
    url = postgres.new_database()
    yield url
    postgres.drop_database(url)


@pytest.fixture
def sqlite_url(tmp_path: Path) -> str:
    """The address of an SQLite file that does not exist yet."""
    return f"sqlite:///{tmp_path / 'accountd.db'}"


@pytest.fixture(params=["sqlite", "postgres"])
def database_url(request: pytest.FixtureRequest) -> str:
    """The address of a fresh database, once of each kind."""
    return str(request.getfixturevalue({"sqlite": "sqlite_url", "postgres": "pg_url"}[request.param]))


@pytest.fixture(scope="session")
def postgres_records(postgres: Postgres) -> PostgresRecords:
    """Databases with the whole schema, used again and again."""
    return PostgresRecords(postgres)


@pytest.fixture(scope="session")
def sqlite_records(tmp_path_factory: pytest.TempPathFactory) -> SqliteRecords:
    """Copies of a file with the whole schema."""
    return SqliteRecords(tmp_path_factory.mktemp("records"))


@pytest.fixture(params=["sqlite", "postgres"])
def record_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The address of an empty record with the whole schema, once of each kind."""
    if request.param == "sqlite":
        yield request.getfixturevalue("sqlite_records").copy(tmp_path / "accountd.db")
        return
    records = request.getfixturevalue("postgres_records")
    url = records.lend()
    yield url
    records.take_back(url)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Settings written in an empty folder."""
    return Settings(tmp_path)
