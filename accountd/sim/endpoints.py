"""The REST endpoints for reading, with their documented parameters, windows, limits and order."""

from collections.abc import Iterable
from typing import Any

from accountd.sim import refusals, views
from accountd.sim.model import AlgoOrder, Fill, Income, Order, Versions
from accountd.sim.query import WEEK_MS, Query, between

Body = Any


def server_time(q: Query) -> Body:
    """GET time."""
    return {"serverTime": q.exchange.clock.now()}


def account_config(q: Query) -> Body:
    """GET accountConfig."""
    return q.snapshot.config()


def symbol_config(q: Query) -> Body:
    """GET symbolConfig, of one symbol or all."""
    symbol = q.symbol()
    names = [symbol.name] if symbol else list(q.exchange.symbols)
    return [q.snapshot.symbol_config(name) for name in names]


def account_v3(q: Query) -> Body:
    """GET v3/account."""
    return q.snapshot.account_v3()


def account_v2(q: Query) -> Body:
    """GET v2/account."""
    return q.snapshot.account_v2()


def balance(q: Query) -> Body:
    """GET v2/balance and v3/balance."""
    return q.snapshot.balances()


def position_risk_v3(q: Query) -> Body:
    """GET v3/positionRisk: only what holds a position or open orders."""
    symbol, snapshot = q.symbol(), q.snapshot
    return [snapshot.risk_v3(p) for p in snapshot.shown() if not symbol or p.symbol == symbol.name]


def position_risk_v2(q: Query) -> Body:
    """GET v2/positionRisk: every symbol."""
    symbol, snapshot = q.symbol(), q.snapshot
    held = snapshot.positions.values()
    return [snapshot.risk_v2(p) for p in held if not symbol or p.symbol == symbol.name]


def _order_row(q: Query, order: Order) -> Body:
    return views.order_row(order, q.exchange.symbols[order.symbol])


def open_orders(q: Query) -> Body:
    """GET openOrders: plain orders only."""
    symbol = q.symbol()
    orders = [o for o in q.snapshot.open_orders if not symbol or o.symbol == symbol.name]
    return [_order_row(q, order) for order in orders]


def _find_order(q: Query) -> Order:
    symbol, order_id, client_id = q.the_symbol(), q.number("orderId"), q.params.get("origClientOrderId")
    if order_id is None and not client_id:
        raise refusals.missing("orderId")
    for versions in _orders(q, [symbol.name], order_id):
        order = versions.at(q.as_of_ms)
        wanted = order and (order.order_id == order_id or order.client_order_id == client_id)
        if order and wanted and q.exchange.order_shown(order):
            return order
    raise refusals.no_order()


def _orders(q: Query, symbols: Iterable[str], order_id: int | None = None) -> list[Versions[Order]]:
    books = [q.account.books[name].orders for name in symbols if name in q.account.books]
    if order_id is not None:
        return [book[order_id] for book in books if order_id in book]
    return [versions for book in books for versions in book.values()]


def _placed_between(q: Query, symbols: Iterable[str], start: int, end: int) -> list[Versions[Order]]:
    books = [list(q.account.books[name].orders.values()) for name in symbols if name in q.account.books]
    return [versions for book in books for versions in between(book, start, end, _placed)]


def _placed(versions: Versions[Order]) -> int:
    return versions.now.created_ms


def open_order(q: Query) -> Body:
    """GET openOrder; -2013 if it is not open."""
    order = _find_order(q)
    if not order.open:
        raise refusals.no_order()
    return _order_row(q, order)


def order(q: Query) -> Body:
    """GET order, by orderId or origClientOrderId."""
    return _order_row(q, _find_order(q))


def all_orders(q: Query) -> Body:
    """GET allOrders of one symbol, from an id or in a window of creation times."""
    return _all_orders(q, [q.the_symbol().name])


def all_orders_of_all(q: Query) -> Body:
    """GET allOrders with the symbol optional, as since 2026-08-25."""
    symbol = q.symbol()
    return _all_orders(q, [symbol.name] if symbol else list(q.account.books))


def _all_orders(q: Query, symbols: list[str]) -> Body:
    first_id, limit = q.number("orderId"), q.limit(500, 1000)
    if first_id is not None and len(symbols) != 1:
        raise refusals.missing("symbol")
    start, end = (0, q.exchange.clock.now()) if _id_only(q, first_id) else q.window()
    told = (v.at(q.as_of_ms) for v in _placed_between(q, symbols, start, end))
    found = [o for o in told if o and o.order_id >= (first_id or 0)]
    shown = sorted((o for o in found if q.exchange.order_shown(o)), key=lambda o: (o.created_ms, o.order_id))
    rows = q.page(shown, limit, first=True if first_id is not None else None)
    return [views.all_orders_row(o, q.exchange.symbols[o.symbol]) for o in rows]


def _id_only(q: Query, first_id: int | None) -> bool:
    return first_id is not None and not (q.params.get("startTime") or q.params.get("endTime"))


def _algos(q: Query, symbol: str | None) -> list[AlgoOrder]:
    told = (versions.at(q.as_of_ms) for versions in q.account.algos.values())
    return [a for a in told if a and (symbol is None or a.symbol == symbol)]


def _algo_shown(q: Query, algo: AlgoOrder) -> bool:
    age = q.exchange.clock.now() - algo.created_ms
    gone = algo.status in ("CANCELED", "EXPIRED", "REJECTED") and age > 3 * 86_400_000
    return not gone and age <= 90 * 86_400_000


def open_algo_orders(q: Query) -> Body:
    """GET openAlgoOrders: conditional orders that have not fired."""
    symbol, algo_id = q.symbol(), q.number("algoId")
    algos = _algos(q, symbol.name if symbol else None)
    found = [a for a in algos if a.status == "NEW" and algo_id in (None, a.algo_id)]
    return [views.all_algo_row(a, q.exchange.symbols[a.symbol]) for a in found]


def algo_order(q: Query) -> Body:
    """GET algoOrder, by algoId or clientAlgoId."""
    algo_id, client_id = q.number("algoId"), q.params.get("clientAlgoId")
    if algo_id is None and not client_id:
        raise refusals.missing("algoId")
    for algo in _algos(q, None):
        if (algo.algo_id == algo_id or algo.client_algo_id == client_id) and _algo_shown(q, algo):
            return views.algo_row(algo, q.exchange.symbols[algo.symbol])
    raise refusals.no_order()


def all_algo_orders(q: Query) -> Body:
    """GET allAlgoOrders of one symbol, from an id or in a window of creation times."""
    symbol, first_id, limit = q.the_symbol(), q.number("algoId"), q.limit(500, 1000)
    start, end = (0, q.exchange.clock.now()) if _id_only(q, first_id) else q.window()
    algos = [a for a in _algos(q, symbol.name) if start <= a.created_ms <= end]
    found = [a for a in algos if a.algo_id >= (first_id or 0) and _algo_shown(q, a)]
    rows = q.page(found, limit, first=True if first_id is not None else None)
    return [views.all_algo_row(a, symbol) for a in rows]


def _fill_time(fill: Fill) -> int:
    return fill.time_ms


def user_trades(q: Query) -> Body:
    """GET userTrades of one symbol: ascending ids; fromId excludes startTime and endTime."""
    symbol, from_id, limit = q.the_symbol(), q.number("fromId"), q.limit(500, 1000)
    fills = q.account.book(symbol.name).fills
    now, order_id = q.exchange.clock.now(), q.number("orderId")
    if from_id is not None:
        if not _id_only(q, from_id):
            raise refusals.bad_combination()
        kept = between(fills, now - 90 * 86_400_000, _newest(q), _fill_time)
        rows = [f for f in kept if f.trade_id >= from_id]
    else:
        start, end = q.window()
        rows = between(fills, start, end, _fill_time)
    rows = [f for f in rows if order_id in (None, f.order_id)]
    page = q.page(rows, limit, first=True if from_id is not None else None)
    return [views.trade_row(f, symbol) for f in page]


def _newest(q: Query) -> int:
    return q.exchange.clock.engine() if q.as_of_ms is None else q.as_of_ms


def _income_time(row: Income) -> int:
    return row.time_ms


def income(q: Query) -> Body:
    """GET income: ascending, both ends inclusive, three months, no `page`."""
    symbol, kind, limit = q.symbol(), q.params.get("incomeType"), q.limit(100, 1000)
    start, end = q.window(span_ms=None)
    rows = between(q.account.incomes, start, end, _income_time)
    if symbol:
        rows = [r for r in rows if r.symbol == symbol.name]
    if kind:
        rows = [r for r in rows if r.type == kind]
    return [views.income_row(r) for r in q.page(rows, limit)]


def force_orders(q: Query) -> Body:
    """GET forceOrders: liquidations and auto-deleveraging."""
    symbol, kind, limit = q.symbol(), q.params.get("autoCloseType"), q.limit(50, 100)
    start, end = q.window(span_ms=WEEK_MS)
    prefixes = {"LIQUIDATION": ("autoclose-",), "ADL": ("adl_autoclose",)}
    if kind and kind not in prefixes:
        raise refusals.bad_value("autoCloseType")
    wanted = prefixes[kind] if kind else ("autoclose-", "adl_autoclose")
    told = (v.at(q.as_of_ms) for v in _orders(q, [symbol.name] if symbol else list(q.account.books)))
    found = [o for o in told if o and o.client_order_id.startswith(wanted) and start <= o.created_ms <= end]
    found.sort(key=lambda o: o.created_ms)
    return [views.force_order_row(o, q.exchange.symbols[o.symbol]) for o in q.page(found, limit)]


def order_amendment(q: Query) -> Body:
    """GET orderAmendment of one order."""
    symbol, order_id, limit = q.the_symbol(), q.number("orderId"), q.limit(50, 100)
    rows = []
    for number, change in enumerate(q.account.amendments, 1):
        before, after = change["before"], change["after"]
        if isinstance(before, Order) and isinstance(after, Order) and after.symbol == symbol.name:
            if order_id not in (None, after.order_id):
                continue
            rows.append(_amendment_row(q, number, before, after))
    return rows[-limit:]


def _amendment_row(q: Query, number: int, before: Order, after: Order) -> Body:
    old, new = _order_row(q, before), _order_row(q, after)
    changes = {name: {"before": old[name], "after": new[name]} for name in ("price", "origQty")}
    return {
        "amendmentId": number,
        "symbol": after.symbol,
        "pair": after.symbol,
        "orderId": after.order_id,
        "clientOrderId": after.client_order_id,
        "time": after.updated_ms,
        "amendment": changes | {"count": number, "modifyId": number},
    }
