"""What a futures contract of Binance is worth in the currency that it is quoted in.

Venue pages: derivatives/usds-margined-futures and derivatives/coin-margined-futures, contract specifications.
"""

from __future__ import annotations

from decimal import Decimal

from accountd.venues.wire import EXACT, product

USDM = "usdm"
COINM = "coinm"

# One COIN-M contract is worth so many US dollars; the stream does not tell, every REST trade does.
BTC_CONTRACT = Decimal(100)
CONTRACT = Decimal(10)


def quote_value(market: str, symbol: str, price: Decimal, quantity: Decimal) -> Decimal:
    """Return an execution's value in quote currency, exactly.

    USDⓈ-M: ``quantity`` is in base units, the value is price × quantity. COIN-M: ``quantity`` is in
    contracts of a fixed number of US dollars, whatever the price.
    """
    if market == COINM:
        return EXACT.multiply(quantity, BTC_CONTRACT if symbol.startswith("BTCUSD") else CONTRACT)
    return product(price, quantity)
