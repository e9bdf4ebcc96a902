"""The options by which commands choose rows, and what they mean together."""

from collections.abc import Collection
from datetime import UTC, datetime
from typing import Annotated

import typer

from accountd.cli import moments
from accountd.errors import SettingsError
from accountd.settings_rules import MARKETS, SIDES
from accountd.store import queries

Account = Annotated[str | None, typer.Option("--account", "-a", help="Only this account.")]
Market = Annotated[str | None, typer.Option("--market", "-m", help="Only this market: usdm, spot ...")]
Symbol = Annotated[str | None, typer.Option("--symbol", "-s", help="Only this symbol, or asset.")]
Side = Annotated[str | None, typer.Option("--side", help="Only BUY or only SELL.")]
Status = Annotated[str | None, typer.Option("--status", help="Only orders in this state.")]
Kind = Annotated[str | None, typer.Option("--kind", help="Only this kind.")]
Order = Annotated[str | None, typer.Option("--order", "-o", help="Only the order of this id.")]
Client = Annotated[str | None, typer.Option("--client-id", help="Only the order of this client order id.")]
Since = Annotated[
    str | None,
    typer.Option("--since", help="From then on: 2026-11-01, 2h, '2 days ago', yesterday, 'last month'."),
]
Until = Annotated[str | None, typer.Option("--until", help="Before then; same words.")]
During = Annotated[
    str | None, typer.Option("--during", help="In that time: yesterday, 2026-11, 2026-Q3, 'last month'.")
]
Limit = Annotated[int | None, typer.Option("--limit", "-n", min=1, help="The newest N rows.")]
AsJson = Annotated[bool, typer.Option("--json", help="One array of objects, every column and row.")]
AsCsv = Annotated[bool, typer.Option("--csv", help="Comma-separated, every column and row.")]


def _one_of(name: str, word: str, words: Collection[str]) -> str:
    if word not in words:
        raise SettingsError(f"{name}: {word!r} is none of {', '.join(words)}")
    return word


def wanted(
    *, account: str | None = None, market: str | None = None, symbol: str | None = None,
    side: str | None = None, status: str | None = None, kind: str | None = None, order: str | None = None,
    client: str | None = None, since: str | None = None, until: str | None = None, during: str | None = None,
    limit: int | None = None, newest: bool = False,
) -> queries.Filter:  # fmt: skip
    """Return which rows the options mean, in any case of letters.

    Raises:
        SettingsError: a time cannot be read, --during comes with another, or a word is none that there is.
    """
    now = datetime.now(UTC)
    if during is not None and (since is not None or until is not None):
        raise SettingsError("--during says both --since and --until")
    begin, end = moments.stretch("--during", during, now)
    return queries.Filter(
        account=account.lower() if account else None,
        market=_one_of("--market", market.lower(), MARKETS) if market else None,
        symbol=symbol.upper() if symbol else None,
        side=_one_of("--side", side.upper(), SIDES) if side else None,
        status=status.upper() if status else None,
        kind=kind.lower() if kind else None,
        order_id=order or None,
        client_order_id=client or None,
        since=begin or moments.read("--since", since, now),
        until=end or moments.read("--until", until, now),
        limit=limit,
        newest=newest,
    )
