"""Ends tasks for good, also one that missed its cancellation."""

from __future__ import annotations

import asyncio
from typing import Any

PATIENCE = 1.0  # seconds for a task to end before it is cancelled once more


async def end(*tasks: asyncio.Task[Any], patience: float = PATIENCE) -> None:
    """Cancel tasks and wait until all are over; what they raise is dropped.

    A library may swallow a cancellation that arrives just as what it waits for is done (`asyncio.wait_for`
    does, before Python 3.12), so a task that lives on for ``patience`` seconds is cancelled again. Give more
    to tasks that have something to put in order.
    """
    alive = {task for task in tasks if not task.done()}
    while alive:
        for task in alive:
            task.cancel()
        _, alive = await asyncio.wait(alive, timeout=patience)
    for task in tasks:
        if not task.cancelled():
            task.exception()
