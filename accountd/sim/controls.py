"""The stream's control messages: SUBSCRIBE, UNSUBSCRIBE, LIST_SUBSCRIPTIONS, SET_PROPERTY, GET_PROPERTY."""

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from accountd.sim.streams import StreamSession

METHODS = ("SUBSCRIBE", "UNSUBSCRIBE", "LIST_SUBSCRIPTIONS", "SET_PROPERTY", "GET_PROPERTY")


class Wrong(Exception):
    """A control message that the venue answers with a code."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.body = {"code": code, "msg": message}


class Controls:
    """Answers the control messages of one session."""

    def __init__(self, session: "StreamSession") -> None:
        self.session = session

    def answer(self, raw: bytes) -> dict[str, Any]:
        """Return the reply to a control message, in the venue's wording."""
        try:
            return self._answer(raw)
        except Wrong as wrong:
            return wrong.body

    def _answer(self, raw: bytes) -> dict[str, Any]:
        try:
            message = json.loads(raw)
        except ValueError as error:
            raise Wrong(3, "Invalid JSON: expected value at line 1 column 1") from error
        if not isinstance(message, dict) or "method" not in message:
            raise Wrong(2, f"Invalid request: missing field `method` at line 1 column {len(raw)}")
        method, number, params = message["method"], message.get("id"), message.get("params", [])
        if method not in METHODS:
            known = ", ".join(f"`{name}`" for name in METHODS)
            text = f"unknown variant {method}, expected one of {known} at line 1 column 28"
            raise Wrong(2, f"Invalid request: {text}")
        if not self._valid_id(number):
            raise Wrong(2, "Invalid request: request ID must be an unsigned integer")
        return {"result": self._do(method, params), "id": number}

    def _valid_id(self, number: Any) -> bool:
        # The documents want an unsigned integer; the official SDK sends a UUID and is served.
        if isinstance(number, str):
            return not self.session.server.strict_ids and 0 < len(number) <= 36
        return isinstance(number, int) and not isinstance(number, bool) and number >= 0

    def _do(self, method: str, params: Any) -> Any:
        if method == "LIST_SUBSCRIPTIONS":
            return self.listed()
        if method == "SET_PROPERTY":
            return self._set_property(params)
        if method == "GET_PROPERTY":
            return self._get_property(params)
        for name in params:
            key, _, event = str(name).partition("@")
            self._subscribe(key, event) if method == "SUBSCRIBE" else self._unsubscribe(key, event)
        return None

    def _subscribe(self, key: str, event: str) -> None:
        held = self.session.subscriptions
        if not event:
            held[key] = None
        elif held.get(key, set()) is not None:
            held[key] = (held.get(key) or set()) | {event}

    def _unsubscribe(self, key: str, event: str) -> None:
        events = self.session.subscriptions.get(key)
        if event and events:
            events.discard(event)
        if not event or events == set():
            self.session.subscriptions.pop(key, None)

    def listed(self) -> list[str]:
        """Return the subscriptions in alphabetical order: a bare key, or key@EVENT for each event."""
        names = []
        for key, events in self.session.subscriptions.items():
            names += [key] if events is None else [f"{key}@{event}" for event in events]
        return sorted(names)

    def _property(self, params: Any, count: int) -> None:
        if not params or not isinstance(params[0], str):
            raise Wrong(2, "Invalid request: property name must be a string")
        if len(params) > count:
            raise Wrong(2, "Invalid request: too many parameters")
        if params[0] != "combined":
            raise Wrong(0, "Unknown property")

    def _set_property(self, params: Any) -> None:
        self._property(params, 2)
        if len(params) < 2 or not isinstance(params[1], bool):
            raise Wrong(1, "Invalid value type: expected Boolean")
        self.session.wrapped = params[1]

    def _get_property(self, params: Any) -> bool:
        self._property(params, 1)
        return self.session.wrapped
