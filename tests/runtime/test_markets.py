"""Public market streams beside the accounts: right routes, honest prices, and never in the way."""

import asyncio
import json
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from pathlib import Path

import pytest
from sqlalchemy import text

from accountd.runtime.backoff import ConnectBudget
from accountd.runtime.clock import SystemClock
from accountd.runtime.market_feed import Feed
from accountd.runtime.markets import Markets
from accountd.runtime.metrics import Metrics
from accountd.venues.public_streams import decode
from tests.runtime.public_market import public_market
from tests.runtime.recording import fill, frame, order, recording
from tests.settings import Settings

CLOCK = SystemClock()
KLINE = {
    "t": 1672515780000, "T": 1672515839999, "s": "BTCUSDT", "i": "1m", "o": "1.0", "c": "2.0", "h": "2.5",
    "l": "0.5", "v": "1000", "n": 100, "x": False, "q": "1.0000",
}  # fmt: skip


def ms(moment):
    """Return a moment in ms since 1970."""
    return int(moment.timestamp() * 1000)


def book(moment, bid, ask):
    """A bookTicker of USDⓈ-M."""
    return {"e": "bookTicker", "u": 1, "E": ms(moment), "T": ms(moment), "s": "BTCUSDT", "b": bid, "B": "1",
            "a": ask, "A": "2"}  # fmt: skip


def mark(moment, price):
    """A mark price."""
    return {"e": "markPriceUpdate", "E": ms(moment), "s": "BTCUSDT", "p": price, "i": "1", "T": 0}


@asynccontextmanager
async def following(url, tmp_path, **written):
    """Markets that follow a public market, on a real record."""
    async with public_market() as market, recording(url) as stage:
        settings = Settings(tmp_path).load({
            "ACCOUNTS__MAIN__STREAM_URL": market.url, "MARKET__PRICES": "true", "MARKET__SAMPLE": "300ms",
            "RECONNECT_MAX": "100ms", **written,
        })  # fmt: skip
        budget = ConnectBudget(150, timedelta(minutes=5), CLOCK)
        markets = Markets(settings, stage.recorder, budget, Metrics(), CLOCK)
        stage.heard.committed = markets.committed
        task = asyncio.create_task(markets.run())
        try:
            yield market, stage, markets
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


def found(stage, table, order_by="1"):
    """Read a table."""
    with stage.engine.connect() as connection:
        return connection.execute(text(f"SELECT * FROM {table} ORDER BY {order_by}")).mappings().all()


async def test_a_traded_symbol_is_followed_on_the_right_routes(database_url, tmp_path):
    """After a fill both streams of its symbol are served; a fill keeps the price known at its moment."""
    async with following(database_url, tmp_path) as (market, stage, _):
        now = datetime.now(UTC)
        stage.recorder.offer(frame(1, order(1), fill(1, traded_at=now)))
        await market.until(lambda: market.serving("btcusdt@bookTicker"))
        await market.until(lambda: market.serving("btcusdt@markPrice@1s"))
        then = datetime.now(UTC)
        await market.push("btcusdt@markPrice@1s", mark(then, "60000.10000000"))
        for after, bid, ask in ((100, "59999.90", "60000.20"), (900, "70000.00", "70000.10")):
            await market.push("btcusdt@bookTicker", book(then + timedelta(milliseconds=after), bid, ask))
        await market.until(lambda: found(stage, "prices"))
        traded = then + timedelta(milliseconds=500)
        stage.recorder.offer(frame(2, order(2), fill(2, traded_at=traded)))
        await market.until(lambda: any(row["source"] == "fill" for row in found(stage, "prices")))
        row = next(row for row in found(stage, "prices") if row["source"] == "fill")
        assert (row["market"], row["symbol"]) == ("usdm", "BTCUSDT")
        known = [str(row[name]) for name in ("mark", "bid", "ask")]
        assert known == ["60000.10000000", "59999.90", "60000.20"]


async def test_nothing_asked_for_costs_nothing(sqlite_url, tmp_path):
    """With the public market off there is no loop beside the accounts."""
    async with recording(sqlite_url) as stage:
        budget = ConnectBudget(150, timedelta(minutes=5), CLOCK)
        markets = Markets(Settings(tmp_path).load(), stage.recorder, budget, Metrics(), CLOCK)
        async with asyncio.timeout(10):
            await markets.run()
        assert markets.feeds == {}


async def test_the_coin_that_fees_are_paid_in_is_followed(sqlite_url, tmp_path):
    """A fee in BNB brings the price of BNB in the coin that the symbol is quoted in."""
    async with following(sqlite_url, tmp_path) as (market, stage, _):
        paid = {"commission": Decimal("0.001"), "commission_asset": "BNB"}
        stage.recorder.offer(frame(1, order(1), fill(1, traded_at=datetime.now(UTC), **paid)))
        await market.until(lambda: market.serving("bnbusdt@markPrice@1s"))
        await market.until(lambda: market.serving("btcusdt@markPrice@1s"))


async def test_named_streams_are_recorded(database_url, tmp_path):
    """Candles settle in typed columns, trades keep price and raw bytes, arrays are kept raw."""
    named = '["usdm:btcusdt@kline_1m", "usdm:btcusdt@aggTrade", "usdm:!bookTicker"]'
    async with following(database_url, tmp_path, MARKET__STREAMS=named) as (market, stage, _):
        await market.until(lambda: market.serving("btcusdt@kline_1m") and market.serving("btcusdt@aggTrade"))
        for closed, close in ((False, "2.0"), (True, "2.25"), (False, "9.0")):
            await market.push("btcusdt@kline_1m", {"e": "kline", "E": 1672515782136, "s": "BTCUSDT",
                                                   "k": KLINE | {"x": closed, "c": close}})  # fmt: skip
        trade = {"e": "aggTrade", "E": 123456789, "s": "BTCUSDT", "a": 1, "p": "0.001", "q": "100"}
        await market.push("btcusdt@aggTrade", trade)
        await market.until(lambda: found(stage, "market_events") and found(stage, "candles"))
        candle, event = found(stage, "candles")[0], found(stage, "market_events")[0]
        assert (str(candle["close"]), bool(candle["closed"])) == ("2.25", True)
        assert [str(event[name]) for name in ("event", "price", "quantity")] == ["aggTrade", "0.001", "100"]
        assert b'"p": "0.001"' in bytes(event["raw"])


async def test_a_cut_is_healed_and_a_rotation_tells_nothing_twice(sqlite_url, tmp_path):
    """Both connections come back with their streams; a new connection is served before the old one goes."""
    named = '["usdm:btcusdt@aggTrade"]'
    written = {"MARKET__PRICES": "false", "MARKET__STREAMS": named, "ROTATE_AFTER": "700ms"}
    async with following(sqlite_url, tmp_path, **written) as (market, stage, _):
        await market.until(lambda: market.serving("btcusdt@aggTrade"))
        await market.cut()
        await market.until(lambda: market.opened >= 2 and market.serving("btcusdt@aggTrade"))
        number, most = 0, 0
        while market.opened < 5:
            number += 1
            trade = {"e": "aggTrade", "E": number, "s": "BTCUSDT", "p": f"0.{number}", "q": "1"}
            served = market.serving("btcusdt@aggTrade")
            assert served, "a rotation left nobody subscribed"
            most = max(most, len(served))
            await market.push("btcusdt@aggTrade", trade)
            await asyncio.sleep(0.01)
        await market.until(lambda: len(found(stage, "market_events")) >= number)
        assert [str(row["price"]) for row in found(stage, "market_events", "n")] == [
            f"0.{one}" for one in range(1, number + 1)
        ]
        assert most == 2


async def test_control_frames_keep_the_pace(sqlite_url, tmp_path):
    """Three hundred streams are asked for in few frames, none closer than the venue allows; leaving works."""
    async with public_market() as market:
        settings = Settings(tmp_path).load({"ACCOUNTS__MAIN__STREAM_URL": market.url})
        budget = ConnectBudget(150, timedelta(minutes=5), CLOCK)
        feed = Feed("usdm", market.url + "/market/stream", settings, budget, CLOCK, lambda *told: None)
        feed.start()
        names = {f"s{number}usdt@markPrice@1s" for number in range(300)}
        feed.follow(names)
        await market.until(lambda: market.open and len(market.open[0]["streams"]) == 300)
        feed.leave(sorted(names)[:5])
        await market.until(lambda: len(market.open[0]["streams"]) == 295)
        times = [at for at, _, _ in market.controls]
        assert len(times) == 4
        assert min(later - earlier for earlier, later in pairwise(times)) > 0.2
        await feed.stop()


async def test_beyond_one_connection_another_goes_on(tmp_path):
    """The 1,025th stream is asked for on a second connection."""
    async with public_market() as market:
        settings = Settings(tmp_path).load({"ACCOUNTS__MAIN__STREAM_URL": market.url})
        budget = ConnectBudget(150, timedelta(minutes=5), CLOCK)
        feed = Feed("usdm", market.url + "/market/stream", settings, budget, CLOCK, lambda *told: None)
        feed.start()
        feed.follow([f"s{number}usdt@markPrice@1s" for number in range(1_025)])
        await market.until(lambda: len(market.open) == 2)
        await market.until(lambda: sorted(len(one["streams"]) for one in market.open)[0] == 1)
        assert len(feed.streams) == 1_024
        await feed.stop()


async def test_the_accounts_come_first(sqlite_url, tmp_path, monkeypatch):
    """While frames of accounts wait no row of the market is written, and the oldest are dropped."""
    monkeypatch.setattr("accountd.runtime.markets.HELD", 50)
    named = '["usdm:btcusdt@aggTrade"]'
    written = {"MARKET__PRICES": "false", "MARKET__STREAMS": named}
    async with following(sqlite_url, tmp_path, **written) as (market, stage, markets):
        await market.until(lambda: market.serving("btcusdt@aggTrade"))
        monkeypatch.setattr(type(stage.recorder), "depth", property(lambda self: 1_000))
        for number in range(80):
            trade = {"e": "aggTrade", "E": number, "s": "BTCUSDT", "p": "1", "q": "1"}
            await market.push("btcusdt@aggTrade", trade)
        await market.until(lambda: markets.metrics.market_dropped._value.get() == 30)
        await asyncio.sleep(1.2)
        assert found(stage, "market_events") == []
        monkeypatch.setattr(type(stage.recorder), "depth", property(lambda self: 0))
        await market.until(lambda: len(found(stage, "market_events")) == 50)


@pytest.mark.parametrize("wrong", ["btcusdt@trade", "moon:btcusdt@trade", "usdm:", "usdm:a/b"])
def test_a_bad_stream_is_named(tmp_path, wrong):
    """A stream without a family that exists is refused with what is allowed."""
    (line,) = Settings(tmp_path).refused({"MARKET__STREAMS": f'["{wrong}"]'})
    assert "ACCOUNTD_MARKET__STREAMS" in line and "spot, us, usdm, coinm" in line


def test_prices_are_exact():
    """A price keeps every digit."""
    data = b'{"e":"markPriceUpdate","E":1,"s":"X","p":"0.00000001"}'
    heard = decode(b'{"stream":"x@markPrice@1s","data":' + data + b"}")
    assert heard.quote.mark == Decimal("1E-8")


SAMPLES = sorted((Path(__file__).parents[1] / "tapes/market").glob("*/*.json"))


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_every_official_sample_is_understood(sample):
    """Each documented public event decodes, with its prices typed where it is a price or a candle."""
    heard = decode(b'{"stream":"x@y","data":' + sample.read_bytes() + b"}")
    assert heard is not None and heard.event != "undecodable"
    data = json.loads(sample.read_text())
    if not isinstance(data, dict):
        return
    if "bookTicker" in sample.stem:
        assert (str(heard.quote.bid), str(heard.quote.ask)) == (data["b"], data["a"])
    if data.get("e") == "markPriceUpdate":
        assert str(heard.quote.mark) == data["p"]
    if data.get("e") in ("trade", "aggTrade"):
        assert (str(heard.price), str(heard.quantity)) == (data["p"], data["q"])
    if data.get("e") == "kline":
        assert str(heard.candle.close) == data["k"]["c"]


async def test_a_bug_ends_no_market_for_good(sqlite_url, tmp_path, monkeypatch):
    """Whatever breaks while prices are taken or written, the streams begin anew."""
    async with following(sqlite_url, tmp_path) as (market, stage, markets):
        stage.recorder.offer(frame(1, order(1), fill(1, traded_at=datetime.now(UTC))))
        await market.until(lambda: market.serving("btcusdt@markPrice@1s"))
        sample, settle, bugs = markets._sample, Feed._settle, ["sample", "feed"]

        def broken_sample():
            if "sample" in bugs:
                bugs.remove("sample")
                raise KeyError("ours")
            sample()

        async def broken_settle(*args):
            if bugs == ["feed"]:
                bugs.remove("feed")
                raise KeyError("ours")
            await settle(*args)

        monkeypatch.setattr(markets, "_sample", broken_sample)
        monkeypatch.setattr(Feed, "_settle", broken_settle)
        await market.until(lambda: not bugs)
        await market.until(lambda: market.serving("btcusdt@markPrice@1s"))
        await market.push("btcusdt@markPrice@1s", mark(datetime.now(UTC), "60000.10000000"))
        await market.until(lambda: found(stage, "prices"))
