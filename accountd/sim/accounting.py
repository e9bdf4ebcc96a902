"""The arithmetic of a futures account: entry price, realised profit, margin, and their printed forms."""

from dataclasses import replace
from decimal import ROUND_DOWN, Decimal

from accountd.sim.model import CENTI_SAT, ZERO, Account, Fill, Order, Position, Symbol

MAINTENANCE = Decimal("0.0065")
ENTRY_STEP = Decimal("0.00000000001")


def sign(side: str) -> int:
    """Return 1 for BUY and -1 for SELL."""
    return 1 if side == "BUY" else -1


def booked(amount: Decimal) -> Decimal:
    """Cut an amount to the 8 places in which the venue keeps money."""
    return amount.quantize(CENTI_SAT, rounding=ROUND_DOWN)


def money(amount: Decimal) -> str:
    """Print an amount with 8 places."""
    return f"{amount.quantize(CENTI_SAT):f}"


def places(value: Decimal, digits: int) -> str:
    """Print a value with a fixed number of places."""
    return f"{value.quantize(Decimal(1).scaleb(-digits)):f}"


def plain(value: Decimal) -> str:
    """Print a value without trailing zeros or exponent."""
    text = f"{value:f}"
    return (text.rstrip("0").rstrip(".") if "." in text else text) or "0"


def price_text(value: Decimal, symbol: Symbol) -> str:
    """Print a price as orders and fills carry it; zero is "0"."""
    return places(value, symbol.price_places) if value else "0"


def average_text(value: Decimal, symbol: Symbol) -> str:
    """Print an average price, at least 5 places as the venue does."""
    return places(value, max(5, symbol.price_places))


def quantity_text(value: Decimal, symbol: Symbol) -> str:
    """Print a quantity; zero is "0"."""
    return places(value, symbol.quantity_places) if value else "0"


def average_price(order: Order) -> Decimal:
    """Return the average fill price in quote, 0 without fills."""
    return order.quote / order.filled if order.filled else ZERO


def settle(position: Position, fill: Fill) -> tuple[Position, Decimal]:
    """Apply a fill; return the new position and the profit realised, in quote, before fees.

    The fill's own `realized_pnl` is not read. A fill larger than the position turns it around.
    """
    change = fill.quantity * sign(fill.side)
    before, after = position.quantity, position.quantity + change
    closing = min(abs(before), abs(change)) if before * change < 0 else ZERO
    direction = 1 if before > 0 else -1
    profit = booked(closing * (fill.price - position.entry) * direction)
    if not closing:
        cost = position.entry * abs(before) + fill.price * abs(change)
        entry = (cost / abs(after)).quantize(ENTRY_STEP)
    elif abs(change) > abs(before):
        entry = fill.price
    else:
        entry = position.entry if after else ZERO
    turned = bool(closing) and abs(change) >= abs(before)
    fee = fill.commission if fill.commission_asset != "BNB" else ZERO
    realized = ZERO if not closing and not before else position.realized + profit
    moved = replace(
        position,
        quantity=after,
        entry=entry,
        fees=ZERO if not after else (fee if turned or not before else position.fees + fee),
        realized=realized,
        updated_ms=fill.time_ms,
    )
    return moved, profit


def break_even(position: Position) -> Decimal:
    """Return the price at which the position covers its fees, in quote; 0 when flat."""
    if not position.quantity:
        return ZERO
    return position.entry + position.fees / position.quantity


def unrealized(position: Position, mark: Decimal) -> Decimal:
    """Return the open profit at a mark price, in quote."""
    return position.quantity * (mark - position.entry)


def initial_margin(account: Account, symbol: str, notional: Decimal) -> Decimal:
    """Return the margin that a notional binds at the account's leverage."""
    return abs(notional) / account.leverage.get(symbol, 20)


def maintenance_margin(notional: Decimal) -> Decimal:
    """Return the maintenance margin of a notional, one flat rate."""
    return abs(notional) * MAINTENANCE
