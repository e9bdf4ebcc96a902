"""The user-data events of Binance USDⓈ-M futures, from frame to what they tell.

Venue pages: derivatives/usds-margined-futures/user-data-streams and its Event-* pages.
"""

from __future__ import annotations

from accountd.venues.binance_contracts import USDM
from accountd.venues.binance_frames import Frames
from accountd.venues.binance_futures_events import FuturesEvents

FRAMES = Frames(FuturesEvents(USDM).readers())
decode = FRAMES.decode
