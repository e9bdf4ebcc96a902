"""The questions of Binance USDⓈ-M futures: hosts, paths, weights and limits.

Venue pages: derivatives/usds-margined-futures general-info, and the weight on each endpoint's page.
"""

from __future__ import annotations

from datetime import timedelta

from accountd.venues.base import Call, Urls

POOL = "binance-futures"  # USDⓈ-M and COIN-M count together
SAPI = "sapi:/sapi/v1/account/apiRestrictions"
SAPI_HEADER = "x-sapi-used-ip-weight-1m"
LIMIT = 1000
WINDOW = timedelta(days=7) - timedelta(seconds=1)
THREE_MONTHS = timedelta(days=89)  # the shortest three months, less a leap
NOT_THERE = (-2013, -2011)
MANDATORY_MISSING = -1102

HOSTS = {
    "live": Urls(
        rest="https://fapi.binance.com", stream="wss://fstream.binance.com", sapi="https://api.binance.com"
    ),
    "testnet": Urls(
        rest="https://testnet.binancefuture.com",
        stream="wss://fstream.binancefuture.com",
        sapi="https://testnet.binancefuture.com",
    ),
    "demo": Urls(
        rest="https://demo-fapi.binance.com",
        stream="wss://demo-fstream.binance.com",
        sapi="https://demo-fapi.binance.com",
    ),
}
INCOME_TYPES = [
    "TRANSFER",
    "WELCOME_BONUS",
    "REALIZED_PNL",
    "FUNDING_FEE",
    "COMMISSION",
    "INSURANCE_CLEAR",
    "REFERRAL_KICKBACK",
    "COMMISSION_REBATE",
    "API_REBATE",
    "CONTEST_REWARD",
    "CROSS_COLLATERAL_TRANSFER",
    "OPTIONS_PREMIUM_FEE",
    "OPTIONS_SETTLE_PROFIT",
    "INTERNAL_TRANSFER",
    "AUTO_EXCHANGE",
    "DELIVERED_SETTELMENT",
    "COIN_SWAP_DEPOSIT",
    "COIN_SWAP_WITHDRAW",
    "POSITION_LIMIT_INCREASE_FEE",
    "STRATEGY_UMFUTURES_TRANSFER",
    "FEE_RETURN",
    "BFUSD_REWARD",
]
# Path and weight of each question; all-symbol weights where a symbol may be left out.
PATHS: dict[str, tuple[str, int]] = {
    "account": ("/fapi/v3/account", 5),
    "account.multi_assets": ("/fapi/v3/account", 5),
    "account.totals": ("/fapi/v3/account", 5),
    "positions": ("/fapi/v3/positionRisk", 5),
    "symbol_config": ("/fapi/v1/symbolConfig", 5),
    "account_config": ("/fapi/v1/accountConfig", 5),
    "open_orders": ("/fapi/v1/openOrders", 40),
    "open_algo_orders": ("/fapi/v1/openAlgoOrders", 40),
    "orders": ("/fapi/v1/allOrders", 5),
    "algo_orders": ("/fapi/v1/allAlgoOrders", 5),
    "order": ("/fapi/v1/order", 1),
    "algo_order": ("/fapi/v1/algoOrder", 1),
    "fills": ("/fapi/v1/userTrades", 5),
    "income": ("/fapi/v1/income", 30),
    "time": ("/fapi/v1/time", 1),
    "exchange_info": ("/fapi/v1/exchangeInfo", 1),
    "rights": ("/sapi/v1/account/apiRestrictions", 1),
}
LISTEN_KEY = "/fapi/v1/listenKey"


def call_for(
    kind: str,
    params: tuple[tuple[str, str], ...] = (),
    *,
    signed: bool = True,
    weight: int | None = None,
    pool: str = POOL,
    base: str = "rest",
    once: bool = False,
) -> Call:
    """Return the call of ``kind``; its weight is the usual one unless given."""
    path, usual = PATHS[kind]
    return Call(
        method="GET",
        path=path,
        kind=kind,
        pool=pool,
        weight=usual if weight is None else weight,
        params=params,
        signed=signed,
        base=base,
        once=once,
    )
