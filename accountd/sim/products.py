"""The products that can be served by name, and the venue name under which a client reads each."""

from collections.abc import Iterable

from accountd.sim.exchange import Exchange
from accountd.sim.product import Product
from accountd.sim.spot import Spot

USDM = "usdm"
VENUES = {USDM: "binance-usdm", "spot": "binance-spot", "us": "binance-us"}


def build_products(exchange: Exchange, names: Iterable[str]) -> list[Product]:
    """Build the products of some names beside USDⓈ-M; ValueError for a name that is not in VENUES."""
    wanted = list(names)
    for name in wanted:
        if name not in VENUES:
            raise ValueError(f"no product is called {name}: {', '.join(VENUES)}")
    if "spot" in wanted and "us" in wanted:
        raise ValueError("spot and us have the same paths: serve one of them")
    made: list[Product] = []
    if "spot" in wanted or "us" in wanted:
        made.append(Spot(exchange, mode="us" if "us" in wanted else "binance"))
    return made
