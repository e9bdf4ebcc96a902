"""What happens to spot orders: placed, filled, amended, cancelled, replaced, expired, triggered."""

from dataclasses import replace
from decimal import Decimal
from typing import Any

from accountd.sim.accounting import booked
from accountd.sim.model import ZERO
from accountd.sim.spot_engine import Insufficient, SpotEngine
from accountd.sim.spot_model import SpotFill, SpotOrder, Wallet

STOPS = ("STOP_LOSS", "STOP_LOSS_LIMIT", "TAKE_PROFIT", "TAKE_PROFIT_LIMIT")


class SpotMatching(SpotEngine):
    """Moves orders of a wallet against an unlimited market at the price."""

    def order(self, wallet: Wallet, symbol: str, order_id: int) -> SpotOrder:
        """Return the newest version of an order; KeyError if unknown."""
        return wallet.orders[symbol, order_id].now

    def new_order(self, wallet: Wallet, symbol: str, side: str, quantity: Decimal, **more: Any) -> SpotOrder:
        """Return an order that nobody has seen yet."""
        now = self.clock.engine()
        price = more.pop("price", None)
        return SpotOrder(
            symbol=symbol,
            order_id=self.next_id(f"order {symbol}"),
            client_order_id=more.pop("client_id", None) or self.word(),
            side=side,
            type=more.pop("type", "MARKET" if price is None else "LIMIT"),
            time_in_force=more.pop("time_in_force", "GTC"),
            quantity=quantity,
            price=price or ZERO,
            status=more.pop("status", "NEW"),
            created_ms=now,
            updated_ms=now,
            **more,
        )

    def require(self, wallet: Wallet, order: SpotOrder) -> None:
        """Raise Insufficient unless the wallet can pay for an order."""
        symbol = self.symbols[order.symbol]
        if order.side == "BUY":
            asset = symbol.quote
            needed = order.quantity * (order.price or self.prices[symbol.name] * Decimal("1.01"))
        else:
            asset, needed = symbol.base, order.quantity
        if wallet.holding(asset).free < needed:
            raise Insufficient(f"{asset}: {needed} needed")

    def place(
        self,
        wallet: Wallet,
        symbol: str,
        side: str,
        quantity: Decimal,
        price: Decimal | None = None,
        *,
        pieces: int = 1,
        fills: Decimal | None = None,
        **more: Any,
    ) -> SpotOrder:
        """Place an order: limit with a price, else market, which fills at once in `pieces`.

        An IOC or FOK order fills `fills` (default: all or nothing by chance of its price) and the rest
        expires. Raises Insufficient.
        """
        order = self.new_order(wallet, symbol, side, quantity, price=price, **more)
        self.require(wallet, order)
        if order.type not in STOPS:
            order = replace(order, working_ms=order.created_ms)
        if price is None and order.type == "MARKET":
            return self._take(wallet, order, pieces)
        self.save(wallet, order)
        self.report(wallet, order, "NEW")
        if order.time_in_force in ("IOC", "FOK"):
            return self._immediate(wallet, order, fills)
        self.settle(wallet, self.sides(order), order.updated_ms)
        return order

    def _take(self, wallet: Wallet, order: SpotOrder, pieces: int) -> SpotOrder:
        # As in the documents' sample: NEW, the fills, and one account position, all with one time.
        self.save(wallet, order)
        self.report(wallet, order, "NEW")
        deltas: dict[str, Decimal] = {}
        step = Decimal(1).scaleb(-self.symbols[order.symbol].quantity_places)
        part = (order.quantity / pieces).quantize(step)
        while order.open:
            last = order.remaining <= part + step or part == 0
            order = self._execute(
                wallet, order, order.remaining if last else part, None, maker=False, deltas=deltas
            )
        self.settle(wallet, deltas, order.updated_ms)
        return order

    def _immediate(self, wallet: Wallet, order: SpotOrder, fills: Decimal | None) -> SpotOrder:
        crosses = (order.price >= self.prices[order.symbol]) == (order.side == "BUY")
        wanted = fills if fills is not None else (order.quantity if crosses else ZERO)
        deltas = self.sides(order)
        if wanted and (order.time_in_force == "IOC" or wanted == order.quantity):
            order = self._execute(wallet, order, wanted, order.price, maker=False, deltas=deltas)
        if order.open:
            reason = f"UNFILLED_{order.time_in_force}_" + (
                "QUANTITY_EXPIRED" if order.time_in_force == "IOC" else "ORDER_EXPIRED"
            )
            order = self.save(wallet, replace(order, status="EXPIRED", expiry_reason=reason))
            self.report(wallet, order, "EXPIRED")
        self.settle(wallet, deltas, order.updated_ms)
        return order

    def _execute(
        self,
        wallet: Wallet,
        order: SpotOrder,
        quantity: Decimal,
        price: Decimal | None,
        *,
        maker: bool,
        deltas: dict[str, Decimal],
        allocated: bool = False,
    ) -> SpotOrder:
        """Fill a quantity; balances are added to `deltas`, for the caller to settle."""
        symbol, now = self.symbols[order.symbol], self.clock.engine()
        at = price if price is not None else self.prices[symbol.name]
        quote = booked(quantity * at)
        fee, fee_asset = self.commission(wallet, symbol, order.side, quantity, quote)
        filled = order.filled + quantity
        done = filled + order.prevented >= order.quantity
        order = self.save(
            wallet,
            replace(
                order,
                filled=filled,
                quote=order.quote + quote,
                status="FILLED" if done else "PARTIALLY_FILLED",
                updated_ms=now,
            ),
        )
        fill = SpotFill(
            symbol=symbol.name,
            trade_id=-1 if allocated else self.next_id(f"trade {symbol.name}"),
            order_id=order.order_id,
            client_order_id=order.client_order_id,
            list_id=order.list_id,
            side=order.side,
            price=at,
            quantity=quantity,
            quote=quote,
            commission=fee,
            commission_asset=fee_asset,
            maker=maker,
            time_ms=now,
            allocation_id=self.next_id(f"allocation {symbol.name}") if allocated else -1,
        )
        wallet.fills.append(fill)
        sign = 1 if order.side == "BUY" else -1
        for asset, delta in (
            (symbol.base, sign * quantity),
            (symbol.quote, -sign * quote),
            (fee_asset, -fee),
        ):
            deltas[asset] = deltas.get(asset, ZERO) + delta
        self.report(wallet, order, "TRADE", fill=fill)
        return order

    def fill(
        self, wallet: Wallet, order: SpotOrder, quantity: Decimal | None = None, price: Decimal | None = None
    ) -> SpotOrder:
        """Fill an open order as maker, wholly or in part; what hangs on it follows."""
        order, deltas = self.order(wallet, order.symbol, order.order_id), self.sides(order)
        amount = min(order.remaining, quantity or order.remaining)
        order = self._execute(wallet, order, amount, price or order.price or None, maker=True, deltas=deltas)
        self.settle(wallet, deltas, order.updated_ms)
        self.after_fill(wallet, order)
        return order

    def after_fill(self, wallet: Wallet, order: SpotOrder) -> None:
        """Do what an order list asks for after a fill."""

    def sor(self, wallet: Wallet, symbol: str, side: str, quantity: Decimal, pieces: int = 2) -> SpotOrder:
        """Place an order through smart order routing: it fills as allocations, which are no trades."""
        order = self.new_order(wallet, symbol, side, quantity, used_sor=True)
        self.require(wallet, order)
        order = self.save(wallet, replace(order, working_ms=order.created_ms))
        self.report(wallet, order, "NEW")
        deltas: dict[str, Decimal] = {}
        step = Decimal(1).scaleb(-self.symbols[symbol].quantity_places)
        part = max(step, (quantity / pieces).quantize(step))
        while order.open:
            amount = order.remaining if order.remaining < 2 * part else part
            order = self._execute(wallet, order, amount, None, maker=False, deltas=deltas, allocated=True)
        self.settle(wallet, deltas, order.updated_ms)
        return order

    def cancel(self, wallet: Wallet, order: SpotOrder) -> SpotOrder:
        """Cancel an order; the event names the cancel request and, beside, the order's own id."""
        order = self.order(wallet, order.symbol, order.order_id)
        order = self.save(wallet, replace(order, status="CANCELED", updated_ms=self.clock.engine()))
        self.report(wallet, order, "CANCELED", client_id=self.word(), original_id=order.client_order_id)
        self.settle(wallet, self.sides(order), order.updated_ms)
        return order

    def amend(self, wallet: Wallet, order: SpotOrder, quantity: Decimal) -> SpotOrder:
        """Make an order smaller and keep its place; it gets a new client id.

        Raises ValueError unless filled < quantity < the present quantity.
        """
        order = self.order(wallet, order.symbol, order.order_id)
        if not order.filled + order.prevented < quantity < order.quantity:
            raise ValueError("an amended quantity lies between what is filled and what was asked for")
        before = order
        order = self.save(
            wallet,
            replace(order, quantity=quantity, client_order_id=self.word(), updated_ms=self.clock.engine()),
        )
        number = self.report(wallet, order, "REPLACED", original_id=before.client_order_id)
        wallet.amendments.append(
            {
                "symbol": order.symbol,
                "orderId": order.order_id,
                "executionId": number,
                "origClientOrderId": before.client_order_id,
                "newClientOrderId": order.client_order_id,
                "origQty": before.quantity,
                "newQty": quantity,
                "time": order.updated_ms,
            }
        )
        self.settle(wallet, self.sides(order), order.updated_ms)
        return order

    def cancel_replace(
        self, wallet: Wallet, order: SpotOrder, quantity: Decimal, price: Decimal
    ) -> SpotOrder | None:
        """Cancel an order and place another; None where the new one is rejected for want of money."""
        self.cancel(wallet, order)
        try:
            return self.place(wallet, order.symbol, order.side, quantity, price)
        except Insufficient:
            self.reject(wallet, order.symbol, order.side, quantity, price)
            return None

    def reject(self, wallet: Wallet, symbol: str, side: str, quantity: Decimal, price: Decimal) -> None:
        """Tell the rejection of an order, which never existed."""
        order = self.new_order(wallet, symbol, side, quantity, price=price, status="REJECTED")
        self.report(wallet, order, "REJECTED", reject="INSUFFICIENT_BALANCES")

    def expire(self, wallet: Wallet, order: SpotOrder, reason: str = "EXCHANGE_CANCELED") -> SpotOrder:
        """Expire an order, as the venue does of its own accord."""
        order = self.order(wallet, order.symbol, order.order_id)
        order = self.save(
            wallet,
            replace(order, status="EXPIRED", expiry_reason=reason, updated_ms=self.clock.engine()),
        )
        self.report(wallet, order, "EXPIRED")
        self.settle(wallet, self.sides(order), order.updated_ms)
        return order

    def trigger(self, wallet: Wallet, order: SpotOrder) -> SpotOrder:
        """Put a stop order on the book: told as NEW again, now working."""
        order, now = self.order(wallet, order.symbol, order.order_id), self.clock.engine()
        order = self.save(wallet, replace(order, status="NEW", working_ms=now, updated_ms=now))
        self.report(wallet, order, "NEW")
        self.settle(wallet, self.sides(order), now)
        return order

    def drift(self, symbol: str, fraction: Decimal) -> None:
        """Move the price by a signed fraction of itself, rounded to the tick."""
        step = Decimal(1).scaleb(-self.symbols[symbol].price_places)
        self.prices[symbol] = max(step, (self.prices[symbol] * (1 + fraction)).quantize(step))
