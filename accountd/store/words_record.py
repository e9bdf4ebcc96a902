"""What every column of the record of trading means."""

from __future__ import annotations

from accountd.store.words import PRICE, Words

_ORDER_AMOUNTS = {
    "price": f"The limit, {PRICE}; 0 for an order without one. Null: not told.",
    "quantity": "What was ordered, in base (contracts on coinm). Null: not told.",
    "filled_quantity": "How much of it is filled, in base (contracts on coinm). Null: not told.",
}
_BALANCE = {
    "free": "What can be used, in units of the asset. Null: the latest telling does not say (futures).",
    "locked": "total − free, in units of the asset. Null: free is not told.",
    "total": "Everything, in units of the asset; on futures the wallet balance, without unrealised profit.",
    "reason": "Why it changed, in the venue's word: ORDER, FUNDING_FEE, DEPOSIT ... Null: REST told it, "
              "which gives no reason.",
    "updated_at": "When it was so, by the venue's clock.",
    "source": "Whose telling it is: stream or rest.",
}  # fmt: skip
_POSITION = {
    "position_side": "BOTH, or LONG and SHORT in hedge mode.",
    "quantity": "In base (contracts on coinm); short is negative, 0 is closed. Null: not told.",
    "entry_price": f"The average price of entry, {PRICE}. Null: not told.",
    "break_even_price": f"The price that covers the fees as well, {PRICE}. Null: not told.",
    "unrealized_pnl": "Open profit in the margin asset, as old as the row. Null: not told.",
    "margin_type": "CROSS or ISOLATED. Null: not told.",
    "leverage": "A factor, without a unit. Null: not told.",
    "reason": "Why it changed, in the venue's word. Null: REST told it, which gives no reason.",
    "updated_at": "When it was so, by the venue's clock.",
    "source": "Whose telling it is: stream or rest.",
}

RECORD = {
    "accounts": Words("One row an account.", {
        "name": "As the settings name it, in lower case.",
        "venue": "The venue of the settings, such as binance-usdm.",
        "environment": "live, testnet or demo.",
        "created_at": "The first start; what happened before it does not ring.",
    }),
    "heads": Words("The end of each account's journal: sequencer, fence and chain head.", {
        "seq": "The last row of the journal.",
        "epoch": "Grows with every start; a process of an older epoch may not write.",
        "head": "The hash of the chain up to `seq`.",
    }),
    "journal": Words("Everything told that mattered, append-only: every frame, and every REST page that "
                     "changed something.", {
        "seq": "Dense from 1 for each account.",
        "source": "stream, rest or local.",
        "kind": "The event's or the page's name.",
        "event_time": "When it happened, by the venue's clock. Null: not told.",
        "session_id": "The stream's session. Null: no session was open.",
        "raw": "The bytes as received, uncompressed, a listen key replaced by `<listenKey>`. Null: pruned.",
        "salt": "What keeps a pruned row's bytes from being guessed.",
        "digest": "The hash of salt and raw bytes.",
        "head": "The hash of this row and of the chain before it.",
        "live_since": "Since when the stream was LIVE when a REST page came. Null: it was not, or no page.",
        "loaded_seq": "After which row beliefs were read from the record. Null: none were.",
    }),
    "checkpoints": Words("Signed notes about how long a journal is and what it holds, append-only.", {
        "size": "How many journal rows it covers.",
        "root": "The Merkle root over these rows.",
        "head": "The head of the chain at the last of them.",
        "note": "The signed text, as it is published.",
        "frontier": "The hashes from which the tree grows on.",
        "created_at": "When it was signed, by this machine's clock.",
    }),
    "orders": Words("Each order in its latest state.", {
        "kind": "order or algo, whose numbers overlap; exercise on options.",
        "client_order_id": "The id that the trader's program gave. Null: not told.",
        "side": "BUY or SELL. Null: not told.",
        "type": "LIMIT, MARKET, STOP_MARKET ..., in the venue's word. Null: not told.",
        "time_in_force": "GTC, IOC, FOK, GTX ... Null: not told.",
        "status": "NEW, PARTIALLY_FILLED, FILLED, CANCELED, REJECTED, EXPIRED, EXPIRED_IN_MATCH, or the "
                  "venue's own word as told.",
        "stop_price": f"The trigger price, {PRICE}; 0 for an order without one. Null: not told.",
        "average_price": f"Of what is filled, {PRICE}; 0 without a fill. Null: not told.",
        "filled_quote": "What the filled quantity cost, in quote. Null: not told.",
        "reduce_only": "Whether it may only shrink a position. Null: not told.",
        "created_at": "When it was placed, by the venue's clock. Null: not told.",
        "updated_at": "When it last changed, by the venue's clock.",
        "source": "Whose telling the latest state is: stream or rest.",
        "actual_order_id": "Of an algo order: the plain order that it placed. Null: none.",
        "reason": "Why it expired or was rejected, in the venue's word. Null: no reason told.",
        "missing_since": "Since when the venue no longer shows it though it was open; `status` is the last "
                         "one told. Null: nothing is wrong.",
        "events": "How many rows it has in `order_events`.",
    } | _ORDER_AMOUNTS),
    "order_events": Words("What happened to each order, append-only.", {
        "kind": "order or algo.",
        "n": "Counts from 1 within the order.",
        "execution_type": "NEW, TRADE, CANCELED, AMENDMENT ..., in the venue's word. Null: REST told it.",
        "status": "The order's status after it. Empty: a history that does not tell it.",
        "event_time": "When it happened, by the venue's clock.",
    } | _ORDER_AMOUNTS),
    "fills": Words("Each execution, once, append-only. A row has bytes of the venue behind it.", {
        "client_order_id": "The order's client id. Null: no telling named it yet.",
        "price": f"{PRICE.capitalize()}.",
        "quantity": "In base (contracts on coinm), always positive.",
        "quote_quantity": "In quote, always positive: as told where the venue tells it (spot), else "
                          "price × quantity exactly.",
        "commission": "In `commission_asset`; positive is paid, negative is a rebate. Null: not told.",
        "commission_asset": "What the commission was paid in. Null: not told.",
        "realized_pnl": "Profit realised by it, in the margin asset, before fees. Null: spot.",
        "is_maker": "Whether the order rested in the book. Null: not told.",
        "traded_at": "By the venue's clock.",
        "committed_at": "When this machine had it safely on disk.",
        "source": "Who told it first: stream or rest.",
    }),
    "balances": Words("Each asset as last told.",
                      _BALANCE | {"n": "The row of `balance_history` that this is."}),
    "balance_history": Words("Every state that a balance has had, append-only.", _BALANCE),
    "positions": Words("Each position as last told; quantity 0 when closed, one row a side in hedge mode.",
                       _POSITION | {"n": "The row of `position_history` that this is."}),
    "position_history": Words("Every state that a position has had, append-only.", _POSITION),
    "transfers": Words("Each movement of money, from REST history.", {
        "kind": "The venue's income type in lower case (`funding_fee`, `commission`, `realized_pnl`, "
                "`transfer`, `insurance_clear` ...), or `deposit`, `withdrawal`, `withdrawal_fee`, "
                "`dividend`, `interest`, `borrow`, `repay`, `liquidation_fee`, `dust`.",
        "transfer_id": "The venue's number of the movement, as text.",
        "amount": "Signed, in units of the asset: positive came in.",
        "symbol": "The instrument that it belongs to. Null: none.",
        "occurred_at": "By the venue's clock.",
        "trade_id": "The execution that it belongs to. Null: none.",
        "info": "The venue's remark. Null: none.",
    }),
}  # fmt: skip
