"""Who may read, and what a browser may do with it: token, cookie, host, and the headers of every answer."""

import hashlib
import hmac
import time
from collections.abc import Callable
from http.cookies import CookieError, SimpleCookie
from urllib.parse import parse_qs, urlsplit

from starlette.requests import Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from accountd.web.problem import Problem

COOKIE = "accountd"
LIFETIME = 30 * 86400  # seconds
LONGEST_FORM = 4096  # bytes
OPEN_PATHS = ("/healthz", "/login")
STATIC = "/static/"
LOCAL_HOSTS = frozenset({"127.0.0.1", "localhost", "[::1]", "::1"})
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)
HEADERS = {
    "content-security-policy": POLICY,
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=()",
}
WANTED = "a token is required: Authorization: Bearer ..."
LoginPage = Callable[[str, bool], str]


class SafeHeaders:
    """Add the headers that keep a browser from doing more than showing the page."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app
        self.headers = [(name.encode(), value.encode()) for name, value in HEADERS.items()]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        # A file's address changes with its content; everything else is somebody's money.
        lasting = scope.get("path", "").startswith(STATIC)
        cache = b"public, max-age=31536000, immutable" if lasting else b"no-store"

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                kept = cache if message["status"] == 200 else b"no-store"
                message["headers"] = [*message["headers"], *self.headers, (b"cache-control", kept)]
            await send(message)

        await self.app(scope, receive, with_headers)


class LocalHost:
    """Without a token only serve requests that name this machine: a stranger's page may point DNS at it."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] == "http":
            host = dict(scope["headers"]).get(b"host", b"").decode("latin-1").lower()
            name = host.rpartition(":")[0] if host.rpartition(":")[2].isdigit() else host
            if name not in LOCAL_HOSTS:
                refusal = PlainTextResponse("only this machine may ask without a token\n", 400)
                await refusal(scope, receive, send)
                return
        await self.app(scope, receive, send)


class Token:
    """Refuse whoever presents the token neither in a header nor, having logged in, in a cookie."""

    def __init__(self, app: ASGIApp, token: str, login_page: LoginPage) -> None:
        self.app = app
        self.token = token
        self.login_page = login_page

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] == "http" and not _is_open(scope["path"]):
            request = Request(scope)
            if not self._knows(request):
                await self._refusal(request)(scope, receive, send)
                return
        await self.app(scope, receive, send)

    def _knows(self, request: Request) -> bool:
        given = request.headers.get("authorization", "").encode("latin-1")
        if hmac.compare_digest(given, f"Bearer {self.token}".encode()):
            return True
        try:
            cookie = SimpleCookie(request.headers.get("cookie", "")).get(COOKIE)
        except CookieError:
            return False
        return cookie is not None and cookie_good(self.token, cookie.value, int(time.time()))

    def _refusal(self, request: Request) -> Response:
        asks = {"www-authenticate": "Bearer"}
        if request.url.path.startswith("/api/"):
            return Problem(401, WANTED).response(asks)
        if "text/html" in request.headers.get("accept", ""):
            page = self.login_page(request.url.path, False)
            return Response(page, 401, asks, media_type="text/html")
        return PlainTextResponse(WANTED + "\n", 401, asks)


def _is_open(path: str) -> bool:
    return path in OPEN_PATHS or path.startswith(STATIC)


def cookie_value(token: str, until: int) -> str:
    """Return what the cookie says: until when, in Unix seconds, sealed with the token."""
    seal = hmac.new(token.encode(), f"accountd cookie until {until}".encode(), hashlib.sha256).hexdigest()
    return f"{until}.{seal}"


def cookie_good(token: str, value: str, now: int) -> bool:
    """Tell whether a cookie was made with this token and is not over at `now`, in Unix seconds."""
    until = value.partition(".")[0]
    if not (until.isascii() and until.isdigit() and len(until) <= 12):
        return False
    genuine = hmac.compare_digest(value.encode(), cookie_value(token, int(until)).encode())
    return genuine and int(until) > now


async def login(request: Request, token: str, login_page: LoginPage) -> Response:
    """Take the token from the form and give the cookie for it."""
    origin = request.headers.get("origin", "")
    if origin not in ("", "null") and urlsplit(origin).netloc != request.headers.get("host", ""):
        return PlainTextResponse("this form is only for its own page\n", 403)
    body = b""
    async for piece in request.stream():
        body += piece
        if len(body) > LONGEST_FORM:
            return PlainTextResponse("too long\n", 413)
    told = parse_qs(body.decode("utf-8", "replace"), keep_blank_values=True)
    given, wanted = told.get("token", [""])[0], told.get("next", ["/"])[0]
    where = safe_path(wanted)
    if not hmac.compare_digest(given.strip().encode(), token.encode()):
        return Response(login_page(where, True), 401, media_type="text/html")
    until = int(time.time()) + LIFETIME
    reply = RedirectResponse(where, 303)
    secure = request.url.scheme == "https" or request.headers.get("x-forwarded-proto") == "https"
    reply.set_cookie(
        COOKIE, cookie_value(token, until), max_age=LIFETIME, path="/", httponly=True, samesite="strict",
        secure=secure,
    )  # fmt: skip
    return reply


def safe_path(wanted: str) -> str:
    """Return a path of this site, so that a login leads nowhere else."""
    plain = wanted.startswith("/") and not wanted.startswith(("//", "/\\")) and wanted.isprintable()
    return wanted if plain else "/"
