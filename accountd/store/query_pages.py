"""One page of a table at a time, by keyset: as quick at row ten million as at row one."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType
from typing import Any

from sqlalchemy import Column, Connection, Table, bindparam, tuple_
from sqlalchemy.engine import RowMapping

from accountd.errors import QueryRefused
from accountd.store import tables
from accountd.store.query_filter import EVERYTHING, Filter, first_rows, order, resolved, sort_key, where
from accountd.store.types import Instant, time_text

# The tables that are read page by page, and the time that orders them; the key breaks ties.
PAGED: Mapping[str, tuple[Table, Column[Any]]] = MappingProxyType({
    "fills": (tables.fills, tables.fills.c.traded_at),
    "orders": (tables.orders, tables.orders.c.updated_at),
    "transfers": (tables.transfers, tables.transfers.c.occurred_at),
    "gaps": (tables.gaps, tables.gaps.c.from_time),
    "findings": (tables.findings, tables.findings.c.opened_at),
    "coverage": (tables.coverage, tables.coverage.c.from_time),
})  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """Some rows and the opaque cursor of the page after them; None: there is nothing more."""

    rows: list[RowMapping]
    next: str | None


def page(
    conn: Connection, table: str, f: Filter = EVERYTHING, *, after: str | None = None, size: int = 100
) -> Page:
    """Return the rows of a `PAGED` table that come after a cursor, newest first with ``f.newest``.

    The filter must be the same from page to page; its ``limit`` is not read. New rows do not shift a page.

    Raises:
        QueryRefused: the cursor is none that this table's page gave.
    """
    rows_of, at = PAGED[table]
    start = None if after is None else _read(after, rows_of, at)
    f = resolved(conn, rows_of, f)
    query, columns = where(rows_of, at, f), [at, *rows_of.primary_key]
    if start is not None:
        edge = bindparam(None, start[0], type_=at.type)
        here = tuple_(*columns)
        values = tuple_(*(bindparam(None, v, type_=c.type) for v, c in zip(start, columns, strict=True)))
        # The first condition says nothing new, but every planner can use it.
        query = query.where(*((at <= edge, here < values) if f.newest else (at >= edge, here > values)))
    found: Sequence[RowMapping]
    if f.account is None:
        found = first_rows(conn, rows_of, at, query, f, size + 1, None if start is None else start[0])
    else:
        found = conn.execute(query.order_by(*order(rows_of, at, f)).limit(size + 1)).mappings().all()
    key = sort_key(rows_of, at)
    rows = list(found[:size])
    return Page(rows=rows, next=_write(key(rows[-1])) if len(found) > size else None)


def _write(key: Any) -> str:
    told = json.dumps([time_text(v) if isinstance(v, datetime) else v for v in key], separators=(",", ":"))
    return base64.urlsafe_b64encode(told.encode()).decode().rstrip("=")


def _read(cursor: str, table: Table, at: Column[Any]) -> list[Any]:
    columns = [at, *table.primary_key]
    try:
        told = json.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
        if not isinstance(told, list) or len(told) != len(columns):
            raise ValueError
        return [_value(value, column) for value, column in zip(told, columns, strict=True)]
    except (ValueError, TypeError, binascii.Error, RecursionError):
        raise QueryRefused("cursor: not one that this list gave") from None


def _value(value: Any, column: Column[Any]) -> Any:
    if not isinstance(value, str) or "\0" in value:
        raise ValueError("keys are text")
    if not isinstance(column.type, Instant):
        return value
    moment = datetime.fromisoformat(value)
    if moment.tzinfo is None:
        raise ValueError("times are UTC")
    return moment
