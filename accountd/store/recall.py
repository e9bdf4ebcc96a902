"""What the record holds of an account, read back for its beliefs."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec
from sqlalchemy import Connection

from accountd.core.beliefs import order_key
from accountd.core.changes import Held, Wanted
from accountd.core.told import Balance, Order, Position
from accountd.store import statements, tables
from accountd.store.rows import Reader


def load_small(connection: Connection, account_id: str) -> tuple[list[Balance], list[Position], list[Order]]:
    """Read all balances and positions of an account, and its open orders that are not missing."""
    dialect = connection.dialect.name
    read = Reader(dialect)

    def found(table: str, where: str = "") -> Iterable[Any]:
        return connection.exec_driver_sql(statements.of_account(dialect, table, where), (account_id,))

    return (
        [read.balance(row) for row in found("balances")],
        [read.position(row) for row in found("positions")],
        [read.order(row) for row in found("orders", tables.OPEN)],
    )


def load(connection: Connection, account_id: str, wanted: Wanted) -> Held:
    """Find what is held of the wanted keys, one statement a table; orders come with their events."""
    read = Reader(connection.dialect.name)
    keys: dict[str, tuple[set[Any], int]] = {
        "orders": (wanted.orders, 4), "fills": (wanted.fills, 3), "transfers": (wanted.transfers, 4),
    }  # fmt: skip
    found = _look_up(connection, account_id, keys)
    orders = [read.order(row) for row in found["orders"]]
    known = {order_key(order) for order in orders}  # an order that is not there has no events
    events = _look_up(connection, account_id, {"order_events": (known, 4)})["order_events"]
    return Held(
        orders=orders,
        order_events=[read.order_event(row) for row in events],
        fills=[read.fill(row) for row in found["fills"]],
        transfers=[read.transfer(row) for row in found["transfers"]],
    )


def _look_up(
    connection: Connection, account_id: str, keys: dict[str, tuple[set[Any], int]]
) -> dict[str, Iterable[Any]]:
    """Find rows of several tables by the first so many key columns after the account."""
    dialect = connection.dialect.name
    names = [name for name, (wanted, _) in keys.items() if wanted]
    questions = []
    for name in names:
        wanted, width = keys[name]
        text = msgspec.json.encode(list(wanted)).decode()
        if dialect == "postgresql":
            text = text.replace("\\u0000", "\\ufffd")  # as the rows are written
        questions.append((statements.look_up(dialect, name, width), (text, account_id)))
    found: dict[str, Iterable[Any]] = dict.fromkeys(keys, ())
    if dialect == "postgresql" and questions:
        found.update(zip(names, statements.together(connection, questions), strict=True))
    else:
        for name, (statement, values) in zip(names, questions, strict=True):
            found[name] = connection.exec_driver_sql(statement, values)
    return found
