"""The request budget: never above its share in any minute, fair, and urgent things first."""

import asyncio
from datetime import UTC, datetime
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from accountd.runtime.budget import AT_ONCE, REACH, Budget, Priority
from tests.fake_clock import FakeClock

POOL = "p"


def budget(limit=1000, share=0.5):
    """Return a budget and its clock."""
    clock = FakeClock()
    made = Budget(clock, share)
    made.set_limit(POOL, limit)
    return made, clock


async def spend(made, clock, weight, priority, log, name=None):
    """Acquire, then log who got it, when and how much."""
    await made.acquire(POOL, weight, priority)
    log.append((clock.monotonic(), weight, name if name is not None else priority))


def most_in_a_minute(log):
    """Return the largest weight that any 60 s held."""
    return max(sum(weight for at, weight, _ in log if start <= at < start + 60) for start, _, _ in log)


@given(
    asked=st.lists(st.tuples(st.integers(1, 60), st.sampled_from(Priority)), min_size=1, max_size=60),
    share=st.sampled_from([0.1, 0.25, 0.5, 1.0]),
)
def test_no_minute_ever_holds_more_than_the_share(asked, share):
    """Whatever is asked at once, any 60 s hold at most the share, and everybody is served in the end."""
    made, clock = budget(1000, share)
    log = []

    async def storm():
        await asyncio.gather(*(spend(made, clock, weight, priority, log) for weight, priority in asked))

    asyncio.run(storm())
    assert len(log) == len(asked)
    assert most_in_a_minute(log) <= 1000 * share


async def test_urgent_goes_first_and_equals_queue():
    """A higher priority overtakes those that wait; inside a priority accounts are served as they came."""
    made, clock = budget(100, 1.0)
    log = []
    await made.acquire(POOL, 98, Priority.SEAM)
    waiting = [
        asyncio.create_task(spend(made, clock, 30, priority, log, name))
        for priority, name in [
            (Priority.SWEEP, "sweep-a"),
            (Priority.SWEEP, "sweep-b"),
            (Priority.SEAM, "seam"),
            (Priority.BACKFILL, "backfill"),
            (Priority.CANARY, "canary"),
        ]
    ]
    await asyncio.gather(*waiting)
    assert [name for _, _, name in log] == ["seam", "canary", "sweep-a", "sweep-b", "backfill"]


async def test_a_keepalive_always_finds_room():
    """Everything else leaves a rest of the share, so a keep-alive does not wait for a backfill."""
    made, clock = budget(1000, 0.5)
    log = []
    storm = [asyncio.create_task(spend(made, clock, 5, Priority.SEAM, log)) for _ in range(120)]
    await asyncio.sleep(0)
    await made.acquire(POOL, 1, Priority.KEEPALIVE)
    assert clock.monotonic() == 0
    await asyncio.gather(*storm)


@pytest.mark.parametrize("priority", [Priority.BACKFILL, Priority.SWEEP, Priority.CANARY])
async def test_what_can_wait_leaves_room_for_a_seam_at_any_moment(priority):
    """However long something that can wait has taken all that it may, a seam of a third goes at once."""
    made, clock = budget(1000, 0.5)
    for _ in range(7):
        for _ in range(30):
            await made.acquire(POOL, 5, priority)
        now = clock.monotonic()
        await made.acquire(POOL, 165, Priority.SEAM)
        assert clock.monotonic() == now
        await clock.sleep(60)


@pytest.mark.parametrize("priority", [Priority.BACKFILL, Priority.SWEEP, Priority.CANARY])
async def test_what_can_wait_is_spread_over_the_minute(priority):
    """When its room is used up it goes on at an even pace: nothing waits for the rest of a minute."""
    made, clock = budget(1000, 0.5)
    times = []
    for _ in range(100):
        await made.acquire(POOL, 10, priority)
        times.append(clock.monotonic())
    waits = [later - earlier for earlier, later in pairwise(times)]
    assert max(waits) <= 10 * 60 / (500 * REACH[priority] * (1 - AT_ONCE)) + 0.01
    assert max(waits) < 12


async def test_a_reconnect_does_not_stop_what_can_wait():
    """Weight that seams used is not held against slow sweeps, as long as the share has some left."""
    made, clock = budget(1000, 0.5)
    await made.acquire(POOL, 300, Priority.SEAM)
    for _ in range(5):
        await made.acquire(POOL, 20, Priority.SWEEP)
    assert clock.monotonic() == 0


async def test_a_sweep_can_wait_until_there_is_room_for_all_of_it():
    """`wait` says how long, and then everything goes without another stop."""
    made, clock = budget(1000, 0.5)
    while made.wait(POOL, 10, Priority.SWEEP) == 0:
        await made.acquire(POOL, 10, Priority.SWEEP)
    await clock.sleep(made.wait(POOL, 80, Priority.SWEEP))
    now = clock.monotonic()
    assert now > 0
    for _ in range(8):
        await made.acquire(POOL, 10, Priority.SWEEP)
    assert clock.monotonic() == pytest.approx(now, abs=0.01)


async def test_a_cheap_look_leaves_half_to_others():
    """Looks that nobody waits for stop where half of the room is left, and go on at an even pace."""
    made, clock = budget(1000, 0.5)
    looks = 0
    while made.has_room(POOL, 10, Priority.CANARY):
        await made.acquire(POOL, 10, Priority.CANARY)
        looks += 1
    assert looks == 6  # half of 0.4 of 0.65 of 500
    for _ in range(5):
        await made.acquire(POOL, 10, Priority.CANARY)
    assert clock.monotonic() == 0
    await clock.sleep(30)
    assert made.has_room(POOL, 10, Priority.CANARY)


async def test_a_scarce_question_is_kept_for_a_reconnect():
    """Of five heavy calls a minute the routine takes one, a hint a second; a reconnect finds the rest."""
    made, clock = budget(90_000, 1.0)
    asked = []
    for priority, times in ((Priority.SWEEP, 1), (Priority.CANARY, 1), (Priority.SEAM, 2)):
        taken = 0
        while made.has_room(POOL, 18_000, priority):
            await made.acquire(POOL, 18_000, priority)
            taken += 1
        asked.append(taken)
        assert taken == times
    assert clock.monotonic() == 0
    await clock.sleep(59)
    assert not made.has_room(POOL, 18_000, Priority.SWEEP)
    await clock.sleep(1)
    assert made.has_room(POOL, 18_000, Priority.SWEEP)


async def test_a_pause_stops_everybody_until_it_ends():
    """A pause holds every priority; a shorter one does not shorten it."""
    made, clock = budget()
    made.pause(POOL, 30)
    made.pause(POOL, 5)
    assert made.paused(POOL) == 30
    await made.acquire(POOL, 1, Priority.KEEPALIVE)
    assert clock.monotonic() == 30


@pytest.mark.parametrize(("used", "waits"), [(899, 0), (900, 48)])
async def test_others_on_the_address_count(used, waits):
    """Near the venue's limit nothing goes out before the venue's minute ends, except keep-alives."""
    made, clock = budget(1000, 0.5)
    made.observe(POOL, used, datetime(2026, 1, 1, 0, 0, 12, tzinfo=UTC))
    await made.acquire(POOL, 1, Priority.KEEPALIVE)
    assert clock.monotonic() == 0
    await made.acquire(POOL, 1, Priority.SEAM)
    assert clock.monotonic() == waits


async def test_a_call_heavier_than_the_share_goes_alone():
    """A tiny share delays a heavy call until nothing else was spent, and never for ever."""
    made, clock = budget(100, 0.1)
    await made.acquire(POOL, 1, Priority.SEAM)
    await made.acquire(POOL, 40, Priority.SEAM)
    assert clock.monotonic() == 60


async def test_giving_up_makes_room():
    """A waiter that is cancelled leaves the queue to the next."""
    made, clock = budget(100, 1.0)
    await made.acquire(POOL, 98, Priority.SEAM)
    gone = asyncio.create_task(made.acquire(POOL, 50, Priority.SEAM))
    await asyncio.sleep(0)
    log = []
    stays = asyncio.create_task(spend(made, clock, 1, Priority.SWEEP, log))
    await asyncio.sleep(0)
    gone.cancel()
    await stays
    assert gone.cancelled() or await asyncio.gather(gone, return_exceptions=True)
    assert log


async def test_pools_are_apart():
    """A pause of one pool does not hold another, and a pool without a limit is free."""
    made, clock = budget()
    made.pause(POOL, 100)
    await made.acquire("other", 10_000, Priority.SWEEP)
    assert clock.monotonic() == 0


async def test_scarce_weight_is_shared_between_accounts():
    """An account with many requests lined up does not keep another one, which came later, waiting."""
    made, clock = budget(100, 1.0)
    log = []

    async def ask(who, count):
        for _ in range(count):
            await made.acquire(POOL, 10, Priority.BACKFILL, who)
            log.append((clock.monotonic(), who))

    crowd = [asyncio.create_task(ask("greedy", 10)) for _ in range(4)]
    await asyncio.sleep(0)
    await asyncio.gather(ask("modest", 10), *crowd)
    first = [who for _, who in log[:20]]
    assert first.count("modest") >= 9


class CountingVenue:
    """Counts what is asked as a venue does: from each full minute on, or over the last 60 s (``sliding``)."""

    def __init__(self, made, clock, *, sliding=False, told=True):
        self.made, self.clock, self.sliding, self.told = made, clock, sliding, told
        self.log = []

    async def ask(self, weight, priority):
        """Acquire, be counted, and tell the count."""
        await self.made.acquire(POOL, weight, priority)
        now = self.clock.monotonic()
        self.log.append((now, weight, priority))
        if self.told:
            since = now - 60 if self.sliding else now // 60 * 60 - 0.001
            used = sum(one for at, one, _ in self.log if at > since)
            self.made.observe(POOL, used, self.clock.now(), weight)

    async def storm(self, priority, seconds, weight=20):
        """Ask for as much as there is; return how much was had."""
        begun, before = self.clock.monotonic(), sum(one for _, one, _ in self.log)
        while self.clock.monotonic() < begun + seconds:
            await self.ask(weight, priority)
        return sum(one for _, one, _ in self.log) - before


async def test_a_seam_goes_on_where_the_venue_counts_anew():
    """What used up a minute is forgotten by the venue when the next begins: a seam need not wait for 60 s."""
    made, clock = budget(1000, 0.5)
    venue = CountingVenue(made, clock)
    await clock.sleep(40)
    while made.wait(POOL, 20, Priority.SEAM) == 0:
        await venue.ask(20, Priority.SEAM)
    assert clock.monotonic() == 40
    await clock.sleep(20.5)
    await venue.ask(1, Priority.KEEPALIVE)  # its answer shows that the count begins anew
    await venue.ask(60, Priority.SEAM)
    assert clock.monotonic() < 61


@pytest.mark.parametrize(("sliding", "told"), [(True, True), (False, False)])
async def test_a_venue_that_does_not_forget_is_held_to_any_minute(sliding, told):
    """Where the count slides, or is not told, no 60 s hold more than the share."""
    made, clock = budget(1000, 0.5)
    venue = CountingVenue(made, clock, sliding=sliding, told=told)
    await clock.sleep(40)
    await venue.storm(Priority.SEAM, 200)
    assert most_in_a_minute(venue.log) <= 500


@given(
    begun=st.integers(0, 59),
    pauses=st.lists(st.tuples(st.integers(0, 30), st.sampled_from([Priority.SEAM, Priority.CANARY])),
                    min_size=1, max_size=6),
    share=st.sampled_from([0.25, 0.5, 1.0]),
)  # fmt: skip
def test_no_minute_of_the_venue_holds_more_than_the_share(begun, pauses, share):
    """Also where its count was seen to start anew; and no 60 s at all hold more than the limit."""
    made, clock = budget(1000, share)
    venue = CountingVenue(made, clock)

    async def storms():
        await clock.sleep(begun)
        for pause, priority in pauses:
            await venue.storm(priority, 20)
            await clock.sleep(pause)

    asyncio.run(storms())
    minutes = {at // 60 for at, _, _ in venue.log}
    held = [sum(weight for at, weight, _ in venue.log if at // 60 == minute) for minute in minutes]
    assert max(held) <= 1000 * share
    assert most_in_a_minute(venue.log) <= 900 or share == 1.0
    assert most_in_a_minute(venue.log) <= 1000
