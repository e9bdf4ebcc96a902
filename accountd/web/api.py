"""The JSON API: it reads the parameters, asks the record in a thread, and refuses in one form."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Mount, Route

from accountd.errors import DatabaseError
from accountd.web import events, openapi, params
from accountd.web.operations import OPERATIONS, PREFIX, Operation
from accountd.web.problem import Problem
from accountd.web.record import Record

Endpoint = Callable[[Request], Awaitable[Response]]
SAY_LATER = {"retry-after": "5"}
STREAM = "text/event-stream"
# A proxy that buffers would hold events back.
UNBUFFERED = {"x-accel-buffering": "no"}


def mount(record: Record | None, token: bool) -> Mount:
    """Return everything under the prefix."""
    described = msgspec.json.encode(openapi.document(token))

    async def description(request: Request) -> Response:
        params.read_all((), request.query_params.multi_items())
        return Response(described, media_type="application/json")

    routes = [Route(one.path, _endpoint(record, one), methods=["GET"]) for one in OPERATIONS]
    routes.append(Route("/events", _stream(record), methods=["GET"]))
    routes.append(Route("/openapi.json", _guarded(description), methods=["GET"]))
    return Mount(PREFIX, routes=routes)


def asked_of(one: Operation, request: Request) -> dict[str, Any]:
    """Read every parameter of a request.

    Raises:
        Problem: one is missing or not usable.
    """
    asked = params.read_all(one.params, request.query_params.multi_items())
    for name in one.needs:
        if name not in asked:
            allowed = next(param.allowed for param in one.params if param.name == name)
            raise Problem(400, f"{name}: is needed; {allowed}", parameter=name, value="", allowed=allowed)
    for param in one.inside:
        asked[param.name] = param.value(request.path_params[param.name])
    return asked


def _endpoint(record: Record | None, one: Operation) -> Endpoint:
    async def endpoint(request: Request) -> Response:
        asked = asked_of(one, request)
        if record is None:
            raise Problem(503, "no database is configured")
        if one.patient:
            body = await asyncio.wrap_future(
                record.later(lambda look: msgspec.json.encode(one.answer(look, asked)))
            )
        else:
            body = await record.look(lambda look: msgspec.json.encode(one.answer(look, asked)))
        return Response(body, media_type="application/json")

    return _guarded(endpoint)


def _stream(record: Record | None) -> Endpoint:
    open_streams = 0

    async def endpoint(request: Request) -> Response:
        nonlocal open_streams
        asked = params.read_all(events.EVENT_PARAMS, request.query_params.multi_items())
        if record is None:
            raise Problem(503, "no database is configured")
        only, after = asked.get("account"), request.headers.get("last-event-id") or asked.get("after")
        now = await record.look(lambda look: events.here(look, only))
        place = now if after is None else dict.fromkeys(now, 0)
        if after not in (None, events.START):
            place = events.read_place(str(after))
        wants = STREAM in request.headers.get("accept", "")
        wait = asked.get("wait", None if wants else events.PATIENCE)
        if open_streams >= events.MOST:
            raise Problem(503, f"{events.MOST} streams are open; close one or come back")

        async def counted() -> Any:
            nonlocal open_streams
            open_streams += 1
            try:
                async for piece in events.follow(record, place, only, wait):
                    yield piece
            finally:
                open_streams -= 1

        return StreamingResponse(counted(), media_type=STREAM, headers=UNBUFFERED)

    return _guarded(endpoint)


def _guarded(endpoint: Endpoint) -> Endpoint:
    """Let an endpoint refuse by raising."""

    async def guarded(request: Request) -> Response:
        try:
            return await endpoint(request)
        except Problem as problem:
            return problem.response(SAY_LATER if problem.status == 503 else None)
        except DatabaseError as error:
            return Problem(503, error.message).response(SAY_LATER)

    return guarded
