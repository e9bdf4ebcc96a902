"""Private streams on a WebSocket API: subscribed by proof, renewed in place, refused in the venue's words."""

import asyncio
import contextlib
import json
from contextlib import asynccontextmanager
from datetime import timedelta

import httpx
import pytest
from websockets.asyncio.server import serve
from websockets.exceptions import ConnectionClosed

from accountd import config
from accountd.errors import Banned, ClockSkew, KeyRefused, VenueUnavailable
from accountd.runtime.backoff import ConnectBudget
from accountd.runtime.budget import Budget, Priority
from accountd.runtime.clock import SystemClock
from accountd.runtime.connector import KEY_GONE, SHARE, UNSUBSCRIBED, Connector
from accountd.runtime.rest import RestClient
from accountd.venues import open_venue
from accountd.venues.base import ACK, Reply, from_ms, to_ms
from accountd.venues.binance_spot import BinanceSpot
from accountd.venues.doors import Request, Token, TokenDoor

CLOCK = SystemClock()
DAY = 86_400_000


class Api:
    """A WebSocket API on loopback: answers by method, and remembers what was asked and signed."""

    def __init__(self):
        self.answers = {}
        self.asked = []
        self.frames = []
        self.sockets = 0

    async def __call__(self, socket):
        self.sockets += 1
        with contextlib.suppress(ConnectionClosed):
            async for message in socket:
                told = json.loads(message)
                self.asked.append(told)
                for frame in self.frames:
                    await socket.send(json.dumps(frame))
                answer = self.answers.get(told["method"], {"status": 200, "result": {"subscriptionId": 0}})
                answer = answer(told) if callable(answer) else answer
                if answer is not None:
                    await socket.send(json.dumps({"id": told["id"], **answer}))

    def methods(self):
        """Return what was asked, in order."""
        return [one["method"] for one in self.asked]


class Tokens(BinanceSpot):
    """A venue with one door of tokens and two lanes."""

    life = DAY

    def doors(self, urls, options):
        """Return the door."""
        return (
            TokenDoor(
                url=f"{urls.ws_api}/ws-api/v3", pool="binance-spot", lanes=self.lanes,
                token=lambda lane: self.asking.call("account", (("lane", lane),)), parse=self.parse,
                subscribe=lambda token: Request(
                    method="userDataStream.subscribe.listenToken", params=(("listenToken", token),)
                ),
            ),
        )  # fmt: skip

    def lanes(self):
        """Return the lanes."""
        yield from ()
        return ("BTCUSDT", "ETHUSDT")

    def parse(self, reply: Reply):
        """Return a token that lasts for the venue's while."""
        return Token(value="t" * 64, expires=reply.fetched_at + timedelta(milliseconds=self.life))


@asynccontextmanager
async def stage(api, venue=None, rest=None, **settings):
    """Connect a venue to an API; yield its connector and the frames that were not answers."""
    venue = venue or open_venue("binance-spot")
    async with serve(api, "127.0.0.1", 0, close_timeout=0.1) as server:
        url = f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        env = {
            "ACCOUNTD_ACCOUNTS__MAIN__VENUE": "binance-spot", "ACCOUNTD_ACCOUNTS__MAIN__API_KEY": "K" * 64,
            "ACCOUNTD_ACCOUNTS__MAIN__API_SECRET": "S" * 64, "ACCOUNTD_ACCOUNTS__MAIN__WS_API_URL": url,
            "ACCOUNTD_REQUEST_TIMEOUT": "500ms", **settings,
        }  # fmt: skip
        loaded = config.load(env, env_file=None)

        def answer(request):
            if request.url.path == "/api/v3/time":
                return httpx.Response(200, json={"serverTime": to_ms(CLOCK.now())})
            return rest(request) if rest else httpx.Response(200, json={})

        budget, frames = Budget(CLOCK, 1.0), []
        account = loaded.accounts["main"]
        async with RestClient(account, venue, budget, CLOCK, transport=httpx.MockTransport(answer)) as client:

            def take(link, socket, frame, at):
                decoded = venue.decode(frame, at, socket.lanes)
                socket.answered(decoded) if decoded.control == ACK else frames.append(decoded)

            connects = ConnectBudget(100, timedelta(minutes=5), CLOCK)
            yield Connector("main", account, loaded, venue, client, connects, None, take), frames


async def test_the_answer_names_the_subscription():
    """The link stands when the venue has named the subscription; connecting and asking cost weight."""
    api = Api()
    async with stage(api) as (connector, _):
        link = await connector.connect()
        assert link.sockets[0].lanes == {0: ""}
        (sent,) = api.asked
        assert set(sent["params"]) == {"apiKey", "timestamp", "recvWindow", "signature"}
        assert connector.rest.budget.used(connector.rest.pool("binance-spot")) == 5  # 2, 2 and the clock
        await link.close("done")


@pytest.mark.parametrize(("answer", "error"), [
    ({"status": 401, "error": {"code": -2015, "msg": "no"}}, KeyRefused),
    ({"status": 400, "error": {"code": -1099, "msg": "only Ed25519"}}, KeyRefused),
    ({"status": 200, "result": {}}, VenueUnavailable),
    (None, VenueUnavailable),
])  # fmt: skip
async def test_no_proof_is_no_link(answer, error):
    """A refusal is the error that it says; an answer without a number, or none, proves nothing."""
    api = Api()
    api.answers["userDataStream.subscribe.signature"] = answer or (lambda _: None)
    async with stage(api) as (connector, _):
        with pytest.raises(error):
            await connector.connect()


@pytest.mark.parametrize("times", [1, 2, 9])
async def test_a_refused_timestamp_is_corrected_on_the_same_connection(times):
    """-1021 measures the clock and signs anew; one that is refused for ever ends the attempt."""
    api, ahead = Api(), timedelta(seconds=90)

    def subscribe(told):
        early = times < 9 and told["params"]["timestamp"] < to_ms(CLOCK.now()) + 60_000
        if len(api.asked) <= times or early:
            return {"status": 400, "error": {"code": -1021, "msg": "outside of the recvWindow"}}
        return {"status": 200, "result": {"subscriptionId": 0}}

    api.answers["userDataStream.subscribe.signature"] = subscribe
    async with stage(api) as (connector, _):
        connector.rest.clock.set(CLOCK.now() - ahead)  # it was right once, and the venue's clock was set

        async def measure(_):
            connector.rest.clock.set(CLOCK.now() + ahead)

        connector.rest.measure_offset = measure
        if times == 9:
            with pytest.raises(ClockSkew):
                await connector.connect()
            assert len(api.asked) == 3
        else:
            link = await connector.connect()
            assert len(api.asked) == times + 1
            await link.close("done")
        assert api.sockets == 1


@pytest.mark.parametrize("several", [False, True])
async def test_one_of_several_accounts_gets_its_share(several):
    """Whoever is alone takes all the time there is; one of several takes a part of it."""
    other = {"VENUE": "binance-us", "API_KEY": "K" * 64, "API_SECRET": "S" * 64} if several else {}
    more = {f"ACCOUNTD_ACCOUNTS__OTHER__{name}": value for name, value in other.items()}
    async with stage(Api(), **more) as (connector, _):
        link = await connector.connect()
        assert link.sockets[0].watcher._socket.allowance.share == (SHARE if several else 1.0)
        await link.close("done")


async def test_a_ban_on_the_socket_stops_rest():
    """The pause that a WebSocket API asks for, as a time, holds for every pool of the address."""
    api = Api()
    until = to_ms(CLOCK.now() + timedelta(minutes=3))
    error = {"code": -1003, "msg": f"IP banned until {until}.", "data": {"retryAfter": until}}
    api.answers["userDataStream.subscribe.signature"] = {"status": 418, "error": error}
    async with stage(api) as (connector, _):
        with pytest.raises(Banned) as refused:
            await connector.connect()
        assert 170 < refused.value.retry_after <= 180
        for name in connector.venue.pools:
            assert connector.rest.budget.paused(connector.rest.pool(name)) > 170


async def test_a_ban_that_is_just_over_is_not_asked_about_at_once():
    """The venue's clock may be a little behind ours: a moment is waited before it is asked again."""
    api = Api()
    error = {"code": -1003, "msg": "banned", "data": {"retryAfter": to_ms(CLOCK.now()) - 5}}
    api.answers["userDataStream.subscribe.signature"] = {"status": 418, "error": error}
    async with stage(api) as (connector, _):
        with pytest.raises(Banned) as refused:
            await connector.connect()
        assert refused.value.retry_after == 2


async def test_lanes_are_known_before_their_events():
    """An event that follows the answer at once is told in its lane, without waiting for anybody."""
    api = Api()
    numbers = iter((7, 8))

    def subscribe(_):
        number = next(numbers)
        event = {"e": "balanceUpdate", "E": 1, "a": "BTC", "d": "1", "T": 1}
        api.frames = [{"subscriptionId": 7, "event": event}]
        return {"status": 200, "result": {"subscriptionId": number, "expirationTime": 1749094553955907}}

    api.answers["userDataStream.subscribe.listenToken"] = subscribe
    async with stage(api, Tokens()) as (connector, frames):
        link = await connector.connect()
        assert link.sockets[0].lanes == {7: "BTCUSDT", 8: "ETHUSDT"}
        assert [one.kind for one in frames] == ["balanceUpdate@BTCUSDT"]
        assert connector.keys == {"t" * 64}
        await link.close("done")


async def test_tokens_are_renewed_in_place():
    """A token is fetched anew before it ends, on the same connection; "already active" is fine."""
    api, venue = Api(), Tokens()
    venue.life = 400  # ms: half of it is over in 200
    seen = []

    def subscribe(told):
        seen.append(told)
        if len(seen) > 2:
            return {"status": 400, "error": {"code": -2035, "msg": "active"}}
        return {"status": 200, "result": {"subscriptionId": len(seen)}}

    api.answers["userDataStream.subscribe.listenToken"] = subscribe
    async with stage(api, venue) as (connector, _):
        link = await connector.connect()
        before = dict(link.sockets[0].ends)
        await connector.refresh(link)
        assert len(seen) == 2  # not yet
        await asyncio.sleep(0.25)
        await connector.refresh(link)
        assert len(seen) == 4
        assert api.sockets == 1
        assert all(link.sockets[0].ends[lane] > end for lane, end in before.items())
        await link.close("done")


@pytest.mark.parametrize(("listed", "reason"), [
    ([{"subscriptionId": 0}], None), ([], UNSUBSCRIBED), ([{"subscriptionId": 9}], UNSUBSCRIBED),
])  # fmt: skip
async def test_a_subscription_that_is_gone_is_noticed(listed, reason):
    """Keeping alive asks what is subscribed: a subscription that died in silence ends the link."""
    api = Api()
    api.answers["session.subscriptions"] = {"status": 200, "result": listed}
    async with stage(api) as (connector, _):
        link = await connector.connect()
        assert await connector.renew(link) == reason
        await link.close("done")


async def test_limits_of_wallet_endpoints_stand_alone():
    """429 on one endpoint pauses that one; what counts per account counts apart; headers are heeded."""
    told = {"x-sapi-used-uid-weight-1m": "170000", "x-mbx-used-weight-1m": "9"}

    def rest(request):
        if "dribblet" in request.url.path:
            return httpx.Response(429, json={"code": -1003, "msg": "slow"}, headers={"retry-after": "500"})
        return httpx.Response(200, json=[], headers=told)

    async with stage(Api(), rest=rest) as (connector, _):
        client, call = connector.rest, connector.venue.asking.call
        with pytest.raises(Exception, match="429"):
            await client.send(call("dust"), Priority.SWEEP)
        assert client.budget.paused(client.pool(call("dust").pool)) > 400
        assert client.budget.paused(client.pool(call("moves").pool)) == 0
        await client.send(call("withdrawals"), Priority.SWEEP)
        withdrawals = client.pool(call("withdrawals").pool)
        assert "#" in withdrawals
        assert client.budget.used(withdrawals) == 18_000
        with pytest.raises(TimeoutError):  # others of this account have used it up
            await asyncio.wait_for(client.send(call("withdrawals"), Priority.SWEEP), 0.2)


async def test_a_listen_key_that_is_gone_ends_the_link():
    """-1125 on a renewal is a reason, not an error; the key is named in the renewal where it must be."""
    asked = []

    def rest(request):
        asked.append((request.method, dict(request.url.params)))
        if request.method == "PUT" and len(asked) > 2:
            return httpx.Response(400, json={"code": -1125, "msg": "This listenKey does not exist."})
        return httpx.Response(200, json={"listenKey": "L" * 60} if request.method == "POST" else {})

    api = Api()
    api.answers["LIST_SUBSCRIPTIONS"] = {"result": ["L" * 60]}
    us = open_venue("binance-us")
    async with stage(api, us, rest) as (connector, _):
        connector.rest.urls = type(connector.rest.urls)(rest="https://us", stream=connector.rest.urls.ws_api)
        link = await connector.connect()
        assert await connector.renew(link) == KEY_GONE
        assert asked[1] == ("PUT", {"listenKey": "L" * 60})
        assert from_ms(0) < link.proven_at
        await link.close("done")


async def test_a_renewed_lane_outlives_its_first_number():
    """Where a renewal gets another number, the end of the first one is no loss; the end of the new one is."""
    api, venue = Api(), Tokens()
    venue.life = 100
    numbers = iter(range(4))
    api.answers["userDataStream.subscribe.listenToken"] = lambda _: {
        "status": 200, "result": {"subscriptionId": next(numbers)}
    }
    async with stage(api, venue) as (connector, _):
        link = await connector.connect()
        await asyncio.sleep(0.06)
        await connector.refresh(link)
        (socket,) = link.sockets
        assert [socket.listens_by(number) for number in (0, 1, 2, 3, 9, None)] == [
            False, False, True, True, False, True
        ]
        await link.close("done")
