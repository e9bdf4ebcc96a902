"""The products that can be served by name, and the venue name under which a client reads each."""

from collections.abc import Iterable

from accountd.sim.coinm import Coinm
from accountd.sim.exchange import Exchange
from accountd.sim.margin import Margin
from accountd.sim.margin_exchange import MarginExchange
from accountd.sim.options_product import Options
from accountd.sim.portfolio import Portfolio
from accountd.sim.product import Product
from accountd.sim.spot import Spot

USDM = "usdm"
PAIRS = ("BTCUSDT", "ETHUSDT")
MARGINS = ("margin", "isolated")
VENUES = {
    USDM: "binance-usdm",
    "coinm": "binance-coinm",
    "spot": "binance-spot",
    "us": "binance-us",
    "margin": "binance-margin",
    "isolated": "binance-isolated-margin",
    "portfolio": "binance-portfolio",
    "options": "binance-options",
}


def build_products(exchange: Exchange, names: Iterable[str]) -> list[Product]:
    """Build the products of some names beside USDⓈ-M; ValueError for a name that is not in VENUES."""
    wanted = list(names)
    for name in wanted:
        if name not in VENUES:
            raise ValueError(f"no product is called {name}: {', '.join(VENUES)}")
    margins = [name for name in MARGINS if name in wanted]
    if "us" in wanted and ("spot" in wanted or "portfolio" in wanted or margins):
        raise ValueError("spot and us have the same paths: serve one of them")
    whole = "portfolio" in wanted
    made: list[Product] = []
    if "us" in wanted:
        made.append(Spot(exchange, mode="us"))
    elif "spot" in wanted or margins or whole:
        made += build_spot(exchange, [*margins, "margin"] if whole else margins)
    if "coinm" in wanted or whole:
        made.insert(0, coinm := Coinm(exchange))
        if whole:
            made.insert(0, Portfolio(coinm, next(one for one in made if isinstance(one, Spot))))
    if "options" in wanted:
        made.insert(0, Options(exchange))
    return made


def build_spot(exchange: Exchange, margins: Iterable[str] = ()) -> list[Product]:
    """Build spot, and margin before it, with cross (`margin`) or isolated accounts opened for everybody."""
    market = MarginExchange(exchange)
    spot = Spot(exchange, market)
    for account in exchange.accounts:
        if "margin" in margins:
            market.open_cross(account)
        for pair in PAIRS if "isolated" in margins else ():
            market.open_isolated(account, pair)
    return [Margin(spot), spot] if margins else [spot]
