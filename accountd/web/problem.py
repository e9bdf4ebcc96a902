"""What a caller of the API is told when a request cannot be answered, as RFC 9457 problem details."""

import json
from http import HTTPStatus
from typing import Any

from starlette.responses import Response

MEDIA_TYPE = "application/problem+json"
SHOWN = 200  # characters of a wrong value that are told back


class Problem(Exception):
    """A request that cannot be answered; the arguments say why, and what would be."""

    def __init__(self, status: int, detail: str, **more: Any) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.more = more

    @classmethod
    def parameter(cls, name: str, value: str, allowed: str, status: int = 400) -> "Problem":
        """Return the problem of a parameter whose value is not allowed."""
        shown = value if len(value) <= SHOWN else value[:SHOWN] + "..."
        detail = f"{name}: {shown!r} is not usable; {allowed}"
        return cls(status, detail, parameter=name, value=shown, allowed=allowed)

    def response(self, headers: dict[str, str] | None = None) -> Response:
        """Return what is sent."""
        body = {
            "type": "about:blank",
            "title": HTTPStatus(self.status).phrase,
            "status": self.status,
            "detail": self.detail,
            **self.more,
        }
        text = json.dumps(body, ensure_ascii=True)
        return Response(text, self.status, headers, media_type=MEDIA_TYPE)
