"""What watches accountd itself: venues that nobody reaches, the database, the disk, hooks, keys that end."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol

import structlog

from accountd.core.conditions import PAIRS, Condition, alert_of, due_again
from accountd.core.health import Health
from accountd.errors import DatabaseError
from accountd.runtime.clock import Clock
from accountd.runtime.last_gasp import LastGasp
from accountd.runtime.lines import HOUSE
from accountd.runtime.recorder import Recorder
from accountd.settings_model import Settings
from accountd.store import conditions
from accountd.store.engine import parse, sqlite_file
from accountd.store.writer import Transaction

log = structlog.get_logger("accountd.conditions")

LOOK = 1.0  # seconds between looks
EXCHANGE_PATIENCE = 5.0  # seconds in which nobody reaches a venue, before it is said
DATABASE_PATIENCE = 3.0  # seconds in which nothing can be written, before it is said
SILENCE = 10.0  # seconds in which one transaction gets no answer, before that is said: it may be a large one
AT_MOST = 4.0  # seconds of silence from one look to the next: while the process was frozen nobody listened
SILENT = "the database does not answer"
ENOUGH = 1.1  # times the least free space there must be again: a disk at the edge does not flap
WATCHED = ("exchange.down", "disk.low", "hook.dead", "key.expiring")

Key = tuple[str, str, str]  # type, account, subject


class Hooks(Protocol):
    """Who knows which hooks are not used any more."""

    @property
    def disabled(self) -> Mapping[str, str]: ...


@dataclass(slots=True)
class Found:
    """What is wrong, and whom it concerns."""

    data: dict[str, Any]
    accounts: tuple[str, ...] = ()


class Monitor:
    """Looks every second; writes what begins and ends through the recorder, or past it when that is stuck."""

    def __init__(self, settings: Settings, health: Health, recorder: Recorder, hooks: Hooks, clock: Clock,
                 gasp: LastGasp, free: Callable[[Path], int] | None = None) -> None:  # fmt: skip
        self.settings = settings
        self.health = health
        self.recorder = recorder
        self.hooks = hooks
        self.clock = clock
        self.gasp = gasp
        self.dead: dict[str, dict[str, Any]] = {}
        self.firing: dict[Key, Condition] = {}
        self._free = free or (lambda folder: shutil.disk_usage(folder).free)
        self._stuck_since: float | None = None
        self._owed: tuple[float, float, float] | None = None  # which transaction, last look, seconds in all
        self._unreached: dict[str, float] = {}
        database = parse(settings.database_url)
        self._folder = sqlite_file(database).parent if database.get_backend_name() == "sqlite" else None

    async def run(self) -> None:
        """Watch for ever."""
        held = await self.recorder.submit(lambda tx: conditions.firing(tx.connection, WATCHED), HOUSE)
        self.firing = {(one.type, one.account_id, one.subject): one for one in held}
        for one in held:
            if one.type == "hook.dead" and one.subject in self.settings.hooks:
                self.dead[one.subject] = {}
        while True:
            await self.clock.sleep(LOOK)
            try:
                await self.look()
            except DatabaseError:
                raise
            except Exception:  # a bug here must not end the record: the next look may be well
                log.exception("conditions not looked at")

    async def look(self) -> None:
        """Compare what is wrong now with what was, and say the difference."""
        if await self._database():
            return  # nothing else can be written
        now = self.clock.now()
        found = self._exchanges() | self._disk() | self._hooks() | self._keys(now)
        fresh = {key: one for key, one in found.items() if key not in self.firing}
        gone = [key for key in self.firing if key not in found]
        again = {key: one for key, one in found.items() if key in self.firing and self._due(key, now)}
        if fresh or gone or again:
            try:
                async with asyncio.timeout(2 * DATABASE_PATIENCE):
                    await self._write(fresh, gone, again, now)
            except (TimeoutError, DatabaseError):
                log.warning("conditions wait for the database")

    async def _write(self, fresh: dict[Key, Found], gone: list[Key], again: dict[Key, Found],
                     now: datetime) -> None:  # fmt: skip
        def write(tx: Transaction) -> dict[Key, Condition]:
            for (type_, account, subject), one in fresh.items():
                alert = alert_of(type_, now, subject, one.accounts, **one.data)
                self.recorder.ring(tx, account, [alert])
            for type_, account, subject in gone:
                self._end(tx, type_, account, subject, now)
            for key, one in again.items():
                told = self.firing[key]
                alert = alert_of(key[0], told.fired_at, key[2], one.accounts, told.told, **one.data)
                self.recorder.ring(tx, key[1], [alert], self._due(key, now))
            held = conditions.firing(tx.connection, WATCHED)
            return {(one.type, one.account_id, one.subject): one for one in held}

        self.firing = await self.recorder.submit(write, HOUSE)
        for type_, account, subject in fresh:
            log.warning("condition fires", condition=type_, account=account, subject=subject)
        for type_, account, subject in gone:
            log.info("condition is resolved", condition=type_, account=account, subject=subject)

    def _end(self, tx: Transaction, type_: str, account: str, subject: str, now: datetime) -> None:
        name = self.firing[type_, account, subject].fingerprint
        kept = conditions.held(tx.connection, [name]).get(name)
        if kept is None or not kept.firing:
            return  # an earlier look has said so already, when the database was slow to take it
        if type_ in PAIRS:
            self.recorder.ring(tx, account, [alert_of(PAIRS[type_], now, subject)])
        conditions.resolve(tx.connection, name, now)

    # -- what may be wrong

    async def _database(self) -> bool:
        """Say whether the database takes nothing; after a while, tell it past the database."""
        self._listen()
        if self.health.writer_ok:
            self._stuck_since = None
            if self.gasp.alert is not None:
                await self.gasp.settle(self.clock.now())
            return False
        now = self.clock.monotonic()
        if self._stuck_since is None:
            self._stuck_since = now
        if now - self._stuck_since >= DATABASE_PATIENCE:
            self.gasp.start(self.clock.now(), self.health.writer_error)
        return True

    def _listen(self) -> None:
        """Notice a database that hangs: the writer waits for it, and hears of no error."""
        busy, now = self.recorder.busy_since, self.clock.monotonic()
        if busy is None:
            self._owed = None
        elif self._owed is None or self._owed[0] != busy:
            self._owed = (busy, now, 0.0)
        else:
            _, looked, waited = self._owed
            self._owed = (busy, now, waited + min(now - looked, AT_MOST))
        silent = self._owed is not None and self._owed[2] >= SILENCE
        if silent and self.health.writer_ok:
            self.health.writer_ok, self.health.writer_error = False, SILENT
            self._stuck_since = now - DATABASE_PATIENCE
        elif not silent and self.health.writer_error == SILENT:
            self.health.writer_ok, self.health.writer_error = True, ""

    def _exchanges(self) -> dict[Key, Found]:
        """Find the venues that none of their accounts reaches."""
        groups: dict[str, list[str]] = {}
        for name, account in self.settings.accounts.items():
            where = "" if account.environment == "live" else f" {account.environment}"
            groups.setdefault(f"{account.venue}{where}", []).append(name)
        found: dict[Key, Found] = {}
        now = self.clock.monotonic()
        for place, names in groups.items():
            health = [self.health.account(name) for name in names]
            if not all(one.unreachable for one in health):
                self._unreached.pop(place, None)
                continue
            if now - self._unreached.setdefault(place, now) >= EXCHANGE_PATIENCE:
                found["exchange.down", "", place] = Found({"reason": health[0].detail}, tuple(names))
        return found

    def _disk(self) -> dict[Key, Found]:
        """Find that little space is left where a SQLite record is."""
        if self._folder is None:
            return {}
        key = ("disk.low", "", str(self._folder))
        least = self.settings.disk_low
        try:
            free = self._free(self._folder)
        except OSError:  # the folder is gone: the writer says that better
            return {}
        if free >= (least * ENOUGH if key in self.firing else least):
            return {}
        return {key: Found({"free_bytes": free, "least_bytes": least})}

    def _hooks(self) -> dict[Key, Found]:
        """Find the hooks that gave a message up, or are not used any more."""
        off = {name: {"reason": reason} for name, reason in self.hooks.disabled.items()}
        return {("hook.dead", "", name): Found(data) for name, data in (self.dead | off).items()}

    def _keys(self, now: datetime) -> dict[Key, Found]:
        """Find the keys that end soon."""
        found: dict[Key, Found] = {}
        for name in self.settings.accounts:
            ends = self.health.account(name).key_expires_at
            if ends is not None and ends - now < self.settings.key_expiring:
                found["key.expiring", name, ""] = Found({"expires_at": ends.isoformat(timespec="seconds")})
        return found

    # -- repetition

    def _due(self, key: Key, now: datetime) -> frozenset[str]:
        """Return the hooks that are to be told again that a condition still holds."""
        held = self.firing[key]
        hooks = self.settings.hooks.items()
        return frozenset(
            name for name, hook in hooks if hook.repeat is not None and due_again(held, hook.repeat, now)
        )
