"""The next batch, folded while the last one is written: on a thread and a connection of its own."""

from __future__ import annotations

import threading
from collections.abc import Callable
from queue import SimpleQueue

import structlog

from accountd.runtime.batch import Batch

log = structlog.get_logger("accountd.recorder")
WORTH = 100  # tellings that wait, from which on two threads are faster than one
GOODBYE = 1.0  # seconds for the thread to end in


class Ahead:
    """Takes and folds one batch at a time for the writer thread, which owns the beliefs but while it does.

    ``fold`` folds a batch in place, and may fail halfway; ``end`` is called by the thread when it ends.
    ``batch`` is what was started and not yet taken.
    """

    def __init__(self, take: Callable[[], Batch], fold: Callable[[Batch], None],
                 end: Callable[[], None]) -> None:  # fmt: skip
        self._take, self._fold, self._end = take, fold, end
        self._asked: SimpleQueue[bool] = SimpleQueue()
        self._done: SimpleQueue[bool] = SimpleQueue()
        self.batch: Batch | None = None
        self._busy = False
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Take what waits and begin to fold it; what was started before must have been taken."""
        assert self.batch is None
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="accountd-fold", daemon=True)
            self._thread.start()
        self.batch, self._busy = self._take(), True
        self._asked.put(True)

    def wait(self) -> bool:
        """Wait until nothing is being folded; False when it failed, and beliefs may be moved halfway."""
        if not self._busy:
            return True
        good = self._done.get()
        self._busy = False
        return good

    def get(self) -> Batch | None:
        """Take the batch that was started, if any, when nothing is being folded any more."""
        batch, self.batch = self.batch, None
        return batch

    def close(self) -> None:
        """End the thread; one that hangs in the database is left behind."""
        if self._thread is not None:
            self._asked.put(False)
            self._thread.join(GOODBYE)

    def _run(self) -> None:
        try:
            while self._asked.get():
                assert self.batch is not None
                try:
                    self._fold(self.batch)
                except Exception as error:  # the writer folds it again and heeds what comes of it
                    log.info("not folded ahead", error=type(error).__name__)
                    self._done.put(False)
                else:
                    self._done.put(True)
        finally:
            self._end()
