"""Receivers that behave as badly as receivers do: nothing is lost, what comes twice is the same."""

import asyncio
import base64
from datetime import UTC, datetime

import pytest
from sqlalchemy import create_engine
from standardwebhooks import Webhook

from accountd import sinks
from accountd.config import Hook
from accountd.store.tables import metadata
from tests.runtime.outbox_stage import FakeSink, Stage, row
from tests.sinks.receivers import endless, hang, receiver, reset, stalled, status

SECRET = "whsec_" + base64.b64encode(b"a secret of some length").decode()
NEXT = "whsec_" + base64.b64encode(b"the one that comes next").decode()


def liar(seconds):
    """Take the message, and say so only when nobody listens any more."""

    async def answer(writer):
        await asyncio.sleep(seconds)
        await status(200)(writer)

    return answer


@pytest.fixture
def stage(tmp_path):
    """A fresh SQLite file with the outbox in it, and the time of day."""
    engine = create_engine(f"sqlite:///{tmp_path / 'outbox.db'}")
    with engine.begin() as conn:
        conn.exec_driver_sql("PRAGMA journal_mode=WAL")
        names = ("outbox", "deliveries", "hooks")
        metadata.create_all(conn, tables=[metadata.tables[name] for name in names])
    yield Stage(engine, now=datetime.now(UTC))
    engine.dispose()


def hook(there, **settings):
    told = {"type": "webhook", "url": there.url, "allow_private": True, "timeout": "200ms", "secret": SECRET}
    return sinks.make(Hook(**told, secret_next=NEXT, **settings))


@pytest.mark.parametrize(
    "bad",
    [
        hang, reset, liar(0.3), status(500), status(429, "Retry-After: 1"), endless(500), stalled(500),
        status(302, "Location: http://127.0.0.1:1/x"), status(307, "Location: http://169.254.169.254/"),
    ],
    ids=["hangs", "resets", "lies", "500", "429", "endless", "stalls", "redirects", "metadata"],
)  # fmt: skip
async def test_whatever_it_does_the_message_arrives_unchanged(stage, bad):
    """After two bad answers comes a good one: one id, the same bytes each time, both secrets verify."""
    async with receiver(bad, bad, status(204)) as there:
        async with stage.run({"ops": hook(there)}, retry=["1s", "1s"]):
            stage.ring(row(1, created_at=stage.now, next_attempt_at=stage.now))
            for attempts in (1, 2):
                await stage.until(lambda n=attempts: stage.one("msg_1")["attempts"] == n)
                stage.forward(seconds=2)
            await stage.settled(delivered=1)
        seen = [(each.headers["webhook-id"], each.body) for each in there.seen]
        assert len(seen) == 3
        assert set(seen) == {("msg_1", row(1).body.encode())}
        last = there.seen[-1]
        for secret in (SECRET, NEXT):
            Webhook(secret).verify(last.body, last.headers)


async def test_endless_bodies_cost_no_memory_and_little_time(stage):
    """A 200 with a body that never ends is a delivery."""
    async with receiver(endless(200)) as there, stage.run({"ops": hook(there)}):
        stage.ring(*(row(n, created_at=stage.now, next_attempt_at=stage.now) for n in range(8)))
        await stage.settled(delivered=8)


async def test_a_hook_that_hangs_delays_no_other(stage):
    """At a steady 20 fills a second the other hook's first attempts come at once."""
    async with receiver(hang) as there:
        sinks_ = {"bad": hook(there), "good": FakeSink()}
        async with stage.run(sinks_):
            for n in range(30):
                stage.now = datetime.now(UTC)
                at = {"created_at": stage.now, "next_attempt_at": stage.now}
                stage.ring(row(2 * n, hook="bad", **at), row(2 * n + 1, hook="good", **at))
                await asyncio.sleep(0.05)
                stage.now = datetime.now(UTC)
            await stage.until(lambda: len(sinks_["good"].sent) == 30)
    waits = [seconds for name, seconds in stage.heard.first if name == "good"]
    assert len(waits) == 30
    assert max(waits) < 1.0
