"""What systemd hears, over a real datagram socket."""

import asyncio
import socket

import pytest

from accountd.core.health import AccountHealth, Health
from accountd.core.states import State
from accountd.runtime.notify import Notifier


@pytest.fixture
def manager(tmp_path):
    """The socket of a service manager."""
    path = str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as heard:
        heard.bind(path)
        heard.settimeout(2)
        heard.setblocking(False)
        yield path, heard


def drained(heard):
    """Return every line that has arrived."""
    lines = []
    while True:
        try:
            lines += heard.recv(4096).decode().split("\n")
        except BlockingIOError:
            return lines


async def run_for(notifier, health, seconds):
    """Run a notifier for a while."""
    task = asyncio.create_task(notifier.run(health))
    await asyncio.sleep(seconds)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_ready_when_the_daemon_follows(manager):
    """READY comes when there is an account, once, with the state in words."""
    path, heard = manager
    notifier, health = Notifier(path, 0.06), Health()
    await run_for(notifier, health, 0.05)
    assert drained(heard) == ["STATUS=0 of 0 accounts live"]
    health.accounts["main"] = AccountHealth(state=State.LIVE)
    await run_for(notifier, health, 0.1)
    lines = drained(heard)
    assert lines[:3] == ["READY=1", "STATUS=1 of 1 accounts live", "WATCHDOG=1"]
    assert lines.count("READY=1") == 1
    assert lines.count("WATCHDOG=1") >= 2


async def test_no_watchdog_while_the_record_is_not_written(manager):
    """A writer that is in trouble starves the watchdog until it writes again."""
    path, heard = manager
    health = Health(accounts={"main": AccountHealth()}, writer_ok=False)
    await run_for(Notifier(path, 0.03), health, 0.1)
    lines = drained(heard)
    assert "WATCHDOG=1" not in lines
    assert "STATUS=0 of 1 accounts live; the record is not being written" in lines
    health.writer_ok = True
    await run_for(Notifier(path, 0.03), health, 0.05)
    assert "WATCHDOG=1" in drained(heard)


def test_stopping(manager):
    """An orderly stop is announced, so that systemd waits for it."""
    path, heard = manager
    Notifier(path).stopping()
    assert drained(heard) == ["STOPPING=1", "STATUS=stopping"]


def test_abstract_names():
    """A name with @ is one without a file."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as heard:
        heard.bind("\0accountd-test-notify")
        Notifier("@accountd-test-notify").say("READY=1")
        assert heard.recv(100) == b"READY=1"


async def test_nobody_listens(tmp_path):
    """Without a manager, or with one that is gone, nothing happens."""
    Notifier(str(tmp_path / "gone")).say("READY=1")
    Notifier().stopping()
    await asyncio.wait_for(Notifier().run(Health()), 1)


@pytest.mark.parametrize(
    ("environ", "watchdog"),
    [
        ({}, 0.0),
        ({"WATCHDOG_USEC": "30000000"}, 30.0),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "7"}, 30.0),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "8"}, 0.0),
        ({"WATCHDOG_USEC": "soon"}, 0.0),
    ],
)
def test_what_the_manager_asks_for(environ, watchdog):
    """The watchdog is only fed by the process that it watches."""
    notifier = Notifier.from_environ({"NOTIFY_SOCKET": "/run/notify"} | environ, pid=7)
    assert (notifier.address, notifier.watchdog) == ("/run/notify", watchdog)
