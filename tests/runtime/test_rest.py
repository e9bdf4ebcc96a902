"""REST against a transport in memory: signatures, refusals, retries and what is never shown."""

import asyncio
import base64
import json
import logging
from datetime import timedelta
from urllib.parse import parse_qsl, urlsplit

import httpx
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ed25519, padding, rsa
from cryptography.hazmat.primitives.hashes import SHA256

from accountd.config import Account
from accountd.errors import (
    BadRequest,
    Banned,
    ClockSkew,
    KeyRefused,
    ListenKeyGone,
    RateLimited,
    VenueError,
    VenueGone,
    VenueUnavailable,
)
from accountd.runtime import rest as rest_module
from accountd.runtime.budget import Priority
from accountd.runtime.signing import HmacSigner, signer_of
from accountd.venues.base import Call, Page, to_ms
from accountd.venues.doors import StreamOptions
from tests.runtime.memory_exchange import KEY, SECRET, VENUE, Exchange
from tests.venues.tape import load, raw

DOOR = VENUE.doors(VENUE.hosts["live"], StreamOptions())[0]

READ = Call(
    method="GET", path="/fapi/v3/account", kind="account", pool="binance-futures", weight=5, signed=True
)
VECTORS = load("signing_vectors")


def refusal(status, code=None, msg="", headers=None):
    """Return an error reply as the venue writes it."""
    return httpx.Response(status, json={"code": code, "msg": msg}, headers=headers)


def split(request):
    """Return the signed payload and the signature, both as sent."""
    payload, mark, signature = request.url.raw_path.decode().partition("?")[2].rpartition("&signature=")
    assert mark
    return payload, signature


@pytest.mark.parametrize("vector", VECTORS["vectors"], ids=["query", "mixed"])
def test_official_hmac_vectors(vector):
    """HMAC signatures are the published ones."""
    payload = vector["payload"].replace("timestamp= ", "timestamp=")
    signed = {HmacSigner(VECTORS["secretKey"]).sign(text.encode()) for text in (payload, vector["payload"])}
    assert vector["signature"] in signed


@pytest.mark.parametrize("vector", load("signing")["vectors"], ids=lambda vector: vector["id"])
def test_official_vectors_of_all_kinds(vector, tmp_path):
    """HMAC and Ed25519 give the published text; RSA, published without its key, the published form."""
    payload = vector["payload"].encode()
    if "secretKey" in vector:
        assert HmacSigner(vector["secretKey"]).sign(payload) == vector["expected"]
    elif "privateKeyPem" in vector:
        assert pem_signer(tmp_path, vector["privateKeyPem"].encode()).sign(payload) == vector["expected"]
    else:
        key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        signature = pem_signer(tmp_path, pem(key)).sign(payload)
        assert (
            len(signature) == len(vector["expected"]) if vector["algorithm"].startswith("RSA") else signature
        )


def pem(key):
    """Return a private key as PEM."""
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def pem_account(folder, text):
    """Return an account that signs with a key in a file."""
    path = folder / "key.pem"
    path.write_bytes(text)
    return Account(venue="binance-usdm", api_key=KEY, private_key_file=path)


def pem_signer(folder, text):
    """Return the signer of a key in a file."""
    return signer_of(pem_account(folder, text))


async def test_what_is_sent_is_what_was_signed():
    """The query is percent-encoded once, signed as encoded, and the signature comes last."""
    exchange = Exchange(ahead=2)
    call = Call(
        method="GET", path="/fapi/v1/userTrades", kind="fills", pool="binance-futures", weight=5, signed=True,
        params=(("symbol", "测试USDT"), ("note", "a b/c&d")),
    )  # fmt: skip
    async with exchange.client() as client:
        reply = await client.send(call, Priority.SWEEP)
    request = exchange.requests[-1]
    payload, signature = split(request)
    assert payload.startswith("symbol=%E6%B5%8B%E8%AF%95USDT&note=a%20b%2Fc%26d&recvWindow=")
    assert signature == HmacSigner(SECRET).sign(payload.encode())
    assert request.headers["x-mbx-apikey"] == KEY
    asked = dict(parse_qsl(payload))
    assert int(asked["timestamp"]) == to_ms(exchange.clock.now() + timedelta(seconds=2))
    assert reply.fetched_at == exchange.clock.now() + timedelta(seconds=2)


@pytest.mark.parametrize("kind", ["ed25519", "rsa"])
async def test_key_pairs_sign_in_base64_percent_encoded(kind, tmp_path):
    """RSA and Ed25519 signatures verify, and + / = never stand bare in the address."""
    if kind == "rsa":
        key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    else:
        key = ed25519.Ed25519PrivateKey.generate()
    exchange = Exchange()
    async with exchange.client(account=pem_account(tmp_path, pem(key))) as client:
        await client.send(READ, Priority.SEAM)
    payload, signature = split(exchange.requests[-1])
    assert not set(signature) & set("+/=")
    sent = base64.b64decode(dict(parse_qsl(f"s={signature}"))["s"])
    if kind == "rsa":
        key.public_key().verify(sent, payload.encode(), padding.PKCS1v15(), SHA256())
    else:
        key.public_key().verify(sent, payload.encode())


async def test_keys_go_only_where_they_are_needed():
    """Public calls carry no key; listen-key calls carry it without a signature or a timestamp."""
    exchange = Exchange()
    async with exchange.client() as client:
        await client.run(VENUE.server_time(), Priority.SEAM)
        exchange.answers = [httpx.Response(200, content=raw("POST_fapi_v1_listenKey"))]
        reply = await client.send(DOOR.create, Priority.KEEPALIVE)
    assert DOOR.parse(reply) == load("POST_fapi_v1_listenKey")["listenKey"]
    public, keyed = exchange.requests
    assert "x-mbx-apikey" not in public.headers
    assert keyed.headers["x-mbx-apikey"] == KEY
    assert (keyed.method, keyed.url.query) == ("POST", b"")


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("DELETE", "/fapi/v1/listenKey"),
        ("POST", "/fapi/v1/order"),
        ("GET", "/fapi/v1/secret"),
        ("PUT", "/fapi/v1/order"),
    ],
)
async def test_what_is_not_on_the_list_is_never_sent(method, path):
    """A call off the allow-list is refused before anything leaves."""
    exchange = Exchange()
    async with exchange.client() as client:
        with pytest.raises(BadRequest):
            await client.send(
                Call(method=method, path=path, kind="x", pool="binance-futures", weight=1), Priority.SEAM
            )
    assert exchange.requests == []


REFUSALS = [
    (refusal(401, -2014, "API-key format invalid."), KeyRefused),
    (refusal(401, -2015, "Invalid API-key, IP, or permissions for action."), KeyRefused),
    (refusal(400, -2008, "Invalid Api-Key ID."), KeyRefused),
    (refusal(400, -1022, "Signature for this request is not valid."), KeyRefused),
    (httpx.Response(401, text=""), KeyRefused),
    (refusal(400, -1125, "This listenKey does not exist."), ListenKeyGone),
    (refusal(400, -2013, "Order does not exist."), BadRequest),
    (refusal(400, -1121, "Invalid symbol."), BadRequest),
    (httpx.Response(404, html="<h1>no</h1>"), BadRequest),
    (httpx.Response(410, html="<html>gone</html>"), VenueGone),
    (httpx.Response(403, html="<html>WAF</html>"), VenueUnavailable),
    (httpx.Response(408, text=""), VenueUnavailable),
    (httpx.Response(302, headers={"location": "https://example.com"}), VenueUnavailable),
    (refusal(503, -1008, "Request throttled by system-level protection."), VenueUnavailable),
    (httpx.Response(502, html="<html>"), VenueUnavailable),
    (httpx.Response(200, html="<html>maintenance</html>"), VenueUnavailable),
    (httpx.Response(200, text='[{"torn":'), VenueUnavailable),
    (httpx.Response(200, text=""), VenueUnavailable),
    (httpx.Response(400, json={"239999": "The system is under maintenance"}), VenueUnavailable),
    (refusal(400, -1016, "Service is under maintenance."), VenueUnavailable),
    (refusal(200, -2015, "told with the wrong status"), KeyRefused),
    (httpx.ConnectError("no route"), VenueUnavailable),
    (httpx.ReadTimeout("slow"), VenueUnavailable),
    (httpx.RemoteProtocolError("cut"), VenueUnavailable),
]


@pytest.mark.parametrize(("answer", "kind"), REFUSALS)
async def test_every_refusal_has_its_error(answer, kind):
    """Status, number and shape of a reply decide the error, and no error shows a secret."""
    once = Call(**{name: getattr(READ, name) for name in READ.__struct_fields__} | {"once": True})
    exchange = Exchange(answer)
    async with exchange.client() as client:
        with pytest.raises(VenueError) as raised:
            await client.send(once, Priority.SEAM)
    assert type(raised.value) is kind
    shown = f"{raised.value!r} {raised.value} {client!r}"
    assert not any(word in shown for word in (KEY, SECRET, "signature="))
    assert raised.value.__cause__ is None


async def test_the_venue_echoing_the_key_is_not_repeated():
    """An error text that holds the key is shown without it."""
    exchange = Exchange(refusal(400, -1100, f"Illegal characters in '{KEY}'"))
    async with exchange.client() as client:
        with pytest.raises(BadRequest) as raised:
            await client.send(READ, Priority.SEAM)
    assert KEY not in str(raised.value)
    assert raised.value.code == -1100


async def test_unavailable_is_tried_again_with_jitter():
    """A venue that comes back within four attempts is not noticed; one that does not is told."""
    exchange = Exchange(httpx.Response(502), httpx.ReadTimeout("x"), httpx.Response(200, text="<"))
    async with exchange.client() as client:
        await client.send(READ, Priority.SEAM)
        assert len(exchange.asked) == 4
        exchange.answers = [httpx.Response(500)] * 9
        with pytest.raises(VenueUnavailable):
            await client.send(READ, Priority.SEAM)
    assert len(exchange.asked) == 8
    assert all(0 <= wait <= 5 for wait in exchange.clock.slept)


async def test_a_refusal_that_cannot_change_is_not_repeated():
    """Bad requests and refused keys are sent once."""
    for answer in (refusal(400, -1121), refusal(401, -2015)):
        exchange = Exchange(answer)
        async with exchange.client() as client:
            with pytest.raises(VenueError):
                await client.send(READ, Priority.SEAM)
        assert len(exchange.asked) == 1


async def test_a_wrong_clock_is_measured_and_mended_once():
    """-1021 measures the venue's clock and tries once more; a second one is raised."""
    exchange = Exchange(refusal(400, -1021, "outside of the recvWindow"), ahead=90)
    async with exchange.client() as client:
        exchange.ahead = timedelta(seconds=0)
        await client.measure_offset()
        exchange.ahead = timedelta(seconds=90)
        await client.send(READ, Priority.SEAM)
        assert int(dict(parse_qsl(split(exchange.requests[-1])[0]))["timestamp"]) == to_ms(
            exchange.clock.now() + timedelta(seconds=90)
        )
        exchange.answers = [refusal(400, -1021)] * 5
        with pytest.raises(ClockSkew):
            await client.send(READ, Priority.SEAM)
    assert len(exchange.asked) == 4


async def test_half_the_round_trip_is_allowed_for():
    """The venue's clock is taken as read in the middle of the exchange."""
    exchange = Exchange(ahead=10, delay=0.5)
    async with exchange.client() as client:
        assert await client.measure_offset() == timedelta(seconds=10)


@pytest.mark.parametrize(
    ("answer", "kind", "seconds"),
    [
        (
            refusal(429, -1003, "Too many requests; limit is 2400", {"retry-after": "7"}),
            RateLimited,
            7,
        ),
        (refusal(429, -1003, "Too many requests; current limit is 2400"), RateLimited, 60),
        (httpx.Response(429, text="", headers={"retry-after": "soon"}), RateLimited, 60),
        (refusal(418, -1003, "banned", {"retry-after": "300"}), Banned, 300),
        (httpx.Response(418, text=""), Banned, 120),
        (refusal(418, -1003, "Way too many requests; IP banned until {600}. Please"), Banned, 600),
        (refusal(429, -1003, "Way too many requests; IP(1.2.3.4) banned until {600}."), Banned, 600),
        (refusal(400, -1003, "Too many requests"), RateLimited, 60),
        (refusal(418, -1003, "Way too many requests; IP banned until {0}."), Banned, 2),
    ],
)
async def test_limits_and_bans_stop_the_pool_for_everybody(answer, kind, seconds):
    """429 and 418 are told with how long they last, and no account uses the pool before.

    A ban that ends this very moment is asked about a little later, not after that of a ban without an end.
    """
    exchange = Exchange()
    async with exchange.client() as client:
        await client.measure_offset()
        until = to_ms(exchange.clock.now() + timedelta(seconds=600))
        body = answer.content.replace(b"{600}", str(until).encode())
        body = body.replace(b"{0}", str(until - 600_003).encode())
        exchange.answers = [httpx.Response(answer.status_code, content=body, headers=answer.headers)]
        before = exchange.clock.monotonic()
        once = Call(**{name: getattr(READ, name) for name in READ.__struct_fields__} | {"once": True})
        with pytest.raises(RateLimited) as raised:
            await client.send(once, Priority.SEAM)
        assert type(raised.value) is kind
        assert raised.value.retry_after == pytest.approx(seconds)
        async with exchange.client(budget=client.budget) as other:
            await other.run(VENUE.server_time(), Priority.KEEPALIVE)
    assert exchange.clock.monotonic() - before == pytest.approx(seconds)


async def test_a_short_pause_is_waited_out_and_a_long_ban_is_told():
    """A pause of seconds only delays the call; a ban of minutes is the caller's to wait out."""
    exchange = Exchange(refusal(429, -1003, headers={"retry-after": "3"}))
    async with exchange.client() as client:
        await client.send(READ, Priority.SEAM)
        assert exchange.clock.monotonic() == pytest.approx(3)
        exchange.answers = [refusal(418, -1003, headers={"retry-after": "3600"})]
        with pytest.raises(Banned):
            await client.send(READ, Priority.SEAM)
    assert len(exchange.asked) == 3


async def test_used_weight_headers_are_heeded():
    """When others use up the address's limit, this process waits for the venue's next minute."""
    exchange = Exchange(httpx.Response(200, json={}, headers={"X-MBX-USED-WEIGHT-1M": "2399"}))
    async with exchange.client() as client:
        await client.send(READ, Priority.SEAM)
        await client.send(READ, Priority.SEAM)
    assert exchange.clock.monotonic() == 60


async def test_a_reply_may_not_grow_without_bound(monkeypatch):
    """A body above the bound is cut off as the venue's failure."""
    monkeypatch.setattr(rest_module, "BODY_LIMIT", 1000)
    exchange = Exchange(*[httpx.Response(200, content=b"[" + b" " * 2000 + b"]") for _ in range(4)])
    async with exchange.client() as client:
        with pytest.raises(VenueUnavailable):
            await client.send(READ, Priority.SEAM)


async def test_flows_are_driven_to_their_end():
    """Pages are recorded in order, refusals are thrown into the flow, and its result comes back."""
    exchange = Exchange(httpx.Response(200, content=raw("GET_fapi_v1_order")), refusal(400, -2013, "gone"))
    seen = []

    async def record(page):
        seen.append(page)

    async with exchange.client() as client:
        assert await client.run(VENUE.sections[0].order("BTCUSDT", "1"), Priority.SEAM, record)
        assert not await client.run(VENUE.sections[0].order("BTCUSDT", "2"), Priority.SEAM, record)
    assert [type(page) for page in seen] == [Page]


async def test_no_log_line_shows_a_signed_address(caplog):
    """Whatever the log level, neither the key nor a signature is logged."""
    caplog.set_level(logging.DEBUG)
    exchange = Exchange(httpx.Response(502))
    async with exchange.client() as client:
        await client.send(READ, Priority.SEAM)
    assert not any(word in caplog.text for word in (KEY, SECRET, "signature"))


async def test_own_addresses_take_every_call():
    """With REST_URL set every call goes there, the rights question too, and its pool counts by itself."""
    account = Account(venue="binance-usdm", api_key=KEY, api_secret=SECRET, rest_url="http://127.0.0.1:9")
    exchange = Exchange(httpx.Response(200, json={"enableReading": True}))
    async with exchange.client(account=account) as client:
        assert (await client.run(VENUE.rights(), Priority.SEAM)).read
        assert client.pool("p") != exchange.client().pool("p")
    assert {urlsplit(str(request.url)).netloc for request in exchange.requests} == {"127.0.0.1:9"}
    assert json.loads(json.dumps(exchange.asked)) == ["/sapi/v1/account/apiRestrictions"]


async def test_what_can_wait_begins_when_it_can_end_or_when_it_is_its_turn():
    """A sweep waits until half of the room would be left; when others take all of it, until its turn."""
    exchange = Exchange()
    async with exchange.client() as client:
        name, clock = next(iter(client.venue.pools)), exchange.clock
        costs, pool = {name: 100}, client.pool(name)
        await client.until_room(costs, Priority.SWEEP)
        assert clock.monotonic() == 0
        while client.budget.wait(pool, 10, Priority.SWEEP) == 0:
            await client.budget.acquire(pool, 10, Priority.SWEEP)
        others = asyncio.create_task(_take_all(client.budget, pool))
        await client.until_room(costs, Priority.SWEEP)
        waited = clock.monotonic()
        others.cancel()
        pace = client.pace(costs, Priority.SWEEP)
        assert 0 < pace <= waited < pace + 30
        await clock.sleep(60)
        before = clock.monotonic()
        await client.until_room(costs, Priority.SWEEP)
        assert clock.monotonic() == before


async def _take_all(budget, pool):
    """Take a little whenever there is a little, and leave half of the pace."""
    while True:
        await budget.acquire(pool, 10, Priority.SWEEP)
        await budget._clock.sleep(5)
