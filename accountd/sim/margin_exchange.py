"""Margin beside spot: cross and isolated wallets, loans, interest, transfers, liquidations, risk events."""

from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from typing import Any

from accountd.sim.model import ZERO, Account, Versions
from accountd.sim.spot_events import Event, eight
from accountd.sim.spot_exchange import SpotExchange
from accountd.sim.spot_model import STEP, Flow, Move, SpotOrder, Wallet

RATE = Decimal("0.00013233")
CROSS_WEALTH = {"USDT": Decimal("200000"), "BTC": Decimal("3"), "ETH": Decimal("40"), "BNB": Decimal("50")}
PAIR_SHARE = Decimal("0.05")


class MarginExchange(SpotExchange):
    """Spot with margin wallets: `open_cross` and `open_isolated` first, then trade on them as on spot.

    `silent_loans` leaves a loan or its repayment untold on the trade stream, as the documents allow.
    """

    silent_loans = False

    def listen_risk(self, listener: Callable[[Wallet, Event], None]) -> None:
        """Call `listener(wallet, event)` for every event of the cross risk stream from now on."""
        self.risk_listeners.append(listener)

    def __init__(self, *args: Any, **more: Any) -> None:
        super().__init__(*args, **more)
        self.risk_listeners: list[Callable[[Wallet, Event], None]] = []

    def open_cross(self, account: Account | str) -> Wallet:
        """Open the cross margin account and bring money in from spot."""
        wallet = self.wallet(account, "margin")
        for asset, amount in CROSS_WEALTH.items() if not wallet.moves else ():
            self.margin_transfer(wallet, asset, amount)
        return wallet

    def open_isolated(self, account: Account | str, pair: str) -> Wallet:
        """Open the isolated account of a pair and bring money in from spot."""
        wallet, symbol = self.wallet(account, "isolated", pair), self.symbols[pair]
        for asset in (symbol.base, symbol.quote) if not wallet.moves else ():
            self.margin_transfer(wallet, asset, (self.wealth[asset] * PAIR_SHARE).quantize(STEP))
        return wallet

    def opened(self, account: Account | str, market: str) -> list[Wallet]:
        """Return the margin wallets of an account in a market."""
        name = account if isinstance(account, str) else account.name
        return [w for w in self.wallets.values() if (w.owner, w.market) == (name, market)]

    def margin_transfer(self, wallet: Wallet, asset: str, amount: Decimal) -> Move:
        """Move money from spot into a margin wallet (positive) or back; both sides are told."""
        place = "MARGIN" if wallet.market == "margin" else "ISOLATED_MARGIN"
        short = "MARGIN" if wallet.market == "margin" else "ISOLATEDMARGIN"
        inward = amount > 0
        spot = self.wallet(wallet.owner)
        self.transfer(spot, asset, -amount, f"MAIN_{short}" if inward else f"{short}_MAIN")
        return self.move(
            wallet,
            "transfer",
            asset,
            amount,
            type="ROLL_IN" if inward else "ROLL_OUT",
            transFrom="SPOT" if inward else place,
            transTo=place if inward else "SPOT",
        )

    def borrow(self, wallet: Wallet, asset: str, amount: Decimal, *, auto: bool = False) -> Move:
        """Borrow an amount, which is free at once; the first interest is due at once."""
        row = self._lend(wallet, asset, amount, amount, ZERO, auto=auto)
        self.accrue(wallet, asset, kind="ON_BORROW")
        return row

    def repay(self, wallet: Wallet, asset: str, amount: Decimal, *, auto: bool = False) -> Move:
        """Repay up to an amount, interest first.

        Raises ValueError if nothing is owed or the free balance does not suffice.
        """
        held = wallet.holding(asset)
        amount = min(amount, held.borrowed + held.interest)
        if not 0 < amount <= held.free:
            raise ValueError(f"{asset}: nothing to repay, or nothing to repay it with")
        interest = min(amount, held.interest)
        return self._lend(wallet, asset, -amount, -(amount - interest), -interest, auto=auto)

    def _lend(
        self,
        wallet: Wallet,
        asset: str,
        amount: Decimal,
        principal: Decimal,
        interest: Decimal,
        *,
        auto: bool,
    ) -> Move:
        now, kind = self.clock.engine(), "borrow" if amount > 0 else "repay"
        held = wallet.holding(asset)
        owed = replace(held, borrowed=held.borrowed + principal, interest=held.interest + interest)
        wallet.holdings.setdefault(asset, Versions()).set(now, owed)
        detail = {
            "type": "AUTO" if auto else "MANUAL",
            "principal": abs(principal),
            "interest": abs(interest),
        }
        row = Move(kind, self.next_id("move loan"), asset, amount, now, detail=dict(detail))
        wallet.moves.append(row)
        self._flow(wallet, row.number, asset, kind.upper(), abs(amount), now)
        if self.silent_loans:
            self.book(wallet, {asset: amount}, now)
        else:
            self.settle(wallet, {asset: amount}, now)
        self._liability(wallet, asset, kind.upper(), now)
        return row

    def accrue(self, wallet: Wallet, asset: str, kind: str = "PERIODIC") -> Move | None:
        """Charge an hour's interest on what is owed; it is added to the debt, not taken from the balance."""
        held, now = wallet.holding(asset), self.clock.engine()
        amount = (held.borrowed * RATE / 24).quantize(STEP)
        if not amount:
            return None
        wallet.holdings[asset].set(now, replace(held, interest=held.interest + amount))
        detail = {"type": kind, "principal": held.borrowed}
        number = 1_352_286_576_452_864_727 + self.next_id("move interest")
        row = Move("interest", number, asset, -amount, now, detail=dict(detail))
        wallet.moves.append(row)
        self._liability(wallet, asset, "INTEREST", now)
        return row

    def liquidate(self, wallet: Wallet, symbol: str, quantity: Decimal, side: str = "SELL") -> SpotOrder:
        """Trade by force, with a liquidation fee in the quote asset and a row of the liquidation record."""
        self.risk_level(wallet, "FORCE_LIQUIDATION", Decimal("1.09"))
        order = self.place(wallet, symbol, side, quantity)
        now, quote = order.updated_ms, self.symbols[symbol].quote
        wallet.liquidations.append(order)
        fee = (order.quote * Decimal("0.02")).quantize(STEP)
        row = Move("liquidation_fee", self.next_id("move liquidation"), quote, -fee, now)
        wallet.moves.append(row)
        self._flow(wallet, row.number, quote, "LIQUIDATION_FEE", -fee, now)
        self.settle(wallet, {quote: -fee}, now)
        return order

    def risk_level(
        self, wallet: Wallet, status: str = "MARGIN_CALL", level: Decimal = Decimal("1.1")
    ) -> None:
        """Tell the margin level of the cross account; isolated accounts have no such stream."""
        event = {"e": "MARGIN_LEVEL_STATUS_CHANGE", "E": self.clock.engine(), "l": str(level), "s": status}
        self._risk(wallet, event)

    def _liability(self, wallet: Wallet, asset: str, kind: str, now: int) -> None:
        held = wallet.holding(asset)
        owed = {"p": eight(held.borrowed), "i": eight(held.interest)}
        self._risk(wallet, {"e": "USER_LIABILITY_CHANGE", "E": now, "a": asset, "t": kind} | owed)

    def _risk(self, wallet: Wallet, event: Event) -> None:
        for listener in tuple(self.risk_listeners) if wallet.market == "margin" else ():
            listener(wallet, event)

    def move(
        self,
        wallet: Wallet,
        kind: str,
        asset: str,
        amount: Decimal,
        *,
        fee: Decimal = ZERO,
        told: bool = True,
        **detail: object,
    ) -> Move:
        """Book a signed amount that is no trade; on margin it is a row of the capital flow too."""
        row = super().move(wallet, kind, asset, amount, fee=fee, told=told, **detail)
        self._flow(wallet, row.number, asset, kind.upper(), amount, row.time_ms)
        return row

    def _flow(self, wallet: Wallet, number: int, asset: str, kind: str, amount: Decimal, now: int) -> None:
        if wallet.market != "spot":
            wallet.flows.append(Flow(self.next_id("flow"), number, asset, kind, amount, now))

    def _execute(self, wallet: Wallet, order: SpotOrder, *args: Any, **more: Any) -> SpotOrder:
        order = super()._execute(wallet, order, *args, **more)
        fill, symbol = wallet.fills[-1], self.symbols[order.symbol]
        legs = ((symbol.base, fill.quantity), (symbol.quote, fill.quote))
        for (asset, amount), word in zip(
            legs if fill.side == "BUY" else legs[::-1], ("INCOME", "EXPENSE"), strict=True
        ):
            signed = amount if word == "INCOME" else -amount
            self._flow(wallet, fill.trade_id, asset, f"{fill.side}_{word}", signed, fill.time_ms)
        if fill.commission:
            self._flow(
                wallet,
                fill.trade_id,
                fill.commission_asset,
                "TRADING_COMMISSION",
                -fill.commission,
                fill.time_ms,
            )
        return order

    def explained_balance(self, wallet: Wallet, asset: str) -> Decimal:
        """Return what fills and moves make of an asset; interest only adds to what is owed."""
        accrued = sum((m.amount for m in wallet.moves if (m.kind, m.asset) == ("interest", asset)), ZERO)
        return super().explained_balance(wallet, asset) - accrued
