"""Listen keys: one per account, living an hour on the venue's clock, shared by all its sockets."""

from accountd.sim import refusals
from accountd.sim.engine import Engine
from accountd.sim.model import Account

LIFETIME_MS = 3_600_000


class ListenKeys:
    """The listen keys of the exchange.

    Counts creations, renewals and deletions; `dead` holds every key that once lived.
    """

    def __init__(self, engine: Engine, lifetime_ms: int = LIFETIME_MS) -> None:
        self.engine, self.lifetime_ms = engine, lifetime_ms
        self._keys: dict[str, tuple[str, int]] = {}
        self.dead: set[str] = set()
        self.created = self.renewed = self.deleted = 0

    def current(self, account: Account) -> str | None:
        """Return the account's living key."""
        held = self._keys.get(account.name)
        return held[0] if held and self.engine.clock.now() < held[1] else None

    def owner(self, key: str) -> Account | None:
        """Return the account of a living key."""
        found = (a for a in self.engine.accounts.values() if self.current(a) == key)
        return next(found, None)

    def expires_at(self, account: Account) -> int | None:
        """Return when the account's key ends, in ms."""
        held = self._keys.get(account.name)
        return held[1] if held else None

    def create(self, account: Account) -> str:
        """POST: return the living key with a new hour, or a new key."""
        self.created += 1
        key = self.current(account) or self.engine.word(64)
        self._keys[account.name] = (key, self.engine.clock.now() + self.lifetime_ms)
        return key

    def renew(self, account: Account) -> str:
        """PUT: give the living key a new hour; Refused -1125 if there is none."""
        key = self.current(account)
        if key is None:
            raise refusals.no_listen_key()
        self.renewed += 1
        self._keys[account.name] = (key, self.engine.clock.now() + self.lifetime_ms)
        return key

    def delete(self, account: Account) -> str:
        """DELETE: end the living key; Refused -1125 if there is none."""
        key = self.remove(account)
        if key is None:
            raise refusals.no_listen_key()
        self.deleted += 1
        return key

    def remove(self, account: Account) -> str | None:
        """End the account's key, living or just run out; return it."""
        held = self._keys.pop(account.name, None)
        if held is None:
            return None
        self.dead.add(held[0])
        return held[0]

    def run_out(self) -> list[tuple[Account, str]]:
        """Remove the keys whose hour is over; return them with their accounts."""
        now = self.engine.clock.now()
        over = [self.engine.accounts[name] for name, held in self._keys.items() if held[1] <= now]
        return [(account, key) for account in over if (key := self.remove(account))]
