"""The simulated COIN-M, portfolio margin and options speak with the fields of the official samples."""

from decimal import Decimal as D

import pytest

from accountd.sim.coinm import Coinm
from accountd.sim.margin_exchange import MarginExchange
from accountd.sim.options_product import Options
from accountd.sim.portfolio import Portfolio
from accountd.sim.rest import HttpRequest
from accountd.sim.server import SimServer
from accountd.sim.spot import Spot
from tests.sim.signer import Client
from tests.venues.tape import load

# Fields that only some orders have, or that the sample lacks though newer documents name them.
SOMETIMES = {
    "AP", "cr", "N", "n", "activatePrice", "priceRate", "goodTillDate", "cumQuote", "quoteQty", "workingType",
    "priceProtect", "priceMatch", "selfTradePreventionMode", "stopPrice", "closePosition", "origType", "st",
    "si", "gtd", "zz", "cumBase", "baseQty", "pair", "marginAsset", "M", "info", "breakEvenPrice", "S",
    "tpOrderType", "icebergQuantity", "tpTriggerPrice", "tpPrice", "slTriggerPrice", "slPrice",
    "actualOrderId", "actualPrice", "orderId", "status", "triggerTime", "type", "icebergQty", "isIsolated",
    "accountId", "preventedMatchId", "preventedQuantity", "adjustedEquity", "initialMargin", "maintMargin",
    "unrealizedPNL", "priceScale", "quantityScale", "optionSide", "mmp", "markValue", "markPrice",
    "strikePrice", "expiryDate", "time", "bidQuantity", "askQuantity", "unrealizedProfit", "ia", "underlying",
    "isBestMatch", "i", "sp", "quoteAsset", "U",
}  # fmt: skip


def alike(made, sample, place=""):
    """Check that two bodies have the same fields, down to the first row of each list."""
    if isinstance(sample, dict):
        differ = set(made) ^ set(sample)
        assert differ <= SOMETIMES, f"{place}: {sorted(differ - SOMETIMES)}"
        for key in set(made) & set(sample):
            alike(made[key], sample[key], f"{place}.{key}")
    elif isinstance(sample, list) and sample and made:
        alike(made[0], sample[0], f"{place}[0]")


@pytest.fixture
def whole(exchange):
    """All derivative products of one exchange, with something of everything done on them."""
    margin = MarginExchange(exchange)
    margin.open_cross("main")
    coinm, spot, options = Coinm(exchange), Spot(exchange, margin), Options(exchange)
    portfolio = Portfolio(coinm, spot)
    for market, symbol in ((exchange, "BTCUSDT"), (coinm.coinm, "BTCUSD_PERP")):
        market.place("main", symbol, "BUY", D(2))
        market.place("main", symbol, "BUY", D(1), market.marks[symbol] / 2)
        market.algo("main", symbol, "SELL", "STOP_MARKET", D(1), market.marks[symbol] / 2)
    wallet = margin.wallet("main", "margin")
    margin.borrow(wallet, "USDT", D(100))
    margin.accrue(wallet, "USDT")
    margin.repay(wallet, "USDT", D(10))
    margin.place(wallet, "BTCUSDT", "BUY", D("0.01"))
    margin.place(wallet, "BTCUSDT", "BUY", D("0.01"), D(30000))
    options.options.place("main", "BTC-270326-90000-C", "BUY", D(1), D(100))
    options.options.exercise("main", "BTC-270326-90000-C", D(5))
    options.options.place("main", "ETH-270326-4000-C", "SELL", D(1), D(100))
    return [options, portfolio, coinm, spot]


PAGES = [
    ("cm", "dapi/v1", [
        "account", "balance", "positionRisk", "openOrders?symbol=BTCUSD_PERP", "allOrders?symbol=BTCUSD_PERP",
        "userTrades?symbol=BTCUSD_PERP", "income", "exchangeInfo", "positionSide/dual", "time",
    ]),
    ("pm", "papi/v1", [
        "balance", "account", "um/accountConfig", "um/symbolConfig", "um/positionRisk", "um/openOrders",
        "um/allOrders?symbol=BTCUSDT", "um/userTrades?symbol=BTCUSDT", "um/income", "um/algo/openAlgoOrders",
        "cm/positionRisk", "cm/openOrders", "cm/allOrders?symbol=BTCUSD_PERP", "cm/income",
        "cm/userTrades?symbol=BTCUSD_PERP", "cm/conditional/openOrders", "margin/openOrders",
        "cm/conditional/allOrders?symbol=BTCUSD_PERP", "margin/allOrders?symbol=BTCUSDT",
        "margin/myTrades?symbol=BTCUSDT", "margin/marginInterestHistory",
    ]),
    ("options", "eapi/v1", [
        "marginAccount", "position", "historyOrders?symbol=BTC-270326-90000-C", "bill?currency=USDT",
        "userTrades?symbol=BTC-270326-90000-C", "exerciseRecord",
    ]),
]  # fmt: skip


@pytest.mark.parametrize(("tapes", "base", "paths"), PAGES)
async def test_pages_have_the_official_fields(exchange, account, whole, tapes, base, paths):
    """Every REST page has the fields of its official sample, and something on it."""
    async with SimServer(exchange, products=whole) as sim:
        client = Client(None, account.credential, now=exchange.clock.now)
        for one in paths:
            path, _, query = one.partition("?")
            signed = client.query(**dict(part.split("=") for part in query.split("&") if part))
            headers = {"x-mbx-apikey": account.credential.api_key}
            product = sim.product_of(f"/{base}/{path}")
            body = product.answer(HttpRequest("GET", f"/{base}/{path}", signed, headers))
            assert body, one
            if path not in ("exchangeInfo", "income", "um/income", "cm/income"):
                alike(body, load(f"GET_{base}_{path}".replace("/", "_"), tapes), one)


async def test_events_have_the_official_fields(exchange, whole):
    """Every event of the streams has the fields of its official sample."""
    options, portfolio, coinm, _ = whole
    told = {"cm": [], "pm": [], "options": []}
    coinm.coinm.listen(lambda _, event: told["cm"].append(event))
    portfolio._tell = lambda _, event: told["pm"].append(event)
    options.options.listener = lambda _, event: told["options"].append(event)
    async with SimServer(exchange, products=whole):
        coinm.coinm.place("main", "BTCUSD_PERP", "SELL", D(1))
        coinm.coinm.set_leverage("main", "BTCUSD_PERP", 7)
        exchange.place("main", "BTCUSDT", "SELL", D(1))
        exchange.algo("main", "BTCUSDT", "SELL", "STOP_MARKET", D(1), D(20000))
        coinm.coinm.algo("main", "BTCUSD_PERP", "SELL", "STOP_MARKET", D(1), D(20000))
        wallet = portfolio.margin.wallet("main", "margin")
        portfolio.margin.borrow(wallet, "USDT", D(5))
        portfolio.margin.risk_level(wallet)
        options.options.place("main", "ETH-270326-4000-C", "BUY", D(1), D(100))
    for tapes, events in told.items():
        seen = {event["e"]: event for event in events if event is not None}
        assert len(seen) >= 3
        for name, event in seen.items():
            if name in ("executionReport", "ALGO_UPDATE") and tapes == "cm":
                continue
            sample = load(f"event_{name}", tapes)
            if name != "executionReport":
                alike(event, sample.get("data", sample), f"{tapes} {name}")
