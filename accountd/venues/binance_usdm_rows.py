"""The REST pages of Binance USDⓈ-M futures, from page to what they tell.

Venue pages: derivatives/usds-margined-futures/account/rest-api and trade/rest-api.
"""

from __future__ import annotations

from accountd.venues import binance_futures_rows as futures
from accountd.venues.binance_contracts import USDM
from accountd.venues.binance_pages import Pages

MARKET = USDM
PAGES = Pages(
    futures.account_pages(USDM)
    | futures.order_pages(USDM)
    | futures.algo_pages(USDM)
    | futures.config_pages(USDM)
)
decode_page = PAGES.decode
