"""Every fault of the simulated exchange, one after the other, while the account trades."""

# Faults that strike together, and whether a new session must follow.
FAULTS = [
    (
        [
            ("duplicate", {"p": 0.4, "seconds": 1}), ("reorder", {"p": 0.4, "seconds": 1}),
            ("drop", {"p": 0.3, "seconds": 1}), ("torn_frame", {"n": 3}), ("extra_fields", {"seconds": 1}),
        ],
        False,
    ),
    ([("expire_key", {})], True),
    ([("replace_key", {})], True),
    (
        [
            ("stale_rest", {"seconds": 0.3, "lasting": 1}), ("torn_json", {"n": 1}),
            ("html", {"n": 1, "status": 200}), ("http_5xx", {"n": 2, "status": 503}), ("close", {}),
        ],
        True,
    ),
    ([("rate_limit", {"n": 1, "retry_after": 1}), ("refuse", {"seconds": 0.3}), ("rst", {})], True),
    ([("ban", {"seconds": 1}), ("expire_key", {"told": False})], True),
    ([("blackhole", {"seconds": 0.3, "where": "stream"})], True),
]  # fmt: skip


# Each reconnect of a portfolio account reads three markets: those that its own door decides.
FEWER = [*FAULTS[:4], FAULTS[5]]


async def endure(world, faults_in_turn=FAULTS):
    """Trade through every fault; in the end the record equals the truth and every fill rang once."""
    for faults, lost in faults_in_turn:
        sessions = world.server.counts["sessions"]
        for fault, options in faults:
            world.faults.inject(fault, **options)
        await world.trade(15, rate=120)
        if lost:
            await world.until(lambda n=sessions: world.server.counts["sessions"] > n, 20)
        await world.until(world.live, 20)
    await world.trade(12)
    await world.agreed(40)
    await world.rang()
