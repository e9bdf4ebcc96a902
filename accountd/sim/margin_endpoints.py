"""The answers of /sapi/v1/margin from the truth of cross and isolated wallets."""

from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, TypeVar

from accountd.sim import margin_views as views
from accountd.sim import refusals, spot_views
from accountd.sim.clock import DAY_MS
from accountd.sim.margin_exchange import MarginExchange
from accountd.sim.model import ZERO
from accountd.sim.spot_endpoints import find_order, rate_limits
from accountd.sim.spot_model import Holding, Move, OrderList, Wallet
from accountd.sim.spot_query import SpotQuery

T = TypeVar("T")
KEPT_DAYS = 90


@dataclass
class MarginQuery(SpotQuery):
    """A margin request: `isIsolated` with a symbol, or `pair_name`, names an isolated wallet."""

    pair_name: str = ""
    transfer_seconds: bool = True

    @property
    def margin(self) -> MarginExchange:
        """Return the exchange with its margin wallets."""
        assert isinstance(self.exchange, MarginExchange)
        return self.exchange

    @property
    def isolated(self) -> bool:
        """Tell whether the request is about an isolated wallet."""
        return bool(self.pair_name) or self.params.get("isIsolated", "").upper() == "TRUE"

    @property
    def wallet(self) -> Wallet:
        """Return the wallet asked for; Refused -3003 if it was never opened, -1102 without a symbol."""
        pair = self.pair_name
        if self.isolated and not pair:
            pair = self.the_symbol()
        market = "isolated" if pair else "margin"
        found = [w for w in self.margin.opened(self.account, market) if w.pair == pair]
        if not found or found[0].disabled:
            raise refusals.Refused(400, -3003, "Margin account does not exist.")
        return found[0]

    def of_pair(self, name: str) -> "MarginQuery":
        """Return the request as one about the wallet that a parameter names: a pair, or cross if absent."""
        pair = self.params.get(name, "")
        if pair and pair not in self.exchange.symbols:
            raise refusals.invalid_symbol()
        seconds = self.transfer_seconds
        return MarginQuery(self.params, self.exchange, self.account, self.as_of_ms, pair, seconds)


def account(q: MarginQuery) -> Any:
    """Answer margin/account."""
    held = q.holdings(q.of_pair("-").wallet)
    assets = {**{name: Holding() for s in q.exchange.symbols.values() for name in (s.base, s.quote)}, **held}
    worth = _sum(q, {a: h.total for a, h in assets.items()})
    debt = _sum(q, {a: h.borrowed + h.interest for a, h in assets.items()})
    level = f"{worth / debt:.8f}" if debt else "999.00000000"
    return {
        "created": True,
        "borrowEnabled": True,
        "marginLevel": level,
        "collateralMarginLevel": level,
        "totalAssetOfBtc": f"{worth:.8f}",
        "totalLiabilityOfBtc": f"{debt:.8f}",
        "totalNetAssetOfBtc": f"{worth - debt:.8f}",
        "TotalCollateralValueInUSDT": f"{worth * q.exchange.prices['BTCUSDT']:.8f}",
        "totalOpenOrderLossInUSDT": "0.00000000",
        "tradeEnabled": True,
        "transferInEnabled": True,
        "transferOutEnabled": True,
        "accountType": "MARGIN_1",
        "userAssets": [views.cross_asset(asset, one) for asset, one in sorted(assets.items())],
    }


def _in_btc(q: MarginQuery, asset: str) -> Decimal:
    prices = q.exchange.prices
    if asset == "BTC":
        return Decimal(1)
    return prices.get(f"{asset}USDT", Decimal(1)) / prices["BTCUSDT"]


def _sum(q: MarginQuery, amounts: dict[str, Decimal]) -> Decimal:
    return sum((amount * _in_btc(q, asset) for asset, amount in amounts.items()), ZERO)


def isolated_account(q: MarginQuery) -> Any:
    """Answer margin/isolated/account, of all pairs or of up to five in `symbols`."""
    wanted = [name for name in q.params.get("symbols", "").split(",") if name]
    if len(wanted) > 5:
        raise refusals.bad_value("symbols")
    rows = []
    for wallet in q.margin.opened(q.account, "isolated"):
        if wanted and wallet.pair not in wanted:
            continue
        symbol, held = q.exchange.symbols[wallet.pair], q.holdings(wallet)
        base, quote = (held.get(asset, Holding()) for asset in (symbol.base, symbol.quote))
        price = q.exchange.prices[wallet.pair]
        debt = (base.borrowed + base.interest) * price + quote.borrowed + quote.interest
        level = (base.total * price + quote.total) / debt if debt else Decimal(999)
        rows.append(
            {
                "baseAsset": views.isolated_asset(symbol.base, base, _in_btc(q, symbol.base)),
                "quoteAsset": views.isolated_asset(symbol.quote, quote, _in_btc(q, symbol.quote)),
                "symbol": wallet.pair,
                "isolatedCreated": True,
                "enabled": not wallet.disabled,
                "marginLevel": f"{level:.8f}",
                "marginLevelStatus": "EXCESSIVE" if level > 2 else "NORMAL",
                "marginRatio": "10.00000000",
                "indexPrice": f"{price:.8f}",
                "liquidatePrice": "0.00000000",
                "liquidateRate": "0.00000000",
                "tradeEnabled": True,
            }
        )
    totals = dict.fromkeys(("totalAssetOfBtc", "totalLiabilityOfBtc", "totalNetAssetOfBtc"), "0.00000000")
    return {"assets": rows} | ({} if wanted else totals)


def trade_coefficients(q: MarginQuery) -> Any:
    """Answer margin/tradeCoeff."""
    return {"normalBar": "1.5", "marginCallBar": "1.3", "forceLiquidationBar": "1.1"}


def account_limit(q: MarginQuery) -> Any:
    """Answer margin/isolated/accountLimit."""
    return {"enabledAccount": len(q.margin.opened(q.account, "isolated")), "maxAccount": 20}


def order_rate_limit(q: MarginQuery) -> Any:
    """Answer margin/rateLimit/order."""
    return [row | {"count": 0} for row in rate_limits() if row["rateLimitType"] == "ORDERS"]


def open_orders(q: MarginQuery) -> Any:
    """Answer margin/openOrders; an isolated request needs its symbol."""
    wallet, symbol = q.wallet, q.symbol()
    orders = q.orders(wallet, symbol.name if symbol else None)
    return [views.order_row(order, wallet) for order in orders if order.open]


def order(q: MarginQuery) -> Any:
    """Answer margin/order."""
    wallet, symbol = q.wallet, q.the_symbol()
    held = [versions.now for (name, _), versions in wallet.orders.items() if name == symbol]
    return views.order_row(find_order(q, q.orders(wallet, symbol), held), wallet)


def _day(q: MarginQuery) -> tuple[int, int]:
    return q.window() or (q.now - DAY_MS, q.now + DAY_MS)


def all_orders(q: MarginQuery) -> Any:
    """Answer margin/allOrders: from orderId, else by time; the last 24 hours by default; 500 at most."""
    wallet, symbol, limit, first = q.wallet, q.the_symbol(), q.limit(500, 500), q.number("orderId")
    low, high = _day(q)
    orders = q.orders(wallet, symbol)
    if first is not None:
        chosen = [o for o in orders if o.order_id >= first]
    else:
        chosen = [o for o in orders if low <= o.created_ms <= high]
    return [views.order_row(order, wallet) for order in q.cut(chosen, limit)]


def my_trades(q: MarginQuery) -> Any:
    """Answer margin/myTrades: from fromId, of one order, else by time; the last 24 hours by default."""
    wallet, symbol, limit = q.wallet, q.the_symbol(), q.limit(500, 1000)
    first, order_id = q.number("fromId"), q.number("orderId")
    low, high = (0, q.seen) if first is not None or order_id is not None else _day(q)
    chosen = [
        fill
        for fill in wallet.fills
        if fill.symbol == symbol
        and low <= fill.time_ms <= min(high, q.seen)
        and order_id in (None, fill.order_id)
        and (first is None or fill.trade_id >= first)
    ]
    return [views.trade_row(fill, wallet) for fill in q.cut(chosen, limit)]


def _list(q: MarginQuery, wallet: Wallet, listed: OrderList) -> Any:
    return views.list_row(listed, list(q.exchange.list_orders(wallet, listed)), wallet)


def order_list(q: MarginQuery) -> Any:
    """Answer margin/orderList by orderListId."""
    wallet, number = q.wallet, q.number("orderListId")
    for listed in q.lists(wallet):
        if listed.list_id == number:
            return _list(q, wallet, listed)
    raise refusals.Refused(400, -2018, "Order list does not exist.")


def open_order_lists(q: MarginQuery) -> Any:
    """Answer margin/openOrderList."""
    wallet = q.wallet
    return [_list(q, wallet, one) for one in q.lists(wallet) if one.order_status == "EXECUTING"]


def all_order_lists(q: MarginQuery) -> Any:
    """Answer margin/allOrderList: by fromId, or by time, or else the newest first."""
    wallet, limit, first = q.wallet, q.limit(500, 1000), q.number("fromId")
    window, rows = q.window(), q.lists(q.wallet)
    if first is not None and window:
        raise refusals.bad_combination()
    if window:
        rows = [one for one in rows if window[0] <= one.created_ms <= window[1]]
    elif first is not None:
        rows = [one for one in rows if one.list_id >= first]
    else:
        rows = rows[::-1]
    return [_list(q, wallet, one) for one in rows[:limit]]


def prevented_matches(q: MarginQuery) -> Any:
    """Answer margin/myPreventedMatches of one order."""
    symbol, number = q.the_symbol(), q.number("orderId")
    rows = [m for m in q.wallet.prevented if m.symbol == symbol]
    return [spot_views.prevented_row(m) for m in rows if number in (None, m.taker_order_id, m.maker_order_id)]


def _pages(q: MarginQuery, rows: list[T], view: Callable[[T, Wallet], Any], wallet: Wallet) -> Any:
    size, page = q.limit(10, 100, "size"), q.number("current") or 1
    chosen = rows[::-1][(page - 1) * size : page * size]
    return {"rows": [view(row, wallet) for row in chosen], "total": len(rows)}


def _moves(q: MarginQuery, wallet: Wallet, kinds: tuple[str, ...], span_days: int) -> list[Move]:
    window = q.window(span_days * DAY_MS)
    low, high = window or (q.now - 7 * DAY_MS, q.now)
    if window and not q.given("startTime"):
        low = high - 7 * DAY_MS
    low = max(low, q.now - KEPT_DAYS * DAY_MS)
    high = min(high, q.seen, low + span_days * DAY_MS)
    asset = q.params.get("asset")
    rows = [m for m in wallet.moves if m.kind in kinds and low <= m.time_ms <= high]
    return [m for m in rows if asset in (None, "", m.asset)]


def interest_history(q: MarginQuery) -> Any:
    """Answer margin/interestHistory, newest first; without isolatedSymbol that of cross."""
    wallet = q.of_pair("isolatedSymbol").wallet
    return _pages(q, _moves(q, wallet, ("interest",), 30), views.interest_row, wallet)


def loans(q: MarginQuery) -> Any:
    """Answer margin/borrow-repay of a mandatory type, newest first; 7 days, or 30 with an asset."""
    wallet, kind = q.of_pair("isolatedSymbol").wallet, q.params.get("type", "")
    if kind not in ("BORROW", "REPAY"):
        raise refusals.missing("type")
    number = q.number("txId")
    if number is not None:
        rows = [m for m in wallet.moves if m.kind == kind.lower() and m.number == number]
    else:
        rows = _moves(q, wallet, (kind.lower(),), 30 if q.params.get("asset") else 7)
    return _pages(q, rows, views.loan_row, wallet)


def capital_flow(q: MarginQuery) -> Any:
    """Answer margin/capital-flow: id > fromId, 7 days at most (-4047); a symbol names an isolated wallet."""
    wallet, limit, first = q.of_pair("symbol").wallet, q.limit(500, 1000), q.number("fromId")
    start, end = q.number("startTime"), q.number("endTime")
    if start is not None and end is not None and not 0 <= end - start <= 7 * DAY_MS:
        raise refusals.Refused(400, -4047, "Time interval must be within 0-7 days")
    high = min(end if end is not None else q.now, q.seen)
    low = max(start if start is not None else high - 7 * DAY_MS, q.now - KEPT_DAYS * DAY_MS)
    high = min(high, low + 7 * DAY_MS)
    kind, asset = q.params.get("type"), q.params.get("asset")
    rows = [
        row
        for row in wallet.flows
        if low <= row.time_ms <= high
        and (first is None or row.flow_id > first)
        and kind in (None, "", row.kind)
        and asset in (None, "", row.asset)
    ]
    return [views.flow_row(row, wallet) for row in q.cut(rows, limit)]


def transfers(q: MarginQuery) -> Any:
    """Answer margin/transfer, newest first; without isolatedSymbol that of cross."""
    wallet, kind = q.of_pair("isolatedSymbol").wallet, q.params.get("type")
    rows = [m for m in _moves(q, wallet, ("transfer",), 30) if kind in (None, "", m.detail["type"])]
    seconds = q.transfer_seconds
    return _pages(q, rows, lambda row, of: views.transfer_row(row, of, seconds=seconds), wallet)


def forced(q: MarginQuery) -> Any:
    """Answer margin/forceLiquidationRec, newest first; without isolatedSymbol that of cross."""
    wallet = q.of_pair("isolatedSymbol").wallet
    low, high = q.window(KEPT_DAYS * DAY_MS) or (0, q.now)
    rows = [o for o in wallet.liquidations if low <= o.updated_ms <= min(high, q.seen)]
    return _pages(q, rows, views.liquidation_row, wallet)
