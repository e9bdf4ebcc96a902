"""The REST door of portfolio margin: the questions of each market under one host, and the balances of all."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from accountd.sim import coinm_rest, endpoints, margin_endpoints, refusals
from accountd.sim.accounting import money
from accountd.sim.clock import DAY_MS
from accountd.sim.margin_endpoints import MarginQuery
from accountd.sim.model import ZERO
from accountd.sim.portfolio_events import without
from accountd.sim.query import Query
from accountd.sim.refusals import Refused
from accountd.sim.spot_model import Move

Body = Any
MOVES = "/sapi/v1/asset/transfer"


@dataclass(frozen=True)
class PortfolioQuery:
    """A request as each market sees it."""

    usdm: Query
    coinm: Query
    margin: MarginQuery


@dataclass(frozen=True)
class PortfolioRoute:
    """An endpoint: what answers, and what it weighs with and without a symbol."""

    answer: Callable[[PortfolioQuery], Any]
    weight: int
    weight_all: int | None = None

    def cost(self, params: dict[str, str]) -> int:
        """Return the weight of a request."""
        return self.weight if self.weight_all is None or params.get("symbol") else self.weight_all


def balance(q: PortfolioQuery) -> Body:
    """GET balance: one row for each asset, with what it is in each of the three wallets."""
    usdm, coinm = q.usdm.snapshot.wallets, q.coinm.snapshot.wallets
    margin = q.margin.holdings(q.margin.wallet)
    rows = []
    for asset in sorted({*usdm, *coinm, *margin}):
        um = usdm[asset].balance if asset in usdm else ZERO
        cm = coinm[asset].balance if asset in coinm else ZERO
        held = margin.get(asset)
        free, locked = (held.free, held.locked) if held else (ZERO, ZERO)
        owed = (held.borrowed, held.interest) if held else (ZERO, ZERO)
        rows.append(
            {
                "asset": asset,
                "totalWalletBalance": money(um + cm + free + locked),
                "crossMarginAsset": money(free + locked - sum(owed)),
                "crossMarginBorrowed": money(owed[0]),
                "crossMarginFree": money(free),
                "crossMarginInterest": money(owed[1]),
                "crossMarginLocked": money(locked),
                "umWalletBalance": money(um),
                "umUnrealizedPNL": "0.00000000",
                "cmWalletBalance": money(cm),
                "cmUnrealizedPNL": "",
                "updateTime": 0,
                "negativeBalance": "0",
            }
        )
    return rows


def account(q: PortfolioQuery) -> Body:
    """GET account: the account's figures in US dollars."""
    return {
        "uniMMR": "5167.92171923",
        "accountEquity": "73.47428058",
        "actualEquity": "122607.35137903",
        "accountInitialMargin": "23.72469206",
        "accountMaintMargin": "23.72469206",
        "accountStatus": "NORMAL",
        "virtualMaxWithdrawAmount": "1627523.32459208",
        "totalAvailableBalance": "",
        "totalMarginOpenLoss": "",
        "updateTime": q.usdm.exchange.clock.now(),
    }


def _um_positions(q: PortfolioQuery) -> Body:
    snapshot = q.usdm.snapshot
    names = ("breakEvenPrice", "marginType", "isAutoAddMargin", "isolatedMargin", "isolatedWallet")
    return [without(snapshot.risk_v2(position), names) for position in snapshot.shown()]


def _cm_positions(q: PortfolioQuery) -> Body:
    names = ("breakEvenPrice", "marginType", "isAutoAddMargin", "isolatedMargin")
    return [without(row, names) | {"notionalValue": "0"} for row in coinm_rest.position_risk(q.coinm)]


def _cm_trades(q: PortfolioQuery) -> Body:
    start, end = q.coinm.number("startTime"), q.coinm.number("endTime")
    if start is not None and end is not None and end - start > DAY_MS:
        raise refusals.window_too_big(24)
    rows = [coinm_rest.trade_row(row) for row in endpoints.user_trades(q.coinm)]
    return [without(row, ("quoteQty",)) for row in rows]


def _strategy(row: dict[str, Any]) -> Body:
    fired = {"orderId": int(row["actualOrderId"])} if row["actualOrderId"] else {}
    return {
        "newClientStrategyId": row["clientAlgoId"],
        "strategyId": row["algoId"],
        "strategyStatus": row["algoStatus"],
        "strategyType": row["orderType"],
        "origQty": row["quantity"],
        "price": row["price"],
        "reduceOnly": row["reduceOnly"],
        "side": row["side"],
        "positionSide": row["positionSide"],
        "stopPrice": row["triggerPrice"],
        "symbol": row["symbol"],
        "bookTime": row["createTime"],
        "updateTime": row["updateTime"],
        "timeInForce": row["timeInForce"],
    } | fired


def _strategies(q: PortfolioQuery) -> Body:
    number = q.coinm.params.get("strategyId")
    if number is None:
        return [_strategy(row) for row in endpoints.all_algo_orders(q.coinm)]
    asked = Query({"algoId": number}, q.coinm.exchange, q.coinm.account, q.coinm.as_of_ms)
    try:
        return [_strategy(endpoints.algo_order(asked))]
    except Refused:
        return []


def _debts(kind: str) -> Callable[[PortfolioQuery], Body]:
    def answer(q: PortfolioQuery) -> Body:
        if not q.margin.params.get("asset"):
            raise refusals.missing("asset")
        query = q.margin
        query.params = query.params | {"type": kind}
        return margin_endpoints.loans(query)

    return answer


def _interest(q: PortfolioQuery) -> Body:
    return margin_endpoints.interest_history(q.margin)


def moves(q: PortfolioQuery) -> Body:
    """GET asset/transfer of one direction between spot and the margin wallet."""
    kind = q.margin.params.get("type")
    if not kind:
        raise refusals.missing("type")
    inward = kind == "MAIN_PORTFOLIO_MARGIN"
    if not inward and kind != "PORTFOLIO_MARGIN_MAIN":
        return {"rows": [], "total": 0}
    low, high = q.margin.window(183 * DAY_MS) or (0, q.margin.now)
    held = [m for m in q.margin.wallet.moves if m.kind == "transfer" and low <= m.time_ms <= high]
    rows = [m for m in held if (m.amount > 0) == inward and m.time_ms <= q.margin.seen][::-1]
    size = q.margin.limit(10, 100, "size")
    return {"rows": [_move(row, kind) for row in rows[:size]], "total": len(rows)}


def _move(row: Move, kind: str) -> Body:
    return {
        "asset": row.asset,
        "amount": money(abs(row.amount)),
        "type": kind,
        "status": "CONFIRMED",
        "tranId": row.number,
        "timestamp": row.time_ms,
    }


def _um(answer: Callable[[Query], Body]) -> Callable[[PortfolioQuery], Body]:
    return lambda q: answer(q.usdm)


def _cm(answer: Callable[[Query], Body], reword: Callable[[Body], Body] | None = None) -> Any:
    def answered(q: PortfolioQuery) -> Body:
        body = answer(q.coinm)
        if reword is None:
            return body
        return [reword(row) for row in body] if isinstance(body, list) else reword(body)

    return answered


def _margin(answer: Callable[[MarginQuery], Body]) -> Callable[[PortfolioQuery], Body]:
    return lambda q: answer(q.margin)


_row = coinm_rest.order_row
ROUTES: dict[str, PortfolioRoute] = {
    f"/papi/v1/{path}": route
    for path, route in {
        "balance": PortfolioRoute(balance, 20),
        "account": PortfolioRoute(account, 20),
        "um/accountConfig": PortfolioRoute(_um(endpoints.account_config), 5),
        "um/symbolConfig": PortfolioRoute(_um(endpoints.symbol_config), 5),
        "um/positionRisk": PortfolioRoute(_um_positions, 5),
        "um/openOrders": PortfolioRoute(_um(endpoints.open_orders), 1, 40),
        "um/order": PortfolioRoute(_um(endpoints.order), 1),
        "um/allOrders": PortfolioRoute(_um(endpoints.all_orders), 5),
        "um/userTrades": PortfolioRoute(_um(endpoints.user_trades), 5),
        "um/income": PortfolioRoute(_um(endpoints.income), 30),
        "um/algo/openAlgoOrders": PortfolioRoute(_um(endpoints.open_algo_orders), 1, 40),
        "um/algo/algoOrder": PortfolioRoute(_um(endpoints.algo_order), 1),
        "um/algo/allAlgoOrders": PortfolioRoute(_um(endpoints.all_algo_orders), 5),
        "cm/positionRisk": PortfolioRoute(_cm_positions, 1),
        "cm/openOrders": PortfolioRoute(_cm(endpoints.open_orders, _row), 1, 40),
        "cm/order": PortfolioRoute(_cm(endpoints.order, _row), 1),
        "cm/allOrders": PortfolioRoute(_cm(coinm_rest.all_orders), 20, 40),
        "cm/userTrades": PortfolioRoute(_cm_trades, 20, 40),
        "cm/income": PortfolioRoute(_cm(endpoints.income), 30),
        "cm/conditional/openOrders": PortfolioRoute(_cm(endpoints.open_algo_orders, _strategy), 1, 40),
        "cm/conditional/allOrders": PortfolioRoute(_strategies, 1, 40),
        "margin/openOrders": PortfolioRoute(_margin(margin_endpoints.open_orders), 5),
        "margin/order": PortfolioRoute(_margin(margin_endpoints.order), 10),
        "margin/allOrders": PortfolioRoute(_margin(margin_endpoints.all_orders), 100),
        "margin/myTrades": PortfolioRoute(_margin(margin_endpoints.my_trades), 5),
        "margin/marginInterestHistory": PortfolioRoute(_interest, 1),
        "margin/marginLoan": PortfolioRoute(_debts("BORROW"), 10),
        "margin/repayLoan": PortfolioRoute(_debts("REPAY"), 10),
        "portfolio/interest-history": PortfolioRoute(lambda _: [], 50),
    }.items()
} | {MOVES: PortfolioRoute(moves, 1)}
