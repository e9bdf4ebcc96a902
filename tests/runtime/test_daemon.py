"""The daemon against the simulated exchange, with everything that can go wrong going wrong."""

import asyncio

import pytest

from accountd.store import tables
from tests.world import World


async def test_first_sync_and_stream_are_exact(database_url):
    """History, then live trading: everything equals the truth, and only what is new rings."""
    async with World(database_url, history=2.0) as world:
        await world.trade(150)
        await world.agreed(75)  # the deep history waits for weight
        await world.rang()
        assert not world.server.counters()["forbidden"]
        assert await world.stop() == 0


CUTS = {
    "close": [("close", {})],
    "rst": [("rst", {})],
    "fin": [("fin", {})],
    "half_open": [("half_open", {})],
    "blackhole": [("blackhole", {"seconds": 1.0})],
    "refuse": [("refuse", {"seconds": 1.0}), ("rst", {})],
    "key expired, told": [("expire_key", {})],
    "key expired, told twice": [("expire_key", {"told": "twice"})],
    "key expired, untold": [("expire_key", {"told": False})],
    "key replaced": [("replace_key", {})],
    "accept then close": [("accept_then_close", {"n": 4}), ("close", {})],
    "handshake 503": [("handshake_status", {"n": 2, "code": 503}), ("rst", {})],
    "REST 5xx": [("http_5xx", {"n": 12, "status": 503}), ("close", {})],
    "HTML": [("html", {"n": 3, "status": 200}), ("close", {})],
    "torn JSON": [("torn_json", {"n": 3}), ("close", {})],
    "429": [("rate_limit", {"n": 1, "retry_after": 1}), ("close", {})],
    "garbage": [("garbage", {"kind": kind}) for kind in ("binary", "utf8", "json", "event", "array")],
    "duplicate": [("duplicate", {"p": 0.5, "seconds": 3})],
    "reorder": [("reorder", {"p": 0.5, "seconds": 3})],
    "drop while connected": [("drop", {"p": 0.3, "seconds": 3})],
    "stale REST": [("stale_rest", {"seconds": 0.3, "lasting": 3}), ("close", {})],
    "clock skew": [("clock_skew", {"seconds": 30})],
    "torn frames": [("torn_frame", {"n": 3})],
    "unknown fields": [("extra_fields", {"seconds": 2})],
}


@pytest.mark.parametrize("name", CUTS)
async def test_every_fault_heals(sqlite_url, name):
    """After any fault, with trading before, during and after it, the record equals the truth."""
    async with World(sqlite_url) as world:
        await world.trade(20)
        for fault, options in CUTS[name]:
            world.faults.inject(fault, **options)
        await world.trade(80, rate=80)
        await world.until(world.live, 20)
        await world.trade(20)
        await world.agreed(20)
        await world.rang()


async def test_gap_opens_and_closes_round_a_cut(database_url):
    """A cut leaves one closed gap per dataset, from the last proof of life to the new subscription."""
    async with World(database_url) as world:
        await world.trade(20)
        world.faults.inject("refuse", seconds=1.0)
        world.faults.inject("rst")
        await world.trade(60, rate=60)
        await world.until(world.live, 20)
        await world.agreed(20)
        gaps = [gap for gap in world.rows(tables.gaps) if gap["reason"] not in ("crash", "stopped")]
        assert {gap["dataset"] for gap in gaps} == {
            "orders", "algo_orders", "fills", "transfers", "balances", "positions",
        }  # fmt: skip
        assert all(gap["from_time"] < gap["to_time"] <= gap["closed_at"] for gap in gaps)
        sessions = world.rows(tables.sessions)
        assert sum(session["closed_at"] is None for session in sessions) == 1


async def test_rotation_makes_before_it_breaks(sqlite_url):
    """A rotation leaves no gap and loses nothing."""
    async with World(sqlite_url, ROTATE_AFTER="1s") as world:
        await world.trade(200, rate=60)
        await world.agreed()
        await world.rang()
        closed = [session for session in world.rows(tables.sessions) if session["close_reason"] == "rotation"]
        assert len(closed) >= 2
        assert not [gap for gap in world.rows(tables.gaps) if gap["reason"] == "rotation"]


async def test_gaps_close_however_often_links_are_rotated(sqlite_url):
    """A rotation that is due sooner than replicas settle waits for the seam, which closes the gaps."""
    async with World(sqlite_url, ROTATE_AFTER="500ms", SETTLE_AFTER="2s") as world:
        world.faults.inject("rst")
        await world.trade(60, rate=60)
        await world.agreed()
        assert world.rows(tables.gaps)


async def test_restart_fills_what_was_missed(database_url):
    """What happened while the daemon was stopped is there after the start, and rings as late."""
    async with World(database_url) as world:
        await world.trade(30)
        await world.agreed()
        await world.stop()
        await world.trade(60)
        await world.start()
        await world.agreed()
        await world.rang()


async def test_venue_without_symbolless_orders(sqlite_url):
    """Where allOrders needs a symbol, orders cancelled unfilled while blind are found all the same."""
    async with World(sqlite_url, server={"symbolless_all_orders": False}) as world:
        world.faults.inject("refuse", seconds=1.0)
        world.faults.inject("rst")
        await world.trade(80)
        await world.until(world.live, 20)
        await world.agreed(20)


@pytest.mark.parametrize("form", ["path", "combined"])
async def test_other_stream_forms(sqlite_url, form):
    """The other private URL forms carry the same events."""
    async with World(sqlite_url, account={"STREAM_FORM": form}, SWEEP_INTERVAL="1h") as world:
        await world.trade(60)
        await world.until(lambda: len(world.rows(tables.fills)) == len(world.exchange.truth("main")["fills"]))
        assert {row["source"] for row in world.rows(tables.fills)} == {"stream"}


async def test_two_accounts_one_broken(sqlite_url):
    """An account whose key is refused does not disturb the other."""
    async with World(sqlite_url) as world:
        await world.stop()
        good = world.environ()
        bad = {k.replace("__MAIN__", "__OTHER__"): v for k, v in good.items() if "__MAIN__" in k}
        bad["ACCOUNTD_ACCOUNTS__OTHER__API_SECRET"] = "wrong" * 8
        world.environ = lambda: good | bad
        starting = asyncio.create_task(world.start())
        await asyncio.sleep(0.5)
        starting.cancel()
        await world.until(lambda: world.live("main"), 20)
        await world.trade(50)
        await world.agreed()
        assert not world.live("other")


async def test_secrets_stay_out_of_the_record(sqlite_url, tmp_path):
    """Neither the listen key nor the API secret is in any byte of the database."""
    async with World(sqlite_url, account={"STREAM_FORM": "combined"}) as world:
        await world.trade(30)
        world.faults.inject("expire_key")
        await world.until(lambda: len(world.rows(tables.sessions)) >= 2)
        await world.until(world.live)
        keys = set(world.daemon.runners[0].connector.keys)
        await world.stop()
    record = b"".join(path.read_bytes() for path in tmp_path.iterdir() if path.is_file())
    assert keys
    for secret in (*keys, world.exchange.accounts["main"].credential.secret):
        assert secret.encode() not in record
