"""What is signed on a WebSocket API: the published examples, byte for byte."""

import json

import pytest

from accountd.runtime.signing import HmacSigner, ws_params, ws_payload
from tests.venues.tape import load

VECTORS = [one for one in load("signing_vectors", "spot")["vectors"] if one["api"] == "ws"]


def params(vector):
    """Return a published payload as parameters."""
    return dict(pair.split("=", 1) for pair in vector["payload"].split("&"))


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: vector["id"])
def test_published_payloads(vector):
    """Parameters in any order are signed sorted by name and not percent-encoded, the API key among them."""
    told = params(vector)
    turned = dict(sorted(told.items(), reverse=True))
    assert ws_payload(turned) == vector["payload"].encode()
    if "secretKey" in vector:
        assert HmacSigner(vector["secretKey"]).sign(ws_payload(turned)) == vector["expected"]


def test_a_signed_request_carries_all_that_was_signed():
    """Key, time and window are sent as they were signed; the signature is over everything but itself."""
    (vector, *_) = [one for one in VECTORS if one["id"] == "ws-hmac-ascii"]
    told = params(vector)
    fixed = {name: told.pop(name) for name in ("apiKey", "timestamp", "recvWindow")}
    made = ws_params(
        HmacSigner(vector["secretKey"]),
        fixed["apiKey"],
        told,
        int(fixed["timestamp"]),
        int(fixed["recvWindow"]),
    )
    assert made["signature"] == vector["expected"]
    assert json.loads(json.dumps(made))["timestamp"] == int(fixed["timestamp"])
