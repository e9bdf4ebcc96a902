"""Listen keys live, expire and vanish as the documents say."""

from decimal import Decimal

from accountd.sim.server import SimServer

PATH = "/fapi/v1/listenKey"


async def test_post_is_idempotent_and_adds_an_hour(sim, client, account, hand):
    """POST with a living key returns the same key and gives it a new hour."""
    first = await client.listen_key()
    hand.move(3599)
    assert await client.listen_key() == first
    hand.move(3599)
    assert sim.keys.current(account) == first


async def test_put_renews_and_refuses_without_a_key(http, client, hand):
    """PUT answers with the living key; with none it says -1125."""
    refused = await http.put(PATH, headers=client.headers)
    assert (refused.status_code, refused.json()["code"]) == (400, -1125)
    assert refused.json()["msg"] == "This listenKey does not exist."
    key = await client.listen_key()
    hand.move(3000)
    assert (await http.put(PATH, headers=client.headers)).json() == {"listenKey": key}


async def test_a_key_dies_after_its_hour_and_the_next_is_new(client, http, hand):
    """After an hour PUT says -1125 and POST makes another key."""
    first = await client.listen_key()
    hand.move(3600)
    assert (await http.put(PATH, headers=client.headers)).json()["code"] == -1125
    assert await client.listen_key() != first


async def test_delete_works_and_is_counted_as_forbidden(sim, client, http):
    """DELETE ends the key for everybody and the venue remembers who asked."""
    await client.listen_key()
    assert (await http.delete(PATH, headers=client.headers)).json() == {}
    assert (await http.delete(PATH, headers=client.headers)).json()["code"] == -1125
    assert sim.counters()["forbidden_requests"] == 2


async def test_no_key_no_listen_key(http):
    """Without an API key header the answer is 401 -2014."""
    reply = await http.post(PATH)
    assert (reply.status_code, reply.json()["code"]) == (401, -2014)


async def test_expiry_is_told_on_the_open_socket_which_then_falls_silent(exchange, sim, key, stream, hand):
    """At the hour's end the socket gets listenKeyExpired, stays open, and hears nothing more."""
    hand.move(3601)
    sim.keep_house()
    assert (await stream.next())["e"] == "listenKeyExpired"
    exchange.transfer("main", Decimal(1))
    assert await stream.until_pong() == []


async def test_expiry_may_pass_in_silence(exchange, hand):
    """With expiry_told False a key dies without a word."""
    async with SimServer(exchange, expiry_told=False) as sim:
        sim.keys.create(exchange.accounts["main"])
        hand.move(3601)
        sim.keep_house()
        assert sim.keys.current(exchange.accounts["main"]) is None


async def test_expire_key_tells_once_twice_or_never(sim, client, key, stream):
    """The fault expire_key says listenKeyExpired as often as it is told to."""
    for told, count in ((True, 1), ("twice", 2), (False, 0)):
        fresh = await client.listen_key()
        await stream.socket.send(f'{{"method":"SUBSCRIBE","params":["{fresh}"],"id":1}}')
        assert await stream.next() == {"result": None, "id": 1}
        sim.faults.inject("expire_key", told=told)
        events = await stream.until_pong()
        assert [e["listenKey"] for e in events] == [fresh] * count


async def test_another_program_may_replace_or_remove_the_key(exchange, sim, key, stream, client, http):
    """After replace_key PUT answers with another key, after invalidate_key with -1125; the socket is deaf."""
    sim.faults.inject("replace_key")
    assert (await http.put(PATH, headers=client.headers)).json()["listenKey"] != key
    sim.faults.inject("invalidate_key")
    assert (await http.put(PATH, headers=client.headers)).json()["code"] == -1125
    exchange.transfer("main", Decimal(1))
    assert await stream.until_pong() == []
