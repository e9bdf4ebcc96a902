"""Alerts as runs of a program, with the JSON body on its standard input."""

from __future__ import annotations

import asyncio
import os
import signal
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import Mapping, Sequence
from contextlib import suppress

from accountd.config import Hook
from accountd.errors import SinkError
from accountd.sinks.base import Message

PERMANENT_EXIT = 100  # the program says: do not ask me again about this message


class CommandSink:
    """Starts ``argv`` without a shell; exit 0 is delivered, 100 is never, anything else is later.

    The program gets the environment without accountd's own settings (they hold secrets), plus
    ``ACCOUNTD_MESSAGE_ID`` and ``ACCOUNTD_MESSAGE_TYPE``. After ``timeout`` seconds it is killed with all
    that it started.
    """

    def __init__(self, argv: Sequence[str], timeout: float, environ: Mapping[str, str]) -> None:
        self._argv = tuple(argv)
        self._timeout = timeout
        self._environ = {
            name: value for name, value in environ.items() if not name.upper().startswith("ACCOUNTD_")
        }

    async def send(self, message: Message) -> None:
        """Run the program once.

        Raises:
            SinkError: it cannot be started, takes too long, or exits with anything but 0.
        """
        process = await self._start(message)
        try:
            async with asyncio.timeout(self._timeout):
                await process.communicate(message.body)
        except TimeoutError:
            raise SinkError(f"the command did not end within {self._timeout:g} s") from None
        finally:
            if process.returncode is None:
                await _kill(process)
        code = process.returncode
        if code:
            raise SinkError(f"the command exited with {code}", permanent=code == PERMANENT_EXIT, status=code)

    async def _start(self, message: Message) -> Process:
        environ = {
            **self._environ,
            "ACCOUNTD_MESSAGE_ID": message.id,
            "ACCOUNTD_MESSAGE_TYPE": message.type,
            **({"ACCOUNTD_MESSAGE_REPLAYED": "true"} if message.replayed else {}),
        }
        try:
            return await asyncio.create_subprocess_exec(
                *self._argv, stdin=PIPE, stdout=DEVNULL, stderr=DEVNULL, env=environ, start_new_session=True
            )
        except OSError as refusal:
            raise SinkError(f"the command cannot be started ({refusal.strerror})") from None

    async def close(self) -> None:
        """Hold nothing between runs."""


async def _kill(process: Process) -> None:
    """End the program and all of its process group, and reap it."""
    with suppress(ProcessLookupError):  # it may have ended by itself just now
        os.killpg(process.pid, signal.SIGKILL)
    await process.wait()


def make(hook: Hook) -> CommandSink:
    """Return the sink for a hook with a command."""
    return CommandSink(hook.command, hook.timeout.total_seconds(), os.environ)
