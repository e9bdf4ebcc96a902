"""One session's sockets: which doors they stand in, what they are subscribed to, how they fare."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from accountd.core.states import Event, State, step
from accountd.errors import VenueError
from accountd.runtime.watcher import Watcher
from accountd.venues.base import Ack, Decoded
from accountd.venues.doors import Door, ListenKeyDoor


@dataclass(slots=True)
class Socket:
    """One socket in one door. ``lanes`` names its subscriptions by number, ``ends`` (monotonic seconds)
    says until when the token of a lane lasts."""

    door: Door
    key: str = ""
    lanes: dict[int, str] = field(default_factory=dict)
    ends: dict[str, float] = field(default_factory=dict)
    connected: Watcher | None = None
    _asked: dict[int, tuple[str | None, asyncio.Future[Decoded]]] = field(default_factory=dict)

    @property
    def watcher(self) -> Watcher:
        """Return what reads it; a socket is handed out only when it has one."""
        assert self.connected is not None
        return self.connected

    @property
    def aside(self) -> str:
        """Return the name of the stream that the account can do without; empty: this one is needed."""
        return self.door.aside if isinstance(self.door, ListenKeyDoor) else ""

    def listens_by(self, number: int | None) -> bool:
        """Say whether a subscription that ends was still needed: a renewed lane may have another number.

        Without a number it may be any.
        """
        if number is None:
            return True
        return number in {lane: one for one, lane in self.lanes.items()}.values()

    def answered(self, decoded: Decoded) -> None:
        """Take an answer. A subscription's lane is known from here on: its events may follow at once."""
        ack = decoded.ack
        if ack is None or not self._asked:
            return
        request = ack.id if ack.id is not None else min(self._asked)
        lane, answer = self._asked.get(request, (None, None))
        if answer is None:
            return
        number = subscription(ack)
        if lane is not None and number is not None:
            self.lanes.pop(number, None)  # the last of a lane's numbers is the one that counts
            self.lanes[number] = lane
        if not answer.done():
            answer.set_result(decoded)

    async def ask(self, request: int, frame: str, wait: float, lane: str | None = None) -> Ack | None:
        """Send a request and return the answer; None when none comes in ``wait`` seconds.

        ``lane`` is the lane of the subscription that it opens.
        """
        answer: asyncio.Future[Decoded] = asyncio.get_running_loop().create_future()
        self._asked[request] = (lane, answer)
        lost = asyncio.create_task(self.watcher.lost.wait(), name="accountd-lost")
        either: set[asyncio.Future[Any]] = {answer, lost}
        try:
            await self.watcher.send(frame)
            await asyncio.wait(either, timeout=wait, return_when=asyncio.FIRST_COMPLETED)
        finally:
            lost.cancel()
            self._asked.pop(request, None)
        return answer.result().ack if answer.done() else None


@dataclass(slots=True)
class Link:
    """The sockets that one session row stands for; they are lost together, but for those aside.

    ``shut`` says of the streams aside that are not open why. ``since`` is monotonic seconds.
    """

    session_id: str
    opened_at: datetime
    since: float
    state: State = State.CONNECTING
    proven_at: datetime | None = None  # last proof that the subscriptions deliver
    subscribed_at: datetime | None = None  # the first one: since then nothing is missed
    live_at: datetime | None = None
    sockets: list[Socket] = field(default_factory=list)
    shut: dict[str, VenueError] = field(default_factory=dict)
    lost: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def _watchers(self) -> list[Watcher]:
        """Return what reads the sockets that are needed."""
        some = [socket for socket in self.sockets if not socket.aside]
        return [socket.connected for socket in some if socket.connected is not None]

    def beside(self, name: str) -> Socket | None:
        """Return the open socket of a stream aside."""
        return next((one for one in self.sockets if one.aside == name), None)

    @property
    def reason(self) -> str:
        """Return why it was lost."""
        return next((one.reason for one in self._watchers if one.reason), "")

    @property
    def alive_at(self) -> datetime:
        """Return the last moment before which everything sent had certainly arrived."""
        return min((one.alive_at for one in self._watchers), default=self.opened_at)

    @property
    def frames(self) -> int:
        """Return how many frames came."""
        return sum(one.connected.frames for one in self.sockets if one.connected is not None)

    @property
    def last_frame(self) -> float:
        """Return when the last frame came, in monotonic seconds."""
        return max((one.last_frame for one in self._watchers), default=self.since)

    async def close(self, reason: str) -> None:
        """Close every socket; a second call changes nothing."""
        for socket in list(self.sockets):
            if socket.connected is not None:
                await socket.connected.close(reason)

    def advance(self, event: Event) -> None:
        """Move to the next state of the session."""
        self.state = step(self.state, event)


def subscription(ack: Ack) -> int | None:
    """Return the number of the subscription that an answer names."""
    number = ack.result.get("subscriptionId") if isinstance(ack.result, dict) else None
    if isinstance(number, str) and number.isdecimal():
        return int(number)
    return number if isinstance(number, int) else None
