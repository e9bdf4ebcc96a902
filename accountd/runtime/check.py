"""Tries everything that a run needs, one line each, without running and without writing to the record."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from accountd.errors import AccountdError, DatabaseError, VenueError
from accountd.runtime.backoff import ConnectBudget
from accountd.runtime.budget import Budget, Priority
from accountd.runtime.clock import SystemClock
from accountd.runtime.connector import Connector
from accountd.runtime.key_rights import excess
from accountd.runtime.link import Link, Socket
from accountd.runtime.rest import RestClient
from accountd.settings_model import Settings
from accountd.store import engine, migrate
from accountd.venues import open_venue
from accountd.venues.base import ACK, Rights
from accountd.venues.binance_key import KINDS, BinanceKey, Sight
from accountd.venues.doors import ListenKeyDoor, SignedDoor, TokenDoor

TOLERABLE = timedelta(seconds=1)
PLAIN = ("binance-usdm", "binance-coinm", "binance-margin")


@dataclass(frozen=True, slots=True)
class CheckLine:
    """One thing tried. ``account`` is empty for what concerns all."""

    account: str
    ok: bool
    what: str
    detail: str


async def check(settings: Settings, only: str | None = None) -> list[CheckLine]:
    """Try database and schema, then for each account (or one) its clock, key, stream, rights, products."""
    lines = [await asyncio.to_thread(_database, settings)]
    budget = Budget(SystemClock(), settings.weight_share)
    connects = ConnectBudget(*settings.connect_budget, SystemClock())
    for name, account in sorted(settings.accounts.items()):
        if only not in (None, name):
            continue
        async with RestClient(
            account, open_venue(account.venue), budget, SystemClock(), timeout=settings.request_timeout
        ) as rest:
            connector = Connector(name, account, settings, rest.venue, rest, connects, None, _answers(rest))
            lines += await _account(name, rest, connector)
            lines += await _sight(name, settings, rest, all(one.ok for one in lines if one.account == name))
    return lines


def _answers(rest: RestClient) -> Callable[[Link, Socket, bytes, datetime], None]:
    """Return what takes the frames of a check: only the answers matter."""

    def take(link: Link, socket: Socket, frame: bytes, at: datetime) -> None:
        decoded = rest.venue.decode(frame, at, socket.lanes)
        if decoded.control == ACK:
            socket.answered(decoded)

    return take


def _database(settings: Settings) -> CheckLine:
    try:
        schema = migrate.check(settings.database_url)
        engine.require_place(settings.database_url)
    except DatabaseError as error:
        return CheckLine("", False, "database", str(error))
    if schema.current is None:
        return CheckLine("", True, "database", f"empty; the first run makes schema {schema.head}")
    if not schema.up_to_date:
        detail = f"schema {schema.current}; the next run brings it to {schema.head}"
        return CheckLine("", True, "database", detail)
    return CheckLine("", True, "database", f"schema {schema.current}, up to date")


async def _account(name: str, rest: RestClient, connector: Connector) -> list[CheckLine]:
    """Try one account, and stop at the first thing that makes the rest pointless."""
    lines: list[CheckLine] = []

    async def stream(_: RestClient) -> tuple[bool, str]:
        link = await connector.connect()
        await link.close("checked")
        shut = "".join(f"; without its {name}: {why}" for name, why in link.shut.items())
        return True, "subscribed: " + ", ".join(_door(one) for one in link.sockets) + shut

    steps = (("clock", _clock), ("key", _key), ("stream", stream), ("rights", _rights))
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
    modes = list(state.modes) or ["hedge mode" if state.hedge_mode else "one-way mode"]
    if state.multi_assets:
        modes.append("multi-assets mode")
    return True, "reads the account: " + ", ".join(modes)


def _door(socket: Socket) -> str:
    match socket.door:
        case ListenKeyDoor():
            return "by listen key"
        case SignedDoor() as door:
            return "by logon" if len(door.enter) > 1 else "by signature"
        case TokenDoor():
            return "by token"


async def _sight(name: str, settings: Settings, own: RestClient, good: bool) -> list[CheckLine]:
    """Say which products the key reads, and whether the account is of another kind than the settings say."""
    account, venue = settings.accounts[name], BinanceKey()
    if account.venue == "binance-us" or account.environment not in venue.hosts:
        return []
    async with RestClient(
        account, venue, own.budget, SystemClock(), timeout=settings.request_timeout
    ) as rest:
        rest.clock = own.clock
        try:
            sight = await rest.run(venue.sight(), Priority.KEEPALIVE, None)
        except VenueError as error:
            return [CheckLine(name, True, "products", f"the venue does not tell ({error})")]
    told = ", ".join(sight.sees) or "none"
    silent = f"; no answer from {', '.join(sight.silent)}" if sight.silent else ""
    return [
        CheckLine(name, True, "products", f"the key reads {told}{silent}"),
        *_kind(name, account.venue, sight, good),
    ]


def _kind(name: str, venue: str, sight: Sight, good: bool) -> list[CheckLine]:
    """Say when the account is a Portfolio Margin account and the settings take it for a plain one, or not."""
    word = KINDS.get(sight.kind, "")
    unified = sight.kind in ("PM_2", "PM_3") or ("binance-portfolio" in sight.sees and not good)
    if venue in PLAIN and unified:
        detail = f"a {word or 'Portfolio Margin'} account, read as {venue}: use VENUE=binance-portfolio"
        return [CheckLine(name, False, "account", detail)]
    if venue == "binance-portfolio" and sight.kind == "PM_1":
        detail = f"a {word} account, whose markets are plain ones: use VENUE=binance-usdm and binance-coinm"
        return [CheckLine(name, good, "account", detail)]
    if word:
        return [CheckLine(name, True, "account", f"a {word} account")]
    return []


async def _rights(rest: RestClient) -> tuple[bool, str]:
    try:
        rights = await rest.run(rest.venue.rights(), Priority.KEEPALIVE, None)
    except VenueError as error:
        return True, f"the venue does not tell ({error})"
    return _judge(rights)


def _judge(rights: Rights) -> tuple[bool, str]:
    """A key that may do more than read is not refused, but said: accountd never needs more."""
    if rights.trade is None and rights.withdraw is None:
        return True, "the venue does not tell here"
    extra = excess(rights)
    where = "" if rights.ip_restricted is not False else "; not bound to an address"
    if extra:
        return True, f"more than accountd needs: may {' and '.join(extra)}{where}. Use a read-only key"
    return True, f"read only{where}"
