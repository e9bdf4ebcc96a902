"""The post office: everything that brings alerts out, put together from the settings."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from typing import TypeVar

from accountd.core.health import Health
from accountd.runtime.clock import Clock
from accountd.runtime.conditions import Monitor
from accountd.runtime.dispatcher import Database, Dispatcher
from accountd.runtime.housekeeping import Housekeeping
from accountd.runtime.last_gasp import LastGasp
from accountd.runtime.lines import HOUSE
from accountd.runtime.metrics import Metrics
from accountd.runtime.observers import Deliveries
from accountd.runtime.recorder import Recorder
from accountd.settings_model import Settings
from accountd.sinks import make
from accountd.store.outbox import Connection

T = TypeVar("T")

LAST_SECONDS = 2.0  # in which it is told that the database is lost for good


class Post:
    """The dispatcher, the monitor of conditions, and who looks after mutes, replays and summaries."""

    def __init__(self, settings: Settings, recorder: Recorder, read: Database, clock: Clock, health: Health,
                 metrics: Metrics, rng: random.Random) -> None:  # fmt: skip
        async def submit(run: Callable[[Connection], T]) -> T:
            return await recorder.submit(lambda tx: run(tx.connection), HOUSE)

        self.health = health
        deliveries = Deliveries(metrics)
        self.dispatcher = Dispatcher(
            settings.hooks, {name: make(hook) for name, hook in settings.hooks.items()},
            read=read, submit=submit, now=clock.now, chance=rng.random, observer=deliveries,
        )  # fmt: skip
        self.gasp = LastGasp(
            settings.hooks, recorder.hooks, lambda name: make(settings.hooks[name]), recorder, clock.now,
            rng.random,
        )  # fmt: skip
        self.gasp.wake = self.dispatcher.look_at
        self.monitor = Monitor(settings, health, recorder, self.dispatcher, clock, self.gasp)
        deliveries.dead_hooks = self.monitor.dead
        self.housekeeping = Housekeeping(self.dispatcher, read, submit, clock)

    def tasks(self) -> list[asyncio.Task[None]]:
        """Start everything."""
        return [
            asyncio.create_task(self.dispatcher.run(), name="accountd-dispatcher"),
            asyncio.create_task(self.monitor.run(), name="accountd-conditions"),
            asyncio.create_task(self.housekeeping.run(), name="accountd-alerts"),
        ]

    async def stop(self, deadline: float) -> None:
        """End within ``deadline`` seconds, or a little more when the database is lost: that is told first."""
        if not self.health.writer_ok:
            await self.gasp.now_or_never(self.health.writer_error, LAST_SECONDS)
        await self.gasp.close()
        await self.dispatcher.stop(deadline)
