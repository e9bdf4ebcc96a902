"""The daemon against the second spot exchange when more goes wrong than one thing at a time."""

import asyncio

import pytest

from accountd.errors import VenueUnavailable
from accountd.runtime import duties
from accountd.store import tables
from tests.runtime.test_second_spot import life
from tests.second_spot_exchange import SecondSpot
from tests.second_spot_world import SecondWorld


async def test_movements_of_money_are_proven_soon(sqlite_url, tmp_path):
    """Ten questions about withdrawals are allowed a minute, half of them ours, and two connections are lost.

    However quick the sweeps are, each reconnection finds a question left, and the gap in transfers closes.
    """
    exchange = SecondSpot()
    async with SecondWorld(sqlite_url, exchange, tmp_path, WEIGHT_SHARE="0.5") as world:
        await asyncio.sleep(3)
        for _ in range(2):
            exchange.cut(0.5)
            await world.until(lambda: not world.live())
            exchange.ledger.deposit("ETH", "1.25")
            exchange.ledger.withdraw("USDT", "1000.5", "0.8")
            await world.until(world.live)
            await world.agreed(8)


async def test_a_millisecond_holds_more_than_a_page(sqlite_url, tmp_path):
    """More orders, trades and allocations than a page shows, all of one millisecond, are read to the last."""
    exchange = SecondSpot()
    ledger = exchange.ledger
    async with SecondWorld(sqlite_url, exchange, tmp_path, WEIGHT_SHARE="1", SWEEP_INTERVAL="1h") as world:
        exchange.cut(0.5)
        ledger.frozen = ledger.now()
        placed = [ledger.place("BTCUSDT", "BUY", "0.002", "50000") for _ in range(1100)]
        routed = ledger.place("ETHUSDT", "BUY", "2.2", "2000", sor=True)
        traded = ledger.place("ETHBTC", "SELL", "2.2", "0.05")
        for _ in range(1100):
            ledger.fill(routed, "0.002")
            ledger.fill(traded, "0.002")
        ledger.frozen += 2
        for order in placed:
            ledger.finish(order)
        ledger.frozen = None
        await world.until(lambda: not world.live())
        await world.until(world.live)
        await world.agreed(30)
        assert not world.rows(tables.gaps, tables.gaps.c.reason.contains("overflows"))


@pytest.mark.parametrize("skew", [-900, 45_000])
async def test_another_clock(sqlite_url, tmp_path, skew):
    """The first start is dated by the exchange's clock: what happens after it rings, however far off."""
    exchange = SecondSpot()
    exchange.ledger.skew = skew
    async with SecondWorld(sqlite_url, exchange, tmp_path) as world:
        exchange.ledger.fill(exchange.ledger.place("BTCUSDT", "BUY", "0.5", "60000"), "0.5")
        (account,), (session,) = world.rows(tables.accounts), world.rows(tables.sessions)
        assert account["created_at"] <= session["opened_at"]
        await world.agreed()
        await world.rang(10)


BUSY = (503, -1008, "Server is currently overloaded", None, True)
LATE = (400, -1021, "Timestamp for this request is outside of the recvWindow.", None, False)


@pytest.mark.parametrize("way", ["hmac", "logon"])
async def test_answers_that_are_refusals(sqlite_url, tmp_path, way):
    """Whatever the WebSocket API answers instead, named or not, the subscription is there in the end."""
    exchange = SecondSpot("ed25519" if way == "logon" else way)
    more = {"account": {"LOGON": "true"}} if way == "logon" else {}
    async with SecondWorld(sqlite_url, exchange, tmp_path, **more) as world:
        soon = exchange.ledger.now() + 1500
        wait = {"serverTime": exchange.ledger.now(), "retryAfter": soon}
        banned = f"Way too much request weight used; IP banned until {soon}."
        exchange.refusals = [
            LATE, BUSY, (429, -1003, "Too many requests", wait, True), (403, -1000, "Forbidden", None, True),
            (418, -1003, banned, None, False),
        ]  # fmt: skip
        exchange.reset()
        life(exchange)
        await world.until(lambda: not exchange.refusals, 20)
        await world.until(world.live, 20)
        await world.agreed(20)
        await world.rang()


async def test_a_stream_that_cannot_be_trusted(sqlite_url, tmp_path):
    """Events are dropped, doubled, late and broken, the subscription is lost untold, and REST fails now and
    then, and lags; when it is over, everything is as it happened."""
    exchange = SecondSpot()
    async with SecondWorld(sqlite_url, exchange, tmp_path, WEIGHT_SHARE="1") as world:
        exchange.chance = {"drop": 0.2, "double": 0.3, "delay": 0.3, "garbage": 0.1}
        exchange.rest.torn, exchange.rest.lag = 0.3, 300
        for _ in range(4):
            life(exchange, 2)
            await asyncio.sleep(0.5)
        exchange.forget()
        life(exchange)
        await asyncio.sleep(0.5)
        exchange.chance, exchange.rest.torn, exchange.rest.lag = {}, 0.0, 0
        life(exchange)
        await world.agreed(30)
        await world.rang()


async def test_an_event_that_is_told_once_more_behind_the_next(sqlite_url, tmp_path):
    """Of one millisecond, and nothing later: only REST can say that it is no news."""
    exchange = SecondSpot()
    ledger, quiet = exchange.ledger, {"SWEEP_INTERVAL": "1h", "STALE_AFTER": "1h"}
    async with SecondWorld(sqlite_url, exchange, tmp_path, **quiet) as world:
        ledger.frozen = ledger.now()
        order = ledger.place("BTCUSDT", "BUY", "0.002", "50000")
        again = ledger.position(["BTC", "USDT", "BNB"])
        ledger.finish(order)
        exchange.push(again)
        ledger.frozen = None
        await world.until(lambda: world.differences())
        await world.agreed(15)


async def test_a_history_that_fails_after_a_hint_is_asked_again(sqlite_url, tmp_path, monkeypatch):
    """A deposit is told while REST is down: it does not wait for the next sweep."""
    monkeypatch.setattr(duties, "INCOME_EVERY", 0.3)
    exchange, quiet = SecondSpot(), {"SWEEP_INTERVAL": "1h", "STALE_AFTER": "1h"}
    async with SecondWorld(sqlite_url, exchange, tmp_path, **quiet) as world:
        exchange.ledger.deposit("ETH", "0.5")
        await world.agreed(15)
        sweeper = world.daemon.runners[0].sweeper
        read, down = sweeper.transfers, [VenueUnavailable("down")] * 2

        async def transfers(*args, **more):
            if down:
                raise down.pop()
            return await read(*args, **more)

        monkeypatch.setattr(sweeper, "transfers", transfers)
        exchange.ledger.deposit("ETH", "1.25")
        await world.agreed(15)
        assert down == []


async def test_a_deaf_stream_is_noticed_though_rest_has_told_all(sqlite_url, tmp_path):
    """The subscription is lost in silence, and a look at balances takes what it would have told of them."""
    exchange, quiet = SecondSpot(), {"SWEEP_INTERVAL": "1h", "STALE_AFTER": "8s"}
    async with SecondWorld(sqlite_url, exchange, tmp_path, **quiet) as world:
        await asyncio.sleep(1.0)  # the second look after the connection is over
        life(exchange)
        await world.agreed(15)
        exchange.forget()
        life(exchange)
        await asyncio.sleep(0.6)  # replicas have settled; nothing looks stale yet
        (runner,) = world.daemon.runners
        await runner.sweeper.look()  # as after a frame that was dropped
        differences = world.differences()
        assert "balances" not in differences and "fills" in differences
        await world.agreed(20)
        await world.rang()


async def test_a_look_at_what_is_open_finds_an_end_that_was_dropped(sqlite_url, tmp_path):
    """Orders are cancelled without a word, and the stream goes on as if nothing were."""
    exchange, quiet = SecondSpot(), {"SWEEP_INTERVAL": "1h", "STALE_AFTER": "2s", "WEIGHT_SHARE": "1"}
    ledger = exchange.ledger
    async with SecondWorld(sqlite_url, exchange, tmp_path, **quiet) as world:
        resting = [ledger.place("ETHUSDT", "BUY", "1", "2000") for _ in range(3)]
        await asyncio.sleep(2.5)  # what follows a connection is over: the second look, and the history
        await world.agreed(10)
        exchange.dropping = True
        ledger.finish(resting[0])
        ledger.finish(resting[1], "EXPIRED")
        exchange.dropping = False
        for _ in range(20):
            ledger.deposit("ETH", "0.01")  # nothing looks silent
            if "orders" not in world.differences():
                break
            await asyncio.sleep(0.5)
        assert "orders" not in world.differences()
        await world.agreed(10)
