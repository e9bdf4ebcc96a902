"""The record's own books: sessions, gaps, coverage, findings and missing orders."""

from datetime import timedelta

import pytest
from sqlalchemy import text

from accountd.core.changes import Wanted
from accountd.store import queries
from accountd.store.engine import reading
from accountd.store.proven import Proven
from tests.store.conftest import NOW
from tests.store.samples import T0, changes, fill, finding, order, transfer

MIN = timedelta(minutes=1)


def test_a_session_is_kept_from_opening_to_close(writer, reader):
    """Each update adds what it tells and leaves the rest."""
    with writer.begin() as tx:
        tx.open_session("s1", "main", T0)
        tx.update_session("s1", subscribed_at=T0 + MIN)
        tx.update_session("s1", live_at=T0 + 2 * MIN, frames=7)
        tx.update_session("s1")
        tx.update_session("s1", closed_at=T0 + 3 * MIN, close_reason="rotated", last_seen_at=T0 + 3 * MIN)
    with reading(reader) as conn:
        [row] = queries.sessions(conn)
    assert (row["subscribed_at"], row["live_at"], row["closed_at"]) == (T0 + MIN, T0 + 2 * MIN, T0 + 3 * MIN)
    assert (row["frames"], row["close_reason"]) == (7, "rotated")


def test_sessions_of_a_dead_process_are_closed_with_their_last_sign_of_life(writer, reader):
    """Only open sessions of the account are closed; proof of life falls back to earlier stages."""
    writer.open_account("alt", "alt", "binance-usdm", "live", NOW)
    with writer.begin() as tx:
        tx.open_session("seen", "main", T0)
        tx.update_session("seen", subscribed_at=T0 + MIN, last_seen_at=T0 + 5 * MIN)
        tx.open_session("subscribed", "main", T0 + MIN)
        tx.update_session("subscribed", subscribed_at=T0 + 2 * MIN)
        tx.open_session("closed", "main", T0)
        tx.update_session("closed", closed_at=T0, close_reason="stop")
        tx.open_session("other", "alt", T0)
        assert tx.close_crashed_sessions("main", NOW) == [
            ("seen", T0 + 5 * MIN),
            ("subscribed", T0 + 2 * MIN),
        ]
        assert tx.close_crashed_sessions("main", NOW) == []
    with reading(reader) as conn:
        rows = conn.execute(text("SELECT session_id, close_reason FROM sessions ORDER BY 1")).all()
    assert [tuple(row) for row in rows] == [
        ("closed", "stop"), ("other", None), ("seen", "crash"), ("subscribed", "crash"),
    ]  # fmt: skip


def test_a_gap_has_one_id_and_closes_when_covered(writer):
    """The same hole is one row; a sweep that reaches beyond it closes it and says what it recovered."""
    with writer.begin() as tx:
        first = tx.open_gap("main", "fills", "usdm", "", T0, "lost", NOW)
        assert tx.open_gap("main", "fills", "usdm", "", T0, "lost", NOW + MIN) == first
        other = tx.open_gap(
            "main", "fills", "usdm", "", T0 + 10 * MIN, "overflow", NOW, to_time=T0 + 20 * MIN
        )
        assert other != first
        assert [gap.gap_id for gap in tx.open_gaps("main")] == [first, other]
        assert tx.open_gaps("main")[0].opened_at == NOW
        assert tx.close_gaps("main", "orders", "usdm", None, T0 + MIN, NOW) == []
        [closed] = tx.close_gaps("main", "fills", "usdm", None, T0 + 15 * MIN, NOW + MIN, recovered=3)
        assert (closed.gap_id, closed.to_time, closed.closed_at, closed.recovered) == (
            first, T0 + 15 * MIN, NOW + MIN, 3,
        )  # fmt: skip
        assert [gap.gap_id for gap in tx.open_gaps("main")] == [other]
        [closed] = tx.close_gaps("main", "fills", "usdm", "", T0 + 20 * MIN, NOW + MIN)
        assert (closed.to_time, closed.recovered) == (T0 + 20 * MIN, 0)


def test_a_sweep_closes_only_gaps_that_it_spans(writer):
    """A gap that begins before the sweep, or of another symbol, stays open."""
    with writer.begin() as tx:
        tx.open_gap("main", "fills", "usdm", "BTCUSDT", T0, "lost", NOW)
        tx.open_gap("main", "fills", "usdm", "ETHUSDT", T0 + 5 * MIN, "lost", NOW)
        assert (
            tx.close_gaps("main", "fills", "usdm", "BTCUSDT", T0 + 9 * MIN, NOW, covered_from=T0 + MIN) == []
        )
        assert (
            len(tx.close_gaps("main", "fills", "usdm", None, T0 + 9 * MIN, NOW, covered_from=T0 + MIN)) == 1
        )
        assert [gap.symbol for gap in tx.open_gaps("main")] == ["BTCUSDT"]


def test_a_gap_told_again_after_it_closed_is_open_again(writer):
    """A hole with the same beginning is a hole again until the next sweep."""
    with writer.begin() as tx:
        tx.open_gap("main", "fills", "usdm", "", T0, "lost", NOW)
        tx.close_gaps("main", "fills", "usdm", None, T0 + MIN, NOW)
        assert tx.open_gaps("main") == []
        tx.open_gap("main", "fills", "usdm", "", T0, "lost", NOW)
        assert len(tx.open_gaps("main")) == 1


@pytest.mark.parametrize(("stretches", "merged"), [
    ([(0, 5), (5, 9)], [(0, 9)]),
    ([(0, 5), (3, 9)], [(0, 9)]),
    ([(3, 9), (0, 5)], [(0, 9)]),
    ([(0, 9), (3, 5)], [(0, 9)]),
    ([(3, 5), (0, 9)], [(0, 9)]),
    ([(0, 2), (4, 6)], [(0, 2), (4, 6)]),
    ([(0, 2), (4, 6), (8, 9), (1, 8)], [(0, 9)]),
    ([(0, 2), (0, 2)], [(0, 2)]),
])  # fmt: skip
def test_coverage_merges_what_touches(writer, stretches, merged):
    """Proven stretches that touch or overlap become one; others stay apart."""
    with writer.begin() as tx:
        for n, (start, end) in enumerate(stretches):
            proven = Proven("fills", "usdm", "BTCUSDT", T0 + start * MIN, T0 + end * MIN)
            tx.prove("main", [proven], NOW + n * MIN)
        tx.prove("main", [Proven("orders", "usdm", "BTCUSDT", T0, T0 + MIN)], NOW)
        rows = queries.coverage(tx.connection, queries.Filter(symbol="BTCUSDT"))
        found = [(row["from_time"], row["to_time"]) for row in rows if row["dataset"] == "fills"]
        assert found == [(T0 + start * MIN, T0 + end * MIN) for start, end in merged]
        start, end = merged[-1]
        assert tx.cursors("main") == {
            ("fills", "usdm", "BTCUSDT"): (T0 + start * MIN, T0 + end * MIN),
            ("orders", "usdm", "BTCUSDT"): (T0, T0 + MIN),
        }


def test_findings_are_resolved_by_subject_or_kind(writer):
    """Resolving counts only what was open."""
    writer.write([changes(findings=[
        finding(finding_id="a", subject="x"), finding(finding_id="b", subject="y"),
        finding(finding_id="c", kind="drift", subject="x"),
    ])])  # fmt: skip
    with writer.begin() as tx:
        assert tx.resolve_findings("main", "conflict", "x", NOW) == 1
        assert tx.resolve_findings("main", "conflict", "x", NOW) == 0
        assert tx.resolve_findings("main", "conflict", None, NOW) == 1
        assert tx.resolve_findings("main", "drift", None, NOW) == 1


def test_an_order_is_missing_until_it_is_told_again(writer):
    """A missing order is not among the open ones; one that is told again is."""
    writer.write([changes(orders=[order(1), order(2)])])
    key = ("usdm", "BTCUSDT", "order", "1")
    writer.write([changes(first=1, orders=[order(1, missing_since=T0)])])
    with writer.begin() as tx:
        assert tx.load("main", Wanted(orders={key})).orders[0].missing_since == T0
        assert [o.order_id for o in tx.load_small("main")[2]] == ["2"]
    writer.write([changes(first=2, orders=[order(1)])])
    assert len(writer.load_small("main")[2]) == 2


def test_known_symbols_say_when_they_were_last_active(writer):
    """Symbols come from orders, fills and transfers of the market, with the latest time."""
    writer.write([changes(
        orders=[order(1), order(2, symbol="ETHUSDT", updated_at=T0 + MIN)],
        fills=[fill(1, traded_at=T0 + 2 * MIN), fill(2, market="coinm", symbol="BTCUSD_PERP")],
        transfers=[transfer(1, symbol="XRPUSDT"), transfer(2, symbol=None), transfer(3, symbol="")],
    )])  # fmt: skip
    with writer.begin() as tx:
        assert tx.known_symbols("main", "usdm") == {
            "BTCUSDT": T0 + 2 * MIN, "ETHUSDT": T0 + MIN, "XRPUSDT": T0,
        }  # fmt: skip
        assert tx.known_symbols("alt", "usdm") == {}


def test_the_first_start_can_be_corrected(writer):
    """set_created_at moves the moment from which events ring."""
    with writer.begin() as tx:
        tx.set_created_at("main", T0)
    assert writer.open_account("main", "main", "binance-usdm", "live", NOW).created_at == T0
