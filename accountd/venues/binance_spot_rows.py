"""The REST pages of Binance spot, from page to what they tell.

Venue pages: binance-spot-api-docs rest-api ("Account Endpoints") and docs/wallet (capital, asset).
"""

from __future__ import annotations

from collections import defaultdict
from datetime import UTC, datetime
from decimal import Decimal

import msgspec

from accountd.core.told import BALANCES, ORDERS, Balance, Fill, Notice, Order, Told, Transfer
from accountd.venues.base import moment
from accountd.venues.binance_pages import PageKind, every_row, listed_rows, single_row
from accountd.venues.binance_spot_events import NOT_SET, ZERO, allocation_name
from accountd.venues.binance_spot_wire import total
from accountd.venues.wire import EXACT, check, need, product, taken, text

CREDITED = (1, 6)  # deposit: success; credited but not yet to be withdrawn
COMPLETED = 6  # withdrawal
FUNDING = (1, "funding")  # the number of the funding wallet, and its market in the record
WALLET = "MAIN_"  # a universal transfer out of the spot wallet begins so, one into it ends with _MAIN


class HoldingRow(msgspec.Struct, gc=False):
    """One asset of GET account."""

    asset: str
    free: Decimal
    locked: Decimal


class AccountBody(msgspec.Struct, gc=False):
    """GET account, of which only the balances are believed."""

    balances: list[msgspec.Raw]


class OrderRow(msgspec.Struct, rename="camel", gc=False):
    """One row of GET order, openOrders and allOrders."""

    symbol: str
    order_id: int
    status: str
    client_order_id: str | None = None
    price: Decimal | None = None
    orig_qty: Decimal | None = None
    executed_qty: Decimal | None = None
    cummulative_quote_qty: Decimal | None = None
    time_in_force: str | None = None
    type: str | None = None
    side: str | None = None
    stop_price: Decimal | None = None
    time: int = 0
    update_time: int = 0
    expiry_reason: str | None = None
    prevented_quantity: str | None = None  # a word, "None", where there is none


class _ExecutionRow(msgspec.Struct, rename="camel", gc=False, kw_only=True):
    """What a trade and an allocation have in common."""

    symbol: str
    order_id: int
    price: Decimal
    qty: Decimal
    time: int
    is_buyer: bool
    quote_qty: Decimal | None = None
    commission: Decimal | None = None
    commission_asset: str | None = None
    is_maker: bool | None = None


class TradeRow(_ExecutionRow, rename="camel", gc=False, kw_only=True):
    """One row of GET myTrades."""

    id: int


class AllocationRow(_ExecutionRow, rename="camel", gc=False, kw_only=True):
    """One row of GET myAllocations."""

    allocation_id: int


class ListRow(msgspec.Struct, rename="camel", gc=False):
    """One row of GET allOrderList and openOrderList."""

    order_list_id: int
    symbol: str
    list_order_status: str = ""


class _CapitalRow(msgspec.Struct, rename="camel", gc=False, kw_only=True):
    """What a deposit and a withdrawal have in common."""

    coin: str
    amount: Decimal
    status: int
    id: str | int = ""
    tx_id: str = ""
    wallet_type: int = 0


class DepositRow(_CapitalRow, rename="camel", gc=False, kw_only=True):
    """One row of GET capital/deposit/hisrec."""

    insert_time: int


class WithdrawalRow(_CapitalRow, rename="camel", gc=False, kw_only=True):
    """One row of GET capital/withdraw/history; its times are text in UTC."""

    apply_time: str | int
    transaction_fee: Decimal


class MoveRow(msgspec.Struct, rename="camel", gc=False):
    """One row of GET asset/transfer."""

    asset: str
    amount: Decimal
    type: str
    tran_id: int
    timestamp: int
    status: str = "CONFIRMED"


class DustDetail(msgspec.Struct, rename="camel", gc=False):
    """One asset that was converted."""

    from_asset: str
    amount: Decimal
    target_asset: str | None = None


class DustRow(msgspec.Struct, rename="camel", gc=False):
    """One conversion of GET asset/dribblet; amounts in BNB are without the charge."""

    operate_time: int
    total_transfered_amount: Decimal
    trans_id: int
    user_asset_dribblet_details: list[DustDetail]


class DustBody(msgspec.Struct, rename="camel", gc=False):
    """GET asset/dribblet; without any, the venue may leave the list out."""

    user_asset_dribblets: list[msgspec.Raw] | None = None
    total: int | None = None


class DividendRow(msgspec.Struct, rename="camel", gc=False):
    """One row of GET asset/assetDividend."""

    id: int
    asset: str
    amount: Decimal
    div_time: int
    direction: int = 1
    en_info: str = ""


_account = msgspec.json.Decoder(AccountBody)
_dust = msgspec.json.Decoder(DustBody, strict=False)


def holding(row: HoldingRow, as_of: datetime, market: str) -> list[Told]:
    """Tell a balance. Nothing is said of what is zero: the page lists all that is not."""
    check(row.free, row.locked)
    need(row.asset)
    held = total(row.free, row.locked)
    one = Balance(
        market=market, asset=row.asset, total=held, free=row.free, locked=row.locked, as_of=as_of,
        seen_at=None,
    )  # fmt: skip
    return [one] if held else []


def order(row: OrderRow, as_of: datetime, market: str) -> Told:
    """Tell an order as REST shows it; a negative quote amount means that the venue does not know it."""
    quote = row.cummulative_quote_qty
    need(row.symbol, row.status)
    if (row.update_time or row.time) <= 0:
        raise ValueError("an order without a time")
    check(row.price, row.orig_qty, row.executed_qty, quote, row.stop_price)
    return Order(
        market=market,
        symbol=row.symbol,
        kind="order",
        order_id=str(row.order_id),
        status=row.status,
        updated_at=moment(row.update_time or row.time),
        client_order_id=row.client_order_id or None,
        side=row.side,
        type=row.type,
        time_in_force=row.time_in_force,
        price=row.price,
        stop_price=row.stop_price,
        quantity=row.orig_qty,
        filled_quantity=row.executed_qty,
        filled_quote=quote if quote is not None and quote >= ZERO else None,
        created_at=moment(row.time) if row.time > 0 else None,
        reason=None if row.expiry_reason in NOT_SET else row.expiry_reason,
        prevented=_hint(row.prevented_quantity),
    )


def _hint(written: str | None) -> Decimal | None:
    """Return an amount that is compared and never kept; None for what is none."""
    try:
        amount = Decimal(written or "")
        check(amount)
    except (ArithmeticError, ValueError):
        return None
    return amount


def trade(row: TradeRow | AllocationRow, as_of: datetime, market: str) -> Told:
    """Tell a trade, or an allocation of a routed order."""
    check(row.price, row.qty, row.quote_qty, row.commission)
    need(row.symbol)
    return Fill(
        market=market,
        symbol=row.symbol,
        trade_id=str(row.id) if isinstance(row, TradeRow) else allocation_name(row.allocation_id),
        order_id=str(row.order_id),
        side="BUY" if row.is_buyer else "SELL",
        price=row.price,
        quantity=row.qty,
        quote_quantity=product(row.price, row.qty) if row.quote_qty is None else row.quote_qty,
        traded_at=moment(row.time),
        commission=row.commission,
        commission_asset=row.commission_asset,
        is_maker=row.is_maker,
    )


def order_list(row: ListRow, as_of: datetime, market: str) -> Told:
    """Tell that there is an order list: its orders are read with its symbol."""
    detail = {"order_list_id": str(row.order_list_id), "order_status": row.list_order_status}
    return Notice(kind="order.list", symbol=row.symbol, market=market, detail=detail, at=as_of)


def deposit(row: DepositRow, as_of: datetime, market: str) -> list[Told]:
    """Tell a deposit that arrived; one that is under way is told later, by its own time."""
    check(row.amount)
    need(row.coin)
    if row.status not in CREDITED:
        return []
    return [
        Transfer(
            market=wallet(row, market), kind="deposit", transfer_id=named(row), asset=row.coin,
            amount=row.amount, occurred_at=moment(row.insert_time), info=text(row.tx_id),
        )
    ]  # fmt: skip


def withdrawal(row: WithdrawalRow, as_of: datetime, market: str) -> list[Told]:
    """Tell a withdrawal that is through, and its fee, which the amount does not hold."""
    check(row.amount, row.transaction_fee)
    need(row.coin)
    if row.status != COMPLETED:
        return []
    at = utc(row.apply_time) if isinstance(row.apply_time, str) else moment(row.apply_time)
    told: list[Told] = [
        Transfer(
            market=wallet(row, market), kind="withdrawal", transfer_id=named(row), asset=row.coin,
            amount=taken(row.amount), occurred_at=at, info=text(row.tx_id),
        )
    ]  # fmt: skip
    if row.transaction_fee:
        told.append(
            Transfer(
                market=wallet(row, market), kind="withdrawal_fee", transfer_id=named(row), asset=row.coin,
                amount=taken(row.transaction_fee), occurred_at=at,
            )
        )  # fmt: skip
    return told


def wallet(row: _CapitalRow, market: str) -> str:
    """Return the market whose balance moved: the history is of the spot wallet and of the funding wallet."""
    return FUNDING[1] if row.wallet_type == FUNDING[0] else market


def named(row: _CapitalRow) -> str:
    """Return the id of a deposit or withdrawal; where the venue numbers none, that of its transaction.

    Raises:
        ValueError: it has neither.
    """
    if name := text(row.id) or text(row.tx_id):
        return name
    raise ValueError("neither an id nor a transaction")


def utc(written: str) -> datetime:
    """Return the time of ``YYYY-MM-DD HH:MM:SS`` in UTC.

    Raises:
        ValueError: it is no such text.
    """
    found = datetime.fromisoformat(written)
    return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)


def move(row: MoveRow, as_of: datetime, market: str) -> list[Told]:
    """Tell a transfer between wallets of one owner, as the spot wallet sees it."""
    check(row.amount)
    need(row.asset, row.type)
    if row.status != "CONFIRMED":
        return []
    amount = taken(row.amount) if row.type.startswith(WALLET) else row.amount
    return [
        Transfer(
            market=market, kind="transfer", transfer_id=str(row.tran_id), asset=row.asset, amount=amount,
            occurred_at=moment(row.timestamp), info=row.type,
        )
    ]  # fmt: skip


def dust(row: DustRow, as_of: datetime, market: str) -> list[Told]:
    """Tell a conversion of small balances: each asset that went, and what came for all of them."""
    gone: defaultdict[str, Decimal] = defaultdict(Decimal)
    target = "BNB"
    for part in row.user_asset_dribblet_details:
        check(part.amount)
        need(part.from_asset)
        gone[part.from_asset] = EXACT.subtract(gone[part.from_asset], part.amount)
        target = part.target_asset or target
    check(row.total_transfered_amount)
    gone[target] = EXACT.add(gone[target], row.total_transfered_amount)
    return [
        Transfer(
            market=market, kind="dust", transfer_id=str(row.trans_id), asset=asset, amount=amount,
            occurred_at=moment(row.operate_time),
        )
        for asset, amount in gone.items()
    ]  # fmt: skip


def dust_rows(body: bytes) -> list[msgspec.Raw]:
    """Return the conversions of a page.

    Raises:
        ValueError: the page names neither them nor their number.
    """
    page = _dust.decode(body)
    if page.user_asset_dribblets is None and page.total is None:
        raise ValueError("neither conversions nor their number")
    return page.user_asset_dribblets or []


def dividend(row: DividendRow, as_of: datetime, market: str) -> Told:
    """Tell a distribution; direction -1 takes it back."""
    check(row.amount)
    need(row.asset)
    return Transfer(
        market=market, kind="dividend", transfer_id=str(row.id), asset=row.asset,
        amount=taken(row.amount) if row.direction < 0 else row.amount, occurred_at=moment(row.div_time),
        info=row.en_info or None,
    )  # fmt: skip


def spot_pages(market: str) -> dict[str, PageKind]:
    """Return the kinds of pages of the trading API, for one market."""
    orders = {
        name: PageKind(market=market, split=split, row=OrderRow, tell=order, lists=lists)
        for name, split, lists in (
            ("open_orders", every_row, ORDERS), ("orders", every_row, None), ("order", single_row, None),
        )
    }  # fmt: skip
    return orders | {
        "account": PageKind(
            market=market, split=lambda body: _account.decode(body).balances, row=HoldingRow, tell=holding,
            lists=BALANCES,
        ),
        "fills": PageKind(market=market, split=every_row, row=TradeRow, tell=trade),
        "allocations": PageKind(market=market, split=every_row, row=AllocationRow, tell=trade),
        "order_lists": PageKind(market=market, split=every_row, row=ListRow, tell=order_list),
    }  # fmt: skip


def wallet_pages(market: str) -> dict[str, PageKind]:
    """Return the kinds of pages of the wallet API."""
    return {
        "deposits": PageKind(market=market, split=every_row, row=DepositRow, tell=deposit),
        "withdrawals": PageKind(market=market, split=every_row, row=WithdrawalRow, tell=withdrawal),
        "moves": PageKind(market=market, split=listed_rows, row=MoveRow, tell=move),
        "dust": PageKind(market=market, split=dust_rows, row=DustRow, tell=dust),
        "dividends": PageKind(market=market, split=listed_rows, row=DividendRow, tell=dividend),
    }
