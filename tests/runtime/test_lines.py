"""The lines before the writer: who waits for whom, and how much one transaction takes."""

import asyncio

from accountd.runtime.batch import Job
from accountd.runtime.lines import BATCH, LEAST, SHARED, SHORT, Lines
from tests.runtime.recording import fill, frame, page


def job():
    """Bookkeeping that nobody waits for."""
    return Job(asyncio.Future(), run=lambda tx: None)


def accounts(batch):
    """Return whose tellings a batch has."""
    return [telling.account_id for telling in batch.tellings]


def flood(lines, times):
    """Put so many tellings into one account's line."""
    for number in range(times):
        lines.put(frame(number, account_id="flood"))


async def test_one_account_alone_fills_a_transaction():
    """Without others there is nobody to be fair to."""
    lines = Lines()
    for number in range(BATCH + 1):
        lines.put(frame(number))
    assert len(lines.take().tellings) == BATCH
    assert len(lines.take().tellings) == 1
    assert not lines


async def test_a_flood_waits_in_its_own_line():
    """What another account tells is in the next transaction, without any of the flood."""
    lines = Lines()
    flood(lines, 5 * SHARED)
    lines.put(frame(1, account_id="well"))
    assert accounts(lines.take()) == ["well"]


async def test_short_lines_never_go_ahead_twice_in_a_row():
    """However much the others tell, every second transaction takes of a long line too."""
    lines = Lines()
    flood(lines, 5 * SHARED)
    taken = []
    for number in range(4):
        lines.put(frame(number, account_id="well"))
        taken.append(accounts(lines.take()))
    assert taken[0] == taken[2] == ["well"]
    assert [sorted(set(one)) for one in (taken[1], taken[3])] == [["flood", "well"]] * 2
    assert taken[1].count("flood") == SHARED // 2


async def test_honest_lines_are_taken_together():
    """Neither two short lines nor two long ones wait for each other: that would be one more commit."""
    for many in (SHORT, SHORT + 1):
        lines = Lines()
        for number in range(many):
            lines.put(frame(number, account_id="one"))
            lines.put(frame(number, account_id="two"))
        assert len(lines.take().tellings) == 2 * many


async def test_a_long_page_is_no_short_line():
    """A page of history tells as much as a flood, in one telling; a frame of another account goes ahead."""
    lines = Lines()
    lines.put(Job(asyncio.Future(), telling=page(1, *[fill(number) for number in range(SHORT + 1)])))
    lines.put(frame(1, account_id="well"))
    assert accounts(lines.take()) == ["well"]
    assert accounts(lines.take()) == ["main"]


async def test_a_transaction_is_as_long_as_the_line_demands():
    """A flood that the writer keeps up with is taken in small pieces, which nobody waits for long behind."""
    lines = Lines()
    lines.put(frame(0, account_id="well"))
    lines.take()
    flood(lines, 2 * SHARED)
    sizes = []
    while lines:
        sizes.append(len(lines.take().tellings))
    assert sizes == [50, 37, 32, 32, 32, 17]
    flood(lines, 9 * SHARED)
    assert len(lines.take().tellings) == SHARED


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
    flood(lines, SHORT + LEAST)
    lines.put(after)
    assert lines.take().jobs == [before]
    assert lines.take().jobs == []
    assert list(lines.jobs()) == [after]
    assert lines.take().jobs == [after]
    assert not lines
