"""The demo's webhook receiver believes nothing that is not signed."""

import json
import time
from datetime import UTC, datetime

import pytest
from standardwebhooks import Webhook
from starlette.testclient import TestClient

from accountd.cli.demo_hooks import Receiver

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
BODY = json.dumps({"type": "fill", "data": {"symbol": "BTCUSDT", "trade_id": "7", "late": False}})


def headers(body=BODY, secret=SECRET, at=None):
    """Sign as an independent implementation does."""
    moment = datetime.fromtimestamp(at or time.time(), UTC)
    return {
        "webhook-id": "msg_1",
        "webhook-timestamp": str(int(moment.timestamp())),
        "webhook-signature": Webhook(secret).sign("msg_1", moment, body),
    }


def post(receiver, body, sent):
    """Post one webhook to the receiver."""
    with TestClient(receiver.app) as client:
        return client.post("/hook", content=body, headers=sent)


def test_signed_fill_is_noted():
    """A body that another implementation of Standard Webhooks signed is taken."""
    receiver = Receiver(SECRET)
    assert post(receiver, BODY, headers()).status_code == 204
    assert [(ring.message_id, ring.fill) for ring in receiver.rings] == [("msg_1", ("BTCUSDT", "7"))]
    assert receiver.bad_signatures == 0


@pytest.mark.parametrize(
    "sent",
    [
        {},
        headers(body=BODY + " "),
        headers(secret="whsec_" + "A" * 32),
        headers(at=time.time() - 3600),
        headers() | {"webhook-timestamp": "soon"},
    ],
)
def test_unproven_body_is_refused(sent):
    """Without a right and fresh signature nothing is noted."""
    receiver = Receiver(SECRET)
    assert post(receiver, BODY, sent).status_code == 401
    assert receiver.rings == []
    assert receiver.bad_signatures == 1
