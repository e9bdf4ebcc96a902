"""Both sides of the demo's verdict in the same words: the exchange's truth, and the record."""

from collections.abc import Callable, Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any

from accountd.cli.demo_verdict import Facts, Key, Ledger
from accountd.store import queries

Row = Mapping[Any, Any]


def of_exchange(truth: Row) -> Ledger:
    """Read what the exchange says happened: plain numbers as strings, times in ms."""
    orders: dict[Key, Facts] = {}
    for o in truth["orders"]:
        orders[("order", o["symbol"], str(o["order_id"]))] = _order(o, o["filled"])
    for a in truth["algo_orders"]:
        orders[("algo", a["symbol"], str(a["algo_id"]))] = {"status": a["status"]}
    return Ledger(
        fills=[((f["symbol"], str(f["trade_id"])), _their_fill(f)) for f in truth["fills"]],
        orders=orders,
        balances=_nonzero({asset: Decimal(total) for asset, total in truth["balances"].items()}, "total"),
        positions=_nonzero(
            {(p["symbol"], p["side"]): Decimal(p["quantity"]) for p in truth["positions"]}, "quantity"
        ),
        transfers={
            (i["type"].lower(), str(i["tran_id"]), i["asset"]): {
                "amount": Decimal(i["amount"]),
                "symbol": i["symbol"] or None,
                "at": i["time_ms"],
            }
            for i in truth["transfers"]
        },
    )


def of_record(connection: Any) -> Ledger:
    """Read what accountd holds."""
    everything = queries.Filter()
    orders: dict[Key, Facts] = {}
    for o in queries.orders(connection, everything):
        facts = _order(o, o["filled_quantity"]) if o["kind"] == "order" else {"status": o["status"]}
        orders[(o["kind"], o["symbol"], o["order_id"])] = facts
    return Ledger(
        fills=[((f["symbol"], f["trade_id"]), _our_fill(f)) for f in queries.fills(connection, everything)],
        orders=orders,
        balances=_nonzero(
            {b["asset"]: b["total"] for b in queries.balances(connection, everything)}, "total"
        ),
        positions=_nonzero(
            {
                (p["symbol"], p["position_side"]): p["quantity"]
                for p in queries.positions(connection, everything)
            },
            "quantity",
        ),
        transfers={
            (t["kind"], t["transfer_id"], t["asset"]): {
                "amount": t["amount"],
                "symbol": t["symbol"] or None,
                "at": milliseconds(t["occurred_at"]),
            }
            for t in queries.transfers(connection, everything)
        },
    )


def milliseconds(moment: datetime) -> int:
    """Return a moment as the venue writes it."""
    return round(moment.timestamp() * 1000)


def _order(row: Row, filled: Any) -> Facts:
    return {
        "status": row["status"],
        "side": row["side"],
        "quantity": Decimal(row["quantity"]),
        "filled": Decimal(filled),
    }


def _their_fill(row: Row) -> Facts:
    price, quantity = Decimal(row["price"]), Decimal(row["quantity"])
    return _fill(
        row, price, quantity, str(row["order_id"]), row["maker"], row["time_ms"], price * quantity, Decimal
    )


def _our_fill(row: Row) -> Facts:
    return _fill(
        row, row["price"], row["quantity"], row["order_id"], row["is_maker"], milliseconds(row["traded_at"]),
        row["quote_quantity"], lambda value: value,
    )  # fmt: skip


def _fill(
    row: Row, price: Decimal, quantity: Decimal, order_id: str, maker: bool, at: int, quote: Decimal,
    exactly: Callable[[Any], Any],
) -> Facts:  # fmt: skip
    return {
        "order": order_id,
        "side": row["side"],
        "position_side": row["position_side"],
        "price": price,
        "quantity": quantity,
        "quote": quote,
        "commission": exactly(row["commission"]),
        "commission_asset": row["commission_asset"],
        "realized_pnl": exactly(row["realized_pnl"]),
        "maker": maker,
        "at": at,
    }


def _nonzero(amounts: Mapping[Any, Decimal], name: str) -> dict[Key, Facts]:
    """Leave out what is zero: a flat position or an empty wallet may be a row on one side only."""
    return {key: {name: amount} for key, amount in amounts.items() if amount}
