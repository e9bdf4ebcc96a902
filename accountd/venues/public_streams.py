"""Public market streams of Binance: where each is served, how it is asked for, and what its frames tell.

Venue pages: spot web-socket-streams; derivatives websocket-market-streams. USDⓈ-M serves best bids and
depth under /public and everything else under /market: a stream asked for on the wrong route is
acknowledged and then silent.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal

import msgspec

from accountd.venues.base import from_ms
from accountd.venues.wire import UNREADABLE, check

# Which public streams speak of an account's market; options have no price of their own here.
FAMILY = {"spot": "spot", "margin": "spot", "isolated": "spot", "usdm": "usdm", "coinm": "coinm"}
# The venue whose table of hosts names the family's stream host.
VENUE = {"spot": "binance-spot", "us": "binance-us", "usdm": "binance-usdm", "coinm": "binance-coinm"}
QUOTES = ("USDT", "USDC", "FDUSD", "TUSD", "BUSD", "BTC", "ETH", "EUR", "TRY")  # what fees are valued in
PUBLIC = ("bookTicker", "depth", "rpiDepth")
MOST_STREAMS = 1_024  # of one connection
AT_ONCE = 100  # streams of one SUBSCRIBE
# Seconds between two control frames: 4 a second, below spot's 5 and futures' 10 with pongs counted too.
SPACING = 0.25


class Quote(msgspec.Struct, kw_only=True):
    """Prices of one symbol in quote units; ``at`` is the venue's time, None where it tells none."""

    symbol: str
    at: datetime | None
    mark: Decimal | None = None
    bid: Decimal | None = None
    ask: Decimal | None = None


class Candle(msgspec.Struct, kw_only=True):
    """One candlestick. Prices and ``quote_volume`` in quote units, ``volume`` in base (COIN-M: contracts)."""

    symbol: str
    interval: str
    open_time: datetime
    close_time: datetime
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    volume: Decimal
    quote_volume: Decimal | None
    trades: int | None
    closed: bool


class Heard(msgspec.Struct, kw_only=True):
    """What one frame of a stream told. ``price`` is the last or mark price of the event where it has one."""

    stream: str
    event: str
    at: datetime | None
    symbol: str | None = None
    price: Decimal | None = None
    quantity: Decimal | None = None
    quote: Quote | None = None
    candle: Candle | None = None
    reason: str = ""


class _Kline(msgspec.Struct, gc=False):
    t: int
    T: int
    i: str
    o: Decimal
    h: Decimal
    l: Decimal  # noqa: E741  # the venue's name
    c: Decimal
    v: Decimal
    q: Decimal | None = None
    n: int | None = None
    x: bool = False


class _Body(msgspec.Struct, gc=False):
    e: str = ""
    E: int | None = None
    s: str | None = None
    p: Decimal | None = None
    q: Decimal | None = None
    c: Decimal | None = None
    b: Decimal | None = None
    a: Decimal | int | None = None
    u: int | None = None
    k: _Kline | None = None


class _Frame(msgspec.Struct, gc=False):
    stream: str = ""
    data: msgspec.Raw = msgspec.Raw(b"")


class _Name(msgspec.Struct, gc=False):
    e: str = ""
    E: int | None = None
    s: str | None = None


_frame = msgspec.json.Decoder(_Frame)
_body = msgspec.json.Decoder(_Body, strict=False)
_name = msgspec.json.Decoder(_Name, strict=False)


def route(family: str, stream: str) -> str:
    """Return the path of the combined stream that serves ``stream``."""
    if family != "usdm":
        return "/stream"
    kind = stream.rpartition("!")[2] if stream.startswith("!") else stream.partition("@")[2]
    return "/public/stream" if kind.startswith(PUBLIC) else "/market/stream"


def prices_of(family: str, symbol: str) -> tuple[str, ...]:
    """Return the streams that tell a symbol's mark price and best bid and ask."""
    name = symbol.lower()
    book = f"{name}@bookTicker"
    return (book,) if family in ("spot", "us") else (f"{name}@markPrice@1s", book)


def fee_symbol(symbol: str, asset: str | None) -> str | None:
    """Return the symbol whose price values a fee in another coin than the symbol's own, such as BNBUSDT."""
    quote = next((one for one in QUOTES if symbol.endswith(one)), None)
    if not asset or quote is None or asset == quote or symbol.startswith(asset):
        return None
    return f"{asset}{quote}"


def control(method: str, streams: Sequence[str], number: int) -> str:
    """Return a SUBSCRIBE or UNSUBSCRIBE; the id is an unsigned integer, as futures demand."""
    return msgspec.json.encode({"method": method, "params": list(streams), "id": number}).decode()


def decode(frame: bytes) -> Heard | None:
    """Return what a combined frame tells; None for the answer to a control frame. Never raises."""
    try:
        told = _frame.decode(frame)
    except UNREADABLE as refusal:
        return Heard(stream="", event="undecodable", at=None, reason=str(refusal)[:200])
    if not told.stream:
        return None
    try:
        return _read(told.stream, _body.decode(told.data))
    except UNREADABLE:  # an array, or other types under the same letters: kept raw
        return _raw(told.stream, told.data)


def _read(stream: str, body: _Body) -> Heard:
    check(body.p, body.q, body.c, body.b)
    at = None if body.E is None else from_ms(body.E)
    ask = body.a if isinstance(body.a, Decimal) else None if body.a is None else Decimal(body.a)
    event = body.e or ("bookTicker" if body.u is not None else stream.partition("@")[2])
    heard = Heard(stream=stream, event=event, at=at, symbol=body.s)
    if event == "bookTicker" and body.s:
        heard.quote = Quote(symbol=body.s, at=at, bid=body.b, ask=ask)
    elif event == "markPriceUpdate" and body.s:
        heard.price, heard.quote = body.p, Quote(symbol=body.s, at=at, mark=body.p)
    elif event in ("trade", "aggTrade"):
        heard.price, heard.quantity = body.p, body.q
    elif event in ("24hrTicker", "24hrMiniTicker"):
        heard.price = body.c
    elif event == "kline" and body.k is not None and body.s:
        heard.candle = _candle(body.s, body.k)
    return heard


def _candle(symbol: str, k: _Kline) -> Candle:
    check(k.o, k.h, k.l, k.c, k.v, k.q)
    return Candle(
        symbol=symbol, interval=k.i, open_time=from_ms(k.t), close_time=from_ms(k.T), open=k.o, high=k.h,
        low=k.l, close=k.c, volume=k.v, quote_volume=k.q, trades=k.n, closed=k.x,
    )  # fmt: skip


def _raw(stream: str, data: msgspec.Raw) -> Heard:
    try:
        named = _name.decode(data)
        at = None if named.E is None else from_ms(named.E)
        return Heard(stream=stream, event=named.e or stream.partition("@")[2], at=at, symbol=named.s)
    except UNREADABLE:  # an array of events
        return Heard(stream=stream, event=stream, at=None)
