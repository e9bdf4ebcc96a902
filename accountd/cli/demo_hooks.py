"""The other end of the demo's webhook: checks each signature and notes what rang when."""

import base64
import hmac
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

TOLERANCE = 300  # seconds between the signed time and now, as Standard Webhooks recommends


@dataclass(frozen=True, slots=True, kw_only=True)
class Ring:
    """One webhook about a fill."""

    message_id: str
    fill: tuple[str, str]
    late: bool
    at: datetime


class Receiver:
    """Takes webhooks as a careful stranger would: nothing is believed before its signature is checked."""

    def __init__(self, secret: str) -> None:
        self.key = base64.b64decode(secret.removeprefix("whsec_"))
        self.rings: list[Ring] = []
        self.first: dict[tuple[str, str], datetime] = {}
        self.bad_signatures = 0
        self.app = Starlette(routes=[Route("/hook", self.take, methods=["POST"])])

    async def take(self, request: Request) -> Response:
        """Take one webhook."""
        now = datetime.now(UTC)
        body = await request.body()
        if not self.genuine(request.headers, body, time.time()):
            self.bad_signatures += 1
            return PlainTextResponse("bad signature\n", 401)
        told = json.loads(body)
        if told["type"] == "fill":
            fill = (told["data"]["symbol"], told["data"]["trade_id"])
            message_id = request.headers["webhook-id"]
            self.rings.append(Ring(message_id=message_id, fill=fill, late=told["data"]["late"], at=now))
            self.first.setdefault(fill, now)
        return Response(status_code=204)

    def genuine(self, headers: Mapping[str, str], body: bytes, now: float) -> bool:
        """Tell whether one of the signatures is right and fresh."""
        try:
            sent = headers["webhook-timestamp"]
            if abs(now - int(sent)) > TOLERANCE:
                return False
            signed = b".".join((headers["webhook-id"].encode(), sent.encode(), body))
            given = headers["webhook-signature"].split()
        except (KeyError, ValueError):
            return False
        right = "v1," + base64.b64encode(hmac.new(self.key, signed, sha256).digest()).decode()
        return any(hmac.compare_digest(right, signature) for signature in given)
