"""How rows look in JSON, and the schemas that say so, both read from the tables themselves."""

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any

import msgspec

from accountd.core.money import money_text
from accountd.store import tables
from accountd.store.types import Blob, Flag, Instant, Money, Whole
from accountd.web.params import write_time

Schema = dict[str, Any]
MONEY: Schema = {"type": "string", "pattern": r"^-?\d+(\.\d+)?$", "example": "0.00123000"}
TIME: Schema = {"type": "string", "format": "date-time", "example": "2026-11-23T08:00:00.123456Z"}
TEXT: Schema = {"type": "string"}
WHOLE: Schema = {"type": "integer"}
REAL: Schema = {"type": "number"}
FLAG: Schema = {"type": "boolean"}
OBJECT: Schema = {"type": "object", "additionalProperties": True}
ANYTHING: Schema = {}
# Text columns that hold JSON.
PARSED = {"findings": ("detail",), "outbox": ("body",), "conditions": ("data",)}


def nullable(schema: Schema) -> Schema:
    """Return the schema of a value that may be missing."""
    return {"anyOf": [schema, {"type": "null"}]}


def thing(**properties: Schema) -> Schema:
    """Return the schema of an object that has exactly these properties."""
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


def pages(row: Schema) -> Schema:
    """Return the schema of one page of rows."""
    return thing(data={"type": "array", "items": row}, next_cursor=nullable(TEXT))


def whole_list(row: Schema) -> Schema:
    """Return the schema of a list that is always told whole."""
    return thing(data={"type": "array", "items": row})


def row_schema(name: str, **more: Schema) -> Schema:
    """Return the schema of a row of a table, and of what is told with it; bytes are never told."""
    table = tables.metadata.tables[name]
    properties: dict[str, Schema] = {"account": TEXT} if "account_id" in table.c else {}
    for column in table.columns:
        if column.type is Blob:
            continue
        schema = OBJECT if column.name in PARSED.get(name, ()) else _of(column.type)
        properties[str(column.name)] = nullable(schema) if column.nullable else schema
    return thing(**properties, **more)


def _of(kind: Any) -> Schema:
    if isinstance(kind, Money):
        return MONEY
    if isinstance(kind, Instant):
        return TIME
    if isinstance(kind, Flag):
        return FLAG
    if kind is Whole:
        return WHOLE
    return TEXT if str(kind) == "TEXT" else ANYTHING


def row_json(name: str, row: Any, accounts: Mapping[str, str], **more: Any) -> dict[str, Any]:
    """Return a row of a table as JSON can hold it, with the name of its account."""
    parsed = PARSED.get(name, ())
    told: dict[str, Any] = {}
    if "account_id" in row:
        told["account"] = accounts.get(row["account_id"], row["account_id"])
    for column, value in row.items():
        if not isinstance(value, bytes | memoryview):
            told[str(column)] = loads(value) if column in parsed else plain(value)
    return told | more


def loads(text: Any) -> Any:
    """Read JSON that accountd wrote; numbers keep their digits as text."""
    found = msgspec.json.decode(text) if isinstance(text, str | bytes) else text
    return found if isinstance(found, dict) else {"value": found}


def plain(value: Any) -> Any:
    """Return what JSON can hold: decimals as their exact digits, times as ISO 8601 with Z."""
    if isinstance(value, Decimal):
        return money_text(value)
    if isinstance(value, datetime):
        return write_time(value)
    return value
