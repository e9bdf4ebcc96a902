"""What the service manager is told: ready, how it goes, still well, and stopping (sd_notify)."""

import asyncio
import os
import socket
from collections.abc import Mapping
from dataclasses import dataclass

import structlog

from accountd.core.health import Health
from accountd.core.states import State

log = structlog.get_logger("accountd.notify")

LOOK = 1.0  # seconds between looks while nothing is due


@dataclass(slots=True)
class Notifier:
    """Tells systemd over the datagram socket it gave; without one it does nothing.

    The watchdog is fed only from the event loop and only while the writer writes: a loop that hangs, or a
    record that is not being kept, lets systemd restart the process.
    https://www.freedesktop.org/sd_notify
    """

    address: str = ""
    watchdog: float = 0.0  # seconds within which systemd wants to hear; 0 = it does not watch

    @classmethod
    def from_environ(cls, environ: Mapping[str, str], pid: int | None = None) -> "Notifier":
        """Read NOTIFY_SOCKET, WATCHDOG_USEC and WATCHDOG_PID; what is for another process is not ours."""
        pid = os.getpid() if pid is None else pid
        wanted, owner = environ.get("WATCHDOG_USEC", ""), environ.get("WATCHDOG_PID", str(pid))
        watched = wanted.isascii() and wanted.isdigit() and owner == str(pid)
        return cls(environ.get("NOTIFY_SOCKET", ""), int(wanted) / 1e6 if watched else 0.0)

    def say(self, *lines: str) -> None:
        """Send one message; a manager that does not listen must not disturb the record."""
        if not self.address:
            return
        # A name that begins with @ is in the abstract namespace, which begins with a zero byte.
        address = "\0" + self.address[1:] if self.address.startswith("@") else self.address
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as out:
                out.setblocking(False)
                out.sendto("\n".join(lines).encode(), address)
        except OSError as error:
            log.warning("the service manager does not listen", error=str(error))

    async def run(self, health: Health) -> None:
        """Say READY once the daemon follows its accounts, then feed the watchdog while all is well."""
        if not self.address:
            return
        pause = min(LOOK, self.watchdog / 3) if self.watchdog else LOOK
        ready, before = False, ""
        while True:
            lines = []
            if not ready and health.accounts:
                ready = True
                lines.append("READY=1")
            if (status := state_line(health)) != before:
                before = status
                lines.append(f"STATUS={status}")
            if self.watchdog and ready and health.writer_ok:
                lines.append("WATCHDOG=1")
            if lines:
                self.say(*lines)
            await asyncio.sleep(pause)

    def stopping(self) -> None:
        """Say that an orderly stop has begun."""
        self.say("STOPPING=1", "STATUS=stopping")


def state_line(health: Health) -> str:
    """Return how it goes in one line."""
    live = sum(account.state is State.LIVE for account in health.accounts.values())
    line = f"{live} of {len(health.accounts)} accounts live"
    return line if health.writer_ok else f"{line}; the record is not being written"
