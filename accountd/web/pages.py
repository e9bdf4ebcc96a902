"""The pages for people: addresses, what may be asked of each, and the stream that keeps them fresh."""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime
from typing import Any

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.routing import BaseRoute, Route

from accountd.core.health import Health
from accountd.errors import AccountdError, DatabaseError, QueryRefused
from accountd.store import queries
from accountd.web import page_reads, params
from accountd.web.params import Param
from accountd.web.pictures import Pictures, Window
from accountd.web.problem import Problem
from accountd.web.record import Look, Record
from accountd.web.render import Renderer

MOST_LIVE = 48  # pages that are kept fresh at a time
LOOK_EVERY = 1.0  # seconds between looks whether a page is stale
BREATH = 15  # looks without news after which a comment keeps proxies from closing
_TEXT = params.free("kind", "", "conflict")
FILTERS: dict[str, tuple[Param, ...]] = {
    "orders": (params.ACCOUNT, params.SYMBOL, params.STATUS, params.SIDE, params.OPEN, params.ORDER_ID,
               params.CLIENT_ORDER_ID),
    "fills": (params.ACCOUNT, params.SYMBOL, params.SIDE, params.ORDER_ID, params.SINCE, params.UNTIL),
    "findings": (params.ACCOUNT, _TEXT, params.OPEN),
    "gaps": (params.ACCOUNT, params.OPEN),
    "alerts": (
        params.ACCOUNT, params.free("hook", "", "ops"), params.free("type", "", "fill"),
        params.one_of("status", "", "pending", "delivered", "suppressed", "dead"),
    ),
}  # fmt: skip
Read = Callable[[Look], dict[str, Any]]


def routes(renderer: Renderer, record: Record | None, health: Health) -> list[BaseRoute]:
    """Return the routes of every page."""
    pages = Pages(renderer, record, health)
    told: list[tuple[str, Callable[[Request], Awaitable[Response]]]] = [
        ("/", pages.overview),
        ("/accounts/{account}", pages.account),
        ("/accounts/{account}/orders/{market}/{symbol}/{kind}/{order_id}", pages.order),
        ("/orders", pages.list_of("orders")),
        ("/fills", pages.list_of("fills")),
        ("/findings", pages.findings),
        ("/alerts", pages.alerts),
        ("/live", pages.live),
    ]
    return [Route(path, endpoint, methods=["GET"]) for path, endpoint in told]


class Pages:
    """Every page; each asks the record once, in a thread, and draws there."""

    def __init__(self, renderer: Renderer, record: Record | None, health: Health) -> None:
        self.renderer = renderer
        self.record = record
        self.health = health
        self.pictures = Pictures(record)
        self.watched = 0

    async def overview(self, request: Request) -> Response:
        """Show every account and what is new."""
        window = self._window(request)
        return await self._page(
            request,
            "overview.html",
            lambda look: page_reads.overview(look, self.pictures, window),
            window=window,
        )

    async def account(self, request: Request) -> Response:
        """Show one account."""
        window, name = self._window(request), request.path_params["account"]
        return await self._page(
            request,
            "account.html",
            lambda look: page_reads.account(look, self.pictures, window, name),
            window=window,
        )

    async def order(self, request: Request) -> Response:
        """Show the life of one order."""
        key, now = request.path_params, datetime.now(UTC)
        if any("\0" in part for part in key.values()):
            return await self._missing(request)
        return await self._page(request, "order.html", lambda look: page_reads.order(look, key, now))

    def list_of(self, name: str) -> Callable[[Request], Awaitable[Response]]:
        """Return the page of a list."""

        async def endpoint(request: Request) -> Response:
            asked, wrong = _asked(FILTERS[name], request)
            after = request.query_params.get("cursor")
            return await self._page(
                request,
                f"{name}.html",
                lambda look: page_reads.listed(look, name, asked, after),
                asked=request.query_params,
                wrong=wrong,
            )

        return endpoint

    async def findings(self, request: Request) -> Response:
        """Show what does not tie and what is missing."""
        asked, wrong = _asked(FILTERS["findings"], request)
        asked.setdefault("open", True)
        if request.query_params.get("open") == "all":
            asked.pop("open")
            wrong = {name: text for name, text in wrong.items() if name != "open"}
        holes: dict[str, Any] = {name: asked[name] for name in asked if name in ("account", "open")}
        after = request.query_params.get("cursor")

        def read(look: Look) -> dict[str, Any]:
            told = page_reads.listed(look, "findings", asked, after)
            return told | {"gaps": page_reads.listed(look, "gaps", holes, None)}

        return await self._page(request, "findings.html", read, asked=request.query_params, wrong=wrong)

    async def alerts(self, request: Request) -> Response:
        """Show what was told to whom, and what could not be."""
        asked, wrong = _asked(FILTERS["alerts"], request)
        cursor = request.query_params.get("cursor")

        def read(look: Look) -> dict[str, Any]:
            after = params.read_cursor(cursor) if cursor else None
            told = page_reads.alerts(look, asked, after)
            return told | {"next": params.write_cursor(told["after"]) if told["after"] else None}

        return await self._page(request, "alerts.html", read, asked=request.query_params, wrong=wrong)

    async def _page(self, request: Request, template: str, read: Read, **told: Any) -> Response:
        """Read and draw a page; what keeps it from being read is said on it."""
        frame = {"here": request.url.path, "query": request.query_params, "reasons": self.health.reasons(),
                 "health": self.health, "logged_in": self.renderer.logged_in}  # fmt: skip

        def draw(look: Look) -> str:
            names = {"names": look.names, "account_names": sorted(look.names.values())}
            return self.renderer.page(template, **frame, **names, **told, **read(look))

        status = 200
        try:
            if self.record is None:
                raise DatabaseError("no database is configured")
            text = await self.record.look(draw)
        except (Problem, QueryRefused) as refusal:
            status, text = 404, self._trouble(frame, "Not in the record", str(refusal))
        except AccountdError as error:
            # The page of the daemon's own state stands when the database does not.
            first = template == "overview.html"
            status, text = (
                200 if first else 503,
                self._trouble(frame, "The record cannot be read", error.message),
            )
        return Response(text, status, media_type="text/html")

    async def _missing(self, request: Request) -> Response:
        frame = {"here": request.url.path, "query": request.query_params, "reasons": self.health.reasons(),
                 "health": self.health, "logged_in": self.renderer.logged_in}  # fmt: skip
        return Response(
            self._trouble(frame, "Not in the record", "no such order"), 404, media_type="text/html"
        )

    def _trouble(self, frame: dict[str, Any], title: str, text: str) -> str:
        return self.renderer.page("trouble.html", **frame, title=title, text=text, account_names=[])

    @staticmethod
    def _window(request: Request) -> Window:
        return Window.named(request.query_params.get("range", ""), datetime.now(UTC))

    async def live(self, request: Request) -> Response:
        """Say each time that a page may show something new."""
        if self.watched >= MOST_LIVE:
            return PlainTextResponse("too many pages are open\n", 503, {"retry-after": "30"})
        return StreamingResponse(
            self._counted(), media_type="text/event-stream", headers={"x-accel-buffering": "no"}
        )

    async def _counted(self) -> AsyncIterator[bytes]:
        self.watched += 1
        try:
            async for piece in self._changes():
                yield piece
        finally:
            self.watched -= 1

    async def _changes(self) -> AsyncIterator[bytes]:
        """Yield an event whenever the record or the daemon's state is not what it was."""
        before, quiet = "", 0
        yield b"retry: 2000\n\n"
        while self.record is None or not self.record.closed:
            state = await self._state()
            if state != before:
                before, quiet = state, 0
                yield f"event: changed\nid: {state}\ndata: {state}\n\n".encode()
            elif (quiet := quiet + 1) % BREATH == 0:
                yield b": nothing new\n\n"
            await asyncio.sleep(LOOK_EVERY)

    async def _state(self) -> str:
        """Return a short word that changes with everything that a page shows."""
        told: list[Any] = [
            (name, str(one.state), one.detail) for name, one in sorted(self.health.accounts.items())
        ]
        told.append(self.health.reasons())
        if self.record is not None:
            try:
                told.append(
                    await self.record.look(
                        lambda look: (queries.heads(look.conn), queries.concerns(look.conn))
                    )
                )
            except DatabaseError as error:
                told.append(error.message)
        return hashlib.sha256(repr(told).encode()).hexdigest()[:16]


def _asked(filters: tuple[Param, ...], request: Request) -> tuple[dict[str, Any], dict[str, str]]:
    """Read the filters that a reader filled in; what is not usable is left out and explained."""
    asked: dict[str, Any] = {}
    wrong: dict[str, str] = {}
    for param in filters:
        written = request.query_params.get(param.name, "").strip()
        if written:
            try:
                asked[param.name] = param.value(written)
            except Problem as problem:
                wrong[param.name] = problem.detail
    return asked, wrong
