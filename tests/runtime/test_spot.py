"""binance-spot and binance-us end to end, against the simulated spot exchange and its faults."""

import asyncio
import json
from decimal import Decimal

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ed25519, rsa

from accountd import config
from accountd.core.health import Health
from accountd.runtime.daemon import Daemon
from accountd.sim.model import Credential
from accountd.store import tables
from tests.spot_world import SpotWorld


async def in_step(url, mode):
    """Follow history, then live trading: everything equals the truth, and only what is new rings."""
    world = SpotWorld(url, mode=mode)
    world.spot.backfill("main", 1.5, 40, 3)
    async with world:
        await world.trade(60, rate=400)
        await world.agreed(40)
        await world.rang()
        assert not world.spot.counters()["forbidden"]
        assert await world.stop() == 0


async def test_first_sync_and_stream_are_exact(database_url):
    """binance-spot: the record equals the truth, and only what is new rings."""
    await in_step(database_url, "binance")


async def test_classic_listen_keys_are_as_exact(sqlite_url):
    """binance-us: the same over a listen key and bare events."""
    await in_step(sqlite_url, "us")


CUTS = {
    "half open": [("half_open", {})],
    "cuts": [("close", {}), ("refuse", {"seconds": 0.5}), ("rst", {})],
    "noise": [
        ("duplicate", {"p": 0.4, "seconds": 1}), ("reorder", {"p": 0.4, "seconds": 1}),
        ("drop", {"p": 0.3, "seconds": 1}), ("torn_frame", {"n": 3}),
    ],
    "REST": [
        ("stale_rest", {"seconds": 0.3, "lasting": 1}), ("torn_json", {"n": 1}), ("close", {}),
        ("html", {"n": 1, "status": 200}), ("http_5xx", {"n": 2, "status": 503}),
        ("rate_limit", {"n": 1, "retry_after": 1}),
    ],
    "subscription ended": [("terminate_stream", {})],
    "subscription dead in silence": [("kill_subscription", {})],
}  # fmt: skip


@pytest.mark.parametrize("name", CUTS)
async def test_every_fault_heals(sqlite_url, name):
    """After any fault, with trading before, during and after it, the record equals the truth."""
    async with SpotWorld(sqlite_url) as world:
        await world.trade(15)
        for fault, options in CUTS[name]:
            world.faults.inject(fault, **options)
        await world.trade(40, rate=80)
        await world.until(world.live, 20)
        await world.trade(10)
        await world.agreed(20)
        await world.rang()


def deliveries(world, kind):
    """Return the data of every alert of a type that the hook got."""
    told = [json.loads(bodies[0]) for bodies in world.hook.bodies.values()]
    return [one["data"] for one in told if one["type"] == kind]


@pytest.mark.parametrize("way", ["rsa", "ed25519", "ed25519 logon"])
async def test_every_kind_of_key_subscribes(sqlite_url, tmp_path, way):
    """RSA and Ed25519 keys sign the subscription, Ed25519 keys may log the connection on instead."""
    key = rsa.generate_private_key(65537, 2048) if way == "rsa" else ed25519.Ed25519PrivateKey.generate()
    form, plain = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    path = tmp_path / "key.pem"
    path.write_bytes(key.private_bytes(serialization.Encoding.PEM, form, plain))
    public = key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    account = {"API_SECRET": "", "PRIVATE_KEY_FILE": str(path), "LOGON": str("logon" in way).lower()}
    world = SpotWorld(sqlite_url, account=account, SWEEP_INTERVAL="1h")
    main = world.exchange.accounts["main"]
    main.credential = Credential(main.credential.api_key, public_key=public.decode())
    async with world:
        world.spot.burst("main", 5, "BTCUSDT")
        await world.until(lambda: len(world.rows(tables.fills)) == 5)
        assert {row["source"] for row in world.rows(tables.fills)} == {"stream"}
        assert [s.subscriptions.active[0].way for s in world.spot.sessions()] == [
            "logon" if "logon" in way else "signature"
        ]


async def test_shutdown_rotates_before_it_breaks(sqlite_url):
    """serverShutdown means a new connection at once, with nothing missed and no gap."""
    async with SpotWorld(sqlite_url) as world:
        world.faults.inject("server_shutdown", seconds=3.0)
        await world.until(lambda: len(world.rows(tables.sessions)) == 2)
        await world.trade(20)
        await world.agreed()
        closed = [row["close_reason"] for row in world.rows(tables.sessions) if row["closed_at"]]
        assert closed == ["server shutdown"]
        assert not [gap for gap in world.rows(tables.gaps) if gap["reason"] == "server shutdown"]


async def test_a_deposit_rings_at_once(sqlite_url):
    """A hint on the stream leads to the wallet's history at once; deposit and withdrawal ring."""
    async with SpotWorld(sqlite_url, SWEEP_INTERVAL="1h") as world:
        wallet = world.spot.spot.wallet(world.exchange.accounts["main"])
        await asyncio.sleep(1.05)  # withdrawals are told to the second, the account's first start is finer
        world.spot.spot.deposit(wallet, "BNB", Decimal("1.5"))
        await world.until(lambda: deliveries(world, "transfer"))
        world.spot.spot.withdraw(wallet, "USDT", Decimal("100"), Decimal("0.8"))
        await world.until(lambda: len(deliveries(world, "transfer")) >= 3, 30)
        rows = {(one["kind"], one["asset"], one["amount"]) for one in deliveries(world, "transfer")}
        assert rows == {
            ("deposit", "BNB", "1.5"), ("withdrawal", "USDT", "-100"), ("withdrawal_fee", "USDT", "-0.8"),
        }  # fmt: skip


async def test_a_key_that_may_do_more_is_said_once(sqlite_url):
    """Rights beyond reading are a finding and an alert, once for each change, and gone when they are."""
    world = SpotWorld(sqlite_url)
    world.spot.rest.rights["main"] = {"enableSpotAndMarginTrading": True}
    async with world:
        await world.until(lambda: deliveries(world, "key.rights"))
        watch = world.daemon.runners[0].rights
        await watch.look()
        world.spot.rest.rights["main"]["enableWithdrawals"] = True
        await watch.look()
        await world.until(lambda: len(deliveries(world, "key.rights")) == 2)
        assert [one["may"] for one in deliveries(world, "key.rights")] == [["trade"], ["trade", "withdraw"]]
        world.spot.rest.rights.clear()
        await watch.look()
        rows = world.rows(tables.findings, tables.findings.c.kind == "key_rights")
        assert len(rows) == 2
        assert all(row["resolved_at"] for row in rows)


async def test_a_revoked_key_is_tried_again(sqlite_url):
    """A key that the venue takes away ends the session; when it is given back everything is caught up."""
    async with SpotWorld(sqlite_url, KEEPALIVE_INTERVAL="500ms") as world:
        await world.trade(10)
        world.faults.inject("revoke_key")
        await world.trade(20)
        await world.until(lambda: not world.live(), 20)
        world.faults.inject("restore_key")
        await world.until(world.live, 20)
        await world.agreed(20)
        await world.rang()


async def test_closed_listen_keys_end_with_advice(sqlite_url, tmp_path):
    """Where listen keys answer 410 with HTML, the account is given up with what to use instead."""
    async with SpotWorld(sqlite_url) as world:
        await world.stop()
        world.account_more["VENUE"] = "binance-us"
        world.url = f"sqlite:///{tmp_path}/other.db"
        health = Health()
        daemon = Daemon(config.load(world.environ(), env_file=None), health=health)
        assert await asyncio.wait_for(daemon.run(asyncio.Event()), 10) == 1
        assert "use VENUE=binance-spot" in health.accounts["main"].detail


async def test_an_ended_subscription_is_heeded_at_once(sqlite_url):
    """eventStreamTerminated means a new connection without waiting for silence, and a gap from then on."""
    async with SpotWorld(sqlite_url, STALE_AFTER="1h", SWEEP_INTERVAL="1h") as world:
        world.faults.inject("terminate_stream")
        await world.until(lambda: len(world.rows(tables.sessions)) == 2)
        await world.until(lambda: any(row["close_reason"] for row in world.rows(tables.sessions)))
        reasons = [row["close_reason"] for row in world.rows(tables.sessions) if row["close_reason"]]
        assert reasons == ["subscription ended"]
        await world.agreed()
        assert {gap["reason"] for gap in world.rows(tables.gaps)} == {"subscription ended"}


async def test_a_history_that_is_refused_is_one_gap(sqlite_url):
    """What the venue refuses stays one open gap that grows, however often it is tried, and nothing else."""
    async with SpotWorld(sqlite_url, SWEEP_INTERVAL="500ms") as world:
        rest = world.daemon.runners[0].rest
        rest.budget.set_limit(rest.pool("sapi:/sapi/v1/capital/withdraw/history"), 18_000_000)  # no waiting
        world.faults.inject("html", status=400, path="assetDividend", seconds=60)
        reason = "transfers: the venue refuses dividends"

        def ends():
            gaps = world.rows(tables.gaps, tables.gaps.c.reason == reason)
            return sorted(gap["to_time"] for gap in gaps if not gap["closed_at"])

        await world.until(ends)
        for _ in range(2):
            last = ends()[-1]
            await world.until(lambda last=last: ends()[-1] > last)
        assert len(ends()) <= 2  # one of the sweeps, one of the deep history
        assert world.live()
