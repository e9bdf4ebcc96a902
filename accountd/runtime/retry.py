"""When an account may connect again: alone, in turn with the others of its host, or not for long."""

from __future__ import annotations

from accountd.runtime.backoff import Backoff
from accountd.runtime.clock import Clock
from accountd.runtime.outage import Outage


class Retry:
    """The waits of one account between one connection and the next."""

    def __init__(self, account: str, backoff: Backoff, outage: Outage, clock: Clock) -> None:
        self.account = account
        self.backoff = backoff
        self.outage = outage
        self.clock = clock
        self._flooded = False

    def connected(self) -> None:
        """The account is connected and has proven it."""
        self.outage.reached(self.account)

    def lost(self) -> None:
        """The account is not connected any more."""
        self.outage.left(self.account)

    def flooded(self) -> None:
        """The link was given up for its nonsense: to connect again soon would only bring more of it."""
        self._flooded = True

    def soon(self) -> float:
        """Return the seconds to wait before what failed is tried again without a new connection."""
        return self.backoff.next()

    async def pause(self, lived: float, outside: bool) -> None:
        """Wait before the next connection, after one that was LIVE for ``lived`` seconds.

        ``outside``: the venue was out of reach. While another account reaches it the failure is our own.
        """
        flooded, self._flooded = self._flooded, False
        if flooded:
            await self.clock.sleep(self.backoff.longest())
        elif outside and not self.outage.elsewhere:
            await self.outage.turn()
        else:
            await self.clock.sleep(self.backoff.next(lived))
