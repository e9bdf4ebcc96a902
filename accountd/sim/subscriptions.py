"""The user-data subscriptions of one WebSocket API session: whose events it gets, under which number."""

from dataclasses import dataclass

from accountd.sim.refusals import Refused
from accountd.sim.spot_model import Wallet

MOST_ACTIVE = 1000
MOST_EVER = 65_535


@dataclass
class Subscription:
    """One subscription; `way` is logon, signature or token, `expires_ms` its end if it has one."""

    number: int
    wallet: Wallet
    way: str
    api_key: str = ""
    expires_ms: int | None = None


class Subscriptions:
    """What a session is subscribed to; numbers rise from 0 and are never given twice."""

    def __init__(self) -> None:
        self.active: dict[int, Subscription] = {}
        self._next = 0

    def of(self, wallet: Wallet) -> Subscription | None:
        """Return the subscription to a wallet."""
        return next((one for one in self.active.values() if one.wallet is wallet), None)

    def add(self, wallet: Wallet, way: str, api_key: str = "", expires_ms: int | None = None) -> Subscription:
        """Subscribe to a wallet; a token prolongs the subscription that there is.

        Raises Refused: -2035 if it is active already, -2042 when the numbers are used up.
        """
        held = self.of(wallet)
        if held and way == "token" == held.way:
            held.expires_ms = expires_ms
            return held
        if held:
            raise Refused(400, -2035, "User Data Stream subscription already active.")
        if self._next >= MOST_EVER or len(self.active) >= MOST_ACTIVE:
            raise Refused(400, -2042, "Maximum subscription ID reached for this connection.")
        made = Subscription(self._next, wallet, way, api_key, expires_ms)
        self.active[made.number] = made
        self._next += 1
        return made

    def end(self, numbers: list[int]) -> list[int]:
        """End subscriptions by number; return those that were active."""
        return [number for number in numbers if self.active.pop(number, None)]

    def run_out(self, now_ms: int) -> list[int]:
        """End the subscriptions whose time is over; return their numbers."""
        over = [
            n for n, one in self.active.items() if one.expires_ms is not None and one.expires_ms <= now_ms
        ]
        return self.end(over)
