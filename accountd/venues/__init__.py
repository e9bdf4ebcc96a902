"""The venues that accountd can listen to, by the name used in the settings."""

from accountd.venues.base import Venue
from accountd.venues.binance_coinm import BinanceCoinm
from accountd.venues.binance_isolated_margin import BinanceIsolatedMargin
from accountd.venues.binance_margin import BinanceMargin
from accountd.venues.binance_options import BinanceOptions
from accountd.venues.binance_portfolio import BinancePortfolio
from accountd.venues.binance_spot import BinanceSpot
from accountd.venues.binance_us import BinanceUs
from accountd.venues.binance_usdm import BinanceUsdm

VENUES: dict[str, type[Venue]] = {
    "binance-coinm": BinanceCoinm,
    "binance-isolated-margin": BinanceIsolatedMargin,
    "binance-margin": BinanceMargin,
    "binance-spot": BinanceSpot,
    "binance-us": BinanceUs,
    "binance-options": BinanceOptions,
    "binance-portfolio": BinancePortfolio,
    "binance-usdm": BinanceUsdm,
}


def open_venue(name: str) -> Venue:
    """Return the venue called ``name``.

    Raises:
        KeyError: there is none; settings allow only names that are here.
    """
    return VENUES[name]()
