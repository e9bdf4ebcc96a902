"""The simulated venue speaks in the shapes of the official samples, key by key and type by type."""

from decimal import Decimal

import pytest

from tests.sim.signer import tape

OPTIONAL = {"activatePrice", "priceRate", "AP", "cr", "N", "n", "S", "ia"}

REST = {
    "/fapi/v1/accountConfig": {},
    "/fapi/v1/symbolConfig": {"symbol": "BTCUSDT"},
    "/fapi/v1/algoOrder": {"algoId": "ALGO"},
    "/fapi/v1/openAlgoOrders": {},
    "/fapi/v1/allAlgoOrders": {"symbol": "BTCUSDT"},
    "/fapi/v1/openOrders": {},
    "/fapi/v1/openOrder": {"symbol": "BTCUSDT", "orderId": "OPEN"},
    "/fapi/v1/order": {"symbol": "BTCUSDT", "orderId": "OPEN"},
    "/fapi/v1/allOrders": {"symbol": "BTCUSDT"},
    "/fapi/v1/userTrades": {"symbol": "BTCUSDT"},
    "/fapi/v1/income": {},
    "/fapi/v1/forceOrders": {},
    "/fapi/v1/orderAmendment": {"symbol": "BTCUSDT"},
    "/fapi/v1/commissionRate": {"symbol": "BTCUSDT"},
    "/fapi/v1/leverageBracket": {},
    "/fapi/v1/multiAssetsMargin": {},
    "/fapi/v1/positionSide/dual": {},
    "/fapi/v1/rateLimit/order": {},
    "/fapi/v2/account": {},
    "/fapi/v2/balance": {},
    "/fapi/v2/positionRisk": {},
    "/fapi/v3/account": {},
    "/fapi/v3/balance": {},
    "/fapi/v3/positionRisk": {},
}
PUBLIC = {
    "/fapi/v1/time": {},
    "/fapi/v1/premiumIndex": {"symbol": "BTCUSDT"},
    "/fapi/v1/ticker/price": {"symbol": "BTCUSDT"},
    "/fapi/v2/ticker/price": {"symbol": "BTCUSDT"},
}


def same_shape(told, sample, where="$"):
    """Assert that a body has the sample's keys and JSON types, at every depth that the sample shows."""
    assert type(told) is type(sample), where
    if isinstance(sample, dict):
        assert set(told) - OPTIONAL == set(sample) - OPTIONAL, where
        for name in set(told) & set(sample):
            same_shape(told[name], sample[name], f"{where}.{name}")
    elif isinstance(sample, list) and sample:
        assert told, where
        for row in told:
            same_shape(row, sample[0], f"{where}[]")


@pytest.fixture
def busy(exchange):
    """An account with a bit of everything: open and ended orders, algos, fills, a liquidation."""
    order = exchange.place("main", "BTCUSDT", "BUY", Decimal("0.010"), Decimal("60000"))
    exchange.amend("main", order, Decimal("0.020"), Decimal("60100"))
    exchange.fill("main", order, Decimal("0.005"))
    exchange.place("main", "ETHUSDT", "SELL", Decimal("1"))
    exchange.liquidate("main", "ETHUSDT")
    algo = exchange.algo("main", "BTCUSDT", "SELL", "STOP", Decimal("0.010"), Decimal("50000"))
    return {"OPEN": order.order_id, "ALGO": algo.algo_id}


@pytest.mark.parametrize("path", REST)
async def test_a_signed_reply_has_the_shape_of_its_sample(path, busy, client):
    """Every signed endpoint answers with exactly the keys and types of the official sample."""
    params = {name: busy.get(value, value) for name, value in REST[path].items()}
    name = "GET" + path.replace("/", "_")
    same_shape(await client.rows(path, **params), tape(name))


@pytest.mark.parametrize("path", PUBLIC)
async def test_a_public_reply_has_the_shape_of_its_sample(path, http):
    """Every public endpoint answers with exactly the keys and types of the official sample."""
    reply = await http.get(path, params=PUBLIC[path])
    same_shape(reply.json(), tape("GET" + path.replace("/", "_")))


async def test_exchange_info_has_the_shape_of_its_sample(http):
    """exchangeInfo has the sample's keys; a filter has only keys that the sample knows."""
    told = (await http.get("/fapi/v1/exchangeInfo")).json()
    sample = tape("GET_fapi_v1_exchangeInfo")
    known = set(sample["symbols"][0]["filters"][0])
    for symbol in told["symbols"]:
        assert all(set(f) <= known for f in symbol["filters"])
        symbol["filters"] = sample["symbols"][0]["filters"]
    told["exchangeFilters"] = sample["exchangeFilters"]
    same_shape(told, sample)
    assert "测试币USDT" in {s["symbol"] for s in told["symbols"]}


async def test_listen_key_replies_have_the_shape_of_their_samples(http, client):
    """POST and PUT answer with the key alone, 64 characters long."""
    made = (await http.post("/fapi/v1/listenKey", headers=client.headers)).json()
    renewed = (await http.put("/fapi/v1/listenKey", headers=client.headers)).json()
    same_shape(made, tape("POST_fapi_v1_listenKey"))
    same_shape(renewed, tape("PUT_fapi_v1_listenKey"))
    assert made == renewed
    assert len(made["listenKey"]) == 64


def every_event(exchange):
    """Make the exchange tell every kind of event."""
    order = exchange.place("main", "BTCUSDT", "BUY", Decimal("0.010"), Decimal("60000"))
    exchange.fill("main", order, Decimal("0.005"))
    exchange.cancel("main", order)
    exchange.algo("main", "BTCUSDT", "SELL", "TRAILING_STOP_MARKET", Decimal("0.010"), Decimal("50000"))
    exchange.algo("main", "BTCUSDT", "SELL", "STOP_MARKET", Decimal("0.005"), Decimal("63000"))
    exchange.tick("BTCUSDT", Decimal("62000"))
    exchange.place("main", "BTCUSDT", "BUY", Decimal("0.010"))
    exchange.set_leverage("main", "BTCUSDT", 7)
    exchange.fund("BTCUSDT", Decimal("0.0001"))
    exchange.liquidate("main", "BTCUSDT")
    exchange.transfer("main", Decimal("-5.5"))


def test_every_event_has_the_shape_of_its_sample(exchange):
    """Every event has exactly the keys and types of the official sample, but for the optional ones."""
    told = {}
    exchange.listen(lambda _account, event: told.setdefault(event["e"], []).append(event))
    every_event(exchange)
    wanted = {"ORDER_TRADE_UPDATE", "ACCOUNT_UPDATE", "ALGO_UPDATE", "TRADE_LITE"}
    assert set(told) == wanted | {"ACCOUNT_CONFIG_UPDATE", "MARGIN_CALL"}
    for name, events in told.items():
        sample = tape(f"event_{name}")
        for event in events:
            if name == "ACCOUNT_UPDATE" and not event["a"]["P"]:
                sample = {**sample, "a": {**sample["a"], "P": []}}
            same_shape(event, sample, name)


def test_optional_fields_are_sent_when_they_mean_something(exchange):
    """N and n come with a commission, S with funding, ia with trailing orders, and only then."""
    told = []
    exchange.listen(lambda _account, event: told.append(event))
    every_event(exchange)
    for event in told:
        body = event.get("o") or event.get("a") or {}
        if event["e"] == "ORDER_TRADE_UPDATE":
            assert ("n" in body) == (body["x"] == "TRADE")
            assert not {"AP", "cr"} & set(body)
        if event["e"] == "ACCOUNT_UPDATE":
            assert ("S" in body) == (body["m"] == "FUNDING_FEE")
        if event["e"] == "ALGO_UPDATE":
            assert ("ia" in body) == (body["o"] == "TRAILING_STOP_MARKET")


async def test_the_end_of_a_key_has_the_shape_of_its_sample(sim, key, stream):
    """listenKeyExpired has exactly the keys and types of the official sample."""
    sim.faults.inject("expire_key")
    event = await stream.next()
    same_shape(event, tape("event_listenKeyExpired"))
    assert event["listenKey"] == key
