"""Why an order did or did not fill, in sentences that the record proves."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any

from accountd.core.money import money_text
from accountd.web.render import seconds

Row = Any
NO_REASONS = ("", "NONE", "none")


def sentences(order: Row, steps: Sequence[Row], now: datetime, nearest: Row | None = None) -> list[str]:
    """Return what happened to an order, most important first.

    `order` is its row, `steps` its timeline, oldest first; `nearest` the recorded price (`at`, `word`,
    `price`) that came nearest to it while it stood. Only what was told is said.
    """
    return list(_told(order, steps, now, nearest))


def _told(order: Row, steps: Sequence[Row], now: datetime, nearest: Row | None) -> Iterator[str]:
    filled, wanted = order["filled_quantity"] or Decimal(0), order["quantity"] or Decimal(0)
    began = order["created_at"] or (steps[0]["at"] if steps else None)
    ended = order["updated_at"]
    lived = seconds((ended - began).total_seconds()) if began and ended >= began else None
    yield _ending(order, filled, wanted, lived, began, now)
    if order["reason"] not in (None, *NO_REASONS):
        yield f"The venue gives the reason {order['reason']}."
    if order["missing_since"] is not None:
        yield (
            "The venue no longer shows this order; its last told state is kept. Orders that were cancelled "
            "unfilled disappear there after some days."
        )
    yield from _limits(order, filled, nearest)
    if order["kind"] == "algo":
        placed = order["actual_order_id"]
        yield (
            f"It fired and placed order {placed}."
            if placed not in (None, "", "0")
            else f"It waits for a price{_at(order['stop_price'])} and has not placed an order."
            if order["status"] == "NEW"
            else "It never fired: its condition was not met while it waited."
        )
    late = [step for step in steps if step["what"] == "fill" and step["source"] == "rest"]
    if late:
        yield f"{_count(len(late), 'fill')} reached the record through REST history, not through the stream."


def _ending(order: Row, filled: Decimal, wanted: Decimal, lived: str | None, began: datetime | None,
            now: datetime) -> str:  # fmt: skip
    part = f"{money_text(filled)} of {money_text(wanted)}" if wanted else money_text(filled)
    after = f" after {lived}" if lived else ""
    status = order["status"]
    if status == "FILLED":
        return f"Filled completely{after}{_at(order['average_price'], ' at an average of ')}."
    if status == "CANCELED":
        return f"Cancelled{after} with {part} filled." if filled else f"Cancelled{after}; nothing had filled."
    if status == "REJECTED":
        return "Refused by the venue; it never stood in the book."
    if status in ("EXPIRED", "EXPIRED_IN_MATCH"):
        return f"Ended by the venue{after} with {part} filled: {_expiry(order)}."
    if status in ("NEW", "PARTIALLY_FILLED"):
        waiting = f" for {seconds((now - began).total_seconds())}" if began else ""
        return f"Still open{waiting}; {part} filled."
    return f"Last told state: {status}, {part} filled."


def _expiry(order: Row) -> str:
    if order["status"] == "EXPIRED_IN_MATCH":
        return "it would have traded with an order of the same account"
    return {
        "IOC": "what could not trade at once is not kept (IOC)",
        "FOK": "it could not trade whole at once (FOK)",
        "GTX": "it would have taken liquidity, which a post-only order must not (GTX)",
        "GTD": "its time was up (GTD)",
    }.get(order["time_in_force"] or "", "its terms could not be met any more")


def _limits(order: Row, filled: Decimal, nearest: Row | None) -> Iterator[str]:
    """Say at which price it could have traded."""
    if filled or order["type"] not in ("LIMIT", "LIMIT_MAKER", "STOP", "TAKE_PROFIT") or not order["price"]:
        return
    side, price = order["side"], money_text(order["price"])
    if side in ("BUY", "SELL"):
        way = "at or below" if side == "BUY" else "at or above"
        yield f"It could only trade {way} {price}."
        if nearest is not None:
            end = "lowest" if side == "BUY" else "highest"
            met = nearest["price"] <= order["price"] if side == "BUY" else nearest["price"] >= order["price"]
            yield (
                f"While it stood the {end} recorded {nearest['word']} was {money_text(nearest['price'])}, "
                f"at {nearest['at']:%Y-%m-%d %H:%M:%S} UTC: "
                + ("its price was reached; those ahead of it in the book trade first." if met
                   else "its price was never reached there.")
            )  # fmt: skip


def _at(price: Decimal | None, words: str = " at ") -> str:
    return f"{words}{money_text(price)}" if price else ""


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
