"""Whether the API key may do more than read: looked at when the account is LIVE, and every day after."""

from __future__ import annotations

import structlog

from accountd.core.conditions import alert_of
from accountd.core.health import AccountHealth
from accountd.errors import VenueError
from accountd.runtime.budget import Priority
from accountd.runtime.findings import open_finding
from accountd.runtime.recorder import Recorder
from accountd.runtime.rest import RestClient
from accountd.store.writer import Transaction
from accountd.venues.base import Rights

log = structlog.get_logger("accountd.key_rights")

KIND = "key_rights"
EVERY = 86_400.0  # seconds between looks
AGAIN = 900.0  # ... after one that was not answered


def excess(rights: Rights) -> tuple[str, ...]:
    """Return what a key may do that accountd never needs."""
    told = {"trade": rights.trade, "withdraw": rights.withdraw}
    return tuple(name for name, may in told.items() if may)


class KeyRights:
    """Looks at one account's key. Each change is said once: a finding, and the alert ``key.rights``."""

    def __init__(self, account: str, rest: RestClient, recorder: Recorder, health: AccountHealth) -> None:
        self.account = account
        self.rest = rest
        self.recorder = recorder
        self.health = health
        self._due = float("-inf")  # monotonic seconds; sessions come and go, the day goes on

    async def run(self) -> None:
        """Look when it is time, for ever."""
        clock = self.rest.clock.clock
        while True:
            await clock.sleep(max(0.0, self._due - clock.monotonic()))
            try:
                await self.look()
            except VenueError as error:
                log.warning("rights not told", account=self.account, error=str(error), code=error.code)
                self._due = clock.monotonic() + AGAIN
            else:
                self._due = clock.monotonic() + EVERY

    async def look(self) -> None:
        """Ask for the rights and write down what changed; a venue that does not tell changes nothing.

        Raises:
            VenueError: no answer.
        """
        rights = await self.rest.run(self.rest.venue.rights(), Priority.SWEEP, None)
        self.health.key_expires_at = rights.expires_at
        if rights.trade is None and rights.withdraw is None:
            return
        extra, now = excess(rights), self.rest.clock.now()
        subject = " and ".join(extra)

        def write(tx: Transaction) -> None:
            known = tx.open_subjects(self.account, KIND)
            for gone in set(known) - {subject}:
                tx.resolve_findings(self.account, KIND, gone, now)
            if not extra or subject in known:
                return
            detail = {"may": list(extra), "ip_restricted": rights.ip_restricted, "use": "a read-only key"}
            open_finding(self.recorder, tx, self.account, KIND, "warning", subject, detail, now)
            alert = alert_of("key.rights", now, subject, may=list(extra), ip_restricted=rights.ip_restricted)
            self.recorder.ring(tx, self.account, [alert])
            log.warning("the key may do more than read", account=self.account, may=subject)

        await self.recorder.submit(write, self.account)
