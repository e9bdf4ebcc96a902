"""The REST pages of Binance margin, cross and isolated, from page to what they tell.

Venue pages: docs/margin_trading (account, trade, borrow-and-repay, transfer). A page of an isolated pair
names its lane behind an ``@`` in its kind, because not every row names the pair.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from decimal import ROUND_DOWN, Decimal
from functools import partial

import msgspec

from accountd.core.told import BALANCES, ORDERS, Balance, Told, Transfer
from accountd.venues.base import moment
from accountd.venues.binance_pages import PageKind, Pages, Tell, every_row, listed_rows, single_row
from accountd.venues.binance_spot_rows import (
    HoldingRow,
    ListRow,
    OrderRow,
    TradeRow,
    holding,
    order,
    order_list,
    trade,
)
from accountd.venues.binance_spot_wire import total
from accountd.venues.wire import EXACT, check, need, negated, product

CROSS = "margin"
ISOLATED = "isolated"
DONE = ("CONFIRMED", "CONFIRM", "")
STEP = Decimal("0.00000001")  # what the venue keeps of a quote amount
SECONDS = 10**11  # a time of fewer digits is in seconds, as in the venue's sample
# Rows of the capital flow that other histories tell: trades, loans, transfers.
TOLD_ELSEWHERE = frozenset(
    {
        "TRANSFER", "BORROW", "REPAY", "BUY_INCOME", "BUY_EXPENSE", "SELL_INCOME", "SELL_EXPENSE",
        "TRADING_COMMISSION",
    }
)  # fmt: skip
PAID = frozenset({"LIQUIDATION_FEE"})  # told with or without a sign


class CrossAccount(msgspec.Struct, rename="camel", gc=False):
    """GET margin/account, of which the balances are believed."""

    user_assets: list[msgspec.Raw]


class PairSide(msgspec.Struct, gc=False):
    """One side of an isolated account."""

    asset: str
    free: Decimal
    locked: Decimal


class PairRow(msgspec.Struct, rename="camel", gc=False):
    """One pair of GET margin/isolated/account."""

    symbol: str
    base_asset: PairSide
    quote_asset: PairSide
    isolated_created: bool = True
    margin_level_status: str = ""


class PairsAccount(msgspec.Struct, gc=False):
    """GET margin/isolated/account."""

    assets: list[msgspec.Raw]


class InterestRow(msgspec.Struct, rename="camel", gc=False):
    """One row of GET margin/interestHistory; ``asset`` is what the interest is owed in."""

    asset: str
    interest: Decimal
    interest_accured_time: int
    tx_id: int = 0
    type: str = ""
    isolated_symbol: str = ""


class LoanRow(msgspec.Struct, rename="camel", gc=False):
    """One row of GET margin/borrow-repay; ``amount`` is principal and interest together."""

    asset: str
    amount: Decimal
    timestamp: int
    tx_id: int
    status: str = ""
    type: str = ""
    isolated_symbol: str = ""


class FlowRow(msgspec.Struct, rename="camel", gc=False):
    """One row of GET margin/capital-flow."""

    id: int
    timestamp: int
    asset: str
    type: str
    amount: Decimal
    symbol: str = ""
    note: str | None = None


class MoveRow(msgspec.Struct, rename="camel", gc=False):
    """One row of GET margin/transfer."""

    asset: str
    amount: Decimal
    timestamp: int
    tx_id: int
    type: str
    status: str = ""
    trans_from: str = ""
    trans_to: str = ""
    from_symbol: str = ""
    to_symbol: str = ""


_cross = msgspec.json.Decoder(CrossAccount)
_pairs = msgspec.json.Decoder(PairsAccount)


def pair_asset(pair: str, asset: str) -> str:
    """Return the name of an isolated account's balance; that of cross is the asset's own."""
    return f"{pair}:{asset}" if pair else asset


def pair_holdings(row: PairRow, as_of: datetime, market: str) -> list[Told]:
    """Tell both balances of an isolated account, under the pair's name."""
    told: list[Told] = []
    for side in (row.base_asset, row.quote_asset):
        check(side.free, side.locked)
        held = total(side.free, side.locked)
        if held:
            told.append(
                Balance(
                    market=market, asset=pair_asset(row.symbol, side.asset), total=held, free=side.free,
                    locked=side.locked, as_of=as_of, seen_at=None,
                )
            )  # fmt: skip
    return told


def margin_trade(row: TradeRow, as_of: datetime, market: str) -> Told:
    """Tell a trade. The quote amount is not told here; the stream tells it cut to eight places."""
    if row.quote_qty is None:
        exact = product(row.price, row.qty)
        cut = exact.quantize(STEP, rounding=ROUND_DOWN, context=EXACT)
        row.quote_qty = exact if cut == exact else cut
    return trade(row, as_of, market)


def interest(row: InterestRow, as_of: datetime, market: str, lane: str = "") -> Told:
    """Tell interest that fell due: it is added to what is owed, the balance stays."""
    check(row.interest)
    need(row.asset)
    pair = (row.isolated_symbol or lane) if market == ISOLATED else ""
    return Transfer(
        market=market,
        kind="interest",
        transfer_id=str(row.tx_id) if row.tx_id else f"{row.type}:{row.interest_accured_time}",
        asset=pair_asset(pair, row.asset),
        amount=negated(row.interest) or row.interest,
        occurred_at=moment(row.interest_accured_time),
        symbol=pair or None,
        info=row.type or None,
    )


def loan(row: LoanRow, as_of: datetime, market: str, lane: str = "", *, kind: str = "borrow") -> list[Told]:
    """Tell what was borrowed, or repaid with its interest; one that failed moved nothing."""
    check(row.amount)
    need(row.asset)
    if row.status not in DONE:
        return []
    pair = (row.isolated_symbol or lane) if market == ISOLATED else ""
    amount = row.amount if kind == "borrow" else negated(row.amount) or row.amount
    return [
        Transfer(
            market=market, kind=kind, transfer_id=str(row.tx_id), asset=pair_asset(pair, row.asset),
            amount=amount, occurred_at=moment(row.timestamp), symbol=pair or None, info=row.type or None,
        )
    ]  # fmt: skip


def flow(row: FlowRow, as_of: datetime, market: str, lane: str = "") -> list[Told]:
    """Tell what no other history tells: liquidations and their fees, conversions, returned commission."""
    check(row.amount)
    need(row.asset, row.type)
    if row.type in TOLD_ELSEWHERE:
        return []
    pair = (row.symbol or lane) if market == ISOLATED else ""
    amount = row.amount
    if row.type in PAID and amount > 0:
        amount = amount.copy_negate()
    return [
        Transfer(
            market=market, kind=row.type.lower(), transfer_id=str(row.id), asset=pair_asset(pair, row.asset),
            amount=amount, occurred_at=moment(row.timestamp), symbol=row.symbol or pair or None,
            info=row.note or None,
        )
    ]  # fmt: skip


def move(row: MoveRow, as_of: datetime, market: str, lane: str = "") -> list[Told]:
    """Tell a transfer in or out; one between two isolated accounts is told on both sides."""
    check(row.amount)
    need(row.asset, row.type)
    if row.status not in DONE:
        return []
    at = moment(row.timestamp * 1000 if row.timestamp < SECONDS else row.timestamp)
    places = f"{row.trans_from} > {row.trans_to}" if row.trans_from and row.trans_to else row.type
    sides: list[tuple[str, Decimal]] = []
    if market == ISOLATED and (row.from_symbol or row.to_symbol):
        if row.from_symbol:
            sides.append((row.from_symbol, row.amount.copy_negate()))
        if row.to_symbol:
            sides.append((row.to_symbol, row.amount))
    else:
        sides.append((lane, row.amount if row.type == "ROLL_IN" else row.amount.copy_negate()))
    return [
        Transfer(
            market=market, kind="transfer", transfer_id=str(row.tx_id), asset=pair_asset(pair, row.asset),
            amount=amount, occurred_at=at, symbol=pair or None, info=places,
        )
        for pair, amount in sides
    ]  # fmt: skip


def _kinds(market: str, lane: str, account: PageKind) -> dict[str, PageKind]:
    def told(tell: Callable[..., Told | list[Told]]) -> Tell:
        return partial(tell, lane=lane)

    # A page of one isolated pair lists the open orders of that pair, not all that there are.
    listing = None if market == ISOLATED else ORDERS
    return {
        "account": account,
        "open_orders": PageKind(market=market, split=every_row, row=OrderRow, tell=order, lists=listing),
        "orders": PageKind(market=market, split=every_row, row=OrderRow, tell=order),
        "order": PageKind(market=market, split=single_row, row=OrderRow, tell=order),
        "fills": PageKind(market=market, split=every_row, row=TradeRow, tell=margin_trade),
        "order_lists": PageKind(market=market, split=every_row, row=ListRow, tell=order_list),
        "interest": PageKind(market=market, split=listed_rows, row=InterestRow, tell=told(interest)),
        "loans": PageKind(market=market, split=listed_rows, row=LoanRow, tell=told(loan)),
        "repayments": PageKind(
            market=market, split=listed_rows, row=LoanRow, tell=told(partial(loan, kind="repay"))
        ),
        "capital_flow": PageKind(market=market, split=every_row, row=FlowRow, tell=told(flow)),
        "moves": PageKind(market=market, split=listed_rows, row=MoveRow, tell=told(move)),
    }


def _cross_account(market: str) -> PageKind:
    return PageKind(
        market=market, split=lambda body: _cross.decode(body).user_assets, row=HoldingRow, tell=holding,
        lists=BALANCES,
    )  # fmt: skip


def _pairs_account(market: str) -> PageKind:
    return PageKind(
        market=market, split=lambda body: _pairs.decode(body).assets, row=PairRow, tell=pair_holdings,
        lists=BALANCES,
    )  # fmt: skip


class MarginPages(Pages):
    """Pages whose kind may name an isolated pair: ``interest@BTCUSDT``."""

    def __init__(self, market: str) -> None:
        self.market = market
        account = _pairs_account(market) if market == ISOLATED else _cross_account(market)
        self.account = account
        super().__init__(_kinds(market, "", account))
        self._lanes: dict[str, Pages] = {}

    def _of(self, lane: str) -> Pages:
        if lane not in self._lanes:
            self._lanes[lane] = Pages(_kinds(self.market, lane, self.account))
        return self._lanes[lane]

    def count(self, kind: str, body: bytes) -> int:
        """Return how many rows a page has, whatever they tell."""
        return super().count(kind.partition("@")[0], body)

    def decode(self, kind: str, body: bytes, as_of: datetime) -> list[Told]:
        """Return what a page tells; its kind says of which pair."""
        name, _, lane = kind.partition("@")
        return self._of(lane).decode(name, body, as_of) if lane else super().decode(name, body, as_of)
