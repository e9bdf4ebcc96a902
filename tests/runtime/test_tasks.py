"""Tasks end when they are told to, also those that miss it once."""

import asyncio
from datetime import timedelta

import pytest

from accountd.runtime.auditor import Auditor
from accountd.runtime.tasks import end


class Deaf:
    """Work that swallows its first cancellations, and counts them."""

    def __init__(self, times):
        self.times, self.heard = times, 0

    async def run(self):
        """Go on until cancelled more often than ``times``."""
        while True:
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                self.heard += 1
                if self.heard > self.times:
                    raise


@pytest.mark.parametrize("times", [0, 1, 3])
async def test_a_task_that_misses_its_cancellation_ends_all_the_same(times):
    """It is cancelled again and again until it is over."""
    deaf, good = Deaf(times), Deaf(0)
    tasks = [asyncio.create_task(one.run()) for one in (deaf, good)]
    await asyncio.sleep(0)
    await end(*tasks, patience=0.01)
    assert all(task.cancelled() for task in tasks)
    assert (deaf.heard, good.heard) == (times + 1, 1)


async def test_what_ended_by_itself_is_left_alone():
    """Results and errors of tasks that are over are dropped without a word."""

    async def fail():
        raise ValueError("over")

    tasks = [asyncio.create_task(fail()), asyncio.create_task(asyncio.sleep(0))]
    await asyncio.wait(tasks)
    await end(*tasks)


async def test_an_auditor_ends_although_a_sweep_ends_in_the_same_moment():
    """A cancellation that meets the end of a sweep is not mistaken for the sweep."""
    auditor = Auditor("sqlite://", None, "main", timedelta(), {})
    task = asyncio.create_task(auditor.run())
    await asyncio.sleep(0)
    auditor.due.set()
    task.cancel()
    await asyncio.wait({task}, timeout=0.2)
    assert task.cancelled()
