"""What a signal does to a running command."""

import asyncio
import os
import signal

from accountd.cli import run


async def settled():
    """Let the loop handle what is pending."""
    for _ in range(5):
        await asyncio.sleep(0.01)


async def test_first_signal_asks_and_the_second_ends():
    """The first SIGTERM or SIGINT sets the stop event, the next one ends the process at once."""
    stop, codes = asyncio.Event(), []
    with run.signals(stop, codes.append):
        os.kill(os.getpid(), signal.SIGTERM)
        await settled()
        assert stop.is_set()
        assert codes == []
        os.kill(os.getpid(), signal.SIGINT)
        await settled()
    assert codes == [run.INTERRUPTED]


class Follower:
    """A daemon that does what it is told."""

    def __init__(self, work):
        self.work = work

    async def run(self, stop, progress=None):
        """Do it."""
        return await self.work(stop)


async def test_exit_code_is_the_daemons():
    """What the daemon returns is what the command exits with."""

    async def work(stop):
        await stop.wait()
        return 0

    stop = asyncio.Event()
    asyncio.get_running_loop().call_later(0.01, stop.set)
    assert await run.patiently(Follower(work), stop, None) == 0


async def test_hanging_daemon_is_cancelled(monkeypatch):
    """A daemon that does not stop in time is cancelled, and that is exit 1."""

    async def work(stop):
        await asyncio.Event().wait()

    monkeypatch.setattr(run, "PATIENCE", 0.05)
    stop = asyncio.Event()
    stop.set()
    assert await run.patiently(Follower(work), stop, None) == 1
