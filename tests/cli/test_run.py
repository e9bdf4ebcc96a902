"""`accountd run` in a real process, against the simulated exchange in another."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest


class Process:
    """The program in a process of its own, with its output in files."""

    def __init__(self, folder: Path, name, *words, **settings):
        environ = {key: value for key, value in os.environ.items() if not key.upper().startswith("ACCOUNTD_")}
        self.out, self.err = folder / f"{name}.out", folder / f"{name}.err"
        with self.out.open("w") as out, self.err.open("w") as err:
            self.popen = subprocess.Popen(
                [sys.executable, "-m", "accountd", *words],
                cwd=folder, stdout=out, stderr=err,
                env=environ | {"PYTHONPATH": os.pathsep.join(sys.path), "PYTHONUNBUFFERED": "1"} | settings,
            )  # fmt: skip

    def until(self, found, seconds=30.0):
        """Wait until `found(stdout, stderr)` is true and return it."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if answer := found(self.out.read_text(), self.err.read_text()):
                return answer
            if self.popen.poll() is not None:
                break
            time.sleep(0.05)
        raise AssertionError(self.out.read_text() + self.err.read_text())

    def end(self, number, seconds=5.0):
        """Send a signal; return the exit code and how long it took."""
        began = time.monotonic()
        self.popen.send_signal(number)
        return self.popen.wait(seconds), time.monotonic() - began


@pytest.fixture
def start(tmp_path):
    """Start processes that end with the test."""
    begun = []

    def launch(*words, **settings):
        begun.append(Process(tmp_path, f"{words[0]}{len(begun)}", *words, **settings))
        return begun[-1]

    yield launch
    for process in begun:
        if process.popen.poll() is None:
            process.popen.kill()
        process.popen.wait(5)


@pytest.fixture
def settings(start, tmp_path):
    """Settings that point at a simulated exchange which trades."""
    sim = start("sim", "--listen", "127.0.0.1:0", "--rate", "5")
    text = sim.until(lambda out, err: out if "STREAM_URL" in out else "")
    return dict(line.split("=", 1) for line in text.splitlines()) | {
        "ACCOUNTD_DATABASE_URL": f"sqlite:///{tmp_path / 'record.db'}",
        "ACCOUNTD_WEB__LISTEN": "127.0.0.1:0",
        "ACCOUNTD_SETTLE_AFTER": "500ms",
    }


def fetch(address, path):
    """Return the status and text of a page."""
    try:
        with urllib.request.urlopen(f"http://{address}{path}", timeout=5) as reply:
            return reply.status, reply.read().decode()
    except urllib.error.HTTPError as refusal:
        with refusal:
            return refusal.code, refusal.read().decode()


def ready(process):
    """Wait until the daemon is ready and return the address of its web."""
    address = process.until(lambda out, err: re.search(r'"listen": "([^"]+)"', err))[1]
    process.until(lambda out, err: fetch(address, "/readyz")[0] == 200)
    return address


def test_run_follows_serves_and_stops(start, settings, tmp_path):
    """It goes LIVE, records, serves the web, logs JSON without secrets, and SIGTERM ends it with 0.

    A service manager hears that it is ready, that it is well, and that it stops.
    """
    manager = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    manager.bind(str(tmp_path / "notify"))
    manager.settimeout(5)
    watched = {"NOTIFY_SOCKET": str(tmp_path / "notify"), "WATCHDOG_USEC": "900000"}
    daemon = start("run", **settings, **watched)
    address = ready(daemon)
    heard = [manager.recv(1000).decode() for _ in range(3)]
    assert any(text.startswith("READY=1") for text in heard)
    assert "WATCHDOG=1" in heard[-1]
    shown = "".join(fetch(address, path)[1] for path in ("/", "/accounts/main", "/api/v1/accounts"))
    assert "LIVE" in shown
    status, metrics = fetch(address, "/metrics")
    assert status == 200
    assert 'accountd_session_state{account="main",state="LIVE"} 1.0' in metrics
    assert 'accountd_sweeps_total{account="main",why="seam"}' in metrics
    assert 'accountd_fills_total{account="main"' in metrics
    code, seconds = daemon.end(signal.SIGTERM)
    assert code == 0
    assert seconds < 5
    while "STOPPING=1" not in heard[-1]:
        heard.append(manager.recv(1000).decode())
    manager.close()
    lines = [json.loads(line) for line in daemon.err.read_text().splitlines()]
    assert {"starting", "web", "stopping", "stopped"} <= {line["message"] for line in lines}
    for secret in (
        settings["ACCOUNTD_ACCOUNTS__MAIN__API_KEY"],
        settings["ACCOUNTD_ACCOUNTS__MAIN__API_SECRET"],
    ):
        assert secret not in daemon.err.read_text()
        assert secret not in shown
    counted = start("query", "SELECT count(*) AS n FROM journal", "--json", **settings)
    assert counted.popen.wait(20) == 0
    assert json.loads(counted.out.read_text())[0]["n"] > 0


def test_check_and_reconcile_against_the_exchange(start, settings):
    """`check` finds everything good, and `reconcile` proves history without a daemon."""
    checked = start("check", "--json", **settings)
    assert checked.popen.wait(20) == 0, checked.out.read_text() + checked.err.read_text()
    assert all(line["ok"] for line in json.loads(checked.out.read_text()))
    swept = start("reconcile", **settings)
    assert swept.popen.wait(30) == 0, swept.out.read_text() + swept.err.read_text()
    assert "main: proven to" in swept.out.read_text()


def test_refused_key_is_a_bad_answer(start, settings):
    """`check` with a wrong secret is exit 1 and says which account's key."""
    settings["ACCOUNTD_ACCOUNTS__MAIN__API_SECRET"] = "wrong" * 8
    checked = start("check", **settings)
    assert checked.popen.wait(20) == 1
    assert "BAD" in checked.out.read_text()
    assert "wrongwrong" not in checked.out.read_text() + checked.err.read_text()


def test_taken_port_is_exit_2(start, settings):
    """An address of the web that is in use ends `run` before it touches anything."""
    settings["ACCOUNTD_WEB__LISTEN"] = settings["ACCOUNTD_ACCOUNTS__MAIN__REST_URL"].removeprefix("http://")
    daemon = start("run", **settings)
    assert daemon.popen.wait(20) == 2
    assert "ACCOUNTD_WEB__LISTEN" in daemon.err.read_text()
