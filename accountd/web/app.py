"""The web: is the process alive, is it ready, its metrics, and one page for people."""

import asyncio
import contextlib
import hmac
from collections.abc import Awaitable, Callable

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from accountd.core.health import Health
from accountd.errors import AccountdError, DatabaseError
from accountd.web import census, page

LOCAL_HOSTS = ("127.0.0.1", "localhost", "::1", "[::1]")
HEADERS = {
    "content-security-policy": "default-src 'none'; style-src 'sha256-{style}'; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'",
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cache-control": "no-store",
}
Endpoint = Callable[[Request], Awaitable[Response]]


def build(
    health: Health,
    registry: CollectorRegistry,
    *,
    token: str | None = None,
    database_url: str | None = None,
    before_scrape: Callable[[Health], None] | None = None,
) -> Starlette:
    """Return the application.

    With a `token` every path but /healthz wants `Authorization: Bearer`. Without one only requests that
    name this machine as their host are served, so that a page of a stranger cannot read along by DNS.
    `before_scrape` copies `health` into the metrics.
    """

    async def healthz(request: Request) -> Response:
        return PlainTextResponse("alive\n")

    async def readyz(request: Request) -> Response:
        reasons = health.reasons()
        accounts = {
            name: {"state": str(account.state), "detail": account.detail}
            for name, account in sorted(health.accounts.items())
        }
        told = {"ready": not reasons, "reasons": reasons, "accounts": accounts, "writer_ok": health.writer_ok}
        return JSONResponse(told, status_code=503 if reasons else 200)

    async def metrics(request: Request) -> Response:
        if database_url is not None:
            # While the database does not answer the last counts stand; writer_healthy tells of it.
            with contextlib.suppress(DatabaseError):
                await asyncio.to_thread(census.take, database_url, health)
        if before_scrape is not None:
            before_scrape(health)
        return Response(generate_latest(registry), media_type=CONTENT_TYPE_LATEST)

    async def index(request: Request) -> Response:
        record: page.Record | str | None = None
        if database_url is not None:
            try:
                record = await asyncio.to_thread(page.read, database_url)
            except AccountdError as error:
                record = error.message
        return Response(page.render(health, record), media_type="text/html")

    routes: list[tuple[str, Endpoint]] = [
        ("/healthz", healthz),
        ("/readyz", readyz),
        ("/metrics", metrics),
        ("/", index),
    ]
    guards = [Middleware(SafeHeaders)]
    if token:
        guards.append(Middleware(BearerToken, token=token))
    else:
        guards.append(Middleware(TrustedHostMiddleware, allowed_hosts=list(LOCAL_HOSTS), www_redirect=False))
    return Starlette(
        routes=[Route(path, endpoint, methods=["GET"]) for path, endpoint in routes], middleware=guards
    )


class SafeHeaders:
    """Add the headers that keep a browser from doing more than showing the page."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app
        style = page.style_hash()
        self.headers = [
            (name.encode(), value.format(style=style).encode()) for name, value in HEADERS.items()
        ]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], *self.headers]
            await send(message)

        await self.app(scope, receive, with_headers)


class BearerToken:
    """Refuse whoever does not present the token; only /healthz, which tells nothing, is open."""

    def __init__(self, app: ASGIApp, token: str) -> None:
        self.app = app
        self.wanted = f"Bearer {token}".encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] == "http" and scope["path"] != "/healthz":
            given = dict(scope["headers"]).get(b"authorization", b"")
            if not hmac.compare_digest(given, self.wanted):
                refusal = PlainTextResponse(
                    "a token is required: Authorization: Bearer ...\n", 401, {"www-authenticate": "Bearer"}
                )
                await refusal(scope, receive, send)
                return
        await self.app(scope, receive, send)
