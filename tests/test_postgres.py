"""The server that other tests rely on does what they rely on."""

import threading

import psycopg
import pytest

from tests.postgres import Postgres, candidate_folders


def count(url: str) -> int:
    with psycopg.connect(url) as connection:
        return connection.execute("SELECT count(*) FROM kept").fetchone()[0]


def fill(url: str) -> None:
    with psycopg.connect(url) as connection:
        connection.execute("CREATE TABLE kept AS SELECT generate_series(1, 7)")


def test_each_database_is_fresh(pg_url, postgres):
    """Two databases of one server know nothing of each other."""
    fill(pg_url)
    other = postgres.new_database()
    with pytest.raises(psycopg.errors.UndefinedTable):
        count(other)
    postgres.drop_database(other)
    assert count(pg_url) == 7


def test_killed_server_comes_back_with_what_was_committed():
    """A kill loses no committed row, and the data folder starts again."""
    server = Postgres(durable=True)
    try:
        url = server.new_database()
        fill(url)
        server.kill()
        with pytest.raises(psycopg.OperationalError):
            count(url)
        server.restart()
        assert count(url) == 7
    finally:
        server.close()


def test_frozen_server_answers_after_the_thaw(pg_url, postgres):
    """A frozen server keeps its connections and answers late."""
    fill(pg_url)
    answered = threading.Event()

    def ask() -> None:
        count(pg_url)
        answered.set()

    postgres.freeze()
    asking = threading.Thread(target=ask)
    asking.start()
    try:
        assert not answered.wait(0.3)
    finally:
        postgres.thaw()
    asking.join(10)
    assert answered.is_set()


def test_packaged_server_runs():
    """The server binaries of the package index work where the system has none."""
    packaged = [folder for folder in candidate_folders() if folder.parent.name == "pginstall"]
    server = Postgres(programs=packaged[0])
    try:
        fill(server.url())
        assert count(server.url()) == 7
    finally:
        server.close()
