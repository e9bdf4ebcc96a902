"""The verdict of the demo finds every difference that is planted."""

from dataclasses import replace
from decimal import Decimal

import pytest

from accountd.cli.demo_verdict import Ledger, Rung, compare

FILLS = [
    (("BTCUSDT", str(n)), {"price": Decimal("64000.1"), "quantity": Decimal("0.01"), "at": 1000 + n})
    for n in range(5)
]
TRUTH = Ledger(
    fills=FILLS,
    orders={("order", "BTCUSDT", "1"): {"status": "FILLED", "filled": Decimal("0.05")}},
    balances={"USDT": {"total": Decimal("99.5")}},
    positions={("BTCUSDT", "BOTH"): {"quantity": Decimal("0.05")}},
    transfers={("commission", "9", "USDT"): {"amount": Decimal("-0.1")}},
)
RUNG = Rung(ids=[f"msg_{n}" for n in range(5)], fills=[key for key, _ in FILLS])


def verdict(held=TRUTH, rung=RUNG, truth=TRUTH, open_gaps=0, closed_gaps=1, born=1000):
    """Compare with nothing wrong but what is passed."""
    return compare(truth, held, rung, open_gaps=open_gaps, closed_gaps=closed_gaps, born=born)


def line(found, what):
    """Return one line of a verdict."""
    return next(entry for entry in found.lines if entry.what == what)


def test_equal_sides_are_exact():
    """Nothing planted, nothing found."""
    found = verdict()
    assert found.exact
    assert line(found, "fills").there == line(found, "fills").here == 5


def test_scale_is_no_difference():
    """1.50 and 1.5 are the same money."""
    assert verdict(held=replace(TRUTH, balances={"USDT": {"total": Decimal("99.500")}})).exact


@pytest.mark.parametrize(
    ("what", "held"),
    [
        ("fills", replace(TRUTH, fills=FILLS[:-1])),
        ("fills", replace(TRUTH, fills=[*FILLS, FILLS[0]])),
        ("fills", replace(TRUTH, fills=[*FILLS, (("BTCUSDT", "77"), FILLS[0][1])])),
        (
            "fills",
            replace(TRUTH, fills=[*FILLS[:-1], (FILLS[-1][0], {**FILLS[-1][1], "price": Decimal("1")})]),
        ),
        ("orders", replace(TRUTH, orders={})),
        (
            "orders",
            replace(TRUTH, orders={("order", "BTCUSDT", "1"): {"status": "NEW", "filled": Decimal(0)}}),
        ),
        ("balances", replace(TRUTH, balances={"USDT": {"total": Decimal("99.50000001")}})),
        ("balances", replace(TRUTH, balances={**TRUTH.balances, "BNB": {"total": Decimal("1")}})),
        ("positions", replace(TRUTH, positions={})),
        ("positions", replace(TRUTH, positions={("BTCUSDT", "BOTH"): {"quantity": Decimal("-0.05")}})),
        ("transfers", replace(TRUTH, transfers={("commission", "9", "USDT"): {"amount": Decimal("0.1")}})),
        ("transfers", replace(TRUTH, transfers={("commission", "10", "USDT"): {"amount": Decimal("-0.1")}})),
    ],
)
def test_planted_difference_is_found(what, held):
    """A record that differs anywhere is not exact, and the line that differs says so with an example."""
    found = verdict(held=held)
    assert not found.exact
    assert [entry.what for entry in found.lines if not entry.exact] == [what]
    if line(found, what).missing or line(found, what).differing:
        assert line(found, what).examples


@pytest.mark.parametrize(
    "rung",
    [
        Rung(ids=RUNG.ids[:-1], fills=RUNG.fills[:-1]),
        Rung(ids=[*RUNG.ids, "msg_other"], fills=[*RUNG.fills, RUNG.fills[0]]),
        Rung(ids=[*RUNG.ids, "msg_other"], fills=[*RUNG.fills, ("BTCUSDT", "77")]),
    ],
)
def test_wrong_alerts_are_found(rung):
    """A fill that never rang, rang under two ids, or rang without being one, is not exact."""
    found = verdict(rung=rung)
    assert [entry.what for entry in found.lines if not entry.exact] == ["alerts"]


def test_history_owes_no_alert():
    """A fill from before the first start must not ring, and one that does is wrong."""
    assert verdict(born=1001, rung=Rung(ids=RUNG.ids[1:], fills=RUNG.fills[1:])).exact
    assert not verdict(born=1001).exact


def test_retry_under_the_same_id_is_exact():
    """The same message twice is what at-least-once means."""
    assert verdict(rung=Rung(ids=[*RUNG.ids, "msg_0"], fills=[*RUNG.fills, RUNG.fills[0]])).exact


@pytest.mark.parametrize(
    "found",
    [
        verdict(open_gaps=1),
        verdict(closed_gaps=0),
        verdict(rung=replace(RUNG, bad_signatures=1)),
        verdict(truth=replace(TRUTH, fills=[]), held=replace(TRUTH, fills=[]), rung=Rung(ids=[], fills=[])),
    ],
)
def test_what_else_must_hold_is_checked(found):
    """An open gap, a cut that left no gap, a bad signature and a demo without trades are not exact."""
    assert not found.exact
    assert found.faults
