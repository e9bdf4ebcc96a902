"""binance-margin and binance-isolated-margin end to end, against the simulated exchange and its faults."""

import asyncio
import json
from decimal import Decimal

from accountd.store import tables
from tests.margin_world import MarginWorld

D = Decimal


async def test_first_sync_and_stream_are_exact(database_url):
    """History, then live trading with loans, interest and liquidations: everything equals the truth."""
    world = MarginWorld(database_url)
    world.margin.backfill("main", 1.5, 40, 3)
    async with world:
        await world.trade(80)
        await world.agreed(40)
        assert not world.server.counters()["forbidden"]
        assert await world.stop() == 0


async def test_isolated_pairs_are_exact(sqlite_url):
    """Each pair has its subscription and its balances, through a reset, and after its token has ended."""
    world = MarginWorld(sqlite_url, market="isolated")
    world.margin.backfill("main", 1.5, 40, 3)
    async with world:
        for fault in ("rst", "expire_token"):
            await world.trade(20)
            world.faults.inject(fault)
            await world.trade(20)
            await world.until(lambda: world.live() and world.subscriptions() == 2, 20)
        await world.agreed(20)
        named = {row["asset"] for row in world.rows(tables.balances)}
        assert named == {"BTCUSDT:BTC", "BTCUSDT:USDT", "ETHUSDT:ETH", "ETHUSDT:USDT"}
        assert not world.server.counters()["forbidden"]


FAULTS = {
    "close": {},
    "rst": {},
    "duplicate": {"p": 0.5, "n": 30},
    "reorder": {"p": 0.5, "n": 30},
    "drop": {"p": 0.4, "n": 12},
    "rate_limit": {"n": 1, "retry_after": 1},
    "http_5xx": {"n": 6, "status": 503},
    "torn_json": {"n": 2},
    "expire_token": {},
    "expire_key": {},
    "server_shutdown": {"seconds": 0.3},
}
WITH_A_CUT = ("rate_limit", "http_5xx", "torn_json")


async def test_every_fault_heals(sqlite_url):
    """One fault after the other, with trading before, during and after: the record equals the truth."""
    async with MarginWorld(sqlite_url) as world:
        for fault, options in FAULTS.items():
            world.faults.inject(fault, **options)
            if fault in WITH_A_CUT:
                world.faults.inject("close")
            await world.trade(12)
            await world.until(world.live, 30)
        await world.trade(10)
        await world.agreed(30)


async def test_tokens_that_end_in_silence_are_noticed(sqlite_url):
    """The pairs' tokens end untold while the connection lives on: the canary sees that balances moved."""
    async with MarginWorld(sqlite_url, market="isolated", SWEEP_INTERVAL="60s") as world:
        world.faults.inject("expire_token", told=False)
        assert world.subscriptions() == 0
        for _ in range(20):
            await world.trade(4)
            await asyncio.sleep(0.3)
            if world.subscriptions() == 2:
                break
        assert world.subscriptions() == 2
        await world.until(world.live, 20)
        await world.agreed(20)


async def test_tokens_are_renewed_on_the_same_connection(sqlite_url):
    """Tokens that live four seconds are renewed in time: no session ends, no connection is made anew."""
    product = {"token_lifetime_ms": 4000}
    async with MarginWorld(sqlite_url, market="isolated", product=product) as world:
        made, sessions = world.margin.tokens_made, len(world.rows(tables.sessions))
        await world.until(lambda: world.margin.tokens_made >= made + 4, 15)
        await world.trade(10)
        await world.agreed(20)
        assert len(world.rows(tables.sessions)) == sessions
        assert {row["closed_at"] for row in world.rows(tables.sessions)} == {None}


async def test_the_risk_of_cross_margin(sqlite_url):
    """Margin calls ring, a normal level does not; a loan without an event of its own is read at once.

    The answer to the token came without an envelope, as the documents print it.
    """
    world = MarginWorld(sqlite_url, SWEEP_INTERVAL="60s", STALE_AFTER="30s")
    world.spot.bare_token_reply = True
    async with world:
        market = world.margin.margin
        cross = market.wallet("main", "margin")
        for status in ("NORMAL", "MARGIN_CALL", "FORCE_LIQUIDATION"):
            market.risk_level(cross, status, D("1.09"))
            await asyncio.sleep(0.01)

        def told():
            bodies = [json.loads(bodies[0]) for bodies in world.hook.bodies.values()]
            return sorted(one["type"] for one in bodies if one["type"] in ("margin.call", "liquidation"))

        await world.until(lambda: told() == ["liquidation", "margin.call", "margin.call"], 10)
        market.silent_loans = True
        market.borrow(cross, "USDT", D("1000"))
        await world.agreed(15)


async def test_without_the_risk_stream_the_account_is_followed(sqlite_url):
    """A refused key of the risk stream leaves the rest alone, is said, and is tried until it is taken.

    So is one that dies later: the main stream lives on.
    """
    async with MarginWorld(sqlite_url, product={"risk_refused": True}, SWEEP_INTERVAL="60s") as world:
        health, product = world.health.account("main"), world.margin

        def shut():
            found = world.rows(tables.findings, tables.findings.c.kind == "stream_shut")
            return [one["subject"] for one in found if one["resolved_at"] is None]

        await world.until(shut, 15)
        assert shut() == ["risk stream"]
        assert health.detail.startswith("without its risk stream: POST /sapi/v1/margin/listen-key: 401 -2015")
        await world.trade(10)
        await world.agreed(15)
        for _ in range(2):
            product.risk_refused = False
            await world.until(lambda: not shut() and not health.detail, 15)
            calls = len([body for body in world.hook.bodies.values() if b"margin.call" in body[0]])
            product.margin.risk_level(product.margin.wallet("main", "margin"), "MARGIN_CALL", D("1.09"))
            await world.until(lambda n=calls: len([
                body for body in world.hook.bodies.values() if b"margin.call" in body[0]
            ]) > n, 5)  # fmt: skip
            product.risk_refused = True
            world.faults.inject("expire_key")
            await world.until(shut, 15)
        assert world.live()
        assert len(world.rows(tables.sessions)) == 1


async def test_pairs_come_and_settings_may_name_more(sqlite_url):
    """A new isolated account is listened to at the next renewal; a symbol without one is no error."""
    options = {"KEEPALIVE_INTERVAL": "500ms", "account": {"SYMBOLS": '["ETHBTC"]'}}
    async with MarginWorld(sqlite_url, market="isolated", **options) as world:
        assert world.subscriptions() == 2
        opened = world.margin.margin.open_isolated("main", "BNBUSDT")
        await world.until(lambda: world.subscriptions() == 3, 15)
        world.margin.margin.place(opened, "BNBUSDT", "BUY", D("0.5"))
        await world.agreed(20)


async def test_a_pair_that_is_closed_leaves_the_others_alone(sqlite_url):
    """A disabled pair gets no subscription, nor one whose token is refused though nothing says why.

    No question is asked that would be refused, and what is left in it is known.
    """
    world = MarginWorld(sqlite_url, market="isolated", SWEEP_INTERVAL="1s")
    world.margin.margin.open_isolated("main", "BNBUSDT")
    world.margin.margin.wallet("main", "isolated", "ETHUSDT").disabled = True
    world.margin.refused_tokens = {"BNBUSDT"}
    async with world:
        assert world.subscriptions() == 1
        assert world.rows(tables.balances, tables.balances.c.asset == "ETHUSDT:USDT")
        await world.until(lambda: world.margin.requests["GET /sapi/v1/margin/openOrders"] >= 4, 15)
        assert world.live()
