"""Tries everything that a run needs, one line each, without running and without writing to the record."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import timedelta

from accountd.errors import AccountdError, DatabaseError, VenueError
from accountd.runtime.budget import Budget, Priority
from accountd.runtime.clock import SystemClock
from accountd.runtime.rest import RestClient
from accountd.settings_model import Settings
from accountd.store import migrate
from accountd.venues import open_venue
from accountd.venues.base import Rights
from accountd.venues.doors import ListenKeyDoor, StreamOptions

TOLERABLE = timedelta(seconds=1)


@dataclass(frozen=True, slots=True)
class CheckLine:
    """One thing tried. ``account`` is empty for what concerns all."""

    account: str
    ok: bool
    what: str
    detail: str


async def check(settings: Settings) -> list[CheckLine]:
    """Try database and schema, then for each account its address, clock, key and rights."""
    lines = [await asyncio.to_thread(_database, settings)]
    budget = Budget(SystemClock(), settings.weight_share)
    for name, account in sorted(settings.accounts.items()):
        async with RestClient(
            account, open_venue(account.venue), budget, SystemClock(), timeout=settings.request_timeout
        ) as rest:
            lines += await _account(name, rest)
    return lines


def _database(settings: Settings) -> CheckLine:
    try:
        schema = migrate.check(settings.database_url)
    except DatabaseError as error:
        return CheckLine("", False, "database", str(error))
    if schema.current is None:
        return CheckLine("", True, "database", f"empty; the first run makes schema {schema.head}")
    if not schema.up_to_date:
        detail = f"schema {schema.current}; the next run brings it to {schema.head}"
        return CheckLine("", True, "database", detail)
    return CheckLine("", True, "database", f"schema {schema.current}, up to date")


async def _account(name: str, rest: RestClient) -> list[CheckLine]:
    """Try one account, and stop at the first thing that makes the rest pointless."""
    lines: list[CheckLine] = []
    steps = (("clock", _clock), ("key", _key), ("listen key", _listen_key), ("rights", _rights))
    for what, step in steps:
        try:
            ok, detail = await step(rest)
        except VenueError as error:
            code = f" (code {error.code})" if error.code is not None else ""
            lines.append(CheckLine(name, False, what, f"{error}{code}"))
            break
        except AccountdError as error:
            lines.append(CheckLine(name, False, what, str(error)))
            break
        lines.append(CheckLine(name, ok, what, detail))
    return lines


async def _clock(rest: RestClient) -> tuple[bool, str]:
    offset = await rest.measure_offset()
    ahead = "behind" if offset > timedelta(0) else "ahead of"
    text = f"{abs(offset).total_seconds() * 1000:.0f} ms {ahead} the venue's, corrected"
    return True, text if abs(offset) > TOLERABLE else "agrees with the venue's to a second"


async def _key(rest: RestClient) -> tuple[bool, str]:
    state = await rest.run(rest.venue.snapshot(timedelta(0)), Priority.KEEPALIVE, None)
    modes = ["hedge mode" if state.hedge_mode else "one-way mode"]
    if state.multi_assets:
        modes.append("multi-assets mode")
    return True, "reads the account: " + ", ".join(modes)


async def _listen_key(rest: RestClient) -> tuple[bool, str]:
    for door in rest.venue.doors(rest.urls, StreamOptions()):
        if isinstance(door, ListenKeyDoor):
            reply = await rest.send(door.create, Priority.KEEPALIVE)
            if door.parse(reply) is None:
                return False, "the venue's answer names no listen key"
    return True, "the venue gives one"


async def _rights(rest: RestClient) -> tuple[bool, str]:
    try:
        rights = await rest.run(rest.venue.rights(), Priority.KEEPALIVE, None)
    except VenueError as error:
        return True, f"the venue does not tell ({error})"
    return _judge(rights)


def _judge(rights: Rights) -> tuple[bool, str]:
    """A key that may do more than read is not refused, but said: accountd never needs more."""
    told = {
        "trade": rights.trade,
        "withdraw": rights.withdraw,
    }
    if all(value is None for value in told.values()):
        return True, "the venue does not tell here"
    extra = [name for name, value in told.items() if value]
    where = "" if rights.ip_restricted is not False else "; not bound to an address"
    if extra:
        return True, f"more than accountd needs: may {' and '.join(extra)}{where}. Use a read-only key"
    return True, f"read only{where}"
