"""The listen key of Binance's derivatives: made and renewed over REST, named in the stream's address.

Venue pages: derivatives/*/user-data-streams, Start- and Keepalive-User-Data-Stream. The key belongs to the
account, so it is never deleted: other programs listen by it.
"""

from __future__ import annotations

from collections.abc import Callable
from urllib.parse import quote

import msgspec

from accountd.venues.base import Ack, Call, Reply
from accountd.venues.binance import read
from accountd.venues.doors import ListenKeyDoor


class _Key(msgspec.Struct):
    listenKey: str | None = None


def listen_key_call(method: str, path: str, pool: str, base: str = "rest") -> Call:
    """Return the call that makes a key, or lengthens its life by 60 minutes."""
    return Call(
        method=method, path=path, kind="listen_key", pool=pool, weight=1, keep=False, keyed=True, base=base
    )


def parse(reply: Reply) -> str | None:
    """Return the key that a reply names; None when it names none (a renewal may answer ``{}``).

    Raises:
        VenueUnavailable: the reply makes no sense.
    """
    return read(reply, _Key, "listen_key").listenKey or None


def probe(request_id: int) -> str:
    """Return the frame that asks what a socket is subscribed to."""
    return f'{{"method":"LIST_SUBSCRIPTIONS","id":{request_id}}}'


def lists_key(ack: Ack, key: str) -> bool:
    """Tell whether the answer to a probe names the key, alone or with its events."""
    names = ack.result if isinstance(ack.result, list) else []
    return any(isinstance(name, str) and (name == key or name.startswith(f"{key}@")) for name in names)


def listen_key_door(
    path: str, pool: str, url: Callable[[str], str], base: str = "rest", renew: str = "PUT",
    aside: str = "",
) -> ListenKeyDoor:  # fmt: skip
    """Return the door that is opened by the key of ``path``; ``url`` is told the key, quoted.

    ``renew`` is POST where the answer to PUT does not name the key: POST lengthens its life as well and
    tells when another program has put a new key in its place.
    """
    renewal = listen_key_call(renew, path, pool, base)
    return ListenKeyDoor(
        create=listen_key_call("POST", path, pool, base),
        keepalive=lambda _: renewal,
        parse=parse,
        url=lambda key: url(quote(key, safe="")),
        lists_key=lists_key,
        probe=probe,
        aside=aside,
    )
