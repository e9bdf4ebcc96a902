"""Alerts of a whole daemon: latencies, a venue that nobody reaches, and a stream to NATS."""

import json
import time

import nats
from sqlalchemy import create_engine, text

from accountd.runtime import conditions
from accountd.store import tables
from tests.sinks.nats_server import nats_server
from tests.spot_world import SpotWorld
from tests.world import World


def view(url, sql):
    """Read from a view."""
    engine = create_engine(url.replace("postgresql://", "postgresql+psycopg://"))
    try:
        with engine.connect() as connection:
            return [dict(row) for row in connection.execute(text(sql)).mappings()]
    finally:
        engine.dispose()


async def test_every_event_alert_knows_its_latencies(database_url):
    """Received, committed, tried and delivered, in this order; views and metrics have them."""
    async with World(database_url) as world:
        await world.trade(30)
        await world.agreed()  # the income too: nothing more rings
        await world.rang()
        await world.until(lambda: all(row["status"] == "delivered" for row in world.rows(tables.outbox)), 10)
        rows = [row for row in world.rows(tables.outbox) if row["received_at"]]
        assert {"fill", "order.new"} <= {row["type"] for row in rows}
        for row in rows:
            times = [
                row[name] for name in ("received_at", "committed_at", "first_attempt_at", "delivered_at")
            ]
            assert times == sorted(times), row
            assert row["event_at"] is not None
        lags = view(database_url, "SELECT * FROM alert_latency")
        assert len(lags) == len(rows)
        assert all(lag["received_to_delivered_ms"] > 0 for lag in lags)
        fills = view(database_url, "SELECT * FROM fill_latency")
        assert len(fills) == len([row for row in rows if row["type"] == "fill"])
        world.daemon.metrics.observe(world.health)
        value = world.daemon.metrics.registry.get_sample_value
        labels = {"hook": "here", "quantile": "0.99"}
        assert value("accountd_receive_to_delivery_quantile_seconds", labels) > 0
        assert value("accountd_commit_to_attempt_seconds_count", {"hook": "here"}) == len(
            world.rows(tables.outbox)
        )


async def test_a_late_fill_says_how_late(sqlite_url):
    """What a sweep told first is late by the time between its trade and its arrival."""
    async with World(sqlite_url) as world:
        world.faults.inject("refuse", seconds=0.8)
        world.faults.inject("rst")
        await world.until(lambda: not world.live(), 10)
        await world.trade(20)
        await world.rang(20)
        told = [json.loads(bodies[0])["data"] for bodies in world.hook.bodies.values()]
        fills = [data for data in told if "trade_id" in data]
        late = [data for data in fills if data["late"]]
        assert late
        assert all(float(data["late_by"]) > 0 for data in late)
        assert all(data["late_by"] is None for data in fills if not data["late"])


async def test_a_venue_that_nobody_reaches_is_told(sqlite_url, monkeypatch):
    """Streams that break and a REST that refuses are exchange.down; a stream that lives again ends it."""
    monkeypatch.setattr(conditions, "EXCHANGE_PATIENCE", 0.2)
    monkeypatch.setattr(conditions, "LOOK", 0.1)
    async with World(sqlite_url) as world:
        world.faults.inject("refuse", seconds=3.0)
        world.faults.inject("rst")

        def types():
            return [json.loads(bodies[0])["type"] for bodies in world.hook.bodies.values()]

        await world.until(lambda: "exchange.down" in types(), 10)
        await world.until(lambda: "exchange.up" in types(), 15)
        assert types().count("stream.down") == 1
        assert types().count("exchange.down") == 1


async def test_fills_reach_a_bot_over_nats(sqlite_url, tmp_path):
    """Each fill is in the stream once, under its account, with the id of the outbox."""
    async with nats_server(tmp_path / "nats") as url:
        more = {"HOOKS__BOT__TYPE": "nats", "HOOKS__BOT__URL": url}
        async with World(sqlite_url, **more) as world:
            await world.trade(20)
            await world.rang()
            await world.until(
                lambda: all(
                    row["status"] == "delivered"
                    for row in world.rows(tables.outbox, tables.outbox.c.hook == "bot")
                ),
                10,
            )
            kept = {
                row["message_id"]: row["body"] for row in world.rows(tables.outbox) if row["hook"] == "bot"
            }
            client = await nats.connect(url)
            stream = client.jetstream()
            held = (await stream.stream_info("accountd")).state.messages
            told = [await stream.get_msg("accountd", n) for n in range(1, held + 1)]
            await client.close()
    assert {each.headers["Nats-Msg-Id"]: each.data.decode() for each in told} == kept
    assert {each.subject for each in told} == {"accountd.main.fill"}
    assert len(told) == len(kept) > 0


async def test_a_key_that_ends_soon_is_told(sqlite_url):
    """When the venue says that a right of the key ends within KEY_EXPIRING, it rings once."""
    world = SpotWorld(sqlite_url)
    soon = round((time.time() + 3 * 86_400) * 1000)
    world.spot.rest.rights["main"] = {"tradingAuthorityExpirationTime": soon}
    async with world:

        def told():
            bodies = [json.loads(bodies[0]) for bodies in world.hook.bodies.values()]
            return [body["data"] for body in bodies if body["type"] == "key.expiring"]

        await world.until(told, 10)
        assert [(data["account"], len(data["expires_at"])) for data in told()] == [("main", 25)]
