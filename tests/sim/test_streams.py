"""Every documented way to connect and subscribe, and every way to connect and hear nothing."""

import asyncio
import json
from decimal import Decimal

import pytest
import websockets

from accountd.sim.server import SimServer
from tests.sim.conftest import Reader
from tests.sim.signer import tape

WRAPPED = ("/private/stream?listenKey={key}", "{key}")
NAMED = ("/private/stream?listenKey={key}&events=ACCOUNT_UPDATE/ORDER_TRADE_UPDATE", "{key}@ACCOUNT_UPDATE")


async def ask(socket, message):
    """Send a control message and return the answer."""
    await socket.send(message if isinstance(message, str) else json.dumps(message))
    async with asyncio.timeout(10):
        return json.loads(await socket.recv())


@pytest.mark.parametrize(
    "path",
    ["/private/ws/{key}", "/private/ws?listenKey={key}", "/private/ws?listenKey={key}&events=ACCOUNT_UPDATE"],
)
async def test_ws_mode_sends_raw_events(path, sim, key, exchange):
    """All forms of /private/ws deliver unwrapped events."""
    async with websockets.connect(sim.stream_url + path.format(key=key)) as socket:
        exchange.transfer("main", Decimal("1"))
        assert (await Reader(socket).next())["e"] == "ACCOUNT_UPDATE"


@pytest.mark.parametrize(("path", "name"), [WRAPPED, NAMED])
async def test_stream_mode_wraps_events(path, name, sim, key, exchange):
    """/private/stream wraps events; the name carries the event only if events were asked for."""
    async with websockets.connect(sim.stream_url + path.format(key=key)) as socket:
        exchange.transfer("main", Decimal("1"))
        frame = await Reader(socket).next()
    assert frame["stream"] == name.format(key=key)
    assert frame["data"]["e"] == "ACCOUNT_UPDATE"


async def test_subscribe_on_a_bare_connection(sim, key, exchange):
    """SUBSCRIBE with the key turns a bare /private/stream into a wrapped stream."""
    async with websockets.connect(f"{sim.stream_url}/private/stream") as socket:
        assert await ask(socket, {"method": "SUBSCRIBE", "params": [key], "id": 7}) == {
            "result": None,
            "id": 7,
        }
        exchange.transfer("main", Decimal("1"))
        assert (await Reader(socket).next())["stream"] == key
        assert await ask(socket, {"method": "UNSUBSCRIBE", "params": [key], "id": 8}) == {
            "result": None,
            "id": 8,
        }
        exchange.transfer("main", Decimal("1"))
        assert await Reader(socket).until_pong() == []


@pytest.mark.parametrize(
    "path",
    [
        "/ws/{key}",
        "/stream?streams={key}",
        "/public/ws/{key}",
        "/market/ws/{key}",
        "/private/ws/bogus",
        "/private/ws",
    ],
)
async def test_connected_is_not_receiving(path, sim, key, exchange):
    """The legacy URL, other routes and a bogus key connect, answer pings, and deliver nothing."""
    async with websockets.connect(sim.stream_url + path.format(key=key)) as socket:
        exchange.transfer("main", Decimal("1"))
        assert await Reader(socket).until_pong() == []


async def test_events_is_an_allow_list(sim, key, exchange):
    """With events= only those are sent, not even listenKeyExpired."""
    url = f"{sim.stream_url}/private/ws?listenKey={key}&events=ORDER_TRADE_UPDATE"
    async with websockets.connect(url) as socket:
        exchange.place("main", "BTCUSDT", "BUY", Decimal("0.010"))
        sim.faults.inject("expire_key")
        events = await Reader(socket).until_pong()
    assert {e["e"] for e in events} == {"ORDER_TRADE_UPDATE"}


async def test_several_sockets_share_a_key(sim, key, exchange):
    """Two sockets of one key each get every event."""
    url = f"{sim.stream_url}/private/ws/{key}"
    async with websockets.connect(url) as one, websockets.connect(url) as two:
        exchange.transfer("main", Decimal("1"))
        assert await Reader(one).next() == await Reader(two).next()


async def test_accounts_hear_only_their_own(sim, key, stream, exchange):
    """What another account does is not told."""
    exchange.add_account("other")
    exchange.transfer("other", Decimal("5"))
    assert await stream.until_pong() == []


async def test_list_subscriptions(sim, key):
    """LIST_SUBSCRIPTIONS shows the bare key, or key@EVENT in alphabetical order."""
    probe = {"method": "LIST_SUBSCRIPTIONS", "id": 3}
    async with websockets.connect(f"{sim.stream_url}/private/ws/{key}") as socket:
        assert await ask(socket, probe) == {"result": [key], "id": 3}
    url = f"{sim.stream_url}/private/ws?listenKey={key}&events=listenKeyExpired/ACCOUNT_UPDATE"
    async with websockets.connect(url) as socket:
        assert (await ask(socket, probe))["result"] == [f"{key}@ACCOUNT_UPDATE", f"{key}@listenKeyExpired"]


async def test_properties_switch_the_wrapping(sim, key, stream, exchange):
    """SET_PROPERTY combined turns wrapping on, GET_PROPERTY tells it."""
    assert await ask(stream.socket, tape("ws_SET_PROPERTY.request")) == tape("ws_SET_PROPERTY.response")
    assert await ask(stream.socket, tape("ws_GET_PROPERTY.request")) == tape("ws_GET_PROPERTY.response")
    exchange.transfer("main", Decimal("1"))
    assert set(await stream.next()) == {"stream", "data"}


@pytest.mark.parametrize(
    ("message", "code"),
    [
        ('{"method":"SET_PROPERTY","params":["other",true],"id":1}', 0),
        ('{"method":"SET_PROPERTY","params":["combined","yes"],"id":1}', 1),
        ('{"method":"GET_PROPERTY","params":[7],"id":1}', 2),
        ('{"method":"GET_PROPERTY","params":["combined",1],"id":1}', 2),
        ('{"method":"SUBSCRIBE","params":["a"],"id":-1}', 2),
        ('{"method":"SUBSCRIBE","params":["a"]}', 2),
        ('{"method":"OTHER","id":1}', 2),
        ('{"params":[],"id":1}', 2),
        ("{nonsense", 3),
    ],
)
async def test_control_errors_have_the_documented_words(message, code, stream):
    """Each wrong control message gets its code and a text that starts like an official one."""
    answer = await ask(stream.socket, message)
    known = [e["msg"].split("%s")[0].split(" at line")[0] for e in tape("ws_errors") if e["code"] == code]
    assert answer["code"] == code
    assert any(answer["msg"].startswith(text) for text in known)


async def test_strict_ids_refuse_strings(exchange):
    """With strict_ids a string id is refused as documented."""
    async with (
        SimServer(exchange, strict_ids=True) as sim,
        websockets.connect(f"{sim.stream_url}/private/ws") as socket,
    ):
        answer = await ask(socket, {"method": "LIST_SUBSCRIPTIONS", "id": "abc"})
    assert answer == {"code": 2, "msg": "Invalid request: request ID must be an unsigned integer"}


async def test_more_than_ten_messages_a_second_disconnect(stream):
    """The eleventh message within a second ends the connection."""
    with pytest.raises(websockets.ConnectionClosed):
        for number in range(12):
            await stream.socket.send(f'{{"method":"LIST_SUBSCRIPTIONS","id":{number}}}')
        for _ in range(12):
            await stream.raw()
    assert stream.socket.close_code == 1008


async def test_the_venue_pings_and_gives_up_on_the_deaf(exchange):
    """The venue pings on its interval, and cuts a peer that never answers."""
    async with SimServer(exchange, ping_interval=0.02, pong_timeout=0.05) as sim:
        reader, writer = await asyncio.open_connection(sim.host, sim.port)
        writer.write(
            b"GET /private/ws HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
        )
        await reader.readuntil(b"\r\n\r\n")
        async with asyncio.timeout(10):
            assert (await reader.readexactly(1))[0] == 0x89
            with pytest.raises(ConnectionResetError):
                while await reader.read(100):
                    pass
                raise ConnectionResetError
        writer.close()


async def test_a_connection_ends_at_its_greatest_age(exchange):
    """At max_age the venue closes the socket with a close frame."""
    async with SimServer(exchange, max_age=0.05, ping_interval=0.2) as sim:
        async with websockets.connect(f"{sim.stream_url}/private/ws") as socket:
            async with asyncio.timeout(10):
                await socket.wait_closed()
        assert socket.close_code == 1001


async def test_an_unknown_stream_path_is_404(sim):
    """A handshake on a path that does not exist is refused."""
    with pytest.raises(websockets.InvalidStatus) as refused:
        async with websockets.connect(f"{sim.stream_url}/nothing"):
            pass
    assert refused.value.response.status_code == 404


async def test_a_burst_of_a_thousand_fills_arrives_whole_and_in_order(sim, key, exchange):
    """A burst of 1,000 fills reaches a client completely, each trade id once and ascending."""
    told = []
    url = f"{sim.stream_url}/private/ws?listenKey={key}&events=ORDER_TRADE_UPDATE"
    async with websockets.connect(url) as socket, asyncio.timeout(10):
        made = [fill.trade_id for fill in exchange.burst("main", 1000)]
        while len(told) < 1000:
            order = json.loads(await socket.recv())["o"]
            told += [order["t"]] if order["x"] == "TRADE" else []
    assert told == made == sorted(set(made))
