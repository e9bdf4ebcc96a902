"""What makes a record complete: no gap, no hole between proofs, nothing that was never proven."""

from datetime import UTC, datetime, timedelta

from accountd.core import audit
from accountd.core.audit import Doubt, Facts, Hole, Stretch

T0 = datetime(2026, 11, 1, tzinfo=UTC)


def at(hours):
    """Return a moment."""
    return T0 + timedelta(hours=hours)


def proven(start, end, dataset="fills", symbol=""):
    """Return a proven stretch, in hours."""
    return Stretch(dataset=dataset, market="usdm", symbol=symbol, start=at(start), end=at(end),
                   proven_at=at(end))  # fmt: skip


def gap(start, end, dataset="fills", symbol="", closed=None):
    """Return a gap, in hours."""
    return Hole(dataset=dataset, market="usdm", symbol=symbol, start=at(start), reason="cut", gap_id="g",
                end=None if end is None else at(end), closed_at=closed)  # fmt: skip


def finding(severity, hour=1.0, resolved=None, **span):
    """Return a finding."""
    return Doubt(finding_id="f", kind="drift", severity=severity, subject="s", detail={}, opened_at=at(hour),
                 resolved_at=resolved, start=span.get("start"), end=span.get("end"))  # fmt: skip


def judged(stretches=(), gaps=(), findings=(), start=None, end=None, expected=(("fills", "usdm"),)):
    """Judge an account."""
    facts = Facts(account="main", venue="v", created_at=T0, expected=list(expected),
                  stretches=list(stretches), gaps=list(gaps), findings=list(findings))  # fmt: skip
    return audit.account(facts, None if start is None else at(start), None if end is None else at(end))


def spans(verdict):
    """Return the holes in hours."""
    return [((h.start - T0) / timedelta(hours=1), (h.end - T0) / timedelta(hours=1)) for h in verdict.holes]


def test_a_proven_stretch_is_complete():
    """One stretch without a gap is complete up to its end, whenever that was."""
    found = judged([proven(0, 5)])
    assert (found.complete, found.tied, found.proven_to) == (True, True, at(5))


def test_nothing_proven_is_not_complete():
    """An account that was never synced has a hole in each dataset of its venue; one dataset is not all."""
    found = judged(expected=[("fills", "usdm"), ("orders", "usdm")])
    assert [hole.reason for hole in found.holes] == [audit.NEVER] * 2
    assert (found.complete, found.proven_to) == (False, None)
    assert not judged([proven(0, 5)], expected=[("fills", "usdm"), ("orders", "usdm")]).complete
    assert not audit.is_complete([])


def test_an_open_gap_is_a_hole_and_a_closed_one_is_not():
    """A gap counts until it is closed, also one that still grows."""
    assert not judged([proven(0, 5)], [gap(2, 3)]).complete
    assert not judged([proven(0, 5)], [gap(5, None)]).complete
    closed = judged([proven(0, 5)], [gap(2, 3, closed=at(4))])
    assert (closed.complete, closed.datasets[0].closed) == (True, 1)


def test_a_hole_that_no_gap_states_is_a_hole():
    """Between two stretches nothing is proven, whether somebody wrote a gap down or not."""
    split = [proven(0, 2), proven(3, 5)]
    assert spans(judged(split)) == [(2, 3)]
    assert [hole.reason for hole in judged(split).holes] == [audit.UNSTATED]
    assert len(judged(split, [gap(2, 3)]).holes) == 1
    assert spans(judged(split, [gap(2, 2.5)])) == [(2, 2.5), (2.5, 3)]
    assert spans(judged(split, [gap(2, 3, closed=at(4))])) == [(2, 3)]


def test_a_symbol_is_proven_by_what_proves_all_symbols():
    """A hole of one symbol inside a proof of all symbols is none; the other way round it is."""
    symbols = [proven(0, 2, symbol="B"), proven(3, 5, symbol="B")]
    assert judged([proven(0, 5), *symbols]).complete
    assert spans(judged([proven(0, 2.5), *symbols])) == [(2.5, 3)]


def test_a_window_must_be_proven_all_of_it():
    """With --from and --to what lies before the first and behind the last proof is a hole."""
    assert spans(judged([proven(2, 5)], start=1, end=6)) == [(1, 2), (5, 6)]
    assert judged([proven(2, 5)], [gap(3, 4)], start=4, end=5).complete
    assert not judged([proven(2, 5)], [gap(3, 4)], start=3.5, end=5).complete
    assert spans(judged([proven(2, 5)], start=6, end=7)) == [(6, 7)]


def test_only_an_open_error_unties():
    """Warnings and what was resolved leave the record tied; outside the window nothing counts."""
    whole = [proven(0, 5)]
    assert judged(whole, findings=[finding("warning"), finding("error", resolved=at(2))]).tied
    assert not judged(whole, findings=[finding("error")]).tied
    assert judged(whole, findings=[finding("error", hour=1)], start=2, end=5).tied
    assert not judged(whole, findings=[finding("error", 4, start=at(1), end=at(2))], start=1, end=2).tied
