"""What is kept about proofs: evidence, the history of findings, corrections of fills, what is not proven."""

import random
from datetime import timedelta

import pytest
from sqlalchemy import select, text

from accountd.core.changes import FillCorrection
from accountd.errors import DatabaseError
from accountd.store.engine import writer_engine
from accountd.store.proven import Evidence, Proven
from accountd.store.tables import blind_windows, coverage, evidence, fill_corrections, finding_history
from accountd.store.writer import Writer
from tests.store import samples

T0 = samples.T0
HOUR = timedelta(hours=1)


@pytest.fixture
def writer(record_url):
    """A writer with one account."""
    made = Writer(writer_engine(record_url), lambda: T0)
    made.open_account("main", "main", "binance-usdm", "live", T0)
    made.take_head("main")
    yield made
    made.close()


def rows(writer, table):
    """Read a table."""
    with writer.begin() as tx:
        return [dict(row) for row in tx.connection.execute(select(table)).mappings()]


def test_every_turn_of_a_finding_is_kept(writer):
    """Opened, changed, resolved and opened again, by whatever way it was written."""
    about = ("main", "drift", "warning", "balance:usdm:USDT")
    with writer.begin() as tx:
        name = tx.open_finding(*about, {"difference": "1"}, T0, (T0, T0 + HOUR))
        tx.open_finding(*about, {"difference": "1"}, T0, (T0, T0 + HOUR))
        tx.open_finding(*about, {"difference": "2"}, T0, (T0, T0 + HOUR))
        assert tx.open_subjects("main", "drift") == ["balance:usdm:USDT"]
        tx.resolve_findings("main", "drift", None, T0 + HOUR)
        tx.open_finding(*about, {"difference": "2"}, T0 + 2 * HOUR)
    writer.write([samples.changes(findings=[samples.finding()])])
    told = rows(writer, finding_history)
    mine = sorted((row["n"], row["what"]) for row in told if row["finding_id"] == name)
    assert mine == [(1, "opened"), (2, "changed"), (3, "resolved"), (4, "reopened")]
    assert [row["what"] for row in told if row["finding_id"] == "f1"] == ["opened"]
    assert all(row["at"].tzinfo for row in told)


def test_corrections_stand_beside_the_fill(writer):
    """The same telling is one row however often it comes, and no row changes or goes away."""
    other = samples.fill(1, price=samples.fill().price + 1, received_at=T0)
    row = FillCorrection(("usdm", "BTCUSDT", "1"), "c1", "conflict", other, "rest", T0, 1)
    first = samples.changes(fills=[samples.fill(1)], findings=[samples.finding()])
    first.fill_corrections.append(row)
    writer.write([first])
    again = samples.changes(1)
    again.fill_corrections.append(row)
    writer.write([again])
    with writer.begin() as tx:
        tx.withdraw_fill("main", "usdm", "BTCUSDT", "1", T0)
        tx.withdraw_fill("main", "usdm", "BTCUSDT", "1", T0 + HOUR)
        tx.withdraw_fill("main", "usdm", "BTCUSDT", "unknown", T0)
    told = rows(writer, fill_corrections)
    assert sorted((one["kind"], one["price"]) for one in told) == [
        ("conflict", other.price), ("withdrawn", samples.fill().price),
    ]  # fmt: skip
    for sql in ("UPDATE fill_corrections SET price = NULL", "DELETE FROM fill_corrections",
                "DELETE FROM finding_history"):  # fmt: skip
        with pytest.raises(DatabaseError), writer.begin() as tx:
            tx.connection.execute(text(sql))


def test_evidence_grows_by_the_day(writer):
    """Sweeps of one day and occasion that touch are one row; another day, occasion or hole is another."""
    by = Evidence(sweep="sweep", requests="fills", asked_by="time", calls=2, rows=5)
    with writer.begin() as tx:
        for n in range(3):
            start = T0 + n * HOUR
            tx.prove("main", [Proven("fills", "usdm", "BTCUSDT", start, start + HOUR, by)], start + HOUR)
        day = T0 + timedelta(days=1)
        tx.prove("main", [Proven("fills", "usdm", "BTCUSDT", T0 + 3 * HOUR, day, by)], day)
        tx.prove("main", [Proven("fills", "usdm", "BTCUSDT", T0 - 9 * HOUR, T0 - 8 * HOUR, by)], T0)
    told = sorted(rows(writer, evidence), key=lambda row: row["from_time"])
    assert [(row["sweeps"], row["calls"], row["rows"]) for row in told] == [(1, 2, 5), (3, 6, 15), (1, 2, 5)]
    assert (told[1]["from_time"], told[1]["to_time"]) == (T0, T0 + 3 * HOUR)


def told_at_random(rng):
    """Make stretches of a few datasets and symbols, by one of two means or by none."""
    means = [
        Evidence(sweep=sweep, requests="fills", asked_by=how, calls=1, rows=rng.randrange(5))
        for sweep, how in (("sweep", "time"), ("sweep", "id"), ("backfill", "time"))
    ]
    for _ in range(12):
        start = T0 + rng.randrange(40) * HOUR / 10
        end = start + rng.randrange(10) * HOUR / 10
        yield Proven(rng.choice(("fills", "orders")), "usdm", rng.choice(("", "BTCUSDT", "ETHUSDT")),
                     start, end, rng.choice([None, *means]))  # fmt: skip


@pytest.mark.parametrize("seed", range(6))
def test_stretches_written_together_are_those_written_one_by_one(writer, seed):
    """However many a sweep proves at once, coverage and evidence come out the same."""
    writer.open_account("other", "other", "binance-usdm", "live", T0)
    rng = random.Random(seed)
    for n in range(3):
        told, at = list(told_at_random(rng)), T0 + n * HOUR
        with writer.begin() as tx:
            tx.prove("main", told, at)
            for one in told:
                tx.prove("other", [one], at)
    for table in (coverage, evidence):
        kept = {"main": [], "other": []}
        for row in rows(writer, table):
            row = dict(row)
            kept[row.pop("account_id")].append(str(sorted(row.items())))
        assert sorted(kept["main"]) == sorted(kept["other"]) != []


def test_blind_time(writer):
    """It is dark from the last life until a session receives; what is dark already goes on."""
    with writer.begin() as tx:
        assert tx.last_life("main") is None
        tx.open_session("s1", "main", T0)
        tx.go_blind("main", T0, "connection lost", "s0")
        tx.go_blind("main", T0 + HOUR, "again", "s0")
        assert tx.see_again("main", "s1", T0 + 2 * HOUR) == 7200
        assert tx.see_again("main", "s1", T0 + 3 * HOUR) == 0
        tx.update_session("s1", subscribed_at=T0, last_seen_at=T0 + HOUR)
        assert tx.last_life("main") == T0 + HOUR
        tx.update_session("s1", closed_at=T0 + 3 * HOUR, close_reason="stopped")
        assert tx.last_life("main") == T0 + 3 * HOUR
    (dark,) = rows(writer, blind_windows)
    assert (dark["from_time"], dark["to_time"], dark["reason"]) == (T0, T0 + 2 * HOUR, "connection lost")


def test_what_is_not_proven(writer):
    """Open gaps, the time since the last proof, and datasets without any proof make up `unproven`."""
    with writer.begin() as tx:
        tx.prove("main", [Proven("fills", "usdm", "", T0, T0 + HOUR)], T0)
        tx.prove("main", [Proven("fills", "usdm", "BTCUSDT", T0, T0 + 2 * HOUR)], T0)
        tx.open_gap("main", "fills", "usdm", "", T0 - HOUR, "older than the venue keeps", T0, T0)
        found = tx.connection.execute(text("SELECT dataset, reason FROM unproven ORDER BY dataset, reason"))
        told = [tuple(row) for row in found]
    assert ("fills", "older than the venue keeps") in told and ("fills", "not yet proven") in told
    assert ("orders", "never proven") in told and len(told) == 7
    with writer.begin() as tx:
        since = tx.connection.execute(
            text("SELECT from_time FROM unproven WHERE reason = 'not yet proven'")
        ).scalar()
    assert str(since).startswith(f"{T0 + HOUR:%Y-%m-%d %H:%M}")


def test_the_furthest_wish_counts(writer):
    """A later wish for less does not take back an earlier one for more; done is done until asked again."""
    with writer.begin() as tx:
        assert tx.wanted_since("main") is None and not tx.is_backfill_due("main")
        tx.ask_backfill("main", T0 - 9 * HOUR, T0)
        tx.ask_backfill("main", T0 - 3 * HOUR, T0)
        assert tx.wanted_since("main") == T0 - 9 * HOUR and tx.is_backfill_due("main")
        tx.end_backfill("main", T0)
        assert tx.wanted_since("main") == T0 - 9 * HOUR and not tx.is_backfill_due("main")
