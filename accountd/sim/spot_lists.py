"""Order lists and self-trade prevention: orders that other orders end."""

from dataclasses import replace
from decimal import Decimal

from accountd.sim.model import ZERO, Versions
from accountd.sim.spot_engine import Insufficient
from accountd.sim.spot_events import Prevention, list_status
from accountd.sim.spot_matching import SpotMatching
from accountd.sim.spot_model import OrderList, PreventedMatch, SpotOrder, Wallet


class SpotLists(SpotMatching):
    """OCO and OTO lists, and matches that are prevented."""

    def oco(self, wallet: Wallet, symbol: str, side: str, quantity: Decimal, percent: Decimal) -> OrderList:
        """Place a stop-limit and a limit-maker order, `percent` away, of which one cancels the other.

        Raises Insufficient.
        """
        step = Decimal(1).scaleb(-self.symbols[symbol].price_places)
        away = self.prices[symbol] * percent / 100 * (1 if side == "SELL" else -1)
        above, below = ((self.prices[symbol] + d).quantize(step) for d in (away, -away))
        number = self.next_id("list")
        stop = self.new_order(
            wallet,
            symbol,
            side,
            quantity,
            price=below,
            stop_price=below,
            type="STOP_LOSS_LIMIT",
            list_id=number,
        )
        maker = self.new_order(
            wallet, symbol, side, quantity, price=above, type="LIMIT_MAKER", list_id=number
        )
        return self._open_list(wallet, "OCO", (stop, replace(maker, working_ms=maker.created_ms)))

    def oto(
        self, wallet: Wallet, symbol: str, side: str, quantity: Decimal, price: Decimal, then: Decimal
    ) -> OrderList:
        """Place an order and, pending on its full fill, one of the other side at `then`.

        Raises Insufficient.
        """
        number = self.next_id("list")
        first = self.new_order(wallet, symbol, side, quantity, price=price, list_id=number)
        other = "SELL" if side == "BUY" else "BUY"
        pending = self.new_order(
            wallet, symbol, other, quantity, price=then, list_id=number, status="PENDING_NEW"
        )
        return self._open_list(wallet, "OTO", (replace(first, working_ms=first.created_ms), pending))

    def _open_list(self, wallet: Wallet, contingency: str, orders: tuple[SpotOrder, ...]) -> OrderList:
        working = [order for order in orders if order.status == "NEW"]
        for order in working:
            self.require(wallet, order)
        now = orders[0].created_ms
        listed = OrderList(
            list_id=orders[0].list_id,
            client_id=self.word(),
            contingency=contingency,
            symbol=orders[0].symbol,
            order_ids=tuple(order.order_id for order in orders),
            list_status="EXEC_STARTED",
            order_status="EXECUTING",
            created_ms=now,
            updated_ms=now,
        )
        wallet.lists[listed.list_id] = Versions()
        self._save_list(wallet, listed, orders)
        for order in orders:
            self.save(wallet, order)
            self.report(wallet, order, "NEW")
        self.settle(wallet, self.sides(orders[0]), now)
        return listed

    def _save_list(self, wallet: Wallet, listed: OrderList, orders: tuple[SpotOrder, ...]) -> None:
        wallet.lists[listed.list_id].set(listed.updated_ms, listed)
        self.emit(wallet, list_status(listed, orders, listed.updated_ms))

    def list_orders(self, wallet: Wallet, listed: OrderList) -> tuple[SpotOrder, ...]:
        """Return the orders of a list."""
        return tuple(self.order(wallet, listed.symbol, number) for number in listed.order_ids)

    def _finish(self, wallet: Wallet, listed: OrderList) -> None:
        done = replace(
            listed, list_status="ALL_DONE", order_status="ALL_DONE", updated_ms=self.clock.engine()
        )
        self._save_list(wallet, done, self.list_orders(wallet, listed))

    def after_fill(self, wallet: Wallet, order: SpotOrder) -> None:
        """Expire the other leg of an OCO at the first fill; start the pending leg of an OTO at the last."""
        if order.list_id < 0:
            return
        listed = wallet.lists[order.list_id].now
        for other in self.list_orders(wallet, listed):
            if other.order_id == order.order_id or not other.open:
                continue
            if listed.contingency == "OCO":
                self.expire(wallet, other, "OCO_TRIGGER")
            elif other.status == "PENDING_NEW" and not order.open:
                self._start_pending(wallet, other)
        if not any(one.open for one in self.list_orders(wallet, listed)):
            self._finish(wallet, listed)

    def _start_pending(self, wallet: Wallet, pending: SpotOrder) -> None:
        try:
            self.require(wallet, pending)
        except Insufficient:
            self.expire(wallet, pending, "REJECTED")
        else:
            self.trigger(wallet, pending)

    def cancel_list(self, wallet: Wallet, listed: OrderList) -> None:
        """Cancel every open order of a list."""
        for order in self.list_orders(wallet, listed):
            if order.open:
                super().cancel(wallet, order)
        self._finish(wallet, listed)

    def cancel(self, wallet: Wallet, order: SpotOrder) -> SpotOrder:
        """Cancel an order; one of a list takes the whole list with it."""
        if order.list_id < 0:
            return super().cancel(wallet, order)
        self.cancel_list(wallet, wallet.lists[order.list_id].now)
        return self.order(wallet, order.symbol, order.order_id)

    def prevent(
        self, wallet: Wallet, maker: SpotOrder, quantity: Decimal, mode: str = "EXPIRE_TAKER"
    ) -> SpotOrder:
        """Place an order that would meet the wallet's own `maker`; return the taker as it ends.

        `mode` is EXPIRE_TAKER, EXPIRE_MAKER, EXPIRE_BOTH or DECREMENT. Raises Insufficient.
        """
        maker = self.order(wallet, maker.symbol, maker.order_id)
        side = "SELL" if maker.side == "BUY" else "BUY"
        taker = self.new_order(wallet, maker.symbol, side, quantity, price=maker.price, stp_mode=mode)
        self.require(wallet, taker)
        taker = self.save(wallet, replace(taker, working_ms=taker.created_ms))
        self.report(wallet, taker, "NEW")
        met = min(taker.remaining, maker.remaining)
        match = PreventedMatch(
            symbol=maker.symbol,
            match_id=self.next_id(f"prevented {maker.symbol}"),
            taker_order_id=taker.order_id,
            maker_order_id=maker.order_id,
            mode=mode,
            price=maker.price,
            maker_prevented=met if mode == "DECREMENT" else maker.remaining,
            time_ms=taker.updated_ms,
        )
        wallet.prevented.append(match)
        if mode in ("EXPIRE_MAKER", "EXPIRE_BOTH", "DECREMENT"):
            self._prevented(wallet, maker, match, met, taker.order_id)
        if mode in ("EXPIRE_TAKER", "EXPIRE_BOTH", "DECREMENT"):
            taker = self._prevented(wallet, taker, match, met, maker.order_id)
        self.settle(wallet, self.sides(maker), taker.updated_ms)
        return taker

    def _prevented(
        self, wallet: Wallet, order: SpotOrder, match: PreventedMatch, met: Decimal, counter: int
    ) -> SpotOrder:
        last = met if match.mode == "DECREMENT" else order.remaining
        taken = order.prevented + last
        done = order.filled + taken >= order.quantity
        order = self.save(
            wallet,
            replace(
                order,
                prevented=taken,
                prevented_match_id=match.match_id,
                status="EXPIRED_IN_MATCH" if done else order.status,
                updated_ms=self.clock.engine(),
            ),
        )
        told = Prevention(match, last, counter, met if met else ZERO)
        self.report(wallet, order, "TRADE_PREVENTION", prevention=told)
        if done and order.list_id >= 0:
            self.after_fill(wallet, order)
        return order
