"""The web: health, metrics, the JSON API and the pages for people, all read-only."""

import asyncio
import contextlib
from collections.abc import Callable

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles

from accountd.core.health import Health
from accountd.errors import DatabaseError
from accountd.store import queries
from accountd.web import api, guard, pages
from accountd.web.operations import PREFIX
from accountd.web.problem import Problem
from accountd.web.record import Look, Record
from accountd.web.render import STATIC_FOLDER, Renderer


def build(
    health: Health,
    registry: CollectorRegistry,
    *,
    token: str | None = None,
    database_url: str | None = None,
    before_scrape: Callable[[Health], None] | None = None,
) -> Starlette:
    """Return the application; `state.leave()` ends its streams and `state.close()` its connections.

    With a `token` every path but /healthz, the login form and its style wants `Authorization: Bearer` or the
    cookie of the form. Without one only requests that name this machine as their host are served, so that
    a page of a stranger cannot read along by DNS. `before_scrape` copies `health` into the metrics.
    """
    record = None if database_url is None else Record(database_url, health)
    renderer = Renderer(logged_in=token is not None)
    routes: list[BaseRoute] = [
        *_watched(health, registry, record, before_scrape),
        *pages.routes(renderer, record, health),
        api.mount(record, token is not None),
        Mount("/static", StaticFiles(directory=STATIC_FOLDER)),
    ]
    guards = [Middleware(guard.SafeHeaders)]
    if token:
        guards.append(Middleware(guard.Token, token=token, login_page=renderer.login))
        routes.append(_login(token, renderer))
    else:
        guards.append(Middleware(guard.LocalHost))
    app = Starlette(routes=routes, middleware=guards, exception_handlers={HTTPException: _refused})
    app.state.leave = record.leave if record else _nothing
    app.state.close = record.close if record else _nothing
    return app


def _watched(
    health: Health,
    registry: CollectorRegistry,
    record: Record | None,
    before_scrape: Callable[[Health], None] | None,
) -> list[BaseRoute]:
    """Return what machines look at: is the process alive, is it ready, and its metrics."""

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
        if record is not None:
            # While the database does not answer the last counts stand; writer_healthy tells of it.
            with contextlib.suppress(DatabaseError):
                await record.look(count)
        if before_scrape is not None:
            before_scrape(health)
        text = await asyncio.to_thread(generate_latest, registry)
        return Response(text, media_type=CONTENT_TYPE_LATEST)

    told = (("/healthz", healthz), ("/readyz", readyz), ("/metrics", metrics))
    return [Route(path, endpoint, methods=["GET"]) for path, endpoint in told]


def count(look: Look) -> None:
    """Count what somebody should look at, and put the counts into the health."""
    found, health = queries.concerns(look.conn), look.health
    health.outbox_pending, health.outbox_dead = found["pending"], found["dead"]
    health.gaps_open, health.findings_open = found["gaps"], found["findings"]


def _login(token: str, renderer: Renderer) -> Route:
    async def login(request: Request) -> Response:
        if request.method == "POST":
            return await guard.login(request, token, renderer.login)
        return Response(renderer.login("/", False), media_type="text/html")

    return Route("/login", login, methods=["GET", "POST"])


async def _refused(request: Request, error: Exception) -> Response:
    """Refuse in the form that the caller reads."""
    assert isinstance(error, HTTPException)
    headers = dict(error.headers or {})
    if request.url.path.startswith(PREFIX):
        detail = {404: "there is no such path; see openapi.json", 405: "everything here is only read: GET"}
        return Problem(error.status_code, detail.get(error.status_code, error.detail)).response(headers)
    return PlainTextResponse(f"{error.detail}\n", error.status_code, headers)


def _nothing() -> None:
    """Do nothing: there is no record to leave."""
