"""The simulated WebSocket API: logon, subscriptions, signatures, errors, pings, what ends a subscription."""

import asyncio
import base64
import json
from decimal import Decimal

import pytest
import websockets
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ed25519, padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from accountd.sim import signing
from accountd.sim.model import Credential
from accountd.sim.server import SimServer
from accountd.sim.spot import Spot
from tests.sim.spot_stage import WsClient, sample
from tests.sim.test_shapes import same_shape

D = Decimal
SUBSCRIBE = "userDataStream.subscribe.signature"


def add_key(exchange, kind):
    """Open an account with an RSA or Ed25519 key; return its credential and how it signs."""
    if kind == "ed25519":
        key = ed25519.Ed25519PrivateKey.generate()
        raw = key.sign
    else:
        key = rsa.generate_private_key(public_exponent=65537, key_size=2048)

        def raw(data):
            return key.sign(data, padding.PKCS1v15(), hashes.SHA256())

    pem = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
    credential = Credential(exchange.word(64), public_key=pem)
    exchange.add_account(kind, credential)
    return credential, lambda text: base64.b64encode(raw(text.encode())).decode()


@pytest.fixture
async def spot(exchange):
    """A served spot."""
    spot = Spot(exchange)
    async with SimServer(exchange, products=[spot]):
        yield spot


@pytest.fixture
async def connect(spot, account, exchange):
    """Connect: `await connect(credential, sign)`, the account's own by default."""
    sockets = []

    async def made(credential=None, sign=None, query=""):
        url = f"{spot.server.stream_url}/ws-api/v3{query}"
        sockets.append(await websockets.connect(url, max_queue=None))
        return WsClient(sockets[-1], credential or account.credential, exchange.clock.now, sign)

    yield made
    for socket in sockets:
        await socket.close()


def test_the_official_vectors_of_the_websocket_api_verify():
    """The documents' signatures over sorted, unencoded parameters are accepted, changed ones are not."""
    vectors = [v for v in sample("signing_vectors")["vectors"] if v["api"] == "ws" and v.get("secretKey")]
    assert len(vectors) >= 2
    for vector in vectors:
        credential = Credential("k" * 64, vector["secretKey"])
        assert signing.verified(credential, vector["payload"], vector["expected"])
        assert not signing.verified(credential, vector["payload"] + "0", vector["expected"])


async def test_an_hmac_key_subscribes_with_a_signature_and_gets_wrapped_events(connect, spot):
    """A signature subscribes to the spot wallet; the events carry the number that was answered."""
    client = await connect()
    reply = await client.ask(SUBSCRIBE, **client.signed(recvWindow=5000))
    same_shape({k: v for k, v in reply.items() if k != "rateLimits"}, sample(f"wsapi.{SUBSCRIBE}.response"))
    spot.spot.place(spot.spot.wallet("main"), "BTCUSDT", "BUY", D("0.01"))
    events = await client.until_pong()
    assert [(one["subscriptionId"], one["event"]["e"]) for one in events] == [
        (0, "executionReport"),
        (0, "executionReport"),
        (0, "outboundAccountPosition"),
    ]


@pytest.mark.parametrize("kind", ["rsa", "ed25519"])
async def test_private_keys_subscribe_with_a_signature(kind, connect, exchange, spot):
    """RSA and Ed25519 keys subscribe like HMAC ones; another key's signature is refused with -1022."""
    credential, sign = add_key(exchange, kind)
    client = await connect(credential, sign)
    assert await client.subscribe() == 0
    _, other = add_key(exchange, {"rsa": "ed25519", "ed25519": "rsa"}[kind])
    wrong = await connect(credential, other)
    reply = await wrong.ask(SUBSCRIBE, **wrong.signed())
    assert (reply["status"], reply["error"]["code"]) == (400, -1022)


async def test_only_ed25519_logs_on(connect, exchange):
    """A session logs on with Ed25519, subscribes without parameters, and logs out again."""
    credential, sign = add_key(exchange, "ed25519")
    client = await connect(credential, sign, "?returnRateLimits=false")
    assert (await client.ask("userDataStream.subscribe"))["status"] == 401
    reply = await client.ask("session.logon", **client.signed())
    same_shape(reply, sample("wsapi.session.logon.response"))
    assert (await client.ask("userDataStream.subscribe"))["result"] == {"subscriptionId": 0}
    status = await client.ask("session.status")
    assert status["result"]["userDataStream"] is True
    await client.ask("userDataStream.subscribe.signature", **client.signed())
    assert (await client.ask("session.subscriptions"))["result"] == [{"subscriptionId": 0}]
    out = await client.ask("session.logout")
    assert out["result"]["apiKey"] is None
    same_shape(await client.next(), sample("event.eventStreamTerminated"))
    plain = await connect()
    assert (await plain.ask("session.logon", **plain.signed()))["status"] == 400


async def test_the_venue_refuses_with_its_codes(connect, hand):
    """Twice -2035, unknown number -2036, unknown key -2015 with 401, an old time -1021, no JSON -1135."""
    client = await connect()
    assert await client.subscribe() == 0
    assert (await client.ask(SUBSCRIBE, **client.signed()))["error"]["code"] == -2035
    assert (await client.ask("userDataStream.unsubscribe", subscriptionId=7))["error"]["code"] == -2036
    unknown = await client.ask(SUBSCRIBE, **(client.signed() | {"apiKey": "z" * 64}))
    assert (unknown["status"], unknown["error"]["code"]) == (401, -2015)
    old = client.signed()
    hand.move(6)
    assert (await client.ask(SUBSCRIBE, **old))["error"]["code"] == -1021
    assert (await client.ask("no.such.method"))["error"]["code"] == -1020
    await client.socket.send("{")
    assert (await client.next())["error"]["code"] == -1135
    missing = await client.ask(SUBSCRIBE, apiKey="a", timestamp=1)
    assert missing["error"]["code"] in (-1102, -2015)


async def test_parameters_in_another_order_are_signed_sorted(connect):
    """The order of the parameters on the wire does not matter; percent-encoding them does."""
    client = await connect()
    params = dict(reversed(client.signed(recvWindow="5000.5").items()))
    assert (await client.ask(SUBSCRIBE, **params))["status"] == 200


async def test_unsubscribing_is_told(connect, spot):
    """Without a number every subscription ends, each told by eventStreamTerminated; numbers never return."""
    client = await connect()
    await client.subscribe()
    assert (await client.ask("userDataStream.unsubscribe"))["result"] == {}
    assert (await client.next())["event"]["e"] == "eventStreamTerminated"
    spot.spot.place(spot.spot.wallet("main"), "BTCUSDT", "BUY", D("0.01"))
    assert await client.until_pong() == []
    assert await client.subscribe() == 1


async def test_two_accounts_share_a_connection(connect, exchange, spot):
    """Two keys on one connection get two numbers, and each event carries the number of its account."""
    credential, sign = add_key(exchange, "ed25519")
    client = await connect()
    await client.subscribe()
    client.credential, client.sign = credential, sign
    assert await client.subscribe() == 1
    spot.spot.deposit(spot.spot.wallet("ed25519"), "BTC", D("1"))
    assert {one["subscriptionId"] for one in await client.until_pong()} == {1}


async def test_weight_is_counted_on_the_pool_of_rest(connect, spot):
    """A connection costs 2, a subscription 2; above the limit the answer is 429 with a time to wait for."""
    client = await connect()
    assert spot.limit.used == 2
    reply = await client.ask(SUBSCRIBE, **client.signed())
    assert reply["rateLimits"][0]["count"] == 4
    spot.limit.used = 6000
    refused = await client.ask("ping")
    assert (refused["status"], refused["error"]["code"]) == (429, -1003)
    assert refused["error"]["data"]["retryAfter"] > refused["error"]["data"]["serverTime"]
    spot.server.faults.inject("ban", seconds=60)
    assert (await client.ask("ping"))["status"] == 418
    with pytest.raises(websockets.ConnectionClosed):
        await client.next()


async def test_queries_have_twins(connect, spot):
    """account.status, myTrades and time answer over the WebSocket as over REST."""
    spot.spot.place(spot.spot.wallet("main"), "BTCUSDT", "BUY", D("0.01"))
    client = await connect()
    assert (await client.ask("account.status", **client.signed()))["result"]["accountType"] == "SPOT"
    trades = await client.ask("myTrades", **client.signed(symbol="BTCUSDT"))
    same_shape(trades["result"], sample("wsapi.myTrades.response")["result"])
    assert "serverTime" in (await client.ask("v3/time"))["result"]


async def test_faults_end_a_subscription_told_or_in_silence(connect, spot):
    """terminate_stream tells the end, kill_subscription does not, server_shutdown has no number."""
    client = await connect()
    await client.subscribe()
    assert spot.server.faults.inject("terminate_stream") == 1
    assert (await client.next())["event"]["e"] == "eventStreamTerminated"
    await client.subscribe()
    assert spot.server.faults.inject("kill_subscription", account="main", market="spot") == 1
    spot.spot.deposit(spot.spot.wallet("main"), "BTC", D("1"))
    assert await client.until_pong() == []
    spot.server.faults.inject("server_shutdown", seconds=0.01)
    same_shape(await client.next(), sample("event.serverShutdown.ws-api"))
    with pytest.raises(websockets.ConnectionClosed):
        await client.next()


async def test_a_revoked_key_ends_the_logon_at_the_next_request(connect, exchange, spot):
    """After the key is gone, events stop and the next request is answered 401 without an id."""
    credential, sign = add_key(exchange, "ed25519")
    client = await connect(credential, sign, "?returnRateLimits=false")
    await client.ask("session.logon", **client.signed())
    spot.server.faults.inject("revoke_key", account="ed25519")
    assert await client.ask("ping") == sample("wsapi.error.401-session-revoked")
    assert (await client.ask("session.logon", **client.signed()))["error"]["code"] == -2015
    spot.server.faults.inject("restore_key", account="ed25519")
    assert (await client.ask("session.logon", **client.signed()))["status"] == 200


async def test_a_connection_that_answers_no_ping_is_cut(exchange):
    """The product's own ping interval and pong timeout rule its connections."""
    spot = Spot(exchange, ping_interval=0.05, pong_timeout=0.1)
    async with SimServer(exchange, products=[spot]) as server:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(
            b"GET /ws-api/v3 HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
        )
        async with asyncio.timeout(10):
            with pytest.raises((asyncio.IncompleteReadError, ConnectionError)):
                await reader.readexactly(100_000)
        writer.close()


async def test_stream_faults_hit_wrapped_events(connect, spot):
    """drop, duplicate and extra_fields do to wrapped events what they do to others."""
    client, wallet = await connect(), spot.spot.wallet("main")
    await client.subscribe()
    spot.server.faults.inject("duplicate", n=1)
    spot.server.faults.inject("extra_fields", n=1)
    spot.spot.external_lock(wallet, "USDT", D("1"))
    events = await client.until_pong()
    assert json.dumps(events[0]) == json.dumps(events[1])
    assert events[0]["event"]["zz"]
    spot.server.faults.inject("drop", n=1)
    spot.spot.external_lock(wallet, "USDT", D("1"))
    assert [one["event"]["e"] for one in await client.until_pong()] == ["outboundAccountPosition"]
