"""The user-data events of Binance USDⓈ-M futures, from frame to what they tell.

Venue pages: derivatives/usds-margined-futures/user-data-streams and its Event-* pages.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

import msgspec

from accountd.core.told import Balance, Fill, Notice, Order, Position, SymbolConfig, Told
from accountd.venues.base import ACK, KEY_EXPIRED, Ack, Decoded, from_ms
from accountd.venues.binance_usdm_wire import (
    AccountUpdate,
    AlgoUpdate,
    ConfigUpdate,
    Event,
    GridUpdate,
    KeyExpired,
    Loose,
    MarginCall,
    OrderBody,
    OrderUpdate,
    StrategyUpdate,
    TradeLite,
    TriggerReject,
    Wrapped,
)
from accountd.venues.wire import UNREADABLE, check, margin, plain, product, text

MARKET = "usdm"
FORCED = ("autoclose-", "adl_autoclose", "settlement_autoclose-")
EXECUTED = ("TRADE", "CALCULATED")
# These reasons move no money between wallets, so they leave no new row in the income history at once.
NO_INCOME = ("ORDER", "MARGIN_TYPE_CHANGE")


# strict=False: the venue writes E as a number or as text.
_event = msgspec.json.Decoder(Event, strict=False)
_wrapped = msgspec.json.Decoder(Wrapped, strict=False)
_loose = msgspec.json.Decoder(Loose, strict=False)


def decode(frame: bytes | str) -> Decoded:
    """Return what a frame tells; never raises, because a frame that makes no sense is told as such."""
    try:
        if frame[:9] in (b'{"stream"', '{"stream"'):
            event = _wrapped.decode(frame).data
        else:
            event = _event.decode(frame)
        return READERS[type(event)](event)
    except UNREADABLE as refusal:
        return _decode_loose(frame, refusal)


def _decode_loose(frame: bytes | str, refusal: Exception, depth: int = 0) -> Decoded:
    """Decode what is no known event in the usual form: wrapped otherwise, an ack, unknown, or torn."""
    try:
        loose = _loose.decode(frame)
        if len(loose.data) and loose.e is None and depth == 0:
            return _decode_inner(bytes(loose.data))
        if loose.e is None and len(loose.id):
            return _decode_ack(loose)
        if loose.e is not None and loose.e not in KNOWN:
            return _unknown(loose.e, from_ms(loose.E) if loose.E is not None else None)
        if loose.e is None:
            plain.decode(frame)  # bad UTF-8 outside the fields that were read
            return _decode_ack(loose) if len(loose.code) or len(loose.error) else _unknown("", None)
    except UNREADABLE as worse:
        refusal = worse
    return _undecodable(refusal)


def _decode_inner(frame: bytes) -> Decoded:
    try:
        event = _event.decode(frame)
        return READERS[type(event)](event)
    except UNREADABLE as refusal:
        return _decode_loose(frame, refusal, depth=1)


def _decode_ack(loose: Loose) -> Decoded:
    number = plain.decode(loose.id) if len(loose.id) else None
    error = (
        loose.msg if loose.msg is not None else (bytes(loose.error).decode() if len(loose.error) else None)
    )
    if error is None and len(loose.code):
        error = bytes(loose.code).decode()
    result = plain.decode(loose.result) if len(loose.result) else None
    ack = Ack(id=number if isinstance(number, int) else None, result=result, error=error)
    return Decoded(kind=ACK, event_time=None, told=[], control=ACK, ack=ack)


def _unknown(name: str, at: datetime | None) -> Decoded:
    # The name comes from outside and becomes a column and a metric's label: keep it short.
    short = name[:64]
    notice = Notice(kind="unknown", detail={"event": short}, at=at)
    return Decoded(kind=f"unknown:{short}", event_time=at, told=[notice])


def _undecodable(refusal: Exception) -> Decoded:
    # A ValidationError names a field and a type, a UnicodeDecodeError a byte: neither shows a value.
    reason = str(refusal)[:200]
    notice = Notice(kind="undecodable", detail={"reason": reason})
    return Decoded(kind="undecodable", event_time=None, told=[notice])


def _order(event: OrderUpdate) -> Decoded:
    o = event.o
    check(o.q, o.p, o.ap, o.sp, o.l, o.z, o.L, o.n, o.rp)
    made = from_ms(event.E)
    traded = made if o.T == event.E else from_ms(o.T)
    order = Order(
        market=MARKET,
        symbol=o.s,
        kind="order",
        order_id=str(o.i),
        status=o.X,
        updated_at=traded,
        client_order_id=o.c,
        side=o.S,
        position_side=o.ps,
        type=o.o,
        time_in_force=o.f,
        price=o.p,
        stop_price=o.sp,
        quantity=o.q,
        filled_quantity=o.z,
        average_price=o.ap,
        reduce_only=o.R,
        created_at=traded if o.x == "NEW" else None,
        reason=text(o.er or ""),
        execution_type=o.x,
        last_quantity=o.l,
        event_at=made,
    )
    told: list[Told] = [order]
    if o.x in EXECUTED and o.l and text(o.t) is not None:
        told.append(_fill(o, traded))
    if o.c is not None and o.c.startswith(FORCED):
        told.append(_forced(o, traded))
    return Decoded(kind="ORDER_TRADE_UPDATE", event_time=made, told=told)


def _fill(o: OrderBody, traded: datetime) -> Fill:
    if o.L is None or o.l is None or o.S is None:
        raise ValueError("a trade without price, quantity or side")
    return Fill(
        market=MARKET,
        symbol=o.s,
        trade_id=str(o.t),
        order_id=str(o.i),
        side=o.S,
        price=o.L,
        quantity=o.l,
        quote_quantity=product(o.L, o.l),
        traded_at=traded,
        client_order_id=o.c,
        position_side=o.ps,
        commission=o.n,
        commission_asset=o.N,
        realized_pnl=o.rp,
        is_maker=o.m,
    )


def _forced(o: OrderBody, at: datetime) -> Notice:
    detail = {"order_id": str(o.i), "client_order_id": o.c, "side": o.S, "status": o.X}
    return Notice(kind="liquidation", symbol=o.s, detail=detail, at=at)


def _account(event: AccountUpdate) -> Decoded:
    made = from_ms(event.E)
    as_of = made if event.T is None else from_ms(event.T)
    a = event.a
    told: list[Told] = []
    for row in a.B:
        check(row.wb)
        told.append(Balance(market=MARKET, asset=row.a, total=row.wb, as_of=as_of, seen_at=made, reason=a.m))
    for p in a.P:
        check(p.pa, p.ep, p.bep, p.up)
        told.append(
            Position(
                market=MARKET,
                symbol=p.s,
                position_side=p.ps,
                as_of=as_of,
                seen_at=made,
                quantity=p.pa,
                entry_price=p.ep,
                break_even_price=p.bep,
                unrealized_pnl=p.up,
                margin_type=margin(p.mt),
                reason=a.m,
            )
        )
    if a.m not in NO_INCOME:
        detail = {"reason": a.m, "assets": [row.a for row in a.B]}
        told.append(Notice(kind="transfer.hint", symbol=a.S or None, detail=detail, at=as_of))
    return Decoded(kind="ACCOUNT_UPDATE", event_time=made, told=told)


def _algo(event: AlgoUpdate) -> Decoded:
    o = event.o or event.ao
    if o is None:
        raise ValueError("ALGO_UPDATE without an order")
    check(o.q, o.p, o.tp, o.ap, o.aq)
    made = from_ms(event.E)
    placed = text(o.ai)
    order = Order(
        market=MARKET,
        symbol=o.s,
        kind="algo",
        order_id=str(o.aid),
        status=o.X,
        updated_at=made if event.T is None else from_ms(event.T),
        client_order_id=o.caid,
        side=o.S,
        position_side=o.ps,
        type=o.o,
        time_in_force=o.f,
        price=o.p,
        stop_price=o.tp,
        quantity=o.q,
        filled_quantity=o.aq if placed else None,
        average_price=o.ap if placed else None,
        reduce_only=o.R,
        actual_order_id=placed,
        reason=o.rm or None,
        event_at=made,
    )
    return Decoded(kind="ALGO_UPDATE", event_time=made, told=[order])


def _trade_lite(event: TradeLite) -> Decoded:
    made = from_ms(event.E)
    detail = {"order_id": text(event.i), "trade_id": text(event.t)}
    notice = Notice(kind="hint", symbol=event.s, detail=detail, at=made)
    return Decoded(kind="TRADE_LITE", event_time=made, told=[notice])


def _config(event: ConfigUpdate) -> Decoded:
    made = from_ms(event.E)
    as_of = made if event.T is None else from_ms(event.T)
    told: list[Told] = []
    if event.ac is not None:
        check(event.ac.l)
        told.append(SymbolConfig(market=MARKET, symbol=event.ac.s, as_of=as_of, leverage=event.ac.l))
    switches = plain.decode(event.ai)
    if switches is not None:
        mode = switches.get("j") if isinstance(switches, dict) else None
        told.append(Notice(kind="config", detail={"multi_assets": mode}, at=as_of))
    return Decoded(kind="ACCOUNT_CONFIG_UPDATE", event_time=made, told=told)


def _margin_call(event: MarginCall) -> Decoded:
    made = from_ms(event.E)
    names = {
        "s": "symbol", "ps": "position_side", "pa": "quantity", "mt": "margin_type", "iw": "isolated_wallet",
        "mp": "mark_price", "up": "unrealized_pnl", "mm": "maintenance_margin",
    }  # fmt: skip
    rows = plain.decode(event.p)
    positions = [{names.get(k, k): v for k, v in row.items()} for row in rows if isinstance(row, dict)]
    for row in positions:
        if "margin_type" in row:
            row["margin_type"] = margin(row["margin_type"])
    detail = {"cross_wallet_balance": plain.decode(event.cw), "positions": positions}
    symbol = positions[0].get("symbol") if len(positions) == 1 else None
    return Decoded(
        kind="MARGIN_CALL",
        event_time=made,
        told=[Notice(kind="margin.call", symbol=symbol, detail=detail, at=made)],
    )


def _leftover(kind: str, made: datetime, raw: msgspec.Raw) -> Decoded:
    detail: Any = plain.decode(raw)
    symbol = detail.get("s") if isinstance(detail, dict) else None
    notice = Notice(kind="leftover", symbol=symbol, detail={"event": kind, "body": detail}, at=made)
    return Decoded(kind=kind, event_time=made, told=[notice])


def _key_expired(event: KeyExpired) -> Decoded:
    made = from_ms(event.E) if event.E is not None else None
    return Decoded(
        kind="listenKeyExpired",
        event_time=made,
        told=[Notice(kind="key.expired", at=made)],
        control=KEY_EXPIRED,
        listen_key=event.listenKey,
    )


READERS: dict[type, Callable[[Any], Decoded]] = {
    OrderUpdate: _order,
    AccountUpdate: _account,
    AlgoUpdate: _algo,
    TradeLite: _trade_lite,
    ConfigUpdate: _config,
    MarginCall: _margin_call,
    StrategyUpdate: lambda e: _leftover("STRATEGY_UPDATE", from_ms(e.E), e.su),
    GridUpdate: lambda e: _leftover("GRID_UPDATE", from_ms(e.E), e.gu),
    TriggerReject: lambda e: _leftover("CONDITIONAL_ORDER_TRIGGER_REJECT", from_ms(e.E), e.or_),
    KeyExpired: _key_expired,
}
KNOWN = frozenset(event.__struct_config__.tag for event in READERS)  # type: ignore[attr-defined]
