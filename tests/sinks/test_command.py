"""The command sink: what the program gets, and what its exit means."""

import asyncio
import os
import sys
import time
from datetime import UTC, datetime

import pytest

from accountd import sinks
from accountd.config import Hook
from accountd.errors import SinkError
from accountd.sinks.base import Message
from accountd.sinks.command import CommandSink

MESSAGE = Message(id="msg_1", type="fill", body=b'{"n": 1}', attempted_at=datetime(2026, 11, 1, tzinfo=UTC))


def sink(*argv, timeout=10.0, environ=None):
    return CommandSink(argv, timeout, os.environ if environ is None else environ)


async def test_the_program_gets_body_and_id(tmp_path):
    """The body stands on standard input, id and type in the environment."""
    out = tmp_path / "out"
    script = f'cat > {out}; echo "$ACCOUNTD_MESSAGE_ID $ACCOUNTD_MESSAGE_TYPE" >> {out}'
    await sinks.make(Hook(type="command", command=["/bin/sh", "-c", script])).send(MESSAGE)
    assert out.read_text() == '{"n": 1}msg_1 fill\n'


async def test_arguments_are_not_read_by_a_shell(tmp_path):
    """What a shell would expand reaches the program as it is."""
    out = tmp_path / "out"
    script = "import sys, pathlib; pathlib.Path(sys.argv[1]).write_text(sys.argv[2])"
    await sink(sys.executable, "-c", script, str(out), "$HOME; exit 1").send(MESSAGE)
    assert out.read_text() == "$HOME; exit 1"


async def test_secrets_of_the_settings_do_not_reach_the_program(tmp_path):
    """accountd's own settings are kept out of the program's environment; everything else is there."""
    out = tmp_path / "out"
    environ = {"ACCOUNTD_ACCOUNTS__MAIN__API_SECRET": "x", "accountd_web__token": "y", "COLOUR": "red"}
    await sink("/bin/sh", "-c", f"/usr/bin/env > {out}", environ=environ).send(MESSAGE)
    names = {line.partition("=")[0] for line in out.read_text().splitlines()}
    assert {name for name in names if name.upper().startswith("ACCOUNTD_")} == {
        "ACCOUNTD_MESSAGE_ID",
        "ACCOUNTD_MESSAGE_TYPE",
    }
    assert "COLOUR" in names


@pytest.mark.parametrize(("code", "permanent"), [(1, False), (75, False), (100, True)])
async def test_what_the_exit_means(code, permanent):
    """100 is a refusal for ever, any other failure is tried again."""
    with pytest.raises(SinkError) as caught:
        await sink("/bin/sh", "-c", f"exit {code}").send(MESSAGE)
    assert (caught.value.status, caught.value.permanent) == (code, permanent)


async def test_a_program_that_does_not_read_is_fine():
    """Exit 0 is delivered, also when the body was never read."""
    big = Message(id="m", type="fill", body=b"x" * 1_000_000, attempted_at=MESSAGE.attempted_at)
    await sink("/bin/true").send(big)


async def test_a_program_that_cannot_be_started():
    """A missing program is a failure that may pass."""
    with pytest.raises(SinkError, match="cannot be started") as caught:
        await sink("/nowhere/program").send(MESSAGE)
    assert not caught.value.permanent


async def gone(pid):
    """Wait until a process has ended; say whether it did."""
    for _ in range(100):
        try:
            with open(f"/proc/{pid}/stat") as file:  # noqa: ASYNC230, PTH123  # a line of /proc
                if file.read().split()[2] == "Z":
                    return True
        except FileNotFoundError:
            return True
        await asyncio.sleep(0.02)
    return False


async def test_a_program_that_hangs_is_killed_with_its_children(tmp_path):
    """After the time-out neither the program nor what it started is left."""
    pids = tmp_path / "pids"
    script = f"sleep 60 & echo $! $$ > {pids}; wait"
    started = time.monotonic()
    with pytest.raises(SinkError, match=r"did not end within 0\.3 s"):
        await sink("/bin/sh", "-c", script, timeout=0.3).send(MESSAGE)
    assert time.monotonic() - started < 5
    for pid in pids.read_text().split():
        assert await gone(pid)
