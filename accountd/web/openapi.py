"""The description of the API in OpenAPI 3.1, made of the same declarations that answer."""

from typing import Any

from accountd import __version__
from accountd.web import shapes
from accountd.web.events import EVENT_PARAMS
from accountd.web.operations import OPERATIONS, PREFIX, Operation
from accountd.web.params import Param
from accountd.web.problem import MEDIA_TYPE

PROBLEM = {
    "type": "object",
    "required": ["type", "title", "status", "detail"],
    "properties": {
        "type": shapes.TEXT, "title": shapes.TEXT, "status": shapes.WHOLE, "detail": shapes.TEXT,
        "parameter": shapes.TEXT, "value": shapes.TEXT, "allowed": shapes.TEXT,
    },
}  # fmt: skip
REFUSALS = {
    "400": "A parameter is not usable; the answer names it, its value and what is allowed.",
    "404": "No such account, order or page.",
    "503": "The database does not answer, or not in time.",
}
ABOUT = (
    "Everything accountd has recorded, read-only. Decimals are strings with their exact digits, times are "
    "ISO 8601 in UTC with Z. Lists of tables are told in pages, the newest first: `next_cursor` leads on."
)


def document(token: bool) -> dict[str, Any]:
    """Return the whole description; with `token` it says how to present one."""
    paths = {PREFIX + one.path: {"get": _operation(one, token)} for one in OPERATIONS}
    paths[PREFIX + "/events"] = {"get": _events(token)}
    paths[PREFIX + "/openapi.json"] = {"get": _itself(token)}
    told: dict[str, Any] = {
        "openapi": "3.1.0",
        "info": {
            "title": "accountd",
            "version": __version__,
            "description": ABOUT,
            "license": {"name": "MIT"},
        },
        "paths": paths,
        "components": {
            "schemas": {"Problem": PROBLEM, **{_title(one): dict(one.reply) for one in OPERATIONS}},
        },
    }
    if token:
        told["components"]["securitySchemes"] = {
            "bearer": {"type": "http", "scheme": "bearer"},
        }
        told["security"] = [{"bearer": []}]
    return told


def _title(one: Operation) -> str:
    return one.name.capitalize()


def _operation(one: Operation, token: bool) -> dict[str, Any]:
    reply = {"$ref": f"#/components/schemas/{_title(one)}"}
    return {
        "operationId": one.name,
        "summary": one.text,
        "parameters": [
            *(_parameter(param, "path", True) for param in one.inside),
            *(_parameter(param, "query", param.name in one.needs) for param in one.params),
        ],
        "responses": {
            "200": {
                "description": "What the record holds.",
                "content": {"application/json": {"schema": reply}},
            },
            **_refusals(token),
        },
    }


def _events(token: bool) -> dict[str, Any]:
    return {
        "operationId": "events",
        "summary": "What is told, as it is told: server-sent events that go on where `Last-Event-ID` ended.",
        "description": "Event `told` is a row of the journal, `fill` a fill that it brought. Ids survive "
        "restarts. Without `Accept: text/event-stream` the answer ends when nothing new came for 15 seconds.",
        "parameters": [
            *(_parameter(param, "query", False) for param in EVENT_PARAMS),
            {"name": "Last-Event-ID", "in": "header", "required": False, "schema": shapes.TEXT,
             "description": "The id of the last event that arrived; `after` says the same."},
        ],
        "responses": {
            "200": {"description": "Events.", "content": {"text/event-stream": {"schema": shapes.TEXT}}},
            **_refusals(token),
        },
    }  # fmt: skip


def _itself(token: bool) -> dict[str, Any]:
    content = {"application/json": {"schema": shapes.OBJECT}}
    return {
        "operationId": "openapi",
        "summary": "This description.",
        "responses": {"200": {"description": "OpenAPI 3.1.", "content": content}, **_refusals(token)},
    }


def _refusals(token: bool) -> dict[str, Any]:
    told = REFUSALS | ({"401": "A token is required."} if token else {})
    schema = {"$ref": "#/components/schemas/Problem"}
    return {
        status: {"description": text, "content": {MEDIA_TYPE: {"schema": schema}}}
        for status, text in sorted(told.items())
    }


def _parameter(param: Param, place: str, required: bool) -> dict[str, Any]:
    return {
        "name": param.name, "in": place, "required": required, "description": param.text,
        "schema": dict(param.schema),
    }  # fmt: skip
