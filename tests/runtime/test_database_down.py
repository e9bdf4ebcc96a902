"""A whole daemon whose Postgres hangs or dies: it says so past the database, and loses nothing."""

import asyncio
import json
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from accountd.runtime import conditions
from accountd.runtime.daemon import _reading
from accountd.sinks._targets import resolve
from accountd.store import tables
from accountd.store.migrate import upgrade
from tests.postgres import Postgres
from tests.world import World


@pytest.fixture
def server():
    """A durable server of its own: this one is frozen and killed."""
    made = Postgres(durable=True)
    yield made
    made.close()


def told(world, kind):
    """Return the webhook ids that told a type, each with its bodies."""
    found = {name: [json.loads(body) for body in bodies] for name, bodies in world.hook.bodies.items()}
    return {name: bodies for name, bodies in found.items() if bodies[0]["type"] == kind}


async def freeze(server):
    """Stop every process of the server; no socket is closed."""
    server.freeze()


async def thaw(server):
    """Let them go on."""
    server.thaw()


async def kill(server):
    """End the server as a crash does."""
    await asyncio.to_thread(server.kill)


async def restart(server):
    """Start it on what it left."""
    await asyncio.to_thread(server.restart)


@pytest.mark.parametrize(("down", "up"), [(freeze, thaw), (kill, restart)], ids=["hangs", "killed"])
async def test_it_is_told_past_the_database_and_nothing_is_lost(server, monkeypatch, down, up):
    """`database.down` arrives while nothing can be written; afterwards every fill is there and rang once."""
    monkeypatch.setattr(conditions, "DATABASE_PATIENCE", 0.5)
    monkeypatch.setattr(conditions, "SILENCE", 1.0)
    async with World(server.new_database()) as world:
        await world.trade(30)
        await down(server)
        try:
            await world.trade(60, rate=60)
            await world.until(lambda: told(world, "database.down"), 20)
            assert not world.health.writer_ok
            assert not told(world, "database.up")
        finally:
            await up(server)
        await world.trade(30)
        await world.until(lambda: told(world, "database.up"), 30)
        await world.agreed(30)
        await world.rang(20)
        assert world.health.writer_ok
        ((name, bodies),) = told(world, "database.down").items()
        assert len({json.dumps(body, sort_keys=True) for body in bodies}) == 1
        (kept,) = [row for row in world.rows(tables.outbox) if row["type"] == "database.down"]
        assert (kept["message_id"], kept["status"]) == (name, "delivered")
        assert json.loads(kept["body"]) == bodies[0]


async def test_threads_that_hang_elsewhere_keep_nothing_back(sqlite_url):
    """Reads of the record and look-ups of names have threads of their own."""
    upgrade(sqlite_url)
    loop, free = asyncio.get_running_loop(), threading.Event()
    loop.set_default_executor(ThreadPoolExecutor(1))
    stuck = loop.run_in_executor(None, free.wait)
    try:
        async with asyncio.timeout(5):
            assert await _reading(sqlite_url)(lambda connection: 7) == 7
            assert "127.0.0.1" in await resolve("127.0.0.1", 443)
    finally:
        free.set()
        await stuck
