"""What all of Binance's products have in common: rights of a key, exchange info, secrets in frames."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import datetime
from typing import TypeVar

import msgspec

from accountd.errors import BadRequest, KeyRefused, VenueGone, VenueUnavailable
from accountd.venues.base import Call, ExchangeInfo, Flow, Pool, Reply, Rights, SymbolInfo, from_ms
from accountd.venues.paging import reply_to
from accountd.venues.wire import UNREADABLE

T = TypeVar("T")

# A secret that is not one of those known here: the value of its field, or a long stream name.
STRAY_KEY = re.compile(rb'("(?:listenKey|listenToken|token|apiKey|signature)"\s*:\s*")[^"]*(")')
STRAY_NAME = re.compile(rb'(")[A-Za-z0-9]{60,}(?=["@])')

RIGHTS = "/sapi/v1/account/apiRestrictions"
IP_HEADER = "x-sapi-used-ip-weight-1m"
UID_HEADER = "x-sapi-used-uid-weight-1m"
TRADING = (
    "enableFutures",
    "enableSpotAndMarginTrading",
    "enableMargin",
    "enableVanillaOptions",
    "enableFixApiTrade",
    "enablePortfolioMarginTrading",
)
WITHDRAWING = ("enableWithdrawals", "enableInternalTransfer", "permitsUniversalTransfer")


class _Limit(msgspec.Struct, rename="camel"):
    rate_limit_type: str = ""
    interval: str = ""
    interval_num: int = 0
    limit: int = 0


class _Symbol(msgspec.Struct, rename="camel"):
    symbol: str
    status: str = ""
    contract_status: str = ""  # COIN-M's word for it
    base_asset: str = ""
    quote_asset: str = ""
    margin_asset: str | None = None


class _Info(msgspec.Struct, rename="camel"):
    rate_limits: list[_Limit] = []
    symbols: list[_Symbol] = []


class _Time(msgspec.Struct, rename="camel"):
    server_time: int


def sapi_pool(path: str) -> str:
    """Return the name of an endpoint's own pool under /sapi."""
    return f"sapi:{path}"


def sapi_pools(by_ip: Iterable[str], by_uid: Iterable[str] = ()) -> dict[str, Pool]:
    """Return the pools of /sapi endpoints: each counts by itself, for the address or for the account."""
    pools = {sapi_pool(path): Pool(limit=12_000, header=IP_HEADER) for path in by_ip}
    return pools | {
        sapi_pool(path): Pool(limit=180_000, header=UID_HEADER, per_account=True) for path in by_uid
    }


def read(reply: Reply, shape: type[T], kind: str) -> T:
    """Return a reply's body as ``shape``.

    Raises:
        VenueUnavailable: it makes no sense.
    """
    try:
        return msgspec.json.decode(reply.body, type=shape, strict=False)
    except UNREADABLE as refusal:
        raise VenueUnavailable(f"{kind}: the reply makes no sense") from refusal


def redact(raw: bytes, keys: Iterable[str] = ()) -> bytes:
    """Return ``raw`` with every listen key and token replaced by ``<listenKey>``."""
    for key in keys:
        if key:
            raw = raw.replace(key.encode(), b"<listenKey>")
    if b'"listen' in raw or b'"token"' in raw or b'"apiKey"' in raw or b'"signature"' in raw:
        raw = STRAY_KEY.sub(rb"\1<listenKey>\2", raw)
    if b'"stream"' in raw or b'"result"' in raw:
        raw = STRAY_NAME.sub(rb"\1<listenKey>", raw)
    return raw


def server_time(call: Call) -> Flow[datetime]:
    """Return the venue's clock."""
    return from_ms(read((yield from reply_to(call)), _Time, "time").server_time)


def exchange_info(call: Call, pool: str) -> Flow[ExchangeInfo]:
    """Return the declared weight per minute of ``pool``, and the symbols."""
    return exchange_info_of((yield from reply_to(call)), pool)


def exchange_info_of(reply: Reply, pool: str) -> ExchangeInfo:
    """Return what a reply of exchangeInfo declares.

    Raises:
        VenueUnavailable: the reply makes no sense.
    """
    info = read(reply, _Info, "exchange_info")
    a_minute = ("REQUEST_WEIGHT", "MINUTE", 1)
    declared = [
        row.limit
        for row in info.rate_limits
        if (row.rate_limit_type, row.interval, row.interval_num) == a_minute
    ]
    symbols = {
        row.symbol: SymbolInfo(
            symbol=row.symbol,
            status=row.status or row.contract_status,
            base_asset=row.base_asset,
            quote_asset=row.quote_asset,
            margin_asset=row.margin_asset,
        )
        for row in info.symbols
    }
    return ExchangeInfo(limits={pool: declared[0]} if declared else {}, symbols=symbols)


def rights(call: Call) -> Flow[Rights]:
    """Return the key's rights; all None where the venue does not tell (test networks)."""
    try:
        told = read((yield from reply_to(call)), dict[str, object], "rights")
    except (BadRequest, KeyRefused, VenueUnavailable, VenueGone):
        return Rights()

    def any_of(*names: str) -> bool | None:
        values = [told[name] for name in names if name in told]
        return any(value is True for value in values) if values else None

    expires = told.get("tradingAuthorityExpirationTime")
    return Rights(
        read=any_of("enableReading"),
        trade=any_of(*TRADING),
        withdraw=any_of(*WITHDRAWING),
        ip_restricted=any_of("ipRestrict"),
        expires_at=from_ms(expires) if isinstance(expires, int) and expires > 0 else None,
    )
