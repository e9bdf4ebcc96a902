"""Conditional (algo) orders: untriggered they are their own kind, triggered they fire a plain order."""

from dataclasses import replace
from decimal import Decimal

from accountd.sim import events
from accountd.sim.accounting import average_price, sign
from accountd.sim.matching import Matching
from accountd.sim.model import ZERO, Account, AlgoOrder, Order, Versions

MARKET_TYPES = ("STOP_MARKET", "TAKE_PROFIT_MARKET", "TRAILING_STOP_MARKET")
STOPS = ("STOP", "STOP_MARKET", "TRAILING_STOP_MARKET")


class Conditional(Matching):
    """The algo service in front of the matching engine."""

    def algo(
        self,
        account: Account | str,
        symbol: str,
        side: str,
        type: str,
        quantity: Decimal,
        trigger_price: Decimal,
        price: Decimal | None = None,
        *,
        position_side: str = "BOTH",
        reduce_only: bool = False,
        close_position: bool = False,
    ) -> AlgoOrder:
        """Place a conditional order; a trailing one is told twice, before and after its activation."""
        account, now = self.account(account), self.clock.engine()
        trailing = type == "TRAILING_STOP_MARKET"
        algo = AlgoOrder(
            algo_id=self.next_id("algo"),
            client_algo_id=self.word(22),
            symbol=symbol,
            side=side,
            position_side=position_side,
            type=type,
            time_in_force="GTC",
            quantity=quantity,
            trigger_price=trigger_price,
            price=ZERO if type in MARKET_TYPES else (price or trigger_price),
            status="NEW",
            reduce_only=reduce_only,
            close_position=close_position,
            created_ms=now,
            updated_ms=now,
            active=not trailing,
        )
        self._save_algo(account, algo)
        return self._move(account, algo, active=True) if trailing else algo

    def algo_order(self, account: Account | str, algo_id: int) -> AlgoOrder:
        """Return the newest version of a conditional order; KeyError if there is none."""
        return self.account(account).algos[algo_id].now

    def open_algos(self, account: Account | str) -> list[AlgoOrder]:
        """Return the conditional orders that have not fired and not ended."""
        account = self.account(account)
        return [account.algos[i].now for i in account.open_algos]

    def _save_algo(self, account: Account, algo: AlgoOrder) -> None:
        account.algos.setdefault(algo.algo_id, Versions()).set(algo.updated_ms, algo)
        if algo.status == "NEW":
            account.open_algos[algo.algo_id] = None
        else:
            account.open_algos.pop(algo.algo_id, None)
        self.emit(account, events.algo_update(algo, self.symbols[algo.symbol], algo.updated_ms))

    def _move(self, account: Account, algo: AlgoOrder, **changes: object) -> AlgoOrder:
        moved: AlgoOrder = replace(algo, updated_ms=self.clock.engine(), **changes)  # type: ignore[arg-type]
        self._save_algo(account, moved)
        return moved

    def _end_algo(self, account: Account | str, algo: AlgoOrder, status: str, reason: str = "") -> AlgoOrder:
        account = self.account(account)
        algo = self.algo_order(account, algo.algo_id)
        if algo.status != "NEW":
            raise ValueError(f"algo order {algo.algo_id} is {algo.status}")
        return self._move(account, algo, status=status, reason=reason)

    def cancel_algo(self, account: Account | str, algo: AlgoOrder) -> AlgoOrder:
        """Cancel an untriggered conditional order; ValueError if it is not."""
        return self._end_algo(account, algo, "CANCELED")

    def reject_algo(
        self, account: Account | str, algo: AlgoOrder, reason: str = "Margin is insufficient."
    ) -> AlgoOrder:
        """Reject a conditional order at its trigger, with the reason in `rm`."""
        return self._end_algo(account, algo, "REJECTED", reason)

    def trigger(self, account: Account | str, algo: AlgoOrder) -> Order:
        """Fire a conditional order: TRIGGERING, TRIGGERED, a plain order, and FINISHED when that ends.

        Raises ValueError if it is not untriggered.
        """
        account = self.account(account)
        now = self.clock.engine()
        algo = self._end_algo(account, algo, "TRIGGERING")
        algo = self._move(
            account,
            algo,
            status="TRIGGERED",
            trigger_ms=now,
            order_id=self.peek_order_id(algo.symbol),
        )
        return self.place(
            account,
            algo.symbol,
            algo.side,
            algo.quantity,
            algo.price or None,
            reduce_only=algo.reduce_only,
            position_side=algo.position_side,
            algo_id=algo.algo_id,
        )

    def peek_order_id(self, symbol: str) -> int:
        """Return the number that the next plain order of a symbol will get."""
        return self._ids.get(f"order {symbol}", self._first_id) + 1

    def on_order_done(self, account: Account, order: Order) -> None:
        """Finish the conditional order whose plain order ended."""
        if not order.algo_id or order.open:
            return
        algo = account.algos[order.algo_id].now
        self._move(
            account,
            algo,
            status="FINISHED",
            order_id=order.order_id,
            executed=order.filled,
            executed_price=average_price(order),
        )

    def check_triggers(self, symbol: str) -> None:
        """Fire the conditional orders of a symbol whose trigger the mark price has reached."""
        mark = self.marks[symbol]
        for account in self.accounts.values():
            for algo in self.open_algos(account):
                direction = sign(algo.side) * (1 if algo.type in STOPS else -1)
                if algo.symbol == symbol and (mark - algo.trigger_price) * direction >= 0:
                    self.trigger(account, algo)
