"""The fold: any order, any duplication and any mixture of sources end in one state."""

import copy
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from accountd.core import journal, merge
from accountd.core.beliefs import Beliefs
from accountd.core.fold import Fold
from accountd.core.told import (
    REST,
    STREAM,
    Balance,
    Fill,
    Happened,
    Order,
    Position,
    Snapshot,
    Telling,
    Transfer,
)

T0 = datetime(2026, 11, 1, tzinfo=UTC)
BORN = T0 - timedelta(days=1)


def at(ms):
    return T0 + timedelta(milliseconds=ms)


def telling(told, source=STREAM, ms=0, **more):
    return Telling(
        account_id="main", source=source, kind="x", raw=b"{}", received_at=at(ms), told=told, **more
    )


def lifecycle(fills, final):
    """Tell an order's life twice over, by stream and by REST, as the venue would."""
    total = sum(fills) + (0 if final == "FILLED" else 1)
    base = {
        "market": "usdm",
        "symbol": "BTCUSDT",
        "kind": "order",
        "order_id": "7",
        "side": "BUY",
        "type": "LIMIT",
        "quantity": Decimal(total),
        "price": Decimal("10.50"),
        "client_order_id": "c",
    }
    out = [
        telling(
            [
                Order(
                    **base,
                    status="NEW",
                    updated_at=at(1),
                    filled_quantity=Decimal(0),
                    execution_type="NEW",
                    created_at=at(1),
                )
            ]
        )
    ]
    done = 0
    for n, quantity in enumerate(fills, 1):
        done += quantity
        status = "FILLED" if done == total else "PARTIALLY_FILLED"
        order = dict(base, status=status, updated_at=at(1 + n), filled_quantity=Decimal(done))
        fill = {
            "market": "usdm",
            "symbol": "BTCUSDT",
            "trade_id": str(n),
            "order_id": "7",
            "side": "BUY",
            "price": Decimal("10.50"),
            "quantity": Decimal(quantity),
            "quote_quantity": Decimal("10.50") * quantity,
            "traded_at": at(1 + n),
            "commission": Decimal("0.01"),
            "commission_asset": "USDT",
        }
        out.append(telling([Order(**order, execution_type="TRADE"), Fill(**fill, client_order_id="c")]))
        out.append(telling([Fill(**fill)], REST, keep=False))
        out.append(
            telling(
                [Order(**order, created_at=at(1), filled_quote=Decimal("10.50") * done)], REST, keep=False
            )
        )
        out.append(balance(1 + n, 100 - done))
        out.append(position(1 + n, done))
    if final == "CANCELED":
        end = dict(base, status="CANCELED", updated_at=at(50), filled_quantity=Decimal(done))
        out.append(telling([Order(**end, execution_type="CANCELED")]))
        out.append(
            telling([Order(**end, created_at=at(1), filled_quote=Decimal("10.50") * done)], REST, keep=False)
        )
    out.append(
        telling(
            [
                Transfer(
                    market="usdm",
                    kind="transfer",
                    transfer_id="1",
                    asset="USDT",
                    amount=Decimal(5),
                    occurred_at=at(3),
                )
            ],
            REST,
            keep=False,
        )
    )
    return out


def balance(ms, total, source=STREAM):
    told = Balance(market="usdm", asset="USDT", total=Decimal(total), as_of=at(ms), seen_at=at(ms))
    return telling([told], source, ms)


def position(ms, quantity, source=STREAM):
    told = Position(
        market="usdm",
        symbol="BTCUSDT",
        position_side="BOTH",
        as_of=at(ms),
        seen_at=at(ms),
        quantity=Decimal(quantity),
        entry_price=Decimal("10.5"),
        margin_type="CROSS",
    )
    return telling([told], source, ms)


def run(tellings):
    """Fold each telling in a batch of its own; return the state and all alert identities."""
    beliefs = Beliefs("main", 0, journal.GENESIS)
    rung = []
    for one in tellings:
        changes = Fold(beliefs, BORN).run([copy.deepcopy(one)])
        rung += [(alert.type, alert.identity) for alert in changes.alerts]
    return state(beliefs), rung, beliefs


def state(beliefs):
    (order,) = beliefs.orders.values()
    return (
        order.status,
        order.filled_quantity,
        order.filled_quote,
        order.updated_at,
        order.created_at,
        order.client_order_id,
        order.price,
        {
            k: (f.price, f.quantity, f.quote_quantity, f.commission, f.client_order_id, f.traded_at)
            for k, f in beliefs.fills.items()
        },
        {k: b.total for k, b in beliefs.balances.items()},
        {k: p.quantity for k, p in beliefs.positions.items()},
        {k: t.amount for k, t in beliefs.transfers.items()},
    )


lives = st.tuples(
    st.lists(st.integers(1, 5), min_size=1, max_size=4), st.sampled_from(["FILLED", "CANCELED"])
)


@settings(max_examples=300, deadline=None)
@given(lives, st.randoms(use_true_random=False), st.integers(0, 6))
def test_confluence(life, rng, copies):
    """Any permutation and duplication of REST and stream tellings gives one state; each fill rings once."""
    tellings = lifecycle(*life)
    expected, _, _ = run(tellings)
    mixed = tellings + [rng.choice(tellings) for _ in range(copies)]
    rng.shuffle(mixed)
    got, rung, _ = run(mixed)
    assert got == expected
    fills = [identity for kind, identity in rung if kind == "fill"]
    assert len(fills) == len(set(fills)) == len(life[0])


def test_confluence_control(monkeypatch):
    """The property is able to fail: with last-writer-wins orders a shuffled life ends wrong."""
    tellings = lifecycle([1, 2], "CANCELED")
    expected, _, _ = run(tellings)
    monkeypatch.setattr(merge, "supersedes", lambda told, held: True)
    got, _, _ = run(tellings[::-1])
    assert got != expected


def test_conflicting_fill_is_kept_and_found():
    """A second, different telling of a fill changes nothing and opens one finding of severity error."""
    tellings = lifecycle([1], "FILLED")
    other = copy.deepcopy(tellings[1])
    other.told[1].commission = Decimal("0.02")
    beliefs = run(tellings)[2]
    changes = Fold(beliefs, BORN).run([other, copy.deepcopy(other)])
    assert beliefs.fills[("usdm", "BTCUSDT", "1")].commission == Decimal("0.01")
    (finding,) = changes.findings.values()
    assert (finding.kind, finding.severity) == ("conflict", "error")
    assert finding.detail["commission"] == {"held": "0.01", "told": "0.02"}


def test_absent_position_is_flat():
    """A full snapshot that does not show a held position closes it, unless the stream spoke later."""
    beliefs = run([*lifecycle([1], "FILLED"), position(100, 5)])[2]
    gone = Snapshot(market="usdm", dataset="positions", as_of=at(50), keys=frozenset())
    Fold(beliefs, BORN).run([telling([gone], REST, 60)])
    assert beliefs.positions[("usdm", "BTCUSDT", "BOTH")].quantity == 5
    later = Snapshot(market="usdm", dataset="positions", as_of=at(150), keys=frozenset())
    Fold(beliefs, BORN).run([telling([later], REST, 160)])
    assert beliefs.positions[("usdm", "BTCUSDT", "BOTH")].quantity == 0


def amount(beliefs):
    """Return the one amount that is believed."""
    (held,) = (*beliefs.balances.values(), *beliefs.positions.values())
    return held.total if isinstance(held, Balance) else held.quantity


def elsewhere(event):
    """Let a second connection tell an event."""
    event.session_id = "second"
    return event


def test_same_millisecond_keeps_the_order_of_the_stream():
    """Of two stream events that share every timestamp, the second is the later one; REST is no tie-break."""
    beliefs = run([*lifecycle([1], "FILLED"), balance(100, 5), balance(100, 7)])[2]
    assert beliefs.balances[("usdm", "USDT")].total == 7
    again = Fold(beliefs, BORN).run([elsewhere(balance(100, 5)), elsewhere(balance(100, 7))])
    assert beliefs.balances[("usdm", "USDT")].total == 7
    assert not again.alerts
    rest = balance(100, 6, REST)
    rest.told[0].source = REST
    Fold(beliefs, BORN).run([rest])
    assert beliefs.balances[("usdm", "USDT")].total == 7


@pytest.mark.parametrize("told", [balance, position])
def test_an_amount_of_an_earlier_instant_may_come_back(told):
    """What was told of one millisecond says nothing about duplicates of the next one."""
    beliefs = Beliefs("main", 0, journal.GENESIS)
    Fold(beliefs, BORN).run([told(5, "100"), told(5, "90"), told(6, "90"), told(6, "100")])
    assert amount(beliefs) == 100


@pytest.mark.parametrize("told", [balance, position])
def test_a_page_before_it_changes_nothing_about_the_events_of_an_instant(told):
    """An order is placed and filled at once: the first event tells what the last page told."""
    page = told(1, "100", REST)
    page.told[0].source, page.told[0].seen_at = REST, None
    beliefs = Beliefs("main", 0, journal.GENESIS)
    Fold(beliefs, BORN).run([page, told(5, "100"), told(5, "90")])
    assert amount(beliefs) == 90


@pytest.mark.parametrize("told", [balance, position])
def test_an_amount_may_come_back_within_its_instant(told):
    """A burst buys and sells at once; a second connection that tells some of it again adds nothing."""
    events = [told(5, "100"), told(5, "90"), told(5, "100")]
    beliefs = Beliefs("main", 0, journal.GENESIS)
    Fold(beliefs, BORN).run(copy.deepcopy(events))
    for again in ([], events[1:2], events):
        Fold(beliefs, BORN).run([elsewhere(copy.deepcopy(one)) for one in again])
        assert amount(beliefs) == 100


@pytest.mark.parametrize("amounts", [[7], range(1_000)])
def test_a_flood_of_one_instant_is_not_remembered_without_end(amounts):
    """Whoever tells one millisecond for ever fills no memory."""
    beliefs = Beliefs("main", 0, journal.GENESIS)
    for n in range(3 * merge.MOST_PAST):
        Fold(beliefs, BORN).run([balance(5, amounts[n % len(amounts)])])
    assert len(beliefs.balances[("usdm", "USDT")].past) <= merge.MOST_PAST + 1


def test_history_does_not_ring_as_new():
    """What happened before the account's first start is marked as backfill."""
    beliefs = Beliefs("main", 0, journal.GENESIS)
    changes = Fold(beliefs, at(1000)).run(lifecycle([1], "FILLED"))
    assert changes.alerts
    assert all(alert.backfill for alert in changes.alerts if alert.type != "finding.opened")


def test_rest_page_that_changes_nothing_is_not_journaled():
    """A repeated REST page leaves no journal row; every stream frame does."""
    tellings = lifecycle([1], "FILLED")
    beliefs = run(tellings)[2]
    again = [copy.deepcopy(one) for one in tellings]
    changes = Fold(beliefs, BORN).run(again)
    assert [row.source for row in changes.journal] == [one.source for one in again if one.keep]
    assert not changes.fills and not changes.transfers and not changes.order_events


def test_fill_found_by_rest_while_live_is_a_finding():
    """A fill that the stream should have told while LIVE, and REST told first, opens a warning."""
    beliefs = Beliefs("main", 0, journal.GENESIS)
    fill = lifecycle([1], "FILLED")[2].told[0]
    late = telling([fill], REST, 60_000, live_since=at(0))
    changes = Fold(beliefs, BORN).run([late])
    assert [f.kind for f in changes.findings.values()] == ["stream_missed"]
    assert [a.data["late"] for a in changes.alerts if a.type == "fill"] == [True]


def test_prices_equal_at_the_coarser_scale_are_equal():
    """Stream and REST print prices at different scales; that is no drift."""
    assert merge.same_price(Decimal("6563.66500"), Decimal("6563.665"))
    assert merge.same_price(Decimal("6563.66512"), Decimal("6563.67"))
    assert not merge.same_price(Decimal("6563.66"), Decimal("6563.68"))


def amended(quantity, ms, source, execution="REPLACED"):
    """Tell that an order became smaller: by stream as a state of the order, by REST as an event alone."""
    key = {"market": "spot", "symbol": "BTCUSDT", "kind": "order", "order_id": "7"}
    quantity = Decimal(quantity)
    if source == REST:
        quantity = quantity if execution == "REPLACED" else None
        told = Happened(**key, execution_type=execution, at=at(ms), quantity=quantity)
    else:
        told = Order(**key, status="NEW", updated_at=at(ms), quantity=quantity, execution_type=execution)
    return telling([told], source, ms, keep=source == STREAM)


def events(tellings):
    """Return beliefs, changes and the events of order 7 after it was placed and told of."""
    beliefs = Beliefs("main", 0, bytes(32))
    changes = Fold(beliefs, BORN).run([amended(5, 1, STREAM, "NEW"), *tellings])
    rows = [(one.execution_type, one.quantity, one.n) for one in changes.order_events]
    return beliefs, changes, rows


def test_an_event_of_an_order_is_one_whoever_tells_it():
    """An amendment and a prevention that stream and REST both tell are one event each, in either order."""
    for kind, quantity in (("REPLACED", 4), ("TRADE_PREVENTION", 5)):
        for first, second in ((STREAM, REST), (REST, STREAM), (REST, REST)):
            again = [amended(quantity, 2, first, kind), amended(quantity, 2, second, kind)]
            _, changes, rows = events(again)
            assert [name for name, _, _ in rows].count(kind) == 1, (kind, first, second)
            assert len({n for _, _, n in rows}) == len(rows)
            assert changes.orders["spot", "BTCUSDT", "order", "7"].events == len(rows)


def test_an_event_alone_changes_no_order():
    """What is told by itself is added to the order's life; of an order that nobody told of it is nothing."""
    beliefs, changes, rows = events([amended(4, 2, REST), amended(3, 3, REST)])
    assert rows[1:] == [("REPLACED", 4, 2), ("REPLACED", 3, 3)]
    assert beliefs.orders["spot", "BTCUSDT", "order", "7"].quantity == 5
    assert len(changes.journal) == 3
    empty = Beliefs("main", 0, bytes(32))
    assert not Fold(empty, BORN).run([amended(4, 2, REST)]).journal


def test_what_rest_shows_and_no_event_told_is_noted():
    """A smaller quantity, or more that was prevented, is asked about where the stream did not tell it."""
    key = {"market": "spot", "symbol": "BTCUSDT", "kind": "order", "order_id": "7"}

    def state(quantity, source, prevented=None):
        order = Order(**key, status="NEW", updated_at=at(9), quantity=Decimal(quantity), prevented=prevented)
        return telling([order], source, 9)

    name = tuple(key.values())
    assert events([state(4, REST)])[0].unexplained == {name: {"REPLACED"}}
    assert events([amended(4, 2, STREAM), state(4, REST)])[0].unexplained == {}
    assert events([state(5, REST, Decimal(1))])[0].unexplained == {name: {"TRADE_PREVENTION"}}
    assert events([state(5, STREAM, Decimal(1)), state(5, REST, Decimal(1))])[0].unexplained == {}
    assert events([state(5, REST), state(5, REST)])[0].unexplained == {}
