"""Binance USDⓈ-M futures: where it lives, what may be asked of it, and how its record is read.

Venue pages: derivatives/usds-margined-futures (general-info, user-data-streams, account and trade REST).
"""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Iterable, Mapping
from datetime import datetime, timedelta
from types import MappingProxyType
from urllib.parse import quote

import msgspec

from accountd.core.told import (
    ALGO_ORDERS,
    BALANCES,
    FILLS,
    ORDERS,
    POSITIONS,
    TRANSFERS,
    Notice,
    Order,
    Told,
    Transfer,
)
from accountd.errors import BadRequest
from accountd.venues import binance
from accountd.venues import binance_usdm_events as events_of
from accountd.venues import binance_usdm_rows as rows_of
from accountd.venues.base import (
    NO_LANES,
    AccountState,
    Ack,
    Call,
    Decoded,
    ExchangeInfo,
    Flow,
    Page,
    Pool,
    Reply,
    Retention,
    Rights,
    Section,
    Swept,
    SymbolInfo,
    Urls,
    Window,
    to_ms,
)
from accountd.venues.binance import read
from accountd.venues.binance_usdm_calls import (
    HOSTS,
    INCOME_TYPES,
    LIMIT,
    LISTEN_KEY,
    MANDATORY_MISSING,
    NOT_THERE,
    PATHS,
    POOL,
    SAPI,
    SAPI_HEADER,
    THREE_MONTHS,
    WINDOW,
    call_for,
)
from accountd.venues.doors import Door, ListenKeyDoor, StreamOptions
from accountd.venues.paging import Question, by_id, by_time, fetch, places, reply_to


class _Config(msgspec.Struct, rename="camel"):
    multi_assets_margin: bool = False
    dual_side_position: bool = False
    can_trade: bool | None = None


class _Key(msgspec.Struct):
    listenKey: str | None = None


class BinanceUsdm:
    """The venue file of Binance USDⓈ-M futures; see `Venue` for what each verb promises."""

    name = "binance-usdm"
    market = rows_of.MARKET
    hosts: Mapping[str, Urls] = HOSTS
    pools: Mapping[str, Pool] = MappingProxyType(
        {POOL: Pool(limit=2400), SAPI: Pool(limit=12000, header=SAPI_HEADER)}
    )
    income_follows_fills = True
    allowed = frozenset(
        {("GET", path) for path, _ in PATHS.values()} | {("POST", LISTEN_KEY), ("PUT", LISTEN_KEY)}
    )
    retention: Mapping[str, Retention] = MappingProxyType(
        {
            ORDERS: Retention(keeps=timedelta(days=90), window=WINDOW, keeps_unfilled=timedelta(days=3)),
            ALGO_ORDERS: Retention(keeps=timedelta(days=90), window=WINDOW, keeps_unfilled=timedelta(days=3)),
            FILLS: Retention(keeps=THREE_MONTHS, window=WINDOW),
            TRANSFERS: Retention(keeps=THREE_MONTHS, window=WINDOW),
            BALANCES: Retention(keeps=timedelta(0), window=timedelta(0)),
            POSITIONS: Retention(keeps=timedelta(0), window=timedelta(0)),
        }
    )

    @property
    def sections(self) -> tuple[Section, ...]:
        """Return the one market that there is here."""
        return (self,)

    def doors(self, urls: Urls, options: StreamOptions) -> tuple[Door, ...]:
        """Return the one private stream, entered by a listen key."""

        def url(key: str) -> str:
            return self.stream_url(urls, key, options.form, options.events)

        door = ListenKeyDoor(
            create=self.listen_key_create(), keepalive=lambda _: self.listen_key_keepalive(),
            parse=self.parse_listen_key, url=url, probe=self.probe, lists_key=self.lists_key,
        )  # fmt: skip
        return (door,)

    def stream_url(self, urls: Urls, key: str, form: str, events: tuple[str, ...]) -> str:
        """Return the private stream's address in one of its forms: query, path or combined."""
        if form == "path":
            return f"{urls.stream}/private/ws/{quote(key, safe='')}"
        path = "stream" if form == "combined" else "ws"
        chosen = f"&events={'/'.join(quote(word, safe='') for word in events)}" if events else ""
        return f"{urls.stream}/private/{path}?listenKey={quote(key, safe='')}{chosen}"

    def decode(
        self, frame: bytes | str, received_at: datetime, lanes: Mapping[int, str] = NO_LANES
    ) -> Decoded:
        """Return what a frame tells; never raises. ``received_at`` dates what does not date itself."""
        decoded = events_of.decode(frame)
        if decoded.event_time is None:
            for row in decoded.told:
                if isinstance(row, Notice) and row.at is None:
                    row.at = received_at
        return decoded

    def decode_kept(self, kind: str, raw: bytes, received_at: datetime) -> list[Told]:
        """Return what a journaled frame told: frames explain themselves here."""
        return self.decode(raw, received_at).told

    def decode_page(self, kind: str, body: bytes, as_of: datetime) -> list[Told]:
        """Return what a page of ``kind`` tells, the same today as when its journal row was written."""
        return rows_of.decode_page(kind, body, as_of)

    def redact(self, raw: bytes, keys: Iterable[str] = ()) -> bytes:
        """Return ``raw`` with every listen key replaced by ``<listenKey>``."""
        return binance.redact(raw, keys)

    def listen_key_create(self) -> Call:
        """Return the call that makes a key, or lengthens the life of the one there is."""
        return Call(
            method="POST", path=LISTEN_KEY, kind="listen_key", pool=POOL, weight=1, keep=False, keyed=True
        )

    def listen_key_keepalive(self) -> Call:
        """Return the call that lengthens the key's life by 60 minutes."""
        return Call(
            method="PUT", path=LISTEN_KEY, kind="listen_key", pool=POOL, weight=1, keep=False, keyed=True
        )

    def parse_listen_key(self, reply: Reply) -> str | None:
        """Return the key that a reply names; None when it names none.

        Raises:
            VenueUnavailable: the reply makes no sense.
        """
        return read(reply, _Key, "listen_key").listenKey or None

    def probe(self, request_id: int) -> str:
        """Return the frame that asks what this socket is subscribed to."""
        return f'{{"method":"LIST_SUBSCRIPTIONS","id":{request_id}}}'

    def lists_key(self, ack: Ack, key: str) -> bool:
        """Tell whether the answer to a probe names the key, alone or with its events."""
        names = ack.result if isinstance(ack.result, list) else []
        return any(isinstance(name, str) and (name == key or name.startswith(f"{key}@")) for name in names)

    def rank(self, symbol: SymbolInfo, assets: Collection[str]) -> int | None:
        """Return 1: positions and income name what is traded, any other symbol is as likely as the next."""
        return 1

    def snapshot(self, lag: timedelta) -> Flow[AccountState]:
        """Tell balances, positions, leverage and margin types as of ``lag`` ago (20 weight).

        The two configurations may be refused (some environments lack them): money does not wait for them.
        """
        try:
            config = read((yield from reply_to(call_for("account_config"))), _Config, "account_config")
        except BadRequest:
            config = _Config()
        yield from _page("account.multi_assets" if config.multi_assets_margin else "account", lag)
        yield from _page("positions", lag)
        with contextlib.suppress(BadRequest):
            yield from _page("symbol_config", lag)  # after positions: it speaks about those held
        return AccountState(
            multi_assets=config.multi_assets_margin,
            hedge_mode=config.dual_side_position,
            can_trade=config.can_trade,
        )

    def canary(self, lag: timedelta) -> Flow[None]:
        """Tell wallet totals and positions as of ``lag`` ago, cheaply (10 weight)."""
        yield from _page("account.totals", lag)
        yield from _page("positions", lag)

    def open_orders(self, lag: timedelta) -> Flow[Swept]:
        """Tell all open plain and conditional orders as of ``lag`` ago (80 weight)."""
        swept = Swept()
        for kind in ("open_orders", "open_algo_orders"):
            page = yield from _page(kind, lag)
            swept.calls += 1
            found = [row for row in page.told if isinstance(row, Order)]
            swept.rows += len(found)
            swept.symbols.update(row.symbol for row in found)
        return swept

    def orders(self, symbol: str | None, start: datetime, end: datetime) -> Flow[Swept]:
        """Tell the plain orders created in a window; without a symbol where the venue allows it."""
        question = _history("orders", symbol, "orderId", weight=5 if symbol else 40)
        try:
            return (yield from by_time(question, to_ms(start), to_ms(end)))
        except BadRequest as refusal:
            if symbol is None and refusal.code == MANDATORY_MISSING:
                hole = Window(start=start, end=end, reason="a symbol is mandatory")
                return Swept(supported=False, unproven=[hole])
            raise

    def algo_orders(self, symbol: str, start: datetime, end: datetime) -> Flow[Swept]:
        """Tell the conditional orders of a symbol created in a window."""
        return (yield from by_time(_history("algo_orders", symbol, "algoId"), to_ms(start), to_ms(end)))

    def fills(self, symbol: str, start: datetime, end: datetime) -> Flow[Swept]:
        """Tell the trades of a symbol in a window."""
        return (yield from by_time(_history("fills", symbol, "fromId"), to_ms(start), to_ms(end)))

    def transfers(self, start: datetime, end: datetime, symbols: Iterable[str] = ()) -> Flow[Swept]:
        """Tell every income row in a window. ``symbols`` are those known, for an overfull millisecond."""
        known = frozenset(symbols)

        def dense(ms: int, page: Page, swept: Swept) -> Flow[bool]:
            told = {row.kind.upper() for row in page.told if isinstance(row, Transfer)}
            complete = True
            for word in sorted(told.union(INCOME_TYPES)):
                complete &= yield from _income_type(ms, word, known, swept)
            return complete

        question = Question(ask=_income, read=_read_page, limit=LIMIT, max_window=WINDOW, dense=dense)
        return (yield from by_time(question, to_ms(start), to_ms(end)))

    def order(self, symbol: str, order_id: str) -> Flow[bool]:
        """Tell one plain order; return False when the venue does not know it any more."""
        return (yield from _single("order", (("symbol", symbol), ("orderId", order_id))))

    def algo_order(self, algo_id: str) -> Flow[bool]:
        """Tell one conditional order; return False when the venue does not know it any more."""
        return (yield from _single("algo_order", (("algoId", algo_id),)))

    def server_time(self) -> Flow[datetime]:
        """Return the venue's clock."""
        return (yield from binance.server_time(call_for("time", signed=False)))

    def exchange_info(self) -> Flow[ExchangeInfo]:
        """Return the declared weight limit and the symbols."""
        return (yield from binance.exchange_info(call_for("exchange_info", signed=False), POOL))

    def rights(self) -> Flow[Rights]:
        """Return the key's rights; all None where the venue does not tell (test networks)."""
        return (yield from binance.rights(call_for("rights", pool=SAPI, base="sapi", once=True)))


def _read_page(call: Call, reply: Reply, lag: timedelta = timedelta(0)) -> Page:
    as_of = reply.fetched_at - lag
    told = rows_of.decode_page(call.kind, reply.body, as_of)
    return Page(kind=call.kind, as_of=as_of, told=told, call=call, reply=reply)


def _page(kind: str, lag: timedelta) -> Flow[Page]:
    return (yield from fetch(call_for(kind), lambda call, reply: _read_page(call, reply, lag), Swept()))


def _single(kind: str, params: tuple[tuple[str, str], ...]) -> Flow[bool]:
    try:
        yield from fetch(call_for(kind, params), _read_page, Swept())
    except BadRequest as refusal:
        if refusal.code in NOT_THERE:
            return False
        raise
    return True


def _history(kind: str, symbol: str | None, cursor: str, weight: int | None = None) -> Question:
    """Return the question about a history that pages by time, and by ``cursor`` inside one symbol."""
    of_symbol = (("symbol", symbol),) if symbol else ()

    def ask(start_ms: int, end_ms: int) -> Call:
        window = (("startTime", str(start_ms)), ("endTime", str(end_ms)), ("limit", str(LIMIT)))
        return call_for(kind, of_symbol + window, weight=weight)

    def ask_from(number: int) -> Call:
        return call_for(kind, (*of_symbol, (cursor, str(number)), ("limit", str(LIMIT))))

    # Numbers of different symbols do not stand in the order of time.
    dense = by_id(ask_from, _read_page, LIMIT) if symbol else None
    return Question(ask=ask, read=_read_page, limit=LIMIT, max_window=WINDOW, symbol=symbol, dense=dense)


def _income(start_ms: int, end_ms: int, *more: tuple[str, str]) -> Call:
    window = (("startTime", str(start_ms)), ("endTime", str(end_ms)), ("limit", str(LIMIT)))
    return call_for("income", (*more, *window))


def _income_type(ms: int, word: str, known: frozenset[str], swept: Swept) -> Flow[bool]:
    """Read one income type of one millisecond, by symbol if need be; return whether all of it was seen."""
    kind = ("incomeType", word)
    page = yield from fetch(_income(ms, ms, kind), _read_page, swept)
    if len(page.told) < LIMIT:
        return len(places(page)) == len(page.told)
    seen = {row.symbol for row in page.told if isinstance(row, Transfer)}
    complete = bool(known) and None not in seen
    for symbol in sorted(known.union(symbol for symbol in seen if symbol)):
        part = yield from fetch(_income(ms, ms, kind, ("symbol", symbol)), _read_page, swept)
        complete &= len(part.told) < LIMIT and len(places(part)) == len(part.told)
    return complete
