"""Plain orders: placing, filling, amending, cancelling, and what each fill does to the money."""

from dataclasses import replace
from decimal import Decimal

from accountd.sim import events
from accountd.sim.accounting import settle, sign
from accountd.sim.engine import Engine
from accountd.sim.model import ZERO, Account, Fill, Order, Position, Symbol


class Matching(Engine):
    """An exchange with one price per symbol: what crosses it trades against the rest of the world."""

    def order(self, account: Account | str, symbol: str, order_id: int) -> Order:
        """Return the newest version of an order; KeyError if there is none."""
        return self.account(account).book(symbol).orders[order_id].now

    def open_orders(self, account: Account | str, symbol: str | None = None) -> list[Order]:
        """Return the open plain orders, of one symbol or of all."""
        books = self.account(account).books
        names = [symbol] if symbol else list(books)
        return [books[n].orders[i].now for n in names if n in books for i in books[n].open_ids]

    def place(
        self,
        account: Account | str,
        symbol: str,
        side: str,
        quantity: Decimal,
        price: Decimal | None = None,
        *,
        time_in_force: str = "GTC",
        reduce_only: bool = False,
        position_side: str = "BOTH",
        client_order_id: str | None = None,
        algo_id: int = 0,
        pieces: int = 1,
    ) -> Order:
        """Place a limit order, or a market order without a price; return its newest version.

        What crosses the mark price is taken in `pieces` fills; IOC and FOK never rest, GTX never takes.
        Raises ValueError for a quantity that is not positive or a position side of the wrong mode.
        """
        account, now = self.account(account), self.clock.engine()
        if quantity <= 0 or (position_side == "BOTH") == account.hedge:
            raise ValueError(f"quantity {quantity} and position side {position_side} make no order here")
        order = Order(
            symbol=symbol,
            order_id=self.next_id(f"order {symbol}"),
            client_order_id=client_order_id or self.word(22),
            side=side,
            position_side=position_side,
            type="MARKET" if price is None else "LIMIT",
            time_in_force=time_in_force,
            quantity=quantity,
            price=price or ZERO,
            status="NEW",
            filled=ZERO,
            quote=ZERO,
            reduce_only=reduce_only,
            close_position=False,
            created_ms=now,
            updated_ms=now,
            algo_id=algo_id,
        )
        self._save_order(account, order)
        self._tell_order(account, order, "NEW")
        return self._match_at_entry(account, order, pieces)

    def _match_at_entry(self, account: Account, order: Order, pieces: int) -> Order:
        mark = self.marks[order.symbol]
        crosses = order.type == "MARKET" or (order.price - mark) * sign(order.side) >= 0
        if crosses and order.time_in_force == "GTX":
            return self.expire(account, order, "5")
        if crosses:
            self._take(account, order, mark, pieces)
        order = self.order(account, order.symbol, order.order_id)
        if order.open and order.time_in_force in ("IOC", "FOK"):
            return self.expire(account, order, "2")
        return order

    def _take(self, account: Account, order: Order, price: Decimal, pieces: int) -> None:
        step = Decimal(1).scaleb(-self.symbols[order.symbol].quantity_places)
        piece = max(step, (order.quantity / pieces).quantize(step))
        while order.open:
            self.fill(account, order, min(piece, order.remaining), price, maker=False)
            order = self.order(account, order.symbol, order.order_id)

    def fill(
        self,
        account: Account | str,
        order: Order,
        quantity: Decimal | None = None,
        price: Decimal | None = None,
        *,
        maker: bool = True,
    ) -> Fill | None:
        """Fill an open order (its rest, at its own price, unless told otherwise) and tell it.

        A reduce-only order fills no more than closes its position, then expires; None if nothing was left.
        Raises ValueError if the order is not open or the quantity is larger than its rest.
        """
        account = self.account(account)
        order = self.order(account, order.symbol, order.order_id)
        quantity = order.remaining if quantity is None else quantity
        if not order.open or not 0 < quantity <= order.remaining:
            raise ValueError(f"order {order.order_id} cannot fill {quantity}")
        if order.reduce_only:
            held = account.position(order.symbol, order.position_side).quantity
            quantity = min(quantity, max(ZERO, -held * sign(order.side)))
            if not quantity:
                self.expire(account, order, "4")
                return None
        price = price or order.price or self.marks[order.symbol]
        return self._execute(account, order, quantity, price, maker)

    def worth(self, symbol: Symbol, price: Decimal, quantity: Decimal) -> Decimal:
        """Return what a quantity is worth at a price, in the asset that margin is kept in."""
        return price * quantity

    def settle(self, position: Position, fill: Fill) -> tuple[Position, Decimal]:
        """Apply a fill to a position; return what it becomes, and the profit in the margin's asset."""
        return settle(position, fill)

    def _execute(
        self, account: Account, order: Order, quantity: Decimal, price: Decimal, maker: bool
    ) -> Fill:
        symbol, now = self.symbols[order.symbol], self.clock.engine()
        quote = self.worth(symbol, price, quantity)
        commission, fee_asset = self._commission(account, symbol, quote, maker)
        fill = Fill(
            symbol=order.symbol,
            trade_id=self.next_id(f"trade {order.symbol}"),
            order_id=order.order_id,
            client_order_id=order.client_order_id,
            side=order.side,
            position_side=order.position_side,
            price=price,
            quantity=quantity,
            quote=quote,
            commission=commission,
            commission_asset=fee_asset,
            realized_pnl=ZERO,
            maker=maker,
            time_ms=now,
        )
        position, profit = self.settle(account.position(order.symbol, order.position_side), fill)
        fill = replace(fill, realized_pnl=profit)
        filled = order.filled + quantity
        status = "FILLED" if filled == order.quantity else "PARTIALLY_FILLED"
        spent = order.quote + price * quantity
        order = replace(order, filled=filled, quote=spent, status=status, updated_ms=now)
        account.book(order.symbol).fills.append(fill)
        self._save_order(account, order)
        self._set_position(account, position)
        self._book_fill(account, symbol, fill)
        self._tell_fill(account, symbol, order, fill)
        self.on_order_done(account, order)
        return fill

    def _book_fill(self, account: Account, symbol: Symbol, fill: Fill) -> None:
        tran_id, trade = self._next_tran(account, "TRADE"), str(fill.trade_id)
        rows = (
            ("REALIZED_PNL", fill.realized_pnl, symbol.quote),
            ("COMMISSION", -fill.commission, fill.commission_asset),
        )
        for kind, amount, asset in rows:
            if amount:
                self._book_income(account, kind, symbol.name, amount, asset, fill.time_ms, trade, tran_id)
                self._pay(account, asset, amount, fill.time_ms)

    def _tell_fill(self, account: Account, symbol: Symbol, order: Order, fill: Fill) -> None:
        if self.trade_lite:
            self.emit(account, events.trade_lite(order, fill, symbol))
        notionals = self.notionals(account, symbol.name)
        told = events.order_trade_update(order, symbol, "TRADE", fill.time_ms, fill, notionals)
        self.emit(account, told)
        assets = dict.fromkeys((symbol.quote, fill.commission_asset))
        balances = [events.balance_row(asset, account.balance(asset)) for asset in assets]
        rows = self._position_rows(account, symbol)
        self.emit(account, events.account_update("ORDER", fill.time_ms, balances, rows))

    def on_order_done(self, account: Account, order: Order) -> None:
        """Hear of every order that filled or ended; conditional orders finish here."""

    def _end(self, account: Account, order: Order, status: str, reason: str) -> Order:
        order = self.order(account, order.symbol, order.order_id)
        if not order.open:
            raise ValueError(f"order {order.order_id} is {order.status}")
        ended = replace(order, status=status, updated_ms=self.clock.engine(), expiry_reason=reason)
        self._save_order(account, ended)
        self._tell_order(account, ended, "CANCELED" if status == "CANCELED" else "EXPIRED")
        self.on_order_done(account, ended)
        return ended

    def cancel(self, account: Account | str, order: Order) -> Order:
        """Cancel an open order; ValueError if it is not open."""
        return self._end(self.account(account), order, "CANCELED", "0")

    def expire(
        self, account: Account | str, order: Order, reason: str = "2", status: str = "EXPIRED"
    ) -> Order:
        """Expire an open order; `reason` is the venue's `er`, `status` EXPIRED or EXPIRED_IN_MATCH."""
        return self._end(self.account(account), order, status, reason)

    def amend(self, account: Account | str, order: Order, quantity: Decimal, price: Decimal) -> Order:
        """Change quantity and price of an open limit order.

        Raises ValueError if the order is not open or the quantity is not above what is filled.
        """
        account = self.account(account)
        order = self.order(account, order.symbol, order.order_id)
        if not order.open or quantity <= order.filled:
            raise ValueError(f"order {order.order_id} cannot become {quantity}")
        changed = replace(order, quantity=quantity, price=price, updated_ms=self.clock.engine())
        account.amendments.append({"before": order, "after": changed, "id": self.next_id("amendment")})
        self._save_order(account, changed)
        self._tell_order(account, changed, "AMENDMENT")
        return changed

    def tick(self, symbol: str, price: Decimal) -> None:
        """Move the price: resting orders that it crosses fill at their own price as maker."""
        self.marks[symbol] = price
        for account in self.accounts.values():
            for order in self.open_orders(account, symbol):
                still = account.book(symbol).orders[order.order_id].now.open
                if still and order.type == "LIMIT" and (order.price - price) * sign(order.side) >= 0:
                    self.fill(account, order)

    def burst(self, account: Account | str, count: int, symbol: str = "BTCUSDT") -> list[Fill]:
        """Make `count` fills at once: one order bought and sold in pieces of the smallest step."""
        account = self.account(account)
        step = Decimal(1).scaleb(-self.symbols[symbol].quantity_places)
        position_side = "LONG" if account.hedge else "BOTH"
        before = len(account.book(symbol).fills)
        held = account.position(symbol, position_side).quantity
        side = "SELL" if held > 0 and (not account.hedge or held >= step * count) else "BUY"
        self.place(account, symbol, side, step * count, position_side=position_side, pieces=count)
        return account.book(symbol).fills[before:]
