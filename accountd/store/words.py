"""What every column of every table means: the source of Postgres's comments and of the reference."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Words:
    """A table in one sentence or two, its columns, and what else there is to say below them.

    A column that may be null says after "Null:" what that means, an amount says its unit. A column that is
    not among `columns` means what `COMMON` says.
    """

    about: str
    columns: dict[str, str] = field(default_factory=dict)
    after: str = ""


COMMON = {
    "account_id": "The account: its name in lower case.",
    "market": "spot, margin, isolated, usdm, coinm or options.",
    "symbol": "The instrument, as the venue writes it.",
    "asset": "The asset, as the venue writes it; on market isolated pair and asset, such as BTCUSDT:USDT.",
    "order_id": "The venue's number of the order, as text.",
    "trade_id": "The venue's number of the execution, as text; of a trade with oneself, the side "
    "told second has its side behind it (`7-SELL`).",
    "side": "BUY or SELL.",
    "position_side": "BOTH, or LONG and SHORT in hedge mode. Null: the market has no positions.",
    "source": "Who told it: stream or rest.",
    "journal_seq": "The row of `journal` that told it.",
    "n": "Counts from 1 within the rest of the key.",
    "received_at": "When this machine received it.",
    "opened_at": "When it was noticed, by this machine's clock.",
}
PRICE = "in quote for one unit of base"
