"""The simulated venue's books balance, whatever happens in whatever order."""

from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from accountd.sim.accounting import booked, settle
from accountd.sim.clock import Clock
from accountd.sim.exchange import Exchange
from accountd.sim.model import Fill, Position
from accountd.sim.trader import Trader, backfill


def ticking():
    """Return a clock that moves one ms with every look."""
    state = {"ms": 1_700_000_000_000}

    def source():
        state["ms"] += 1
        return state["ms"]

    return Clock(source)


def check_books(exchange, account):
    """Assert that balances and positions are what income and fills explain."""
    for asset, versions in account.wallets.items():
        assert versions.now.balance == exchange.explained_balance(account, asset)
    for (symbol, side), versions in account.positions.items():
        assert versions.now.quantity == exchange.explained_position(account, symbol, side)
    for book in account.books.values():
        for versions in book.orders.values():
            order = versions.now
            fills = [f for f in book.fills if f.order_id == order.order_id]
            assert order.filled == sum((f.quantity for f in fills), Decimal(0))
            assert order.quote == sum((f.quote for f in fills), Decimal(0))
            assert (order.status == "FILLED") == (order.filled == order.quantity)


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10**6), hedge=st.booleans(), fee_asset=st.sampled_from([None, "BNB"]))
def test_books_balance_after_any_trading(seed, hedge, fee_asset):
    """Balance is deposits plus profit minus fees plus funding, and position is the signed sum of fills."""
    exchange = Exchange(seed, ticking())
    account = exchange.add_account("main", hedge=hedge, fee_asset=fee_asset)
    trader = Trader(exchange, account, seed=seed, rare=0.1)
    for _ in range(120):
        trader.step()
    assert account.incomes
    check_books(exchange, account)


fills = st.lists(
    st.tuples(
        st.sampled_from(["BUY", "SELL"]),
        st.integers(1, 10**4).map(lambda n: Decimal(n) / 1000),
        st.integers(1, 10**6).map(lambda n: Decimal(n) / 100),
    ),
    max_size=12,
)


@given(fills)
def test_closing_a_position_realises_what_was_paid_and_received(trades):
    """After a flat close the realised profit is cash in minus cash out, but for cutting at the 8th place."""
    position, profit, cash = Position("BTCUSDT", "BOTH"), Decimal(0), Decimal(0)

    def fill(side, quantity, price):
        nonlocal position, profit, cash
        told = Fill(
            "BTCUSDT",
            1,
            1,
            "",
            side,
            "BOTH",
            price,
            quantity,
            price * quantity,
            Decimal(0),
            "USDT",
            Decimal(0),
            True,
            0,
        )
        position, gained = settle(position, told)
        profit += gained
        cash += price * quantity * (1 if side == "SELL" else -1)

    for trade in trades:
        fill(*trade)
    if position.quantity:
        fill("SELL" if position.quantity > 0 else "BUY", abs(position.quantity), Decimal("77.77"))
    assert position.quantity == 0 == position.entry
    assert abs(profit - cash) <= Decimal("0.00001")


def test_events_tell_the_same_as_the_truth():
    """The last told balance and position of every key, and the sum of told fills, equal the truth."""
    exchange = Exchange(3, ticking())
    wallets, held, traded = {}, {}, {}

    def hear(_account, event):
        if event["e"] == "ACCOUNT_UPDATE":
            wallets.update({b["a"]: Decimal(b["wb"]) for b in event["a"]["B"]})
            held.update({(p["s"], p["ps"]): Decimal(p["pa"]) for p in event["a"]["P"]})
        elif event["e"] == "ORDER_TRADE_UPDATE" and event["o"]["x"] == "TRADE":
            traded[event["o"]["s"], event["o"]["t"]] = Decimal(event["o"]["l"])

    exchange.listen(hear)
    account = exchange.add_account("main")
    trader = Trader(exchange, account, seed=3)
    for _ in range(500):
        trader.step()
    truth = exchange.truth("main")
    assert wallets == {asset: Decimal(v) for asset, v in truth["balances"].items()}
    open_told = {k[0]: v for k, v in held.items() if v}
    assert open_told == {p["symbol"]: Decimal(p["quantity"]) for p in truth["positions"]}
    assert traded == {(f["symbol"], f["trade_id"]): Decimal(f["quantity"]) for f in truth["fills"]}


def test_events_of_one_type_are_ordered_by_time():
    """Within one event type E and T never step back, also when the clock does."""
    source = iter([*range(10**6, 10**6 + 5000), *range(10**6 - 9, 10**6 + 10**6)])
    exchange = Exchange(4, Clock(lambda: next(source)))
    last = {}

    def hear(_account, event):
        times = (event["E"], event.get("T", 0))
        assert times >= last.get(event["e"], (0, 0))
        last[event["e"]] = times

    exchange.listen(hear)
    trader = Trader(exchange, exchange.add_account("main"), seed=4)
    for _ in range(1200):
        trader.step()
    assert len(last) >= 4


def test_the_same_seed_tells_the_same_story():
    """Two exchanges of one seed make identical histories, of another seed different ones."""

    def story(seed):
        exchange = Exchange(seed, ticking())
        exchange.add_account("main")
        backfill(exchange, "main", 10, 150, seed)
        return exchange.truth("main") | {"time": 0}

    assert story(1) == story(1) != story(2)


def test_history_lies_in_the_past_and_what_follows_does_not():
    """Backfilled deeds are spread over the days before the start and keep their order."""
    exchange = Exchange(1, ticking())
    exchange.add_account("main", deposit=Decimal(0))
    now = exchange.clock.now()
    backfill(exchange, "main", 30, 300, 1)
    times = [f["time_ms"] for f in exchange.truth("main")["fills"]]
    assert times == sorted(times)
    assert now - 30 * 86_400_000 <= times[0] < now - 25 * 86_400_000
    assert times[-1] < now
    assert exchange.place("main", "BTCUSDT", "BUY", Decimal("0.001")).created_ms > now


def test_ids_coincide_across_symbols_and_kinds_and_may_pass_2_to_the_53():
    """Order ids repeat in another symbol, algo ids repeat order ids, and big ids exceed a double's digits."""
    exchange = Exchange(1, ticking(), big_ids=True)
    exchange.add_account("main")
    ids = [
        exchange.place("main", s, "BUY", Decimal("1"), Decimal("1")).order_id for s in ("BTCUSDT", "ETHUSDT")
    ]
    algo = exchange.algo("main", "BTCUSDT", "SELL", "STOP", Decimal("1"), Decimal("1"))
    assert ids[0] == ids[1] == algo.algo_id > 2**53


def test_a_conditional_order_fires_a_plain_one_and_finishes_with_it():
    """ALGO_UPDATE goes NEW, TRIGGERING, TRIGGERED, then a plain order lives, then FINISHED tells its fill."""
    exchange = Exchange(1, ticking())
    exchange.add_account("main")
    told = []
    exchange.listen(lambda _account, event: told.append(event))
    algo = exchange.algo("main", "BTCUSDT", "BUY", "STOP_MARKET", Decimal("0.010"), Decimal("65000"))
    exchange.tick("BTCUSDT", Decimal("65010"))
    steps = [(e["e"][0], e["o"]["X"]) for e in told if e["e"] in ("ALGO_UPDATE", "ORDER_TRADE_UPDATE")]
    assert steps == [
        ("A", "NEW"),
        ("A", "TRIGGERING"),
        ("A", "TRIGGERED"),
        ("O", "NEW"),
        ("O", "FILLED"),
        ("A", "FINISHED"),
    ]
    ended = exchange.algo_order("main", algo.algo_id)
    order = next(e["o"] for e in told if e["e"] == "ORDER_TRADE_UPDATE")
    assert (ended.executed, ended.order_id) == (Decimal("0.010"), order["i"])
    assert [e["o"]["ai"] for e in told if e["e"] == "ALGO_UPDATE"][2] == str(order["i"])


def test_a_reduce_only_order_never_turns_the_position():
    """A reduce-only order closes what is there and expires with reason 4."""
    exchange = Exchange(1, ticking())
    account = exchange.add_account("main")
    exchange.place("main", "BTCUSDT", "BUY", Decimal("0.010"))
    order = exchange.place("main", "BTCUSDT", "SELL", Decimal("0.030"), reduce_only=True)
    assert account.position("BTCUSDT", "BOTH").quantity == 0
    assert (order.status, order.expiry_reason, order.filled) == ("EXPIRED", "4", Decimal("0.010"))


@pytest.mark.parametrize(("force", "status"), [("IOC", "EXPIRED"), ("FOK", "EXPIRED"), ("GTC", "NEW")])
def test_what_cannot_rest_expires_at_once(force, status):
    """Away from the price IOC and FOK expire in the moment of NEW, GTC rests."""
    exchange = Exchange(1, ticking())
    exchange.add_account("main")
    order = exchange.place("main", "BTCUSDT", "BUY", Decimal("0.010"), Decimal("100"), time_in_force=force)
    assert order.status == status


def test_impossible_orders_are_errors():
    """Overfills, ended orders, zero quantities and the wrong position side raise ValueError."""
    exchange = Exchange(1, ticking())
    exchange.add_account("main")
    order = exchange.place("main", "BTCUSDT", "BUY", Decimal("0.010"), Decimal("100"))
    with pytest.raises(ValueError, match="cannot fill"):
        exchange.fill("main", order, Decimal("0.011"))
    exchange.cancel("main", order)
    with pytest.raises(ValueError, match="is CANCELED"):
        exchange.cancel("main", order)
    with pytest.raises(ValueError, match="no order"):
        exchange.place("main", "BTCUSDT", "BUY", Decimal("0"))
    with pytest.raises(ValueError, match="no order"):
        exchange.place("main", "BTCUSDT", "BUY", Decimal("1"), position_side="LONG")


def test_a_burst_makes_exactly_as_many_fills():
    """A burst of 1,000 makes 1,000 fills with their own ids and the books still balance."""
    exchange = Exchange(1, ticking())
    account = exchange.add_account("main")
    made = exchange.burst("main", 1000)
    assert len({f.trade_id for f in made}) == 1000
    exchange.burst("main", 1000)
    check_books(exchange, account)


def test_money_is_cut_at_the_eighth_place():
    """Fees below 1E-8 vanish, above they are cut, never rounded up."""
    assert booked(Decimal("0.000000019")) == Decimal("0.00000001")
    assert booked(Decimal("-0.000000019")) == Decimal("-0.00000001")
    assert booked(Decimal("0.000000009")) == 0
