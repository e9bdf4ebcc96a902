"""The simulated venue checks signatures and timestamps as the documents say."""

import httpx
import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ed25519, padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from accountd.sim import signing
from accountd.sim.model import Credential
from accountd.sim.refusals import Refused
from tests.sim.signer import Client, tape

PATH = "/fapi/v1/accountConfig"
VECTORS = tape("signing_vectors")


@pytest.mark.parametrize("vector", VECTORS["vectors"], ids=["query", "query and body"])
def test_official_vectors_verify(vector):
    """The official HMAC vectors verify, and a changed payload does not."""
    credential = Credential("k" * 64, VECTORS["secretKey"])
    assert signing.verified(credential, vector["payload"], vector["signature"])
    assert not signing.verified(credential, vector["payload"] + "0", vector["signature"])


def test_query_and_body_are_joined_without_a_separator():
    """A request with query and form body is signed over their plain concatenation."""
    payload, signature = signing.split_signature("a=1", "b=2&signature=ff")
    assert (payload, signature) == ("a=1b=2", "ff")
    assert signing.split_signature("a=1&signature=ff", "b=2") == ("a=1b=2", "ff")


def public_pem(key):
    """Print the public half of a key."""
    return key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


@pytest.fixture(params=["rsa", "ed25519"])
def key_pair(request):
    """A signing function and its public key in PEM."""
    if request.param == "ed25519":
        key = ed25519.Ed25519PrivateKey.generate()
        return key.sign, public_pem(key)
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    return lambda data: key.sign(data, padding.PKCS1v15(), hashes.SHA256()), public_pem(key)


async def test_rsa_and_ed25519_keys_work(key_pair, exchange, http):
    """A request signed with a private key is accepted, with another key's signature it is not."""
    sign, pem = key_pair
    credential = Credential("p" * 64, public_key=pem)
    exchange.add_account("other", credential)
    assert (await Client(http, credential, sign, exchange.clock.now).get(PATH)).status_code == 200
    wrong = Client(http, credential, ed25519.Ed25519PrivateKey.generate().sign, exchange.clock.now)
    assert (await wrong.get(PATH)).json()["code"] == -1022


async def test_a_percent_encoded_symbol_is_signed_in_encoded_form(client):
    """A symbol outside ASCII is accepted when it was encoded before signing."""
    rows = await client.rows("/fapi/v1/symbolConfig", symbol="测试币USDT")
    assert rows[0]["symbol"] == "测试币USDT"


def refusal_of(reply: httpx.Response):
    """Return status, code and text of an error reply."""
    return reply.status_code, reply.json()["code"], reply.json()["msg"]


async def test_each_refusal_has_its_status_code_and_wording(client, http, hand):
    """Missing, unknown and wrong credentials are refused with the official codes and texts."""
    known = {(e["http"], e["code"], e["msg"]) for e in tape("rest_errors")}
    query = client.query()
    no_key = await http.get(f"{PATH}?{query}")
    unknown = await http.get(f"{PATH}?{query}", headers={"X-MBX-APIKEY": "x" * 64})
    forged = await http.get(f"{PATH}?{query[:-4]}0000", headers=client.headers)
    assert refusal_of(no_key) in known
    assert refusal_of(unknown) in known
    assert refusal_of(forged) in known
    assert [refusal_of(r)[1] for r in (no_key, unknown, forged)] == [-2014, -2015, -1022]


async def test_the_signature_must_come_last(client, http):
    """A parameter behind the signature makes it invalid."""
    reply = await http.get(f"{PATH}?{client.query()}&recvWindow=5000", headers=client.headers)
    assert reply.json()["code"] == -1022


@pytest.mark.parametrize("name", ["timestamp", "signature"])
async def test_mandatory_parameters_are_named(name, client, http):
    """Without timestamp or signature the venue answers -1102 and names it."""
    query = client.query() if name == "signature" else f"signature={client.sign('')}"
    if name == "signature":
        query = query.partition("&signature=")[0]
    reply = await http.get(f"{PATH}?{query}", headers=client.headers)
    text = f"Mandatory parameter '{name}' was not sent, was empty/null, or malformed."
    assert refusal_of(reply) == (400, -1102, text)


def test_the_timestamp_rule_at_its_edges():
    """A timestamp passes exactly when it is under 1000 ms early and not older than the window."""
    now = 1_700_000_000_000
    for offset in (999, 0, -5000):
        signing.check_timestamp({"timestamp": str(now + offset)}, now)
    signing.check_timestamp({"timestamp": str(now - 9000), "recvWindow": "9000"}, now)
    texts = {e["msg"] for e in tape("rest_errors") if e["code"] == -1021}
    for offset in (1000, -5001):
        with pytest.raises(Refused) as refused:
            signing.check_timestamp({"timestamp": str(now + offset)}, now)
        assert refused.value.code == -1021
        texts.remove(refused.value.message)
    assert not texts


async def test_a_skewed_venue_refuses_an_honest_clock(sim, client, hand):
    """After a clock skew the same request is refused with -1021, and time tells the skew."""
    sim.faults.inject("clock_skew", seconds=30)
    assert (await client.get(PATH, timestamp=hand.ms)).json()["code"] == -1021
    told = (await client.http.get("/fapi/v1/time")).json()["serverTime"]
    assert told == hand.ms + 30_000
    assert (await client.get(PATH, timestamp=told)).status_code == 200
