"""The REST door of the simulated COIN-M: the questions of USDⓈ-M with the rows of contracts."""

from collections.abc import Callable
from decimal import Decimal
from typing import Any

from accountd.sim import endpoints, market
from accountd.sim.accounting import average_text, money, places, plain, quantity_text
from accountd.sim.coinm_exchange import CoinmExchange, contract_size
from accountd.sim.model import Position
from accountd.sim.query import Query
from accountd.sim.rest import RestApi, Route

Body = Any


def _pair(symbol: str) -> str:
    return symbol.partition("_")[0]


def order_row(row: dict[str, Any]) -> dict[str, Any]:
    """Return a row of USDⓈ-M's orders in contracts: base and quote follow from the number of them."""
    filled, average = Decimal(row["executedQty"]), Decimal(row["avgPrice"])
    dollars = filled * contract_size(row["symbol"])
    base = money(dollars / average) if average else "0"
    return row | {"cumQuote": plain(dollars), "cumBase": base, "pair": _pair(row["symbol"])}


def trade_row(row: dict[str, Any]) -> dict[str, Any]:
    """Return a row of USDⓈ-M's trades in contracts."""
    dollars = Decimal(row["qty"]) * contract_size(row["symbol"])
    base = money(dollars / Decimal(row["price"]))
    return row | {"baseQty": base, "quoteQty": plain(dollars), "pair": _pair(row["symbol"])}


def _each(answer: Callable[[Query], Body], reword: Callable[[Body], Body]) -> Callable[[Query], Body]:
    def reworded(q: Query) -> Body:
        body = answer(q)
        return [reword(row) for row in body] if isinstance(body, list) else reword(body)

    return reworded


def account(q: Query) -> Body:
    """GET account: one wallet for each coin, positions of every symbol."""
    assets = [
        {
            "asset": wallet.asset,
            "walletBalance": money(wallet.balance),
            "unrealizedProfit": "0.00000000",
            "marginBalance": money(wallet.balance),
            "maintMargin": "0.00000000",
            "initialMargin": "0.00000000",
            "positionInitialMargin": "0.00000000",
            "openOrderInitialMargin": "0.00000000",
            "maxWithdrawAmount": money(wallet.balance),
            "crossUnPnl": "0.00000000",
            "crossWalletBalance": money(wallet.balance),
            "availableBalance": money(wallet.balance),
            "updateTime": wallet.updated_ms,
        }
        for wallet in q.snapshot.wallets.values()
    ]
    flags = {"canDeposit": True, "canTrade": True, "canWithdraw": True, "feeTier": 2, "updateTime": 0}
    return {"assets": assets, "positions": [_in_account(row) for row in position_risk(q)]} | flags


def _in_account(row: dict[str, Any]) -> Body:
    same = ("symbol", "positionAmt", "leverage", "positionSide", "entryPrice", "maxQty", "updateTime")
    margins = ("initialMargin", "maintMargin", "positionInitialMargin", "openOrderInitialMargin")
    told = {name: row[name] for name in (*same, "breakEvenPrice")} | dict.fromkeys(margins, "0")
    return told | {
        "unrealizedProfit": row["unRealizedProfit"],
        "isolated": False,
        "notionalValue": "0",
    }


def balance(q: Query) -> Body:
    """GET balance."""
    return [
        {
            "accountAlias": q.account.alias,
            "asset": wallet.asset,
            "balance": money(wallet.balance),
            "withdrawAvailable": money(wallet.balance),
            "crossWalletBalance": money(wallet.balance),
            "crossUnPnl": "0.00000000",
            "availableBalance": money(wallet.balance),
            "updateTime": wallet.updated_ms,
        }
        for wallet in q.snapshot.wallets.values()
    ]


def position_risk(q: Query) -> Body:
    """GET positionRisk: every symbol, flat ones too."""
    return [_risk_row(q, position) for position in q.snapshot.positions.values()]


def _risk_row(q: Query, position: Position) -> Body:
    symbol, exchange = q.exchange.symbols[position.symbol], q.exchange
    assert isinstance(exchange, CoinmExchange)
    mark = exchange.marks[symbol.name]
    return {
        "symbol": symbol.name,
        "positionAmt": quantity_text(position.quantity, symbol),
        "entryPrice": average_text(position.entry, symbol),
        "breakEvenPrice": average_text(position.entry, symbol),
        "markPrice": places(mark, 8),
        "unRealizedProfit": money(exchange.gain(position, abs(position.quantity), mark)),
        "liquidationPrice": "0",
        "leverage": str(q.account.leverage.get(symbol.name, 20)),
        "maxQty": "50",
        "marginType": "cross",
        "isolatedMargin": "0.00000000",
        "isAutoAddMargin": "false",
        "positionSide": position.side,
        "updateTime": position.updated_ms,
    }


def all_orders(q: Query) -> Body:
    """GET allOrders of one symbol; a page holds 100."""
    q.limit(50, 100)
    return [order_row(row) for row in endpoints.all_orders(q)]


def exchange_info(q: Query, weight_limit: int) -> Body:
    """GET exchangeInfo, with the size of each contract."""
    told = market.exchange_info(q, weight_limit)
    for row in told["symbols"]:
        row["contractStatus"] = row.pop("status")
        extra = {"quoteAsset": "USD", "contractSize": int(contract_size(row["symbol"]))}
        row |= extra | {"pair": _pair(row["symbol"])}
    return told


ROUTES: dict[str, Route] = {
    f"/dapi/v1/{path}": route
    for path, route in {
        "time": Route(endpoints.server_time, 1, signed=False),
        "account": Route(account, 5),
        "balance": Route(balance, 1),
        "positionRisk": Route(position_risk, 1),
        "positionSide/dual": Route(market.position_mode, 30),
        "openOrders": Route(_each(endpoints.open_orders, order_row), 1, 40),
        "openOrder": Route(_each(endpoints.open_order, order_row), 1),
        "order": Route(_each(endpoints.order, order_row), 1),
        "allOrders": Route(all_orders, 5),
        "userTrades": Route(_each(endpoints.user_trades, trade_row), 5),
        "income": Route(endpoints.income, 20),
        "forceOrders": Route(_each(endpoints.force_orders, order_row), 20, 50),
        "openAlgoOrders": Route(endpoints.open_algo_orders, 1, 40),
        "algoOrder": Route(endpoints.algo_order, 1),
        "allAlgoOrders": Route(endpoints.all_algo_orders, 5),
    }.items()
}


class CoinmRest(RestApi):
    """Answers the REST requests of COIN-M."""

    listen_key = "/dapi/v1/listenKey"
    info_path = "/dapi/v1/exchangeInfo"
    all_orders_path = ""
    routes = ROUTES

    def info(self, query: Query) -> Any:
        """Return exchangeInfo."""
        return exchange_info(query, self.limit.limit)
