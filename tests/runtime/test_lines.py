"""The lines before the writer: who waits for whom, and how much one transaction takes."""

import asyncio

from accountd.runtime.batch import Job
from accountd.runtime.lines import BATCH, HOUSE, SHARED, Lines
from tests.runtime.recording import frame, page


def job(line):
    """Bookkeeping that nobody waits for."""
    return Job(asyncio.Future(), line, lambda tx: None)


def accounts(batch):
    """Return whose tellings a batch has."""
    return [telling.account_id for telling in batch.tellings]


async def test_one_account_alone_fills_a_transaction():
    """Without others there is nobody to be fair to."""
    lines = Lines()
    for number in range(BATCH + 1):
        lines.put(frame(number))
    assert len(lines.take().tellings) == BATCH
    assert len(lines.take().tellings) == 1
    assert not lines


async def test_a_flood_waits_in_its_own_line():
    """What another account tells is in the next transaction, and that one is short."""
    lines = Lines()
    for number in range(5 * SHARED):
        lines.put(frame(number, account_id="flood"))
    lines.put(frame(1, account_id="well"))
    first = accounts(lines.take())
    assert first.count("well") == 1
    assert first.count("flood") == SHARED // 2
    assert accounts(lines.take()) == ["flood"] * SHARED


async def test_each_accounts_tellings_stay_in_order():
    """Frames and pages of an account are taken as they were put."""
    lines, put = Lines(), []
    for number in range(3 * SHARED):
        one = frame(number) if number % 3 else page(number)
        put.append(one)
        lines.put(one if number % 3 else Job(asyncio.Future(), "main", telling=one))
        lines.put(frame(number, account_id="other"))
    taken = []
    while lines:
        taken += [one for one in lines.take().tellings if one.account_id == "main"]
    assert taken == put


async def test_bookkeeping_waits_for_its_own_account_and_for_no_other():
    """A session is not closed before its frames are written; another account's flood is nothing to it."""
    lines, well, flooded = Lines(), job("well"), job("flood")
    lines.put(frame(0, account_id="well"))
    for number in range(3 * SHARED):
        lines.put(frame(number, account_id="flood"))
    lines.put(flooded)
    lines.put(well)
    assert lines.take().jobs == [well]
    assert list(lines.jobs()) == [flooded]
    taken = [lines.take() for _ in range(3)]
    assert [batch.jobs for batch in taken] == [[], [], [flooded]]
    assert not lines


async def test_what_concerns_no_account_waits_for_nothing():
    """Deliveries are marked, however many frames wait."""
    lines, house = Lines(), [job(HOUSE) for _ in range(2 * SHARED)]
    for number in range(2 * BATCH):
        lines.put(frame(number))
    for one in house:
        lines.put(one)
    assert lines.take().jobs == house
    assert lines.take().jobs == []


async def test_bookkeeping_of_accounts_that_tell_nothing_makes_no_transaction_small():
    """An account that is only in the record, not in the settings, floods nobody."""
    lines = Lines()
    for name in ("main", "gone", HOUSE):
        lines.put(job(name))
    for number in range(BATCH):
        lines.put(frame(number))
    assert len(lines.take().tellings) == BATCH - 1
