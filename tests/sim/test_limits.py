"""Weights and limits: counted per fixed minute, told in a header, answered with 429 and then 418."""

import pytest

from accountd.sim.clock import Clock
from accountd.sim.limits import PATIENCE, WeightLimit
from accountd.sim.refusals import Refused
from tests.sim.signer import tape

HEADER = "X-MBX-USED-WEIGHT-1M"

WEIGHTS = [
    ("/fapi/v3/account", {}, 5),
    ("/fapi/v3/positionRisk", {}, 5),
    ("/fapi/v1/openOrders", {}, 40),
    ("/fapi/v1/openOrders", {"symbol": "BTCUSDT"}, 1),
    ("/fapi/v1/openAlgoOrders", {}, 40),
    ("/fapi/v1/allOrders", {"symbol": "BTCUSDT"}, 5),
    ("/fapi/v1/allAlgoOrders", {"symbol": "BTCUSDT"}, 5),
    ("/fapi/v1/userTrades", {"symbol": "BTCUSDT"}, 5),
    ("/fapi/v1/income", {}, 30),
    ("/fapi/v1/forceOrders", {}, 50),
    ("/fapi/v1/forceOrders", {"symbol": "BTCUSDT"}, 20),
    ("/fapi/v1/commissionRate", {"symbol": "BTCUSDT"}, 20),
    ("/fapi/v1/positionSide/dual", {}, 30),
]


@pytest.mark.parametrize(("path", "params", "weight"), WEIGHTS)
async def test_each_request_weighs_what_the_documents_say(path, params, weight, client):
    """The used-weight header rises by the documented weight."""
    reply = await client.get(path, **params)
    assert int(reply.headers[HEADER]) == weight


async def test_the_count_starts_anew_each_minute(http, hand):
    """The window is the venue's calendar minute."""
    hand.ms = hand.ms // 60_000 * 60_000
    for used in (1, 2):
        assert (await http.get("/fapi/v1/time")).headers[HEADER] == str(used)
    hand.move(60)
    assert (await http.get("/fapi/v1/time")).headers[HEADER] == "1"


def refused(limit, weight=1):
    """Charge and return the refusal."""
    with pytest.raises(Refused) as error:
        limit.charge(weight)
    return error.value


def test_over_the_limit_is_429_then_a_ban():
    """Above the limit comes 429 with Retry-After, and who goes on is banned until a told time."""
    now = {"ms": 60_000 * 1000 + 10_000}
    limit = WeightLimit(Clock(lambda: now["ms"]), 100)
    limit.charge(100)
    first = refused(limit)
    assert (first.status, first.code, first.retry_after) == (429, -1003, 50)
    for _ in range(PATIENCE - 1):
        refused(limit)
    ban = refused(limit)
    until = now["ms"] + 120_000
    assert (ban.status, ban.retry_after) == (418, 120)
    texts = [e["msg"] for e in tape("rest_errors") if e["code"] == -1003]
    assert ban.message == texts[1] % until
    assert first.message == texts[0] % 100
    now["ms"] = until - 1
    assert refused(limit).status == 418
    now["ms"] = until
    limit.charge(1)


async def test_what_changes_something_is_refused_and_counted(sim, http, client):
    """Placing, cancelling and the like are refused and remembered; reads are not."""
    for method, path in (
        ("POST", "/fapi/v1/order"),
        ("DELETE", "/fapi/v1/order"),
        ("POST", "/fapi/v1/leverage"),
    ):
        reply = await http.request(method, path, headers=client.headers)
        assert (reply.status_code, reply.json()["code"]) == (401, -2015)
    await client.rows("/fapi/v3/account")
    assert sim.counters()["forbidden_requests"] == 3
    assert sim.counters()["requests"]["POST /fapi/v1/order"] == 1


@pytest.mark.parametrize("path", ["/fapi/v1/balance", "/sapi/v1/account/apiRestrictions", "/other"])
async def test_an_unknown_path_is_404(path, client):
    """Paths that do not exist answer 404."""
    assert (await client.get(path)).status_code == 404
