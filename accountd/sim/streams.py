"""One listen-key stream: its URL, its subscriptions, the control messages, and the events it is sent."""

from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlsplit

from accountd.sim.controls import Controls
from accountd.sim.socket import Session

if TYPE_CHECKING:
    from accountd.sim.connection import Connection
    from accountd.sim.product import Product
    from accountd.sim.server import SimServer

Subscriptions = dict[str, set[str] | None]


def parse_target(target: str) -> tuple[bool, bool, Subscriptions] | None:
    """Return (private, wrapped, subscriptions) of a stream URL, None if there is no such path.

    `private` says whether the URL names the route of private events.
    """
    parts = urlsplit(target)
    path = parts.path.strip("/").split("/")
    route = path.pop(0) if path and path[0] in ("private", "public", "market") else ""
    if not path or path[0] not in ("ws", "stream") or len(path) > 2:
        return None
    subscriptions: Subscriptions = {path[1]: None} if len(path) == 2 else {}
    key = ""
    for name, value in parse_qsl(parts.query):
        if name == "listenKey":
            key = value
            subscriptions[key] = None
        elif name == "streams":
            subscriptions |= {stream: None for stream in value.split("/") if stream}
        elif name == "events" and key:
            subscriptions[key] = {event for event in value.split("/") if event}
    return route == "private", path[0] == "stream", subscriptions


class StreamSession(Session):
    """A listen-key stream.

    `everywhere` delivers on any route; else only on `/private`, and other routes connect and stay silent.
    """

    def __init__(
        self,
        server: "SimServer",
        connection: "Connection",
        target: str,
        product: "Product | None" = None,
        *,
        everywhere: bool = False,
    ) -> None:
        super().__init__(server, connection, target, product)
        parsed = parse_target(target)
        self.known_path = parsed is not None
        private, self.wrapped, self.subscriptions = parsed or (False, False, {})
        self.delivers = private or everywhere
        self.controls = Controls(self)

    def said(self, raw: bytes) -> None:
        """Answer a control message."""
        self.reply(self.controls.answer(raw))

    def wants(self, key: str, event: str) -> bool:
        """Tell whether the client subscribed to an event of a listen key."""
        if not self.delivers or key not in self.subscriptions:
            return False
        events = self.subscriptions[key]
        return events is None or event in events

    def deliver(self, key: str, event: str, raw: bytes) -> None:
        """Send an event, wrapped if the session is combined, through the stream faults."""
        if self.wrapped:
            name = key if self.subscriptions[key] is None else f"{key}@{event}"
            raw = b'{"stream":"' + name.encode() + b'","data":' + raw + b"}"
        self.tell(raw)

    def announce(self, event: dict[str, Any]) -> None:
        """Send an event that concerns the connection itself, wrapped if the session is combined."""
        super().announce({"stream": f"!{event['e']}", "data": event} if self.wrapped else event)
