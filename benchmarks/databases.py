"""Fresh, migrated databases of both kinds, and the count of what a case left in them."""

import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from sqlalchemy import text

from accountd.store.engine import reader_engine, reading
from accountd.store.migrate import upgrade
from benchmarks.frames import expected
from tests.postgres import Postgres

KINDS = ("sqlite", "postgres")


class Databases:
    """Hands out empty databases; the Postgres server is as durable as it is out of the box."""

    def __init__(self, folder: Path, server: Postgres) -> None:
        self.folder = folder
        self.server = server
        self.made = 0

    @contextmanager
    def fresh(self, kind: str) -> Iterator[str]:
        """Yield the address of an empty database with the schema in it."""
        self.made += 1
        with ExitStack() as stack:
            if kind == "sqlite":
                url = f"sqlite:///{self.folder / f'bench{self.made}.db'}"
                stack.callback(self._remove, self.folder / f"bench{self.made}.db")
            else:
                url = self.server.new_database()
                stack.callback(self.server.drop_database, url)
            upgrade(url)
            yield url

    def _remove(self, path: Path) -> None:
        for file in self.folder.glob(f"{path.name}*"):
            file.unlink()

    def verify(self, url: str, count: int) -> None:
        """Look whether every row of ``count`` frames is there.

        Raises:
            RuntimeError: rows are missing, or there are more.
        """
        engine = reader_engine(url)
        with reading(engine) as connection:
            found = {
                name: connection.execute(text(f"SELECT count(*) FROM {name}")).scalar_one()
                for name in expected(count)
            }
        engine.dispose()
        if found != expected(count):
            raise RuntimeError(f"rows differ: {found}, expected {expected(count)}")

    def version(self, kind: str) -> str:
        """Return the version of a database."""
        with self.fresh(kind) as url:
            engine = reader_engine(url)
            with reading(engine) as connection:
                ask = "SELECT sqlite_version()" if kind == "sqlite" else "SHOW server_version"
                found = str(connection.execute(text(ask)).scalar_one())
            engine.dispose()
        return found.split()[0]


@contextmanager
def databases() -> Iterator[Databases]:
    """Start a Postgres server and a folder for SQLite files; leave neither behind."""
    with tempfile.TemporaryDirectory(prefix="accountd-bench") as folder, ExitStack() as stack:
        server = Postgres(durable=True)
        stack.callback(server.close)
        yield Databases(Path(folder), server)
