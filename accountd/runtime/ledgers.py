"""What is believed of each account, and how tellings become rows; for one thread at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial

from accountd.core import alerts
from accountd.core.alerts import HookWish, OutboxRow
from accountd.core.beliefs import Beliefs
from accountd.core.changes import Alert, Changes, Held, Wanted
from accountd.core.fold import Fold
from accountd.core.told import Telling
from accountd.runtime.batch import Folded, by_account
from accountd.runtime.clock import Clock
from accountd.store.ready import ready
from accountd.store.rows import Head
from accountd.store.writer import Transaction

Look = Callable[[str, Wanted], Held]


@dataclass(slots=True)
class Ledger:
    """One account as whoever folds knows it."""

    account_id: str
    venue: str
    environment: str
    born: datetime
    is_new: bool
    beliefs: Beliefs | None = None


class Ledgers(dict[str, Ledger]):
    """Every account's ledger, by its id."""

    def __init__(self, hooks: Sequence[HookWish], clock: Clock) -> None:
        super().__init__()
        self.hooks = tuple(hooks)
        self.clock = clock
        self._heard = alerts.heard(self.hooks)

    def fold(self, tellings: list[Telling], look: Look) -> Folded:
        """Fold tellings into the beliefs and return what is to be written; ``look`` finds what is held."""
        changes: list[Changes] = []
        for account_id, told in by_account(tellings).items():
            ledger = self[account_id]
            beliefs = ledger.beliefs
            assert beliefs is not None
            beliefs.look_up(told, partial(look, account_id))
            changes.append(Fold(beliefs, ledger.born, heard=self._heard).run(told))
        outbox = [row for one in changes for row in self._rows(one.account_id, one.alerts)]
        return Folded(changes, ready(changes), outbox)

    def _rows(self, account_id: str, raised: Iterable[Alert]) -> list[OutboxRow]:
        return alerts.batch(raised, self[account_id].venue, account_id, self.hooks, self.clock.now())

    def know(self, tellings: Iterable[Telling]) -> bool:
        """Say whether the beliefs of everybody who is told about are loaded."""
        return all(
            account in self and self[account].beliefs is not None
            for account in {telling.account_id for telling in tellings}
        )

    def load(self, tx: Transaction, ledger: Ledger, head: Head) -> None:
        """Load what is believed of an account whose journal ends at ``head``."""
        beliefs = Beliefs(ledger.account_id, head.seq, head.head)
        balances, positions, orders = tx.load_small(ledger.account_id)
        beliefs.balances = {(one.market, one.asset): one for one in balances}
        beliefs.positions = {(one.market, one.symbol, one.position_side): one for one in positions}
        beliefs.open = {(one.market, one.symbol, one.kind, one.order_id): one for one in orders}
        beliefs.contested = tx.open_conflicts(ledger.account_id)
        ledger.beliefs = beliefs

    def recall(self, tx: Transaction) -> None:
        """Load anew what `forget` dropped; without taking the head: whoever took it meanwhile fences us."""
        for ledger in list(self.values()):
            if ledger.beliefs is None:
                self.load(tx, ledger, tx.read_head(ledger.account_id))

    def forget(self) -> None:
        """Drop beliefs that a transaction moved and then did not commit; they are loaded anew."""
        for ledger in list(self.values()):
            ledger.beliefs = None
