"""The one door: folds tellings into beliefs and says what changed, in any order and however often told."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

from accountd.core import journal, merge, noticed, ringing
from accountd.core.beliefs import AMENDED, PREVENTED, Beliefs, event_key, order_key
from accountd.core.changes import Changes, Finding, JournalRow, OrderEvent, OrderKey, finding_name
from accountd.core.lifecycle import is_final
from accountd.core.told import (
    BALANCES,
    POSITIONS,
    REST,
    Absent,
    Balance,
    Fill,
    Happened,
    Notice,
    Order,
    Position,
    Said,
    Snapshot,
    SymbolConfig,
    Telling,
    Transfer,
)


class Fold:
    """Folds one batch of one account's tellings; ``changes`` is what came of it.

    Tellings stay as they were told: a batch whose commit failed is folded again.

    What is not journaled leaves no trace in the beliefs either: they are the same when the journal is
    replayed, however its rows fall into batches.

    ``born`` is the account's first start: what happened before is history and rings for nothing.
    ``heard`` are the types of alert that somebody wants (None: all); others need not be made.
    """

    def __init__(self, beliefs: Beliefs, born: datetime, salts: Callable[[int], bytes] = os.urandom,
                 heard: frozenset[str] | None = None) -> None:  # fmt: skip
        self.beliefs = beliefs
        self.born = born
        self.salts = salts
        self.heard = heard
        self.changes = Changes(
            account_id=beliefs.account_id, first_seq=beliefs.seq, seq=beliefs.seq, head=beliefs.head
        )
        self.telling: Telling
        self.changed = False
        self.seen: list[tuple[Any, Any]] = []
        self.said: Said | None = None
        self.seq = 0

    def run(self, tellings: Sequence[Telling]) -> Changes:
        """Fold tellings in the order given, journal what is to be kept, and return the changes."""
        size = journal.SALT_BYTES
        salts = self.salts(size * len(tellings))  # at once: each call gives the interpreter lock away
        for n, telling in enumerate(tellings):
            self.telling, self.changed, self.seen, self.said = telling, False, [], None
            self.seq = self.changes.seq + 1
            for told in telling.told:
                TELL[type(told)](self, told)
            if self.beliefs.doubts.open:
                noticed.review(self)
            if telling.keep or self.changed:
                for held, told_again in self.seen:
                    merge.settle(held, told_again, ())
                self._journal(telling, salts[n * size : (n + 1) * size])
        self.beliefs.seq, self.beliefs.head = self.changes.seq, self.changes.head
        self.beliefs.trim()
        return self.changes

    def _journal(self, telling: Telling, seed: bytes) -> None:
        changes, loaded = self.changes, self.beliefs.loaded_seq
        salt = journal.salt(seed, telling.event_time, telling.session_id, telling.live_since, loaded)
        payload = journal.digest(salt, telling.raw)
        leaf = journal.leaf(
            self.seq, telling.received_at, self.beliefs.account_bytes, telling.kind, telling.source, payload
        )
        changes.seq = self.seq
        changes.head = journal.advance(changes.head, leaf)
        row = JournalRow(
            self.seq, telling.source, telling.kind, telling.event_time, telling.received_at,
            telling.session_id, telling.raw, salt, payload, changes.head, telling.live_since, loaded,
        )  # fmt: skip
        changes.journal.append(row)

    # -- orders

    def _order(self, told: Order) -> None:
        beliefs, key = self.beliefs, order_key(told)
        held = beliefs.orders.get(key) or beliefs.open.get(key)
        fresh = self._is_new_event(key, told)
        self._wonder(key, held, told)
        if held is None:
            order = merge.frozen(told)
            order.events = 0
        else:
            merged = merge.order(held, told)
            if merged is None and not fresh:
                return
            order = merged if merged is not None else held
        if order is not held:
            order.source, order.journal_seq = self.telling.source, self.seq
        if fresh or merge.moved(held, order):
            order.events = self._append_event(key, told, order.events, fresh)
        beliefs.orders[key] = order
        beliefs.orders.move_to_end(key)
        self._keep_open(key, order)
        self.changes.orders[key] = order
        self.changed = True
        if told.client_order_id and key in beliefs.nameless:
            self._name_fills(key, told.client_order_id)
        if held is None or order.status != held.status:
            ringing.order(self, order)
            noticed.order_missed(self, key, held, told)

    def _wonder(self, key: OrderKey, held: Order | None, told: Order) -> None:
        """Note what REST shows to have happened to an order without an event that tells of it."""
        known = None if held is None else held.prevented
        if told.prevented and (known is None or told.prevented > known):
            if held is not None:
                held.prevented = told.prevented
            self._ask_why(key, PREVENTED)
        if held is None or held.quantity is None or told.quantity is None:
            return
        if told.quantity < held.quantity:
            self._ask_why(key, AMENDED)

    def _ask_why(self, key: OrderKey, what: str) -> None:
        if self.telling.source == REST:
            self.beliefs.unexplained.setdefault(key, set()).add(what)

    def _happened(self, told: Happened) -> None:
        """Add an event to an order's life, unless it was told before; the order itself stays as it is."""
        key = order_key(told)
        order = self.beliefs.orders.get(key)
        if order is None:
            return  # somebody else's, or one that was never shown
        known = self.beliefs.events.setdefault(key, set())
        name = event_key(told.execution_type, "", None, None, told.quantity, told.at)
        if name in known:
            return
        known.add(name)
        order.events += 1
        event = OrderEvent(
            key, order.events, told.execution_type, "", None, told.quantity, None, told.at,
            self.telling.source, self.seq,
        )  # fmt: skip
        self.changes.order_events.append(event)
        self.changes.orders[key] = order
        self.changed = True

    def _keep_open(self, key: OrderKey, order: Order) -> None:
        if is_final(order):
            self.beliefs.open.pop(key, None)
        else:
            self.beliefs.open[key] = order

    def _is_new_event(self, key: OrderKey, told: Order) -> bool:
        """Say whether a stream telling is an event of the order's life that was not told before."""
        if told.execution_type is None:
            return False
        known = self.beliefs.events.get(key)
        if known is None:
            known = self.beliefs.events[key] = set()
        before = len(known)  # one look instead of two: decimals hash slowly
        filled, price, quantity = told.filled_quantity, told.price, told.quantity
        known.add(event_key(told.execution_type, told.status, filled, price, quantity, told.updated_at))
        return len(known) > before

    def _append_event(self, key: OrderKey, told: Order, count: int, fresh: bool) -> int:
        if not fresh and told.execution_type is not None:
            return count  # a history told the event before
        if not fresh:  # REST told a new state: an event of its own, unless a stream event said the same
            filled, price, quantity = told.filled_quantity, told.price, told.quantity
            name = event_key(None, told.status, filled, price, quantity, told.updated_at)
            known = self.beliefs.events.setdefault(key, set())
            before = len(known)
            known.add(name)
            if len(known) == before:
                return count
        event = OrderEvent(
            key, count + 1, told.execution_type, told.status, told.price, told.quantity,
            told.filled_quantity, told.updated_at, self.telling.source, self.seq,
        )  # fmt: skip
        self.changes.order_events.append(event)
        return count + 1

    def _name_fills(self, key: OrderKey, client_order_id: str) -> None:
        for name in self.beliefs.nameless.pop(key):
            fill = self.beliefs.fills.get(name)
            if fill is not None:
                fill.client_order_id = client_order_id
            if name not in self.changes.fills:
                self.changes.fill_client_ids[name] = client_order_id

    # -- fills

    def _fill(self, told: Fill) -> None:
        beliefs, key = self.beliefs, (told.market, told.symbol, told.trade_id)
        held = beliefs.fills.get(key)
        if held is not None and merge.opposed(held, told):
            told, key = merge.second_side(told)
            held = beliefs.fills.get(key)
        if held is not None:
            noticed.fill_told_again(self, key, held, told)
            return
        told = merge.frozen(told)
        order_name = (told.market, told.symbol, "order", told.order_id)
        order = beliefs.orders.get(order_name)
        if told.client_order_id is None:
            if order is not None and order.client_order_id:
                told.client_order_id = order.client_order_id
            else:
                beliefs.nameless.setdefault(order_name, []).append(key)
                beliefs.nameless.trim()
        told.source, told.received_at, told.journal_seq = (
            self.telling.source, self.telling.received_at, self.seq,
        )  # fmt: skip
        beliefs.fills[key] = told
        self.changes.fills[key] = told
        self.changed = True
        ringing.fill(self, told, order)
        if told.source == REST:
            noticed.fill_missed(self, key, told)

    # -- balances, positions

    def _said(self) -> Said:
        if self.said is None:
            self.said = merge.said(self.telling)
        return self.said

    def _balance(self, told: Balance) -> None:
        key = (told.market, told.asset)
        held = self.beliefs.balances.get(key)
        self.beliefs.doubts.hear(self.telling, ("balance", *key), told, held, self.seq)
        if held is not None and not merge.newer(told, held, self._said()):
            return
        if held is not None and merge.same_balance(held, told):
            self._seen_again(held, told)
            if merge.learn_balance(held, told):
                self.changes.balances[key] = held
                self.changed = True
            return
        told = merge.frozen(told)
        merge.succeed(told, held, self._said())
        told.n = 1 if held is None else held.n + 1
        told.updated_at, told.source, told.journal_seq = told.as_of, self.telling.source, self.seq
        self.beliefs.balances[key] = told
        self.changes.balances[key] = told
        self.changes.balance_history.append(merge.frozen(told))
        self.changed = True
        ringing.balance(self, told, held)

    def _position(self, told: Position) -> None:
        key = (told.market, told.symbol, told.position_side)
        held = self.beliefs.positions.get(key)
        self.beliefs.doubts.hear(self.telling, ("position", *key), told, held, self.seq)
        if self.telling.source != REST:
            self.beliefs.configs.take(told, kept=True)
        if held is None:
            if not told.quantity:
                return  # flat, and never held
            self._put_position(merge.frozen(told), None)
            return
        if not merge.newer(told, held, self._said()):
            return
        merged = merge.position(held, told)
        if merge.same_position(held, merged):
            self._seen_again(held, told)
            return
        self._put_position(merged, held)

    def _seen_again(self, held: Any, told: Any) -> None:
        """Note that a belief was told again as it is; a page counts only once it is known to be journaled."""
        if self.telling.source == REST:
            self.seen.append((held, told))
        else:
            merge.settle(held, told, self._said())

    def _put_position(self, position: Position, held: Position | None) -> None:
        key = (position.market, position.symbol, position.position_side)
        leverage, margin = self.beliefs.configs.of(position.market, position.symbol)
        position.leverage = leverage if position.leverage is None else position.leverage
        position.margin_type = margin if position.margin_type is None else position.margin_type
        merge.succeed(position, held, self._said())
        position.n = 1 if held is None else held.n + 1
        position.updated_at, position.source = position.as_of, self.telling.source
        position.journal_seq = self.seq
        self.beliefs.positions[key] = position
        self.changes.positions[key] = position
        self.changes.position_history.append(merge.frozen(position))
        self.changed = True
        ringing.position(self, position, held)

    def _config(self, told: SymbolConfig) -> None:
        configs = self.beliefs.configs
        known = configs.of(told.market, told.symbol)
        said = configs.take(told, kept=self.telling.source != REST)
        self.changed |= configs.of(told.market, told.symbol) != known
        for held in list(self.beliefs.positions.values()):
            if (held.market, held.symbol) != (told.market, told.symbol):
                continue
            if all(getattr(held, name) == value for name, value in said.items()):
                continue
            fresh = merge.frozen(held)
            for name, value in said.items():
                setattr(fresh, name, value)
            fresh.as_of = max(held.as_of, told.as_of)
            self._put_position(fresh, held)

    def _snapshot(self, told: Snapshot) -> None:
        """A page that lists everything: a held position or balance that it does not show is zero.

        Open orders that it does not show are looked up one by one by the sweep; nothing is inferred.
        """
        if told.dataset == BALANCES:
            for gone in list(self.beliefs.balances.values()):
                if gone.market == told.market and gone.total and (gone.asset, "") not in told.keys:
                    self._balance(merge.empty(gone, told.as_of))
        if told.dataset != POSITIONS:
            return
        for held in list(self.beliefs.positions.values()):
            shown = (held.symbol, held.position_side) in told.keys
            if held.market == told.market and held.quantity and not shown:
                self._position(merge.flat(held, told.as_of))

    def _absent(self, told: Absent) -> None:
        """Mark an order that the venue no longer shows, unless it is over or marked already."""
        held = self.beliefs.open.pop(told.key, None) or self.beliefs.orders.get(told.key)
        if held is None or held.missing_since is not None or is_final(held):
            return
        held.missing_since = told.since
        self.beliefs.orders[told.key] = self.changes.orders[told.key] = held
        self.finding("order_missing", "warning", ":".join(told.key), {"since": ringing.stamp(told.since)})

    # -- transfers, notices

    def _transfer(self, told: Transfer) -> None:
        key = (told.market, told.kind, told.transfer_id, told.asset)
        held = self.beliefs.transfers.get(key)
        if held is not None:
            noticed.transfer_told_again(self, key, held, told)
            return
        told = merge.frozen(told)
        told.source, told.journal_seq = self.telling.source, self.seq
        self.beliefs.transfers[key] = told
        self.changes.transfers[key] = told
        self.changed = True
        ringing.transfer(self, told)

    def _notice(self, told: Notice) -> None:
        if told.kind == "undecodable":
            detail: dict[str, object] = dict(told.detail or {})
            self.finding("undecodable", "warning", f"journal:{self.seq}", detail)
        elif told.kind == "refused":
            self.finding("refused", "error", f"journal:{self.seq}", dict(told.detail or {}))
        elif told.kind in ringing.ALARMS:
            ringing.notice(self, told)

    def finding(self, kind: str, severity: str, subject: str, detail: Mapping[str, object]) -> None:
        """Open a finding; the same kind and subject is the same finding, which keeps when it was opened."""
        name = finding_name(self.beliefs.account_id, kind, subject)
        before = self.changes.findings.get(name)
        found = Finding(
            finding_id=name, kind=kind, severity=severity, subject=subject,
            detail={**detail, "journal_seq": self.seq},
            opened_at=self.telling.received_at if before is None else before.opened_at,
        )  # fmt: skip
        self.changes.findings[name] = found
        self.changes.resolved.pop((kind, subject), None)
        self.changed = True
        if before is None and subject not in self.beliefs.contested:
            ringing.finding(self, found)


TELL: dict[type, Callable[..., None]] = {
    Order: Fold._order,
    Happened: Fold._happened,
    Fill: Fold._fill,
    Balance: Fold._balance,
    Position: Fold._position,
    SymbolConfig: Fold._config,
    Snapshot: Fold._snapshot,
    Transfer: Fold._transfer,
    Notice: Fold._notice,
    Absent: Fold._absent,
}

