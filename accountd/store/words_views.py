"""What every view shows; a column that it takes over from a table means what it means there."""

from __future__ import annotations

from accountd.store.words import PRICE, Words

# Whose words a view takes over, besides those of COMMON.
BASES: dict[str, tuple[str, ...]] = {
    "fills_numeric": ("fills",), "fill_values": ("fills",), "open_orders": ("orders",),
    "order_timeline": ("order_events", "fills"), "balances_at": ("balance_history",),
    "positions_at": ("position_history",), "positions_now": ("positions",), "unproven": ("gaps",),
    "alert_latency": ("outbox",), "fill_latency": ("outbox", "fills"), "fill_quality": ("fills", "prices"),
}  # fmt: skip
_FROM = "From when on it was so, by the venue's clock."
_TO = "Until when. Null: it is the latest."
_MS = {
    "traded_to_received_ms": "From the venue's time of the trade to its receipt, in milliseconds.",
    "event_to_received_ms": "From the venue's time of the event to its receipt, in milliseconds. Null: no "
                            "time was told.",
    "received_to_committed_ms": "From receipt to disk, in milliseconds. Null: not known.",
    "committed_to_attempt_ms": "From disk to the first attempt, in milliseconds. Null: not tried yet.",
    "attempt_to_delivered_ms": "From the first attempt to delivery, in milliseconds. Null: not delivered.",
    "received_to_delivered_ms": "From receipt to delivery, in milliseconds. Null: not delivered.",
    "first_attempt_at": "When it was first tried. Null: not yet.",
}  # fmt: skip
_MARKED = f"The mark price, {PRICE}. Null: none is known of that time."

VIEWS = {
    "fills_numeric": Words("Fills with floating-point numbers, to sort and plot; sums belong on `fills`."),
    "fill_values": Words("Each fill with the asset that its profit is in and the price of its fee.", {
        "pnl_asset": "The asset of profit: the symbol's quote, or the coin of an inverse contract. Null: "
                     "the symbol does not end in an asset known here.",
        "fee_price": "The price of one unit of `commission_asset` in `pnl_asset`: 1 for the same asset, the "
                     "fill's own price for the base asset, else the mark price (or best bid) that was known "
                     "within the five minutes before. Null: not known.",
    }),
    "daily_pnl": Words(
        "Profit by day and symbol. Exact on Postgres; on SQLite its sums are floating-point, and `accountd "
        "pnl` is exact.", {
            "day": "The day in UTC, as text: 2026-11-23.",
            "symbol": "The instrument; empty for funding that names none.",
            "realized_pnl": "Profit realised by fills before fees, in `pnl_asset`. Null: no fill, or spot.",
            "commission": "Fees by asset (JSON), positive is paid. Null: none.",
            "funding": "Funding received, in the margin asset; negative is paid. Null: none.",
            "pnl_asset": "The asset of profit. Null: no fill.",
            "commission_valued": "The fees that have a price in `pnl_asset`, in that. Null: none.",
            "commission_unvalued": "The other fees by asset (JSON). Null: none.",
            "net": "realized_pnl + funding − commission_valued, in `pnl_asset`.",
            "fills": "How many.",
        }),
    "open_orders": Words("Orders that are not over and that the venue still shows."),
    "order_timeline": Words(
        "The whole life of an order in the order of time: its events, its fills, and those of the plain "
        "order that an algo order placed (or of the algo order that placed it).", {
            "kind": "order or algo.",
            "at": "When, by the venue's clock.",
            "what": "event, fill, missing (the venue no longer shows it), linked event, linked fill.",
            "n": "The number of the event. Null: no event.",
            "status": "The status after it. Null: a fill.",
            "price": f"The order's limit, or the fill's price, {PRICE}. Null: not told.",
            "quantity": "What was ordered, or what was filled, in base. Null: not told.",
            "trade_id": "The execution. Null: no fill.",
            "reason": "Why it ended, in the venue's word, at the last event. Null: none told.",
            "linked_kind": "Of a linked row: whose it is, order or algo. Null: the order's own.",
            "linked_order_id": "Of a linked row: whose it is. Null: the order's own.",
        }),
    "positions_now": Words("Open positions, with their worth at the last known mark price.", {
        "mark": _MARKED,
        "priced_at": "When that price was told. Null: none is known.",
        "notional": "quantity × mark, in quote. Null: no price, or an inverse contract.",
        "mark_pnl": "Open profit at the mark price, in quote. Null: no price, or an inverse contract.",
    }),
    "balances_at": Words(
        "Each balance with the time in which it held: at a moment T the row with `valid_from <= T` and "
        "`valid_to > T` or null.", {"valid_from": _FROM, "valid_to": _TO}),
    "positions_at": Words("Each position with the time in which it held, as `balances_at`.",
                          {"valid_from": _FROM, "valid_to": _TO}),
    "equity_curve": Words(
        "Each balance after every change, and what the positions of that moment were worth.", {
            "at": "When, by the venue's clock.",
            "n": "The row of `balance_history`.",
            "total": "The wallet balance, in units of the asset; exact.",
            "reason": "Why it changed, in the venue's word. Null: REST told it.",
            "unrealized_pnl": "Open profit at the mark prices known within the five minutes before, in units "
                              "of the asset. Null: a price was not known.",
            "equity": "total + unrealized_pnl, in units of the asset. Null: a price was not known.",
        }),
    "fill_quality": Words(
        "Each fill against its order's limit, and against the market as known within the minute before.", {
            "order_type": "The order's type. Null: the order is not known.",
            "limit_price": f"The order's limit at the time, {PRICE}. Null: it had none, or is not known.",
            "priced_at": "When the market was so. Null: not known.",
            "better_than_limit": f"How much better than the limit, {PRICE}; negative is worse. Null: it had "
                                 "none.",
            "slippage": "How much worse than the mid price, or the mark price where no bid and ask are "
                        f"known, {PRICE}; negative is better. Null: not known.",
            "slippage_bps": "The same in hundredths of a percent. Null: not known.",
        }),
    "unproven": Words("Every stretch of time of which completeness is not proven.", {
        "symbol": "Empty: all symbols.",
        "to_time": "Where it ends. Null: now.",
    }),
    "alert_latency": Words("For each event alert, how long each stage took, from the outbox alone.", _MS),
    "fill_latency": Words("For each fill and hook, how long each stage took.", _MS),
}  # fmt: skip
