"""One spot or margin request as an endpoint sees it: whose wallet, what is asked for, which windows."""

from bisect import bisect_right
from dataclasses import dataclass
from typing import TypeVar

from accountd.sim import refusals
from accountd.sim.clock import DAY_MS
from accountd.sim.model import Account
from accountd.sim.query import Parameters
from accountd.sim.spot_exchange import SpotExchange
from accountd.sim.spot_model import Holding, OrderList, SpotOrder, SpotSymbol, Wallet

T = TypeVar("T")


@dataclass
class SpotQuery(Parameters):
    """A request that passed all checks; `as_of_ms` is set when the answer must be stale."""

    exchange: SpotExchange
    account: Account
    as_of_ms: int | None = None

    @property
    def wallet(self) -> Wallet:
        """Return the account's spot wallet."""
        return self.exchange.wallet(self.account.name)

    @property
    def now(self) -> int:
        """Return the venue's time in ms."""
        return self.exchange.clock.now()

    @property
    def seen(self) -> int:
        """Return until when this request sees what happened, in ms."""
        return self.as_of_ms if self.as_of_ms is not None else self.now + DAY_MS

    def symbol(self) -> SpotSymbol | None:
        """Return the symbol asked for, None if absent; Refused -1121 if unknown."""
        name = self.params.get("symbol")
        if not name:
            return None
        if name not in self.exchange.symbols:
            raise refusals.invalid_symbol()
        return self.exchange.symbols[name]

    def the_symbol(self) -> str:
        """Return the name of the mandatory symbol; Refused -1102 or -1121."""
        symbol = self.symbol()
        if symbol is None:
            raise refusals.missing("symbol")
        return symbol.name

    def given(self, *names: str) -> set[str]:
        """Return which of some parameters the request has."""
        return {name for name in names if self.params.get(name)}

    def window(self, span_ms: int = DAY_MS) -> tuple[int, int] | None:
        """Return startTime and endTime, both inclusive, in ms; None if neither is given.

        An absent bound is open. Refused -1127 if the window is longer than `span_ms`.
        """
        start, end = self.number("startTime"), self.number("endTime")
        if start is None and end is None:
            return None
        if start is not None and end is not None:
            if end < start:
                raise refusals.bad_value("endTime")
            if end - start > span_ms:
                raise refusals.window_too_big(span_ms // 3_600_000)
        return start or 0, self.now + DAY_MS if end is None else end

    def cut(self, rows: list[T], limit: int) -> list[T]:
        """Cut ascending rows to a page: the oldest where the request says where to begin, else the newest."""
        begins = self.given("startTime", "fromId", "orderId", "fromAllocationId", "fromPreventedMatchId")
        return rows[:limit] if begins else rows[-limit:]

    def holdings(self, wallet: Wallet) -> dict[str, Holding]:
        """Return the balances of a wallet as this request sees them."""
        seen = {asset: versions.at(self.as_of_ms) for asset, versions in wallet.holdings.items()}
        return {asset: held for asset, held in seen.items() if held is not None}

    def orders(self, wallet: Wallet, symbol: str | None = None) -> list[SpotOrder]:
        """Return the orders of a wallet that this request sees, by symbol and number.

        Those cancelled, rejected or expired unfilled are archived after 90 days.
        """
        found = []
        for (name, _number), versions in sorted(wallet.orders.items()):
            order = versions.at(self.as_of_ms) if symbol in (None, name) else None
            if order is not None and not archived(order, self.now):
                found.append(order)
        return found

    def lists(self, wallet: Wallet) -> list[OrderList]:
        """Return the order lists of a wallet that this request sees."""
        seen = [versions.at(self.as_of_ms) for versions in wallet.lists.values()]
        return [listed for listed in seen if listed is not None]


def archived(order: SpotOrder, now_ms: int) -> bool:
    """Tell whether the venue has put an order away: 90 days after it ended unfilled."""
    ended = not order.open and not order.filled
    return ended and now_ms - order.updated_ms > 90 * DAY_MS


def until(rows: list[T], times: list[int], moment_ms: int) -> list[T]:
    """Return the rows of an ascending list whose times are not after a moment in ms."""
    return rows[: bisect_right(times, moment_ms)]
