"""The daemon against a second spot exchange, which was written from the venue's pages alone."""

import asyncio
from datetime import timedelta

import pytest

from accountd.runtime.backoff import Backoff
from accountd.store import tables
from tests.runtime.test_replay import replayed
from tests.second_spot_exchange import SecondSpot
from tests.second_spot_ledger import text
from tests.second_spot_world import SecondWorld
from tests.world import ms


def life(spot, times=1):
    """Let every kind of order live its life, and money come and go."""
    ledger = spot.ledger
    for _ in range(times):
        plain = ledger.place("BTCUSDT", "BUY", "0.9", "60000.5")
        ledger.fill(plain, "0.4")
        ledger.fill(plain, "0.5", "59999.75", maker=False)
        ledger.finish(ledger.place("ETHUSDT", "SELL", "3", "3100"))
        market = ledger.place("BTCUSDT", "SELL", "2", kind="MARKET", tif="IOC")
        for part in ("0.5", "0.25", "0.75"):
            ledger.fill(market, part, "60010", maker=False)
        ledger.finish(market, "EXPIRED", "INSUFFICIENT_LIQUIDITY")
        smaller = ledger.place("ETHBTC", "SELL", "5", "0.05")
        ledger.amend(smaller, "4")
        ledger.fill(smaller, "1")
        ledger.amend(smaller, "3")
        own = ledger.place("ETHUSDT", "BUY", "4", "2900")
        ledger.fill(own, "1")
        ledger.prevent(own, "1")
        ledger.prevent(own, "2")
        routed = ledger.place("ETHUSDT", "BUY", "2", "2950", sor=True)
        ledger.fill(routed, "1.5")
        ledger.fill(routed, "0.5")
        above, below = ledger.oco("BTCUSDT", "1", "70000", "50000")
        ledger.fill(above, "1")
        ledger.finish(below, "EXPIRED", "OCO_TRIGGER")


@pytest.mark.parametrize("way", ["hmac", "rsa", "ed25519", "logon", "locked"])
async def test_every_key_enters_and_all_is_exact(sqlite_url, tmp_path, way):
    """Each kind of key is taken by REST and by the WebSocket API, and everything is as the ledger has it."""
    kind = {"logon": "ed25519", "locked": "rsa"}.get(way, way)
    exchange = SecondSpot(kind, passphrase="a word" if way == "locked" else "")
    account = {"LOGON": "true"} if way == "logon" else {}
    account |= {"PRIVATE_KEY_PASSPHRASE": "a word"} if way == "locked" else {}
    async with SecondWorld(sqlite_url, exchange, tmp_path, account=account) as world:
        life(exchange)
        exchange.ledger.deposit("ETH", "1.25")
        exchange.ledger.withdraw("USDT", "1000.5", "0.8")
        await world.agreed(20)
        await world.rang()
        assert exchange.entered == ["logon" if way == "logon" else "signature"]
        assert {row["source"] for row in world.rows(tables.fills)} == {"stream"}
        refused = [one for one in exchange.rest.refused if one[1:] != (404, None)]
        assert not refused
        assert not exchange.refused
        assert not world.rows(tables.findings, tables.findings.c.severity == "error")
        assert await world.stop() == 0


async def test_classic_listen_keys_without_a_wallet(sqlite_url, tmp_path):
    """The same over a listen key; histories that answer 404 are left alone."""
    exchange = SecondSpot(classic=True, wallet=False)
    async with SecondWorld(sqlite_url, exchange, tmp_path) as world:
        life(exchange, 2)
        await world.agreed(20)
        await world.rang()
        assert not [one for one in exchange.rest.refused if one[1:] != (404, None)]
        assert not world.rows(tables.findings, tables.findings.c.severity == "error")


async def quiet(world):
    """Nothing in particular happens."""
    life(world.second)


async def cut(world):
    """Ten seconds without a connection, and in them more fills in a moment than a page shows."""
    exchange = world.second
    exchange.cut(10)
    life(exchange, 3)
    burst = exchange.ledger.place("BTCUSDT", "BUY", "2.4", "60000")
    for _ in range(1200):
        exchange.ledger.fill(burst, "0.002")
    await world.until(lambda: not world.live())
    await asyncio.sleep(9)


async def terminated(world):
    """The subscription ends while the socket stays."""
    world.second.terminate()
    life(world.second)


async def shut_down(world):
    """The connection is announced to end, and ends, while orders are filled."""
    ending = asyncio.create_task(world.second.shut_down())
    for _ in range(5):
        life(world.second)
        await asyncio.sleep(0.3)
    await ending


async def doubled(world):
    """Every event comes twice."""
    world.second.doubling = True
    life(world.second, 3)
    world.second.doubling = False


async def reordered(world):
    """Events come in any order."""
    world.second.holding = True
    life(world.second, 3)
    world.second.release()


async def dropped(world):
    """The socket stays and answers, and nothing is told."""
    world.second.dropping = True
    life(world.second, 2)
    world.second.ledger.deposit("BNB", "0.5")
    await asyncio.sleep(1)
    world.second.dropping = False


async def lagging(world):
    """REST is behind the stream, and meanwhile events are dropped and the connection is cut."""
    world.second.rest.lag = 400
    life(world.second)
    world.second.dropping = True
    life(world.second)
    world.second.dropping = False
    world.second.cut(0.5)
    await asyncio.sleep(1.5)
    life(world.second)
    world.second.rest.lag = 0


async def refused(world):
    """REST asks for fewer requests, bans, answers HTML and nonsense, while the connection is cut."""
    json, html = {"Content-Type": "application/json"}, {"Content-Type": "text/html"}
    world.second.rest.fail = [
        (429, {**json, "Retry-After": "1"}, b'{"code":-1003,"msg":"Too much request weight used"}'),
        (418, {**json, "Retry-After": "1"}, b'{"code":-1003,"msg":"Way too many requests"}'),
        (502, html, b"<html>bad gateway</html>"), (200, json, b'[{"symbol":"BTCU'), (200, html, b"<html/>"),
        (400, json, b'{"code":-1021,"msg":"Timestamp for this request was 1000ms ahead"}'),
        (503, json, b'{"code":-1008,"msg":"Server is currently overloaded"}'),
        (403, {**html, "Retry-After": "1"}, b"<html>WAF</html>"),
    ]  # fmt: skip
    world.second.cut(0.5)
    life(world.second, 2)


async def locked(world):
    """Something outside takes a part of a balance, and only a difference is told."""
    life(world.second)
    await asyncio.sleep(1)
    world.second.ledger.lock_outside("ETH", "12.5")


FAULTS = [quiet, cut, terminated, shut_down, doubled, reordered, dropped, lagging, refused, locked]


@pytest.mark.parametrize("fault", FAULTS, ids=lambda one: one.__name__)
async def test_every_fault_heals(sqlite_url, tmp_path, fault):
    """Whatever happens between two ordinary days, fills, orders, balances and transfers are the ledger's."""
    exchange = SecondSpot()
    async with SecondWorld(sqlite_url, exchange, tmp_path, WEIGHT_SHARE="1") as world:
        life(exchange)
        await fault(world)
        await world.until(world.live, 20)
        life(exchange)
        await world.agreed(30)
        await world.rang()
        assert not [one for one in exchange.rest.refused if one[1:] != (404, None)]
        errors = world.rows(tables.findings, tables.findings.c.severity == "error")
        assert not [row for row in errors if row["resolved_at"] is None]


async def test_what_became_of_an_order_meanwhile_is_found(sqlite_url, tmp_path):
    """Amendments and prevented trades that no stream told of are events all the same, each of them once.

    Only orders of which REST shows more than was told are asked about, and only once.
    """
    exchange = SecondSpot()
    async with SecondWorld(sqlite_url, exchange, tmp_path) as world:
        ledger = exchange.ledger

        async def orders_agree():
            await world.until(lambda: "orders" not in world.differences(), 15)

        heard, away, own = (ledger.place("ETHBTC", "SELL", size, "0.05") for size in ("5", "6", "7"))
        ledger.amend(heard, "4")
        ledger.prevent(heard, "1")
        await orders_agree()
        exchange.cut(0.5)
        for change, order, quantity in (
            (ledger.amend, away, "5"), (ledger.prevent, own, "1"), (ledger.amend, away, "3"),
            (ledger.prevent, own, "2"),
        ):  # fmt: skip
            change(order, quantity)
            await asyncio.sleep(0.003)
        await world.until(lambda: not world.live())
        await world.until(world.live, 15)
        ledger.fill(away, "1")
        ledger.amend(away, "2")
        await orders_agree()
        told = {"REPLACED": [], "TRADE_PREVENTION": []}
        for row in world.rows(tables.order_events):
            if row["execution_type"] in told:
                said = text(row["quantity"]) if row["execution_type"] == "REPLACED" else ""
                told[row["execution_type"]].append((row["order_id"], ms(row["event_time"]), said))
        amended = [(str(one["order"]), one["at"], text(one["to"])) for one in ledger.amendments]
        assert sorted(told["REPLACED"]) == sorted(amended)
        prevented = [(str(one["order"]), one["at"], "") for one in ledger.prevented]
        assert sorted(told["TRADE_PREVENTION"]) == sorted(prevented)
        asked = [path for _, path in exchange.rest.asked]
        assert asked.count("/api/v3/order/amendments") == 1
        assert asked.count("/api/v3/myPreventedMatches") == 1
    done = replayed(sqlite_url, f"sqlite:///{tmp_path / 'copy.db'}", 20)
    assert (done.notes, sum(done.different.values())) == ([], 0)


async def test_a_flood_of_nonsense_is_kept_and_costs_no_row(sqlite_url, tmp_path):
    """Frames that cannot be read are journaled to the last one, and what came between them is all there."""
    exchange = SecondSpot()
    async with SecondWorld(sqlite_url, exchange, tmp_path) as world:
        life(exchange)
        for session in exchange.sessions:
            for _ in range(150):
                session.lines.put_nowait('{"e":"executionReport","E":')
        life(exchange)
        await world.agreed(20)
        await world.rang()
        kept = world.rows(tables.journal, tables.journal.c.kind == "undecodable")
        assert len(kept) == 150 * len(exchange.sessions)


async def test_a_flood_of_nonsense_ends_the_link_and_leaves_a_gap(sqlite_url, tmp_path, monkeypatch):
    """Far more than a venue's noise ends the connection: what is not kept lies in a gap, and is caught up.

    The next connection waits for long, however short the usual pause is.
    """
    monkeypatch.setattr(Backoff, "next", lambda self, lived=0.0: 0.0)
    exchange = SecondSpot()
    async with SecondWorld(sqlite_url, exchange, tmp_path) as world:
        life(exchange)
        for session in exchange.sessions:
            for _ in range(8_000):
                session.lines.put_nowait('{"e":"executionReport","E":')
        life(exchange)
        reason = tables.sessions.c.close_reason == "nothing that comes can be read"
        await world.until(lambda: world.rows(tables.sessions, reason), 30)
        await world.until(world.live, 30)
        first, second = sorted(world.rows(tables.sessions), key=lambda row: row["opened_at"])
        assert second["opened_at"] - first["closed_at"] > timedelta(seconds=0.24)  # half of RECONNECT_MAX
        await world.agreed(30)
        await world.rang()
        assert len(world.rows(tables.journal, tables.journal.c.kind == "undecodable")) < 8_000
        assert world.rows(tables.gaps, tables.gaps.c.reason == "nothing that comes can be read")
