"""What is folded again from the journal is what was folded first, however tellings fell into batches."""

import random
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import msgspec
import pytest

from accountd.core import local
from accountd.core.beliefs import Beliefs
from accountd.core.changes import finding_name
from accountd.core.fold import Fold
from accountd.core.journal import GENESIS
from accountd.core.refold import Refold
from accountd.core.told import Balance, Fill, Order, Position, Snapshot, SymbolConfig, Telling, Transfer

T0 = datetime(2026, 11, 1, tzinfo=UTC)
TABLES = ("orders", "order_events", "fills", "fill_client_ids", "fill_corrections", "balances",
          "balance_history", "positions", "position_history", "transfers")  # fmt: skip


def at(second):
    """Return a moment."""
    return T0 + timedelta(seconds=second)


def something(chance, n):
    """Tell something at random; times go forth and back, as they do."""
    when, number = at(n + chance.randint(-4, 2)), str(chance.randint(1, 4))
    amount = Decimal(chance.randint(1, 3))
    kind = chance.randint(1, 8)
    if kind == 1:
        return [Balance(market="usdm", asset="USDT", total=amount, as_of=when, seen_at=when)]
    if kind == 2:
        return [Position(market="usdm", symbol="S", position_side="BOTH", as_of=when, quantity=amount)]
    if kind == 3:
        return [SymbolConfig(market="usdm", symbol="S", as_of=when, leverage=amount)]
    if kind == 4:
        status = chance.choice(("NEW", "PARTIALLY_FILLED", "FILLED", "CANCELED"))
        name = chance.choice((None, f"c{number}"))
        return [Order(market="usdm", symbol="S", kind="order", order_id=number, status=status, price=amount,
                      updated_at=when, client_order_id=name, filled_quantity=amount)]  # fmt: skip
    if kind == 5:
        return [Fill(market="usdm", symbol="S", trade_id=str(n), order_id=number, side="BUY", price=amount,
                     quantity=amount, quote_quantity=amount, traded_at=when)]  # fmt: skip
    if kind == 6:  # in two ways, now and then
        return [Fill(market="usdm", symbol="T", trade_id=number, order_id="9", side="BUY", price=amount,
                     quantity=amount, quote_quantity=amount, traded_at=T0)]  # fmt: skip
    if kind == 7:
        return [Transfer(market="usdm", kind="transfer", transfer_id=number, asset="USDT", amount=amount,
                         occurred_at=T0)]  # fmt: skip
    keys = frozenset({("S", "BOTH")} if chance.random() < 0.5 else ())
    return [Snapshot(market="usdm", dataset="positions", as_of=when, keys=keys)]


def tellings(seed, count):
    """Return tellings of a stream and of REST, both with several things in each."""
    chance = random.Random(seed)
    for n in range(count):
        source = chance.choice(("stream", "rest"))
        told = [thing for _ in range(chance.randint(1, 3)) for thing in something(chance, n)]
        yield Telling(account_id="main", source=source, kind="k", raw=b"%d" % n, received_at=at(n), told=told,
                      event_time=at(n), keep=source == "stream")  # fmt: skip


def copied(telling, keep=None):
    """Return a telling of its own: folding changes what it is given."""
    told = [msgspec.structs.replace(one) for one in telling.told]
    return msgspec.structs.replace(telling, told=told, keep=telling.keep if keep is None else keep)


def kept(batches):
    """Return what a database would hold after the changes of all batches."""
    held = {}
    for changes in batches:
        for name in TABLES:
            rows = getattr(changes, name)
            pairs = rows.items() if isinstance(rows, dict) else ((len(held), one) for one in rows)
            for key, row in pairs:
                if name == "fill_client_ids":
                    held["fills", key] = msgspec.structs.replace(held["fills", key], client_order_id=row)
                else:
                    held[name, key if isinstance(rows, dict) else repr(row)] = msgspec.structs.replace(row)
        held |= {("findings", key): (one.kind, one.detail) for key, one in changes.findings.items()}
        for (kind, subject), when in changes.resolved.items():
            name = ("findings", finding_name("main", kind, subject))
            held[name] = (*held[name][:2], when)
    return {key: repr(row) for key, row in held.items()}


@pytest.mark.parametrize("seed", range(25))
def test_a_journal_folds_to_the_same_record(seed):
    """Pages that are not journaled leave no trace, and where batches end makes no difference."""
    chance, told = random.Random(seed), list(tellings(seed, 120))
    beliefs, first, rest = Beliefs("main", 0, GENESIS), [], list(told)
    while rest:
        size = chance.randint(1, 9)
        first.append(Fold(beliefs, T0).run([copied(one) for one in rest[:size]]))
        rest = rest[size:]
    rows = [row for changes in first for row in changes.journal]
    journaled = [told[int(row.raw)] for row in rows]
    assert len(rows) < len(told)
    assert any(changes.resolved for changes in first)
    again, second = Beliefs("main", 0, GENESIS), []
    while rows:
        size = chance.randint(1, 30)
        group = [copied(one, keep=True) for one in journaled[:size]]
        second.append(Refold(again, T0, rows[:size]).run(group))
        rows, journaled = rows[size:], journaled[size:]
    assert kept(second) == kept(first)
    assert (again.seq, again.head) == (beliefs.seq, beliefs.head)


def test_a_missing_order_is_told_by_a_row_of_its_own():
    """It is marked once, with a finding; what its row holds tells the same; a later telling takes it back."""
    beliefs = Beliefs("main", 0, GENESIS)
    order = Order(market="usdm", symbol="S", kind="order", order_id="1", status="NEW", updated_at=T0)
    stream = Telling(account_id="main", source="stream", kind="k", raw=b"", received_at=T0, told=[order])
    Fold(beliefs, T0).run([stream])
    key = ("usdm", "S", "order", "1")
    absent = local.missing("main", [key, ("usdm", "S", "order", "2")], at(5), at(6))
    changes = Fold(beliefs, T0).run([absent])
    assert changes.orders[key].missing_since == at(5)
    assert [one.kind for one in changes.findings.values()] == ["order_missing"]
    (row,) = changes.journal
    assert (row.source, local.decode(row.kind, row.raw)) == ("local", list(absent.told))
    assert Fold(beliefs, T0).run([absent]).journal == []
    later = msgspec.structs.replace(order, status="PARTIALLY_FILLED", updated_at=at(9))
    changes = Fold(beliefs, T0).run([msgspec.structs.replace(stream, told=[later])])
    assert changes.orders[key].missing_since is None


def test_what_a_symbol_is_set_to_is_journaled():
    """A page of leverages changes a belief though nothing is held: a position that opens later has it."""
    config = SymbolConfig(market="usdm", symbol="S", as_of=T0, leverage=Decimal(20))
    page = Telling(account_id="main", source="rest", kind="k", raw=b"", received_at=T0, told=[config],
                   event_time=T0, keep=False)  # fmt: skip
    beliefs = Beliefs("main", 0, GENESIS)
    first = Fold(beliefs, T0).run([copied(page)])
    assert len(first.journal) == 1
    assert Fold(beliefs, T0).run([copied(page)]).journal == []
    opened = Position(market="usdm", symbol="S", position_side="BOTH", as_of=at(1), quantity=Decimal(1))
    stream = msgspec.structs.replace(page, source="stream", told=[opened], keep=True)
    live = Fold(beliefs, T0).run([copied(stream)])
    again = Refold(Beliefs("main", 0, GENESIS), T0, [*first.journal, *live.journal])
    made = again.run([copied(page, keep=True), copied(stream)])
    assert [one.leverage for one in made.position_history] == [Decimal(20)]
    assert made.position_history == live.position_history


@pytest.mark.parametrize("seed", range(25))
def test_a_batch_whose_commit_failed_folds_again_as_at_first(seed):
    """Tellings are left as they were told, whatever came behind them, in their own batch or in the next."""
    told = list(tellings(seed, 90))
    before, batch, behind = told[:30], told[30:60], told[60:]
    believed = [Beliefs("main", 0, GENESIS) for _ in range(2)]
    earlier = [fold(beliefs, [copied(one) for one in before]) for beliefs in believed]
    first = kept([earlier[0], fold(believed[0], batch)])
    fold(believed[0], behind)
    assert kept([earlier[1], fold(believed[1], batch)]) == first


def fold(beliefs, batch):
    """Fold with salts that are the same each time."""
    return Fold(beliefs, T0, salts=bytes).run(batch)
