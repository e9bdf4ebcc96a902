"""What happens to a frame: decoded, redacted, handed to the recorder, and heeded where it concerns us."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import datetime

from accountd.core.health import AccountHealth
from accountd.core.told import STREAM, Fill, Notice, Telling
from accountd.runtime.clock import Clock
from accountd.runtime.link import Link, Socket
from accountd.runtime.metrics import Metrics
from accountd.runtime.omissions import Omissions
from accountd.runtime.recorder import Recorder
from accountd.venues.base import ACK, UNDECODABLE, Decoded, Venue

UNKNOWN = "unknown:"
LITE_WAIT = 3.0  # seconds that a TRADE_LITE may be ahead of its execution report
MOST_HINTS = 1_000
MOST_LITE = 10_000


class Intake:
    """Takes the frames of one account's links; never waits.

    ``on_control`` hears of keys that expired and of connections and subscriptions that end. ``overflowed``
    is set when the recorder's ring was full and a frame was dropped: whoever watches opens a gap from there.
    """

    def __init__(self, account: str, venue: Venue, recorder: Recorder, health: AccountHealth,
                 metrics: Metrics, clock: Clock, keys: set[str],
                 on_control: Callable[[Link, Socket, Decoded], None]) -> None:  # fmt: skip
        self.account = account
        self.venue = venue
        self.recorder = recorder
        self.health = health
        self.metrics = metrics
        self.clock = clock
        self.keys = keys
        self.on_control = on_control
        self.hints: asyncio.Queue[Notice] = asyncio.Queue(MOST_HINTS)
        self.overflowed: datetime | None = None
        self.income_due = asyncio.Event()  # money moved: commission, profit, funding or a transfer
        self.transfer_due = False  # ... a transfer: it does not wait for more
        self.money_left = False  # ... away from here, or nobody knows: what is scarce is asked for as well
        self.balances_due = False  # a balance moved by an amount that is not told absolutely
        self.omissions = Omissions()
        self._lite: dict[tuple[str, str], float] = {}

    def take(self, link: Link, socket: Socket, frame: bytes, at: datetime) -> None:
        """Take one frame; ``at`` is the venue time at which it was read."""
        decoded = self.venue.decode(frame, at, socket.lanes)
        if decoded.kind == UNDECODABLE and not socket.watcher.bears():
            return
        if decoded.kind.startswith(UNKNOWN) and not socket.watcher.bears(1):
            return
        raw = self.venue.redact(frame, self.keys)
        telling = Telling(
            account_id=self.account, source=STREAM, kind=decoded.kind, raw=raw, told=decoded.told,
            received_at=self.clock.now(), event_time=decoded.event_time,
            session_id=link.session_id,
        )  # fmt: skip
        if not self.recorder.offer(telling) and self.overflowed is None:
            self.overflowed = at
        self.health.last_event_at = at
        if decoded.control is not None:
            if decoded.control == ACK:
                socket.answered(decoded)
            else:
                self.on_control(link, socket, decoded)
            return
        if decoded.told and not socket.aside:
            link.proven_at = at
        now = self.clock.monotonic()
        for told in decoded.told:
            self.omissions.hear(told, now)
            if isinstance(told, Notice):
                self._note(told)
            elif isinstance(told, Fill):
                if self.venue.income_follows_fills:
                    self.income_due.set()
                self._lite.pop((told.symbol, told.trade_id), None)

    def find_omissions(self) -> bool:
        """Turn what the stream shows to have dropped into hints: a TRADE_LITE whose execution report never
        came, an order that filled more than was told, half of an execution. Say whether there is any."""
        now = self.clock.monotonic()
        places, balances = self.omissions.due(now)
        for market, symbol in sorted(places):
            self.hint(Notice(kind="hint", symbol=symbol, market=market))
        if balances:
            self.hint(Notice(kind="hint"))
        late = [key for key, when in self._lite.items() if now - when > LITE_WAIT]
        for key in late:
            del self._lite[key]
            self.hint(Notice(kind="hint", symbol=key[0]))
        return bool(places or balances or late)

    def hint(self, notice: Notice) -> None:
        """Ask for a sweep; more hints than the queue holds say nothing new."""
        if not self.hints.full():
            self.hints.put_nowait(notice)

    def _note(self, notice: Notice) -> None:
        if notice.kind == "unknown":
            self.metrics.unknown_events.labels(self.account).inc()
        elif notice.kind in ("transfer.hint", "balance.hint"):
            self.balances_due |= notice.kind == "balance.hint"
            self.transfer_due = True
            amount = str((notice.detail or {}).get("amount", "-"))
            self.money_left |= notice.kind == "transfer.hint" and amount.startswith("-")
            self.income_due.set()
        elif notice.kind == "hint" and notice.symbol:
            trade = (notice.detail or {}).get("trade_id")
            if trade is None:
                self.hint(notice)
            elif len(self._lite) < MOST_LITE:
                self._lite[(notice.symbol, str(trade))] = self.clock.monotonic()
