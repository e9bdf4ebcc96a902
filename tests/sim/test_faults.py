"""Each fault can be seen from a plain client, and the venue is honest again after it."""

import asyncio
import json
import time
from decimal import Decimal

import httpx
import pytest
import websockets

from accountd.sim.breakage import GARBAGE

TIME = "/fapi/v1/time"


async def gone(stream):
    """Wait for the end of a stream and return the exception that tells it."""
    with pytest.raises(websockets.ConnectionClosed) as closed:
        while True:
            await stream.raw()
    return closed.value


def connect(sim, key):
    """Open a raw stream."""
    return websockets.connect(f"{sim.stream_url}/private/ws/{key}", open_timeout=0.3)


async def test_close_sends_a_close_frame(sim, stream):
    """close ends the stream with the code and reason asked for."""
    assert sim.faults.inject("close", code=1008, reason="bye") == 1
    error = await gone(stream)
    assert (error.rcvd.code, error.rcvd.reason) == (1008, "bye")


@pytest.mark.parametrize("fault", ["rst", "fin"])
async def test_rst_and_fin_cut_without_a_close_frame(fault, sim, stream):
    """rst and fin end the stream without a close frame."""
    sim.faults.inject(fault)
    error = await gone(stream)
    assert error.rcvd is None


async def test_rst_is_a_reset(sim):
    """rst reaches the client as a connection reset, fin as an end of file."""
    upgrade = (
        b"GET /private/ws HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
    )
    for fault in ("fin", "rst"):
        reader, writer = await asyncio.open_connection(sim.host, sim.port)
        writer.write(upgrade)
        await reader.readuntil(b"\r\n\r\n")
        sim.faults.inject(fault)
        if fault == "fin":
            assert await reader.read() == b""
        else:
            with pytest.raises(ConnectionResetError):
                await reader.read()
        writer.close()


@pytest.mark.parametrize("fault", ["half_open", "blackhole"])
async def test_a_dead_peer_keeps_tcp_open_and_says_nothing(fault, sim, stream, exchange):
    """half_open and blackhole leave the socket open, but neither events nor pongs come."""
    sim.faults.inject(fault)
    exchange.transfer("main", Decimal("1"))
    pong = await stream.socket.ping()
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(pong, 0.1)
    assert stream.socket.state is websockets.State.OPEN
    stream.socket.transport.abort()


async def test_a_blackhole_swallows_new_connections_and_requests_until_it_ends(sim, key, http):
    """While a blackhole lasts new handshakes and requests get no answer; afterwards they do."""
    sim.faults.inject("blackhole", seconds=0.15)
    with pytest.raises(TimeoutError):
        async with websockets.connect(f"{sim.stream_url}/private/ws/{key}", open_timeout=0.05):
            pass
    with pytest.raises(httpx.ReadTimeout):
        await http.get(TIME, timeout=0.05)
    await asyncio.sleep(0.06)
    assert (await http.get(TIME)).status_code == 200


async def test_a_blackhole_may_spare_rest(sim, stream, http):
    """blackhole where=stream leaves REST alive."""
    sim.faults.inject("blackhole", where="stream")
    assert (await http.get(TIME)).status_code == 200
    stream.socket.transport.abort()


async def test_refuse_closes_the_port_and_opens_the_same_again(sim, stream, exchange):
    """refuse turns new connections away, spares the living, and comes back on the same port."""
    sim.faults.inject("refuse", seconds=0.1)
    with pytest.raises(OSError, match=r"Connect call failed|refused"):
        await asyncio.open_connection(sim.host, sim.port)
    exchange.transfer("main", Decimal("1"))
    assert (await stream.next())["e"] == "ACCOUNT_UPDATE"
    await asyncio.sleep(0.15)
    _reader, writer = await asyncio.open_connection(sim.host, sim.port)
    writer.close()


async def test_accept_then_close(sim, key):
    """accept_then_close shakes hands and hangs up, n times."""
    sim.faults.inject("accept_then_close", n=2)
    for code in (1001, 1001):
        async with connect(sim, key) as socket:
            await socket.wait_closed()
        assert socket.close_code == code
    async with connect(sim, key) as socket:
        await (await socket.ping())


async def test_handshake_status(sim, key):
    """handshake_status refuses the upgrade with a status and Retry-After."""
    sim.faults.inject("handshake_status", code=429, retry_after=7, n=1)
    with pytest.raises(websockets.InvalidStatus) as refused:
        async with connect(sim, key):
            pass
    assert refused.value.response.status_code == 429
    assert refused.value.response.headers["Retry-After"] == "7"
    async with connect(sim, key):
        pass


async def test_ack_never(sim, stream):
    """ack_never leaves control messages without an answer."""
    sim.faults.inject("ack_never", n=1)
    await stream.socket.send('{"method":"LIST_SUBSCRIPTIONS","id":1}')
    assert await stream.until_pong() == []
    await stream.socket.send('{"method":"LIST_SUBSCRIPTIONS","id":2}')
    assert (await stream.next())["id"] == 2


async def amounts(stream):
    """Return the told wallet balances in order of arrival."""
    return [e["a"]["B"][0]["wb"] for e in await stream.until_pong() if e["e"] == "ACCOUNT_UPDATE"]


def deposit(exchange, count):
    """Deposit count times 1 and return the balances that must be told."""
    told = []
    for _ in range(count):
        exchange.transfer("main", Decimal("1"))
        told.append(f"{exchange.accounts['main'].balance('USDT'):.8f}")
    return told


async def test_drop_duplicate_and_reorder(sim, stream, exchange):
    """drop loses frames, duplicate repeats them, reorder swaps neighbours; none invents any."""
    sim.faults.inject("drop", n=1)
    assert await amounts(stream) == [] == deposit(exchange, 1)[1:]
    sim.faults.inject("duplicate", n=1)
    told = deposit(exchange, 2)
    assert await amounts(stream) == [told[0], told[0], told[1]]
    sim.faults.inject("reorder", n=1)
    told = deposit(exchange, 3)
    assert await amounts(stream) == [told[1], told[0], told[2]]


async def test_a_reordered_last_frame_still_comes(sim, stream, exchange):
    """reorder holds a frame only for a moment when nothing follows."""
    sim.faults.inject("reorder", n=1)
    told = deposit(exchange, 1)
    assert (await stream.next())["a"]["B"][0]["wb"] == told[0]


async def test_drop_with_a_probability_loses_some(sim, stream, exchange):
    """drop with p loses about that share."""
    sim.faults.inject("drop", p=0.3)
    deposit(exchange, 200)
    assert 100 < len(await amounts(stream)) < 180


async def test_delay_and_slow_keep_the_order(sim, stream, exchange):
    """delay holds frames back for a time, slow lets them drip; all arrive in order."""
    sim.faults.inject("delay", seconds=0.1)
    start, told = time.monotonic(), deposit(exchange, 3)
    got = [(await stream.next())["a"]["B"][0]["wb"] for _ in told]
    assert time.monotonic() - start >= 0.09
    assert got == told
    sim.faults.inject("clear")
    sim.faults.inject("slow", rate=2000)
    told = deposit(exchange, 3)
    assert [(await stream.next())["a"]["B"][0]["wb"] for _ in told] == told


async def test_torn_frames_and_extra_fields(sim, stream, exchange):
    """torn_frame cuts a frame in half, extra_fields adds an unknown one."""
    sim.faults.inject("torn_frame", n=1)
    sim.faults.inject("extra_fields", n=2)
    deposit(exchange, 2)
    with pytest.raises(ValueError, match=r"."):
        json.loads(await stream.raw())
    assert "zz" in await stream.next()


@pytest.mark.parametrize("kind", ["binary", "json", "text", "number", "array"])
async def test_garbage_arrives_as_it_is(kind, sim, stream):
    """garbage reaches the client byte for byte, and the stream lives on."""
    sim.faults.inject("garbage", kind=kind)
    raw = await stream.raw()
    assert (raw if isinstance(raw, bytes) else raw.encode()) == GARBAGE[kind]


async def test_bad_utf8_and_oversized_frames_end_a_strict_client(sim, key):
    """Text that is not UTF-8 and frames above 1 MiB are more than a plain client takes."""
    for kind, code in (("utf8", 1007), ("big", 1009)):
        async with connect(sim, key) as socket:
            sim.faults.inject("garbage", kind=kind)
            with pytest.raises((UnicodeDecodeError, websockets.ConnectionClosedError)):
                await socket.recv()
            await socket.wait_closed()
        assert socket.protocol.close_sent.code == code


async def test_an_unknown_event_is_well_formed(sim, stream):
    """garbage kind=event is an event that no document knows."""
    sim.faults.inject("garbage", kind="event")
    assert (await stream.next())["e"] == "NEW_KIND_OF_EVENT"


async def test_rate_limit_and_ban(sim, http, hand):
    """rate_limit answers 429 n times, ban 418 with its end in ms until it is over."""
    sim.faults.inject("rate_limit", n=2, retry_after=3)
    for _ in range(2):
        reply = await http.get(TIME)
        assert (reply.status_code, reply.headers["Retry-After"], reply.json()["code"]) == (429, "3", -1003)
    assert (await http.get(TIME)).status_code == 200
    sim.faults.inject("ban", seconds=60)
    reply = await http.get(TIME)
    assert reply.status_code == 418
    assert f"IP banned until {hand.ms + 60_000}." in reply.json()["msg"]
    hand.move(60)
    assert (await http.get(TIME)).status_code == 200


async def test_server_errors_and_html(sim, http):
    """http_5xx and html answer n times with their status, on matching paths only."""
    sim.faults.inject("http_5xx", n=1, status=500, path=f"GET {TIME}")
    sim.faults.inject("html", n=1, status=200, path=TIME)
    assert (await http.get("/fapi/v1/exchangeInfo")).status_code == 200
    assert (await http.get(TIME)).status_code == 500
    page = await http.get(TIME)
    assert (page.status_code, page.headers["Content-Type"]) == (200, "text/html")
    assert (await http.get(TIME)).json()


async def test_torn_json_hangs_up_in_the_middle(sim, http):
    """torn_json promises a length, sends half and closes."""
    sim.faults.inject("torn_json", n=1)
    with pytest.raises(httpx.RemoteProtocolError):
        await http.get(TIME)
    assert (await http.get(TIME)).status_code == 200


async def test_slow_rest(sim, http):
    """slow_rest answers late."""
    sim.faults.inject("slow_rest", seconds=0.1, n=1)
    start = time.monotonic()
    await http.get(TIME)
    assert time.monotonic() - start >= 0.09


async def test_stale_rest_answers_from_the_past(sim, client, exchange, hand):
    """stale_rest shows orders, fills, balances, positions and income as they were some seconds ago."""
    order = exchange.place("main", "BTCUSDT", "BUY", Decimal("0.010"), Decimal("60000"))
    before = await client.rows("/fapi/v3/account")
    hand.move(2)
    exchange.fill("main", order)
    exchange.place("main", "BTCUSDT", "SELL", Decimal("0.030"))
    sim.faults.inject("stale_rest", seconds=1)
    assert (await client.rows("/fapi/v3/account"))["assets"] == before["assets"]
    assert await client.rows("/fapi/v1/userTrades", symbol="BTCUSDT") == []
    assert [r["status"] for r in await client.rows("/fapi/v1/allOrders", symbol="BTCUSDT")] == ["NEW"]
    assert len(await client.rows("/fapi/v1/openOrders")) == 1
    assert {r["incomeType"] for r in await client.rows("/fapi/v1/income")} == {"TRANSFER"}
    hand.move(2)
    assert len(await client.rows("/fapi/v1/userTrades", symbol="BTCUSDT")) == 2


async def test_faults_are_commanded_over_http(sim, http, stream):
    """POST /sim/fault injects by name; unknown names and options are 400."""
    reply = await http.post("/sim/fault", json={"fault": "close", "code": 1012})
    assert reply.json() == {"fault": "close", "result": 1}
    assert (await gone(stream)).rcvd.code == 1012
    for body in ({"fault": "nonsense"}, {"fault": "close", "colour": 1}):
        assert (await http.post("/sim/fault", json=body)).status_code == 400
    assert sim.counters()["faults"] == ["close", "nonsense", "close"]


async def test_a_lasting_fault_ends_after_its_time(sim, http):
    """A fault with seconds lifts itself."""
    sim.faults.inject("http_5xx", seconds=0.05)
    assert (await http.get(TIME)).status_code == 503
    await asyncio.sleep(0.06)
    assert (await http.get(TIME)).status_code == 200
