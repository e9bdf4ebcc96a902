"""The lines before the writer: who waits for whom, and how much one transaction takes."""

import asyncio

from accountd.runtime.batch import Job
from accountd.runtime.lines import BATCH, SHARED, Lines
from tests.runtime.recording import frame, page


def job():
    """Bookkeeping that nobody waits for."""
    return Job(asyncio.Future(), run=lambda tx: None)


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
        lines.put(one if number % 3 else Job(asyncio.Future(), telling=one))
        lines.put(frame(number, account_id="other"))
    taken = []
    while lines:
        taken += [one for one in lines.take().tellings if one.account_id == "main"]
    assert taken == put


async def test_bookkeeping_waits_for_all_that_was_put_before_it_and_for_nothing_else():
    """A session is not closed before its frames are written, in whichever line they stand."""
    lines, before, after = Lines(), job(), job()
    lines.put(frame(0, account_id="well"))
    lines.put(before)
    for number in range(2 * SHARED):
        lines.put(frame(number, account_id="flood"))
    lines.put(after)
    assert lines.take().jobs == [before]
    assert lines.take().jobs == []
    assert list(lines.jobs()) == [after]
    assert lines.take().jobs == [after]
    assert not lines
