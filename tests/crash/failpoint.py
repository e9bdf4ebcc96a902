"""Runs `accountd run`, or another command, with one thing broken: it dies at a commit, or lacks a defence.

    python -m tests.crash.failpoint before 7     SIGKILL itself when the 7th transaction is about to commit
    python -m tests.crash.failpoint after 7      ... right after the database has said that it committed
    python -m tests.crash.failpoint during 7     ... a moment after the commit has begun, from another thread
    python -m tests.crash.failpoint sent 7       ... when a hook has just said 2xx to the 7th message
    python -m tests.crash.failpoint after 7 backfill --since 3d     ... in another command than `run`
    python -m tests.crash.failpoint no-sweep     never reads history over REST
"""

import os
import signal
import sys
import threading
from contextlib import contextmanager

from accountd.cli.main import app
from accountd.runtime.sweeper import Sweeper
from accountd.sinks.webhook import WebhookSink
from accountd.store.writer import Writer

begin = Writer.begin
send = WebhookSink.send


def die():
    """End as a crash does: no handler, no cleanup."""
    os.kill(os.getpid(), signal.SIGKILL)


def dies_at(where, number):
    """Return a `Writer.begin` that dies at the commit of a number."""
    count = 0

    @contextmanager
    def deadly(self):
        nonlocal count
        with begin(self) as transaction:
            yield transaction
            count += 1
            if count == number and where == "before":
                die()
            if count == number and where == "during":
                threading.Timer(0.0003, die).start()
        if count == number and where == "after":
            die()

    return deadly


def dies_when_sent(number):
    """Return a `WebhookSink.send` that dies between the hook's yes and the mark."""
    count = 0

    async def deadly(self, message):
        nonlocal count
        await send(self, message)
        count += 1
        if count == number:
            die()

    return deadly


async def no_sweep(self, *args):
    """Pretend to have swept."""
    del self, args


def main():
    """Break what the command line says, then run."""
    what, *more = sys.argv[1:]
    number, command = more[:1], more[1:] or ["run"]
    if what == "no-sweep":
        Sweeper._each_symbol = no_sweep
    elif what == "sent":
        WebhookSink.send = dies_when_sent(int(number[0]))
    else:
        Writer.begin = dies_at(what, int(number[0]))
    sys.argv[1:] = command
    app()


if __name__ == "__main__":
    main()
