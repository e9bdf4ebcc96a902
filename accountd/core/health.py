"""How the daemon is doing at this moment: what it tells the web, the metrics and the person who asks."""

from dataclasses import dataclass, field
from datetime import datetime

from accountd.core.states import State


@dataclass(slots=True)
class AccountHealth:
    """How one account's session stands. Ages and blind time are in seconds, times are aware UTC."""

    state: State = State.CONNECTING
    since: datetime | None = None
    last_event_at: datetime | None = None
    blind_seconds: float = 0.0
    key_age: float | None = None
    key_expires_at: datetime | None = None
    unreachable: bool = False  # neither REST nor a stream of the venue answers
    detail: str = ""


@dataclass(slots=True)
class Health:
    """How the whole daemon stands; the daemon writes it, everyone else only reads."""

    accounts: dict[str, AccountHealth] = field(default_factory=dict)
    writer_ok: bool = True
    writer_error: str = ""
    ring_depth: int = 0
    outbox_pending: int = 0
    outbox_dead: int = 0
    gaps_open: int = 0
    findings_open: int = 0
    started_at: datetime | None = None

    def account(self, name: str) -> AccountHealth:
        """Return the health of account `name`, which begins as CONNECTING."""
        return self.accounts.setdefault(name, AccountHealth())

    def reasons(self) -> list[str]:
        """Return one line for each thing that keeps the daemon from being ready."""
        found = [] if self.accounts else ["no account has started"]
        for name, account in sorted(self.accounts.items()):
            if account.state is not State.LIVE:
                found.append(f"{name}: {account.state}" + (f" ({account.detail})" if account.detail else ""))
        if not self.writer_ok:
            found.append("writer: " + (self.writer_error or "not writing"))
        return found

    @property
    def ready(self) -> bool:
        """Tell whether every account is LIVE and the writer writes."""
        return not self.reasons()
