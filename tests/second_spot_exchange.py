"""A second spot exchange, small on purpose: its WebSocket API, its classic streams, and their faults.

Written from the venue's pages alone, apart from accountd.sim; it is strict where the venue is: sorted and
unencoded signatures, no unknown parameter, one subscription an account and connection, pings that must come
back with their payload.
"""

import asyncio
import contextlib
import http
import json
import random
import socket
import struct

from websockets.asyncio.server import serve
from websockets.exceptions import ConnectionClosed

from tests.second_spot_keys import API_KEY, Key
from tests.second_spot_ledger import Ledger
from tests.second_spot_rest import Rest

SIGNED = {"apiKey", "timestamp", "signature", "recvWindow"}
PARAMS = {
    "session.logon": SIGNED, "session.status": set(), "session.logout": set(), "session.subscriptions": set(),
    "userDataStream.subscribe": set(), "userDataStream.subscribe.signature": SIGNED,
    "userDataStream.unsubscribe": {"subscriptionId"}, "time": set(), "ping": set(),
}  # fmt: skip

GARBAGE = (
    '{"subscriptionId":0,"event":{"e":"executionReport","E":17', "\x00\x01", "", "null", "[]", "17", '"text"',
    "<html>502</html>", '{"event":null}', '{"event":{}}', "{" * 3000,
    '{"subscriptionId":0,"event":{"e":"newThing","E":1}}',
    '{"subscriptionId":0,"event":{"e":"executionReport","E":1,"s":"BTCUSDT","x":"TRADE","X":"NEW"}}',
    '{"id":"stranger","status":200,"result":{}}', '{"id":null,"status":200,"result":{}}',
)


class Refusal(Exception):
    """An answer that is none: status, code, message."""


class Session:
    """One connection."""

    def __init__(self, socket, bare):
        self.socket, self.bare = socket, bare
        self.subscriptions = {0} if bare else set()
        self.logged_on = False
        self.given = 0
        self.lines = asyncio.Queue()

    def tell(self, event, number=None):
        """Send an event in its envelope, or bare."""
        told = event if self.bare else {"event": event}
        if number is not None and not self.bare:
            told = {"subscriptionId": number, **told} if number % 2 else {**told, "subscriptionId": number}
        self.lines.put_nowait(json.dumps(told, ensure_ascii=False))


class SecondSpot:
    """One account on one exchange. ``classic``: listen keys and bare events, as Binance.US has them."""

    def __init__(self, way="hmac", *, classic=False, wallet=True, passphrase=""):
        self.key = Key(way, passphrase)
        self.ledger = Ledger(self.push)
        self.rest = Rest(self.ledger, self.key, wallet=wallet, classic=classic)
        self.classic = classic
        self.sessions = []
        self.entered = []  # how each subscription was entered
        self.refused = []
        self.handshakes = 0
        self.closed_until = 0
        self.dropping = False  # the socket stays, events are lost
        self.doubling = self.holding = False
        self.held = []
        self.chance = {}  # of each event, by session: drop, double, delay, garbage
        self.refusals = []  # (status, code, message, data, with an id) of the next requests
        self.mute = False  # requests on a socket are not answered
        self.patience = 2  # seconds for a pong
        self.rng = random.Random(5)

    async def __aenter__(self):
        self.stack = contextlib.AsyncExitStack()
        await self.stack.enter_async_context(self.rest)
        self.server = await self.stack.enter_async_context(
            serve(self._serve, "127.0.0.1", 0, process_request=self._admit, ping_interval=0.3,
                  ping_timeout=self.patience, close_timeout=0.1)
        )  # fmt: skip
        self.ws_url = f"ws://127.0.0.1:{self.server.sockets[0].getsockname()[1]}"
        return self

    async def __aexit__(self, *_):
        await self.stack.aclose()

    # -- events and faults

    def push(self, event):
        """Send an event to every subscription, as the faults have it."""
        if self.dropping:
            return
        if self.holding:
            self.held.append(event)
            return
        for session in self.sessions:
            for number in session.subscriptions:
                for _ in range(2 if self.doubling or self._happens("double") else 1):
                    self._tell(session, event, number)

    def _happens(self, what):
        return bool(self.chance) and self.rng.random() < self.chance.get(what, 0)

    def _tell(self, session, event, number):
        """Send an event to one subscription, if chance will have it so, and when."""
        if self._happens("garbage"):
            session.lines.put_nowait(self.rng.choice(GARBAGE))
        if self._happens("drop"):
            return
        if self._happens("delay"):
            wait = self.rng.random() * self.chance.get("seconds", 0.5)
            asyncio.get_running_loop().call_later(wait, session.tell, event, number)
            return
        session.tell(event, number)

    def release(self):
        """Send what was held back, in another order."""
        self.holding = False
        held, self.held = self.held, []
        self.rng.shuffle(held)
        for event in held:
            self.push(event)

    def cut(self, seconds):
        """Cut every connection at once and admit nobody for a while."""
        self.closed_until = self.ledger.now() + seconds * 1000
        for session in self.sessions:
            session.socket.transport.abort()

    def reset(self):
        """Cut every connection with a RST."""
        for session in list(self.sessions):
            raw = session.socket.transport.get_extra_info("socket")
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            session.socket.transport.abort()

    def forget(self):
        """Lose every subscription and tell nobody; the connections stay."""
        for session in self.sessions:
            session.subscriptions.clear()

    def terminate(self):
        """End every subscription; the connections stay."""
        for session in self.sessions:
            for number in session.subscriptions:
                session.tell({"e": "eventStreamTerminated", "E": self.ledger.now()}, number)
            session.subscriptions.clear()

    async def shut_down(self, lead=1.0):
        """Announce a shutdown, without a subscription's number, and close what was open then."""
        open_now = list(self.sessions)
        for session in open_now:
            session.tell({"e": "serverShutdown", "E": self.ledger.now()})
        await asyncio.sleep(lead)
        for session in open_now:
            await session.socket.close(1001)

    # -- the socket

    def _admit(self, connection, request):
        self.handshakes += 1
        if self.ledger.now() < self.closed_until:
            return connection.respond(http.HTTPStatus.SERVICE_UNAVAILABLE, "not now\n")
        wanted = f"/ws/{self.rest.listen_key}" if self.classic else "/ws-api/v3"
        if request.path.partition("?")[0] != wanted:
            return connection.respond(http.HTTPStatus.NOT_FOUND, "no such path\n")
        return None

    async def _serve(self, socket):
        session = Session(socket, self.classic)
        self.sessions.append(session)
        writing = asyncio.create_task(self._write(session))
        try:
            async for message in socket:
                if self.mute:
                    continue
                answer = self._classic_answer(message) if self.classic else self._answer(session, message)
                session.lines.put_nowait(json.dumps(answer))
        except ConnectionClosed:
            pass
        finally:
            self.sessions.remove(session)
            writing.cancel()

    async def _write(self, session):
        with contextlib.suppress(ConnectionClosed):
            while True:
                await session.socket.send(await session.lines.get())

    def _classic_answer(self, message):
        asked = json.loads(message)
        listed = [self.rest.listen_key] if asked["method"] == "LIST_SUBSCRIPTIONS" else None
        return {"result": listed, "id": asked["id"]}

    def _answer(self, session, message):
        asked = json.loads(message)
        used = {"rateLimitType": "REQUEST_WEIGHT", "interval": "MINUTE", "intervalNum": 1, "limit": 60_000}
        base = {"id": asked["id"], "rateLimits": [{**used, "count": 17}]}
        if self.refusals:
            status, code, text, data, with_id = self.refusals.pop(0)
            error = {"code": code, "msg": text, **({} if data is None else {"data": data})}
            return {**base, "id": asked["id"] if with_id else None, "status": status, "error": error}
        try:
            return {"status": 200, "result": self._result(session, asked), **base}
        except Refusal as no:
            status, code, message = no.args
            self.refused.append((asked.get("method"), code))
            return {**base, "status": status, "error": {"code": code, "msg": message}}

    def _result(self, session, asked):
        if set(asked) - {"id", "method", "params"}:
            raise Refusal(400, -1135, "Invalid JSON Request")
        method, params = asked["method"], asked.get("params", {})
        if method not in PARAMS:
            raise Refusal(400, -1020, "This operation is not supported.")
        if set(params) - PARAMS[method]:
            raise Refusal(400, -1104, "Not all sent parameters were read.")
        if PARAMS[method] is SIGNED:
            self._check(params)
        if method == "session.logon":
            if self.key.way != "ed25519":
                raise Refusal(400, -1099, "Only Ed25519 API keys are supported for this method.")
            session.logged_on = True
        elif method == "userDataStream.subscribe":
            if not session.logged_on:
                raise Refusal(401, -1002, "You are not authorized to execute this request.")
            return self._subscribed(session, "logon")
        elif method == "userDataStream.subscribe.signature":
            return self._subscribed(session, "signature")
        elif method == "session.subscriptions":
            return [{"subscriptionId": number} for number in sorted(session.subscriptions)]
        key = API_KEY if session.logged_on else None
        return {"apiKey": key, "serverTime": self.ledger.now(), "userDataStream": bool(session.subscriptions)}

    def _check(self, params):
        """The signature is over all other parameters, sorted by name, and nothing is percent-encoded."""
        if params.get("apiKey") != API_KEY:
            raise Refusal(401, -2015, "Invalid API-key, IP, or permissions for action.")
        pairs = (f"{name}={params[name]}" for name in sorted(params) if name != "signature")
        if not self.key.signed("&".join(pairs).encode(), params.get("signature", "")):
            raise Refusal(400, -1022, "Signature for this request is not valid.")
        late = self.ledger.now() - params["timestamp"]
        if late > params.get("recvWindow", 5000) or late < -1000:
            raise Refusal(400, -1021, "Timestamp for this request is outside of the recvWindow.")

    def _subscribed(self, session, way):
        if session.subscriptions:
            raise Refusal(400, -2035, "Subscription is already active.")
        number, session.given = session.given, session.given + 1
        session.subscriptions.add(number)
        self.entered.append(way)
        # Events may be ahead of the answer.
        session.tell(self.ledger.position(["BNB"]), number)
        return {"subscriptionId": number}
