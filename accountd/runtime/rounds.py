"""One sweep as it goes: the ground it covers, what it saw, what it could not prove, how far it reaches."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from accountd.core.beliefs import order_key
from accountd.core.changes import OrderKey, other_side
from accountd.core.told import ALGO_ORDERS, ORDERS, Balance, Fill, Order, Position, Snapshot, Transfer
from accountd.runtime.budget import Priority
from accountd.venues.base import Page, Section, Swept, SymbolInfo, Window

Cursors = dict[tuple[str, str, str], tuple[datetime, datetime]]
Step = Callable[[str, int, int], None]
FEW = 24  # a market with no more symbols than this is swept whole, every time
ONE_BY_ONE = 8  # ... and in one with no more than this, each question costs less by symbol
BY_ID = {"fromId", "orderId", "algoId"}
BY_TIME = {"startTime", "endTime", "startTimestamp", "endTimestamp", "beginTime"}


class Ground:
    """One market of an account, and what is known about sweeping it.

    ``orders_whole`` says whether the venue lists all orders without a symbol; None = not tried yet.
    """

    def __init__(self, section: Section, symbols: Mapping[str, SymbolInfo]) -> None:
        self.section = section
        self.market = section.market
        self.symbols = symbols
        self.orders_whole: bool | None = None
        self._queue: list[str] = []

    def has(self, dataset: str) -> bool:
        """Say whether the market has such a dataset at all."""
        return dataset in self.section.retention

    @property
    def is_small(self) -> bool:
        """Say whether there are so few symbols that all are read, every time."""
        return len(self.symbols) <= FEW

    @property
    def is_tiny(self) -> bool:
        """Say whether there are so few symbols that asking for each is cheaper than for all at once."""
        return 0 < len(self.symbols) <= ONE_BY_ONE

    def sweepable(self) -> set[str]:
        """Return every symbol that may have a history at all."""
        return {name for name, info in self.symbols.items() if self.section.rank(info, ()) is not None}

    def likely(self, assets: set[str]) -> set[str]:
        """Return the symbols that ``assets``, held or moved, point to."""
        if not assets:
            return set()
        return {name for name, info in self.symbols.items() if self.section.rank(info, assets) == 0}

    def explore(self, count: int, assets: set[str]) -> list[str]:
        """Return the next symbols that nothing points to, the likelier first, round and round."""
        if not self._queue:
            ranked = ((self.section.rank(info, assets), name) for name, info in self.symbols.items())
            self._queue = [name for _, name in sorted((r, name) for r, name in ranked if r)]
        taken, self._queue = self._queue[:count], self._queue[count:]
        return taken


@dataclass(slots=True)
class Read:
    """One dataset of one symbol (empty: of all) as a sweep read it: since when, and by what."""

    start: datetime
    calls: int = 0
    rows: int = 0
    requests: set[str] = field(default_factory=set)
    asked_by: set[str] = field(default_factory=set)

    def note(self, page: Page) -> None:
        """Count a page."""
        self.calls += 1
        self.rows += len(page.told)
        self.requests.add(page.call.kind)
        names = {name for name, _ in page.call.params}
        self.asked_by.add("id" if names & BY_ID else "time" if names & BY_TIME else "snapshot")

    def add(self, other: Read) -> None:
        """Count what another read saw as well."""
        self.calls += other.calls
        self.rows += other.rows
        self.requests |= other.requests
        self.asked_by |= other.asked_by


@dataclass(slots=True)
class Round:
    """One sweep: what it saw, what it could not prove, how much was new."""

    now: datetime  # venue time at its start
    proven: datetime  # what it proves up to: replicas may lag by the settle time
    priority: Priority
    margin: timedelta  # how far before each cursor it reads again
    symbols: defaultdict[str, set[str]] = field(default_factory=lambda: defaultdict(set))  # by market
    assets: defaultdict[str, set[str]] = field(default_factory=lambda: defaultdict(set))  # held or moved
    shown: set[OrderKey] = field(default_factory=set)  # open orders that the venue showed
    unproven: dict[tuple[str, str], list[Window]] = field(default_factory=dict)  # by market and dataset
    orders_whole: set[str] = field(default_factory=set)  # markets whose orders were read without a symbol
    reads: dict[tuple[str, str, str], Read] = field(default_factory=dict)  # by market, dataset, symbol
    held: dict[str, set[str]] = field(default_factory=dict)  # symbols with open orders, where that is known
    opened: set[str] = field(default_factory=set)  # markets whose open orders were asked for
    known: dict[str, dict[str, datetime]] = field(default_factory=dict)  # symbols, when they moved last
    visited: set[tuple[Ground, str]] = field(default_factory=set)  # symbols that had their turn
    refused: set[tuple[str, str, str]] = field(default_factory=set)  # ... that the venue would not answer
    snapshot: Read | None = None
    postponed: bool = False  # movements of money waited for weight
    fills: defaultdict[tuple[str, str], set[str]] = field(default_factory=lambda: defaultdict(set))
    paid: dict[tuple[str, str], set[str]] = field(default_factory=dict)  # trades that the income names
    cost: Counter[str] = field(default_factory=Counter)  # weight by pool

    def note(self, page: Page) -> None:
        """Take what a page shows, and what it cost."""
        if not page.call.now:  # what never waits holds nothing up
            self.cost[page.call.pool] += page.call.weight
        for told in page.told:
            self._note(told)

    def _note(self, told: object) -> None:
        if isinstance(told, Snapshot) and told.dataset in (ORDERS, ALGO_ORDERS):
            kind = "order" if told.dataset == ORDERS else "algo"
            self.shown |= {(told.market, symbol, kind, name) for symbol, name in told.keys}
        elif isinstance(told, Order):
            self.symbols[told.market].add(told.symbol)
            self.shown.add(order_key(told))
        elif isinstance(told, Fill):
            names = (told.trade_id, other_side(told.trade_id, told.side))
            self.fills[told.market, told.symbol].update(names)
        elif isinstance(told, Position):
            if told.quantity:
                self.symbols[told.market].add(told.symbol)
        elif isinstance(told, Balance):
            if told.total:
                self.assets[told.market].add(told.asset)
        elif isinstance(told, Transfer):
            self.assets[told.market].add(told.asset)
            if told.symbol:
                self.symbols[told.market].add(told.symbol)
            if told.symbol and told.trade_id and told.kind == "commission":
                self.paid.setdefault((told.market, told.symbol), set()).add(told.trade_id)

    def read(self, market: str, dataset: str, symbol: str, start: datetime) -> Read:
        """Begin to read a dataset from ``start`` on."""
        return self.reads.setdefault((market, dataset, symbol), Read(start))

    def took(self, market: str, dataset: str, swept: Swept) -> None:
        """Take what a history flow saw and what it could not read."""
        self.symbols[market] |= swept.symbols
        if swept.unproven:
            self.unproven.setdefault((market, dataset), []).extend(swept.unproven)

    def fill_names(self) -> set[str]:
        """Name the fills that the venue showed, as findings name them."""
        return {":".join(("fill", *key, one)) for key, ids in self.fills.items() for one in ids}

    def order_names(self) -> set[str]:
        """Name the orders that the venue showed, as findings name them."""
        return {":".join(("order", *key)) for key in self.shown}


def weights(pages: Iterable[Page]) -> Counter[str]:
    """Return what pages cost, by pool."""
    cost: Counter[str] = Counter()
    for page in pages:
        cost[page.call.pool] += page.call.weight
    return cost
