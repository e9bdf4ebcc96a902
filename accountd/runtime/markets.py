"""Follows public market streams beside the accounts, and never at their expense."""

from __future__ import annotations

import asyncio
import random
from collections import deque
from datetime import datetime, timedelta
from functools import partial

import structlog

from accountd.core.beliefs import Recent
from accountd.core.told import Fill
from accountd.errors import DatabaseError, Fenced, RecordRefused
from accountd.runtime.backoff import Backoff, ConnectBudget
from accountd.runtime.clock import Clock
from accountd.runtime.lines import HOUSE
from accountd.runtime.market_feed import Feed
from accountd.runtime.metrics import Metrics
from accountd.runtime.recorder import Outcome, Recorder
from accountd.settings_model import Settings
from accountd.store.market import Bar, Event, Price, write
from accountd.venues import open_venue
from accountd.venues.base import EPOCH, urls_of
from accountd.venues.public_streams import FAMILY, VENUE, Heard, Quote, fee_symbol, prices_of, route

log = structlog.get_logger("accountd.markets")

FLUSH = 1.0  # seconds between two writes
CHUNK = 500  # rows of one transaction
HELD = 20_000  # rows that wait at most; beyond that the oldest are dropped and counted
BUSY = 100  # frames of accounts that wait for the writer, from which on the market waits
STEP = timedelta(milliseconds=50)  # between two quotes that are remembered for fills
IDLE = timedelta(days=8)  # a symbol that no account touches for so long is let go
RECENT_FILL = timedelta(minutes=1)
Name = tuple[str, str]  # family, symbol


class Markets:
    """Prices of the symbols that the accounts trade, and the streams that the settings name.

    Rows that the record has no time for are dropped and counted: a market's price is never worth an
    account's frame.
    """

    def __init__(self, settings: Settings, recorder: Recorder, connects: ConnectBudget, metrics: Metrics,
                 clock: Clock) -> None:  # fmt: skip
        self.settings = settings
        self.recorder = recorder
        self.metrics = metrics
        self.clock = clock
        self.connects = connects
        self.feeds: dict[tuple[str, str], Feed] = {}
        self._rows: deque[Price | Event] = deque()
        self._bars: dict[tuple[str, str, str, datetime], Bar] = {}
        self._quotes: dict[Name, deque[Quote]] = {}
        self._wanted: dict[tuple[str, str], datetime] = {}  # market, symbol -> last touched
        self._families = {name: _family_of(one.venue) for name, one in settings.accounts.items()}
        self._named = frozenset(settings.market.streams)
        self._seen: Recent[int, None] = Recent(4_000)  # frames told twice while a connection rotates
        self._n = 0

    @property
    def active(self) -> bool:
        """Say whether anything is asked for."""
        return self.settings.market.prices or bool(self._named)

    async def run(self) -> None:
        """Follow until cancelled; a bug met here ends neither the accounts nor, for good, the market."""
        if not self.active:
            return
        backoff = Backoff(self.settings.reconnect_max, random.Random())
        while True:
            started = self.clock.monotonic()
            try:
                await self._follow()
            except Exception:  # whatever it was: it is said, and the streams begin anew
                log.exception("market streams broke")
                self.metrics.market_dropped.inc()
            self.feeds.clear()
            self._wanted.clear()
            await self.clock.sleep(backoff.next(self.clock.monotonic() - started))

    async def _follow(self) -> None:
        for named in sorted(self._named):
            family, _, stream = named.partition(":")
            self._feed(family, route(family, stream)).follow({stream})
        try:
            await self._look_up()
            await self._record_for_ever()
        finally:
            await asyncio.gather(*(feed.stop() for feed in self.feeds.values()))

    async def _record_for_ever(self) -> None:
        sampled = looked = self.clock.monotonic()
        while True:
            await self.clock.sleep(min(FLUSH, self.settings.market.sample.total_seconds()))
            now = self.clock.monotonic()
            if now - sampled >= self.settings.market.sample.total_seconds():
                sampled = now
                self._sample()
            if now - looked >= IDLE.total_seconds() / 100:
                looked = now
                self._let_go()
            await self._flush()

    # -- which symbols

    async def _look_up(self) -> None:
        """Begin with the symbols that the accounts traded lately."""
        if not self.settings.market.prices:
            return
        oldest = self.clock.now() - IDLE
        for name, account in self.settings.accounts.items():
            markets = [section.market for section in open_venue(account.venue).sections]
            for market in markets:
                found = await self._known(name, market)
                for symbol in account.symbols:
                    self.touch(name, market, symbol, self.clock.now())
                for symbol, last in found.items():
                    if last >= oldest:
                        self.touch(name, market, symbol, last)

    async def _known(self, account: str, market: str) -> dict[str, datetime]:
        return await self.recorder.submit(lambda tx: tx.known_symbols(account, market), account)

    def touch(self, account: str, market: str, symbol: str, at: datetime) -> None:
        """An account has to do with a symbol: follow its prices."""
        family = self._families.get(account) or FAMILY.get(market)
        if market not in FAMILY or family is None or not self.settings.market.prices:
            return
        known = self._wanted.get((market, symbol))
        self._wanted[(market, symbol)] = at if known is None else max(at, known)
        if known is None:
            for stream in prices_of(family, symbol):
                self._feed(family, route(family, stream)).follow({stream})

    def _let_go(self) -> None:
        """Stop following what no account touched for long; what the settings name stays."""
        oldest = self.clock.now() - IDLE
        for market, symbol in [key for key, at in self._wanted.items() if at < oldest]:
            del self._wanted[(market, symbol)]
            for (family, _), feed in self.feeds.items():
                streams = set(prices_of(family, symbol)) & feed.streams
                feed.leave({one for one in streams if f"{family}:{one}" not in self._named})

    def _feed(self, family: str, path: str) -> Feed:
        feed = self.feeds.get((family, path))
        if feed is None:
            url = self._host(family) + path
            hear = partial(self._hear, family)
            feed = Feed(family, url, self.settings, self.connects, self.clock, hear)
            self.feeds[(family, path)] = feed
            feed.start()
        return feed

    def _host(self, family: str) -> str:
        """Return the stream host of a family: that of an account that has it, else the live one."""
        for name, account in self.settings.accounts.items():
            sections = open_venue(account.venue).sections
            if family in (self._families[name], *(FAMILY.get(section.market) for section in sections)):
                hosts = open_venue(VENUE[family]).hosts
                environment = account.environment if account.environment in hosts else "live"
                return urls_of(hosts, environment, stream_url=account.stream_url).stream
        return urls_of(open_venue(VENUE[family]).hosts, "live").stream

    # -- what is told

    def committed(self, outcome: Outcome) -> None:
        """Hear of a commit: new symbols are followed, and each fresh fill keeps the price of its moment."""
        if not self.settings.market.prices:
            return
        now = self.clock.now()
        for changes in outcome.changes:
            for fill in changes.fills.values():
                self.touch(changes.account_id, fill.market, fill.symbol, now)
                coin = fee_symbol(fill.symbol, fill.commission_asset)
                if coin is not None:
                    self.touch(changes.account_id, fill.market, coin, now)
                if now - fill.traded_at < RECENT_FILL:
                    self._keep_price(changes.account_id, fill)
            for market, symbol, *_ in (*changes.orders, *changes.positions):
                self.touch(changes.account_id, market, symbol, now)

    def _keep_price(self, account: str, fill: Fill) -> None:
        family = self._families.get(account) or FAMILY.get(fill.market, "")
        known = [
            quote for quote in self._quotes.get((family, fill.symbol), ())
            if quote.at is not None and quote.at <= fill.traded_at
        ]  # fmt: skip
        if known:
            self._put(_price(fill.market, fill.symbol, known[-1], "fill"))

    def _hear(self, family: str, heard: Heard, frame: bytes, at: datetime) -> None:
        if heard.quote is not None:
            self._remember(family, heard.quote, at)
        if f"{family}:{heard.stream}" in self._named:
            self._record(family, heard, frame, at)

    def _remember(self, family: str, told: Quote, received: datetime) -> None:
        """Keep what is known of a symbol's prices; a book without a time of its own has that of receipt."""
        quotes = self._quotes.setdefault((family, told.symbol), deque(maxlen=100))
        at = told.at or received
        if not quotes:
            quotes.append(Quote(symbol=told.symbol, at=at, mark=told.mark, bid=told.bid, ask=told.ask))
            return
        last = quotes[-1]
        moment = max(at, last.at or at)
        fresh = Quote(
            symbol=told.symbol, at=moment, mark=last.mark if told.mark is None else told.mark,
            bid=last.bid if told.bid is None else told.bid, ask=last.ask if told.ask is None else told.ask,
        )  # fmt: skip
        before = quotes[-2].at if len(quotes) > 1 else None
        if before is not None and last.at is not None and last.at - before < STEP:
            quotes.pop()
        quotes.append(fresh)

    def _record(self, family: str, heard: Heard, frame: bytes, at: datetime) -> None:
        key = hash(frame)
        if key in self._seen:
            return
        self._seen[key] = None
        self._seen.trim()
        bar = heard.candle
        if bar is not None:
            name = (family, bar.symbol, bar.interval, bar.open_time)
            held = self._bars.get(name)
            if held is None or bar.closed or not held.closed:
                self._bars[name] = Bar(
                    family=family, symbol=bar.symbol, interval=bar.interval, open_time=bar.open_time,
                    open=bar.open, high=bar.high, low=bar.low, close=bar.close, volume=bar.volume,
                    quote_volume=bar.quote_volume, trades=bar.trades, close_time=bar.close_time,
                    closed=bar.closed,
                )  # fmt: skip
            return
        self._n = max(self._n + 1, (at - EPOCH) // timedelta(microseconds=1))
        quote = heard.quote
        self._put(Event(
            family=family, stream=heard.stream, n=self._n, event=heard.event, symbol=heard.symbol,
            price=heard.price, quantity=heard.quantity, bid=quote.bid if quote else None,
            ask=quote.ask if quote else None, event_time=heard.at, received_at=at, raw=frame,
        ))  # fmt: skip

    def _sample(self) -> None:
        """Add a row to the series of each symbol whose prices are fresh."""
        oldest = self.clock.now() - max(2 * self.settings.market.sample, timedelta(seconds=10))
        for market, symbol in self._wanted:
            for family in dict.fromkeys((FAMILY[market], *filter(None, self._families.values()))):
                quotes = self._quotes.get((family, symbol))
                if quotes and quotes[-1].at is not None and quotes[-1].at >= oldest:
                    self._put(_price(market, symbol, quotes[-1], "sample"))
                    break

    # -- what is written

    def _put(self, row: Price | Event) -> None:
        self._rows.append(row)
        if len(self._rows) > HELD:
            self._rows.popleft()
            self.metrics.market_dropped.inc()

    async def _flush(self) -> None:
        """Write what waits, in small pieces, while the accounts leave time for it."""
        while (self._rows or self._bars) and self.recorder.depth < BUSY:
            rows = self._take()
            try:
                await self._write(rows)
            except RecordRefused as error:
                self.metrics.market_dropped.inc(len(rows))
                log.error("market rows refused", error=str(error), rows=len(rows))
            except (DatabaseError, Fenced):
                return  # the daemon hears of it from the writer

    async def _write(self, rows: list[Price | Bar | Event]) -> None:
        await self.recorder.submit(lambda tx: write(tx.connection, rows), HOUSE)

    def _take(self) -> list[Price | Bar | Event]:
        rows: list[Price | Bar | Event] = []
        while self._bars and len(rows) < CHUNK:
            rows.append(self._bars.pop(next(iter(self._bars))))
        while self._rows and len(rows) < CHUNK:
            rows.append(self._rows.popleft())
        return rows


def _family_of(venue: str) -> str | None:
    """Return the family of a venue whose market words are another's: Binance.US calls its market spot."""
    return "us" if venue == "binance-us" else None


def _price(market: str, symbol: str, quote: Quote, source: str) -> Price:
    assert quote.at is not None
    return Price(
        market=market, symbol=symbol, at=quote.at, mark=quote.mark, bid=quote.bid, ask=quote.ask,
        source=source,
    )  # fmt: skip
