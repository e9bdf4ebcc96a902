"""The WebSocket API of spot: requests and answers, logon, user-data subscriptions, wrapped events."""

import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from accountd.sim import refusals, signing
from accountd.sim.model import Account, Credential
from accountd.sim.product import encode
from accountd.sim.refusals import Refused
from accountd.sim.rest import ANYONE
from accountd.sim.socket import Session
from accountd.sim.spot_events import Event, stream_terminated
from accountd.sim.spot_model import Wallet
from accountd.sim.spot_query import SpotQuery
from accountd.sim.spot_rest import TWINS
from accountd.sim.subscriptions import Subscription, Subscriptions

if TYPE_CHECKING:
    from accountd.sim.connection import Connection
    from accountd.sim.server import SimServer
    from accountd.sim.spot import Spot

CONNECT_WEIGHT = 2
SUBSCRIBE_WEIGHT = 2
Params = dict[str, str]


class Revoked(Refused):
    """The logon of a session has ended because its key is no longer valid; the answer has no id."""


def text_of(value: Any) -> str:
    """Return a JSON value as the text that is signed."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def ed25519(credential: Credential) -> bool:
    """Tell whether a credential is an Ed25519 key."""
    if credential.public_key is None:
        return False
    return isinstance(load_pem_public_key(credential.public_key.encode()), Ed25519PublicKey)


class WsApiSession(Session):
    """A client's connection to the WebSocket API."""

    messages_per_second = None

    def __init__(self, server: "SimServer", connection: "Connection", target: str, spot: "Spot") -> None:
        super().__init__(server, connection, target, spot)
        self.spot = spot
        asked = parse_qs(urlsplit(target).query)
        self.show_limits = asked.get("returnRateLimits", ["true"])[0] != "false"
        self.subscriptions = Subscriptions()
        self.connected_ms = spot.exchange.clock.now()
        self.logged_on: tuple[Account, int] | None = None
        self._after: list[Event] = []
        self._methods: dict[str, Callable[[Params], Any]] = {
            "session.logon": self._logon,
            "session.status": lambda params: self._status(),
            "session.logout": self._logout,
            "session.subscriptions": self._listed,
            "userDataStream.subscribe": self._subscribe,
            "userDataStream.subscribe.signature": self._subscribe_signed,
            "userDataStream.subscribe.listenToken": self._subscribe_token,
            "userDataStream.unsubscribe": self._unsubscribe,
        }

    def greeted(self) -> None:
        """Count the weight of the connection."""
        try:
            self.spot.limit.charge(CONNECT_WEIGHT)
        except Refused:
            self.close(1008, "Too much request weight used")

    def said(self, raw: bytes) -> None:
        """Answer a request; what it ends is told after the answer."""
        number: Any = None
        try:
            message = json.loads(raw)
            number = message["id"] if isinstance(message, dict) and "id" in message else None
            method = str(message["method"]).removeprefix("v3/")
            texts = json.loads(raw, parse_int=str, parse_float=str).get("params") or {}
            params = {name: text_of(value) for name, value in texts.items()}
        except (ValueError, KeyError, TypeError, AttributeError):
            refused = Refused(400, -1135, "This error code will occur if a JSON object is invalid.")
            self.reply(self._failure(number, refused))
            return
        try:
            result = self._answer(method, params)
        except Refused as refused:
            self.reply(self._failure(number, refused))
            if refused.status == 418:
                self.close(1008, "IP banned")
            return
        self.reply(self._success(number, method, result))
        after, self._after = self._after, []
        for event in after:
            self.send(encode(event))

    def _answer(self, method: str, params: Params) -> Any:
        subject = f"WS {method}"
        self.spot.requests[subject] += 1
        self._faults(subject)
        if self.logged_on and self.logged_on[0].credential.api_key in self.spot.rest.revoked:
            self.logged_on = None
            self._end([n for n, one in self.subscriptions.active.items() if one.way == "logon"])
            raise Revoked(401, -2015, "Invalid API-key, IP, or permissions for action.")
        act = self._methods.get(method) if self.spot.pushes else None
        if act is not None:
            self.spot.limit.charge(SUBSCRIBE_WEIGHT)
            return act(params)
        route = TWINS.get(method)
        if route is None:
            self.spot.limit.charge(1)
            raise Refused(400, -1020, "This operation is not supported.")
        self.spot.limit.charge(route.cost(params))
        account = self._signed(params) if route.signed else ANYONE
        return route.answer(SpotQuery(params, self.spot.spot, account))

    def _faults(self, subject: str) -> None:
        faults = self.server.faults
        if fault := faults.take("rate_limit", subject):
            retry = int(float(fault.options.get("retry_after", 1)))
            raise refusals.too_many(self.spot.limit.limit, retry)
        if fault := faults.take("http_5xx", subject):
            text = "Unknown error, please check your request or try again later."
            raise Refused(int(fault.options.get("status", 503)), -1000, text)

    def _failure(self, number: Any, refused: Refused) -> dict[str, Any]:
        error: dict[str, Any] = dict(refused.body)
        if refused.retry_after is not None:
            now = self.spot.exchange.clock.now()
            error["data"] = {"serverTime": now, "retryAfter": now + refused.retry_after * 1000}
        return {
            "id": None if isinstance(refused, Revoked) else number,
            "status": refused.status,
            "error": error,
        } | self._limits()

    def _success(self, number: Any, method: str, result: Any) -> dict[str, Any]:
        if method == "userDataStream.subscribe.listenToken" and self.spot.bare_token_reply:
            return dict(result)
        return {"id": number, "status": 200, "result": result} | self._limits()

    def _limits(self) -> dict[str, Any]:
        if not self.show_limits:
            return {}
        row = {"rateLimitType": "REQUEST_WEIGHT", "interval": "MINUTE", "intervalNum": 1}
        return {"rateLimits": [{**row, "limit": self.spot.limit.limit, "count": self.spot.limit.used}]}

    def _by_key(self, params: Params) -> Account:
        api_key = params.get("apiKey", "")
        if not api_key:
            raise refusals.missing("apiKey")
        account = self.spot.exchange.by_key(api_key)
        if account is None or api_key in self.spot.rest.revoked:
            raise refusals.key_unknown()
        return account

    def _signed(self, params: Params) -> Account:
        if self.logged_on and "signature" not in params:
            signing.check_timestamp(params, self.spot.exchange.clock.now(), spot=True)
            return self.logged_on[0]
        account = self._by_key(params)
        signing.check_sorted(account.credential, params, self.spot.exchange.clock.now())
        return account

    def _logon(self, params: Params) -> Any:
        account = self._by_key(params)
        if not ed25519(account.credential):
            raise Refused(400, -1099, "Only Ed25519 keys are supported for this method.")
        signing.check_sorted(account.credential, params, self.spot.exchange.clock.now())
        self.logged_on = (account, self.spot.exchange.clock.now())
        return self._status()

    def _status(self) -> Any:
        account, since = self.logged_on or (None, None)
        return {
            "apiKey": account.credential.api_key if account else None,
            "authorizedSince": since,
            "connectedSince": self.connected_ms,
            "returnRateLimits": self.show_limits,
            "serverTime": self.spot.exchange.clock.now(),
            "userDataStream": bool(self.subscriptions.active),
        }

    def _logout(self, params: Params) -> Any:
        self.logged_on = None
        self._end([n for n, one in self.subscriptions.active.items() if one.way == "logon"])
        return self._status()

    def _listed(self, params: Params) -> Any:
        return [{"subscriptionId": number} for number in self.subscriptions.active]

    def _subscribe(self, params: Params) -> Any:
        if self.logged_on is None:
            raise Refused(401, -1099, "Session is not authenticated.")
        account = self.logged_on[0]
        wallet = self.spot.spot.wallet(account)
        return self._made(self.subscriptions.add(wallet, "logon", account.credential.api_key))

    def _subscribe_signed(self, params: Params) -> Any:
        account = self._by_key(params)
        signing.check_sorted(account.credential, params, self.spot.exchange.clock.now())
        wallet = self.spot.spot.wallet(account)
        return self._made(self.subscriptions.add(wallet, "signature", account.credential.api_key))

    def _subscribe_token(self, params: Params) -> Any:
        token = self.spot.tokens.get(params.get("listenToken", ""))
        if token is None or token.expires_ms <= self.spot.exchange.clock.now():
            raise Refused(400, -1209, "Invalid listenToken.")
        made = self.subscriptions.add(token.wallet, "token", expires_ms=token.expires_ms)
        return self._made(made) | {"expirationTime": token.expires_ms * 1000}

    def _made(self, subscription: Subscription) -> dict[str, Any]:
        self.server.stirred.set()
        return {"subscriptionId": subscription.number}

    def _unsubscribe(self, params: Params) -> Any:
        text = params.get("subscriptionId", "")
        if text and not text.isdigit():
            raise refusals.bad_value("subscriptionId")
        numbers = [int(text)] if text else list(self.subscriptions.active)
        if text and numbers[0] not in self.subscriptions.active:
            raise Refused(400, -2036, "User Data Stream subscription not active.")
        self._end(numbers)
        return {}

    def _end(self, numbers: list[int]) -> None:
        for number in self.subscriptions.end(numbers):
            self._after.append(self._terminated(number))

    def _terminated(self, number: int) -> Event:
        return {"subscriptionId": number, "event": stream_terminated(self.spot.exchange.clock.now())}

    def terminate(self, numbers: list[int], *, told: bool) -> int:
        """End subscriptions from the venue's side, told or in silence; return how many."""
        ended = self.subscriptions.end(numbers)
        for number in ended if told else ():
            self.send_terminated(number)
        return len(ended)

    def send_terminated(self, number: int) -> None:
        """Tell that a subscription has ended."""
        self.send(encode(self._terminated(number)))

    def announce(self, event: Event) -> None:
        """Send an event that concerns the connection itself: wrapped, without a subscription."""
        super().announce({"event": event})

    def tell_event(self, wallet: Wallet, event: Event) -> None:
        """Send an event of a wallet, wrapped with its subscription, through the stream faults."""
        held = self.subscriptions.of(wallet)
        if held is not None:
            self.tell(encode({"subscriptionId": held.number, "event": event}))
