"""The lanes of one hook, without a database."""

import asyncio
from datetime import UTC, datetime, timedelta

from accountd.core.alerts import OutboxRow
from accountd.runtime.hook_queue import HookQueue

NOW = datetime(2026, 11, 1, 12, tzinfo=UTC)


def row(n, order_key=""):
    at = NOW + n * timedelta(microseconds=1)
    return OutboxRow(
        message_id=str(n), account_id="main", hook="ops", type="fill", body="{}", created_at=at,
        next_attempt_at=at, order_key=order_key,
    )  # fmt: skip


def queue(limit=8):
    """A queue that has seen that the database holds nothing."""
    fresh = HookQueue("ops", limit)
    fresh.begin_look()
    fresh.end_look([], False, None)
    return fresh


async def ready(lanes):
    """Take everything that may be sent now."""
    taken = []
    for _ in range(100):
        try:
            async with asyncio.timeout(0):
                taken.append(await lanes.take())
        except TimeoutError:
            return taken
    raise AssertionError("the queue never ends")


def ids(entries):
    return [entry.row.message_id for entry in entries]


async def test_until_the_first_look_nothing_is_taken():
    """What is left from the last run goes first, so an offer only asks for a look."""
    fresh = HookQueue("ops", 8)
    fresh.offer(row(1), NOW)
    assert (await ready(fresh), fresh.wants_look) == ([], True)


async def test_only_the_first_of_an_order_is_sent():
    """Lanes go side by side; within a lane the next one comes when the one before has passed."""
    lanes = queue()
    for each in (row(1, "a"), row(2, "a"), row(3, "b"), row(4), row(5)):
        lanes.offer(each, NOW)
    first = await ready(lanes)
    assert ids(first) == ["1", "3", "4", "5"]
    lanes.passed(first[0])
    assert ids(await ready(lanes)) == ["2"]


async def test_a_failed_lane_waits_in_the_database():
    """When the first of a lane is to be tried again, those behind it are let go, and none overtakes it."""
    lanes = queue()
    for each in (row(1, "a"), row(2, "a")):
        lanes.offer(each, NOW)
    (first,) = await ready(lanes)
    lanes.later(first)
    assert lanes.held == {"1"}
    lanes.offer(row(3, "a"), NOW)
    assert (await ready(lanes), lanes.wants_look) == ([], True)


async def test_a_look_that_began_before_the_failure_brings_nothing_of_that_lane():
    """A look may find the second of a lane whose first failed meanwhile: it stays where it is."""
    lanes = queue()
    lanes.offer(row(1, "a"), NOW)
    (first,) = await ready(lanes)
    assert lanes.begin_look() == {"1"}
    lanes.later(first)
    lanes.release(["1"])
    lanes.end_look([row(2, "a"), row(3, "b")], False, None)
    assert ids(await ready(lanes)) == ["3"]
    lanes.offer(row(4, "a"), NOW)
    assert await ready(lanes) == []
    lanes.begin_look()
    lanes.end_look([row(1, "a"), row(2, "a")], False, None)
    assert ids(await ready(lanes)) == ["1"]


async def test_a_retry_that_waits_holds_up_its_own_order_only():
    """What waits in the database for its time closes the direct way for its order; others go on."""
    lanes = queue()
    lanes.begin_look()
    lanes.end_look([], False, NOW + timedelta(hours=1), frozenset({"a"}))
    lanes.offer(row(1, "b"), NOW)
    lanes.offer(row(2, "a"), NOW)
    assert ids(await ready(lanes)) == ["1"]
    lanes.begin_look()
    lanes.end_look([row(2, "a")], False, None)
    lanes.offer(row(3, "a"), NOW)
    (second,) = await ready(lanes)
    lanes.passed(second)
    assert ids([second, *await ready(lanes)]) == ["2", "3"]


async def test_when_too_much_waits_nothing_goes_direct():
    """Where the lanes that wait are too many to know, the database alone decides the order."""
    lanes = queue()
    lanes.begin_look()
    lanes.end_look([], False, NOW + timedelta(hours=1), None)
    lanes.offer(row(1), NOW)
    assert (await ready(lanes), lanes.wants_look) == ([], True)


async def test_what_is_not_due_is_not_taken():
    """A row whose time has not come stays in the database."""
    lanes = queue()
    later = row(1)
    later.next_attempt_at = NOW + timedelta(hours=1)
    lanes.offer(later, NOW)
    assert (await ready(lanes), lanes.wants_look) == ([], True)


async def test_an_offer_during_a_look_is_found_by_the_next():
    """A look that is under way may or may not see a new row; the next one does."""
    lanes = queue()
    lanes.begin_look()
    lanes.offer(row(1), NOW)
    lanes.end_look([], False, None)
    assert (lanes.direct, lanes.wants_look) == (False, True)


async def test_memory_is_bounded():
    """Beyond the limit rows stay in the database, until a quarter of the room is free again."""
    lanes = queue(limit=4)
    for n in range(10):
        lanes.offer(row(n), NOW)
    assert (len(lanes.held), lanes.room, lanes.wants_look) == (4, 0, False)
    for entry in await ready(lanes):
        lanes.passed(entry)
    lanes.release(["0"])
    assert (lanes.room, lanes.wants_look, lanes.stir.is_set()) == (1, True, True)


async def test_a_disabled_hook_takes_nothing():
    """What waits is dropped from memory, and what is offered is not taken."""
    lanes = queue()
    for each in (row(1), row(2, "a"), row(3, "a")):
        lanes.offer(each, NOW)
    lanes.disable("410 Gone")
    lanes.offer(row(4), NOW)
    assert (await ready(lanes), lanes.missed) == ([], True)


async def test_closing_lets_the_workers_go():
    """Those who wait get nothing; those who come later neither, though rows are left."""
    lanes = queue()
    waiting = asyncio.ensure_future(lanes.take())
    await asyncio.sleep(0)
    lanes.close(1)
    lanes.offer(row(1), NOW)
    assert (await waiting, await lanes.take()) == (None, None)
