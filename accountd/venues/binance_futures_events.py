"""The user-data events that Binance's futures have in common, from event to what it tells.

Venue pages: derivatives/{usds-margined-futures,coin-margined-futures,portfolio-margin}/user-data-streams
and their Event-* pages. Quantities are in base units on USDⓈ-M and in contracts on COIN-M.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from accountd.core.told import Balance, Fill, Notice, Order, Position, SymbolConfig, Told
from accountd.venues.base import KEY_EXPIRED, Decoded, from_ms
from accountd.venues.binance_contracts import quote_value
from accountd.venues.binance_frames import Reader, leftover
from accountd.venues.binance_futures_wire import (
    AccountUpdate,
    AlgoUpdate,
    ConfigUpdate,
    GridUpdate,
    KeyExpired,
    MarginCall,
    OrderBody,
    OrderUpdate,
    StrategyUpdate,
    TradeLite,
    TriggerReject,
)
from accountd.venues.wire import check, margin, plain, text

FORCED = ("autoclose-", "adl_autoclose", "settlement_autoclose-")
EXECUTED = ("TRADE", "CALCULATED")
# These reasons move no money between wallets, so they leave no new row in the income history at once.
NO_INCOME = ("ORDER", "MARGIN_TYPE_CHANGE")


class FuturesEvents:
    """Reads the events of one futures market, or of several that ``units`` names by business unit."""

    def __init__(self, market: str, units: Mapping[str, str] | None = None) -> None:
        self.market = market
        self.units = units

    def readers(self) -> dict[type, Reader]:
        """Return who reads what, for `Frames`."""
        return {
            OrderUpdate: self.order,
            AccountUpdate: self._account,
            AlgoUpdate: self._algo,
            TradeLite: _trade_lite,
            ConfigUpdate: self._config,
            MarginCall: _margin_call,
            StrategyUpdate: lambda e: leftover("STRATEGY_UPDATE", from_ms(e.E), e.su),
            GridUpdate: lambda e: leftover("GRID_UPDATE", from_ms(e.E), e.gu),
            TriggerReject: lambda e: leftover("CONDITIONAL_ORDER_TRIGGER_REJECT", from_ms(e.E), e.or_),
            KeyExpired: key_expired,
        }

    def market_of(self, unit: str | None) -> str:
        """Return the market of an event by its business unit.

        Raises:
            ValueError: several markets share the stream and this event names none of them.
        """
        if self.units is None:
            return self.market
        if unit is None or unit not in self.units:
            raise ValueError("an event of no known business unit")
        return self.units[unit]

    def order(self, event: OrderUpdate) -> Decoded:
        """Return an order's new state, and its execution if it traded."""
        o, market = event.o, self.market_of(event.fs)
        check(o.q, o.p, o.ap, o.sp, o.l, o.z, o.L, o.n, o.rp)
        made = from_ms(event.E)
        traded = made if o.T == event.E else from_ms(o.T)
        order = Order(
            market=market,
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
        )
        told: list[Told] = [order]
        if _is_execution(o):
            told.append(self.fill(o, market, traded))
        if o.c is not None and o.c.startswith(FORCED):
            told.append(_forced(o, market, traded))
        return Decoded(kind="ORDER_TRADE_UPDATE", event_time=made, told=told)

    def fill(self, o: OrderBody, market: str, traded: datetime) -> Fill:
        """Return the execution that an order update tells."""
        if o.L is None or o.l is None or o.S is None:
            raise ValueError("a trade without price, quantity or side")
        return Fill(
            market=market,
            symbol=o.s,
            trade_id=str(o.t),
            order_id=str(o.i),
            side=o.S,
            price=o.L,
            quantity=o.l,
            quote_quantity=quote_value(market, o.s, o.L, o.l),
            traded_at=traded,
            client_order_id=o.c,
            position_side=o.ps,
            commission=o.n,
            commission_asset=o.N,
            realized_pnl=o.rp,
            is_maker=o.m,
        )

    def _account(self, event: AccountUpdate) -> Decoded:
        made = from_ms(event.E)
        as_of = made if event.T is None else from_ms(event.T)
        a, market = event.a, self.market_of(event.fs)
        if a.B is None and a.P is None:
            raise ValueError("an account update without balances and positions")
        told: list[Told] = []
        for row in a.B or ():
            check(row.wb)
            told.append(
                Balance(market=market, asset=row.a, total=row.wb, as_of=as_of, seen_at=made, reason=a.m)
            )
        for p in a.P or ():
            check(p.pa, p.ep, p.bep, p.up)
            told.append(
                Position(
                    market=market,
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
            detail = {"reason": a.m, "assets": [row.a for row in a.B or ()]}
            hint = Notice(kind="transfer.hint", symbol=a.S or None, detail=detail, at=as_of, market=market)
            told.append(hint)
        return Decoded(kind="ACCOUNT_UPDATE", event_time=made, told=told)

    def _algo(self, event: AlgoUpdate) -> Decoded:
        o, market = event.o or event.ao, self.market_of(event.fs)
        if o is None:
            raise ValueError("ALGO_UPDATE without an order")
        check(o.q, o.p, o.tp, o.ap, o.aq)
        made = from_ms(event.E)
        placed = text(o.ai)
        order = Order(
            market=market,
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
        )
        return Decoded(kind="ALGO_UPDATE", event_time=made, told=[order])

    def _config(self, event: ConfigUpdate) -> Decoded:
        made = from_ms(event.E)
        as_of = made if event.T is None else from_ms(event.T)
        told: list[Told] = []
        if event.ac is not None:
            check(event.ac.l)
            market = self.market_of(event.fs)
            told.append(SymbolConfig(market=market, symbol=event.ac.s, as_of=as_of, leverage=event.ac.l))
        switches = plain.decode(event.ai)
        if switches is not None:
            mode = switches.get("j") if isinstance(switches, dict) else None
            told.append(Notice(kind="config", detail={"multi_assets": mode}, at=as_of))
        if not told:
            raise ValueError("a configuration that says nothing")
        return Decoded(kind="ACCOUNT_CONFIG_UPDATE", event_time=made, told=told)


def _is_execution(o: OrderBody) -> bool:
    """Say whether an order update tells an execution.

    Raises:
        ValueError: it may be one, but does not say enough to be kept as one.
    """
    if not o.x:
        raise ValueError("an order update that does not say what happened")
    if o.x not in EXECUTED:
        return False
    if o.l is None or o.t in (None, ""):
        raise ValueError("a trade without quantity or number")
    return bool(o.l) and text(o.t) is not None


def _forced(o: OrderBody, market: str, at: datetime) -> Notice:
    detail = {"order_id": str(o.i), "client_order_id": o.c, "side": o.S, "status": o.X}
    return Notice(kind="liquidation", symbol=o.s, detail=detail, at=at, market=market)


def _trade_lite(event: TradeLite) -> Decoded:
    made = from_ms(event.E)
    detail = {"order_id": text(event.i), "trade_id": text(event.t)}
    notice = Notice(kind="hint", symbol=event.s, detail=detail, at=made)
    return Decoded(kind="TRADE_LITE", event_time=made, told=[notice])


def _margin_call(event: MarginCall) -> Decoded:
    made = from_ms(event.E)
    names = {
        "s": "symbol", "ps": "position_side", "pa": "quantity", "mt": "margin_type", "iw": "isolated_wallet",
        "mp": "mark_price", "up": "unrealized_pnl", "mm": "maintenance_margin",
    }  # fmt: skip
    rows = plain.decode(event.p) or []
    positions = [{names.get(k, k): v for k, v in row.items()} for row in rows if isinstance(row, dict)]
    for row in positions:
        if isinstance(row.get("margin_type"), str):
            row["margin_type"] = margin(row["margin_type"])
    detail = {"cross_wallet_balance": plain.decode(event.cw), "positions": positions}
    symbol = positions[0].get("symbol") if len(positions) == 1 else None
    return Decoded(
        kind="MARGIN_CALL",
        event_time=made,
        told=[Notice(kind="margin.call", symbol=symbol, detail=detail, at=made)],
    )


def key_expired(event: KeyExpired) -> Decoded:
    """Return the end of a listen key, for the session."""
    made = from_ms(event.E) if event.E is not None else None
    return Decoded(
        kind="listenKeyExpired",
        event_time=made,
        told=[Notice(kind="key.expired", at=made)],
        control=KEY_EXPIRED,
        listen_key=event.listenKey,
    )
