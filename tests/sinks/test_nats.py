"""Alerts on a real NATS server."""

import sys
from datetime import UTC, datetime

import nats
import pytest

from accountd import config
from accountd.config import Hook
from accountd.errors import SettingsError, SinkError
from accountd.sinks.base import Message
from accountd.sinks.nats import make
from tests.sinks.nats_server import free_port, nats_server

AT = datetime(2026, 11, 1, tzinfo=UTC)


def message(n=1, **changes):
    settings = {"id": f"msg_{n}", "type": "fill", "body": b'{"n":1}', "attempted_at": AT, "account": "main"}
    return Message(**{**settings, **changes})


def sink(url, **settings):
    return make(Hook(type="nats", url=url, timeout="5s", **settings))


async def stored(url, stream="accountd"):
    """Return what a stream holds."""
    client = await nats.connect(url)
    try:
        js = client.jetstream()
        info = await js.stream_info(stream)
        return [await js.get_msg(stream, n) for n in range(1, info.state.messages + 1)]
    finally:
        await client.close()


async def test_a_message_is_stored_under_its_subject_with_its_id(tmp_path):
    """Subject per account and type, the body as it is, the id as Nats-Msg-Id; the stream makes itself."""
    async with nats_server(tmp_path) as url:
        out = sink(url)
        await out.send(message())
        await out.send(message(2, type="order.filled", account="", replayed=True))
        await out.close()
        first, second = await stored(url)
    assert (first.subject, first.data, first.headers["Nats-Msg-Id"]) == (
        "accountd.main.fill",
        b'{"n":1}',
        "msg_1",
    )
    assert second.subject == "accountd._.order.filled"
    assert second.headers["Accountd-Replayed"] == "true"


def test_credentials_need_what_signs_with_them(tmp_path, monkeypatch):
    """A file that is there is of no use without the package; who sets it learns so at once."""
    monkeypatch.setitem(sys.modules, "nkeys", None)
    (tmp_path / "a.creds").write_text("-")
    hook = {"type": "nats", "url": "nats://a.example", "credentials_file": tmp_path / "a.creds"}
    with pytest.raises(SettingsError, match=r"CREDENTIALS_FILE.*pip install nkeys"):
        config.load({f"ACCOUNTD_HOOKS__OPS__{name.upper()}": str(value) for name, value in hook.items()})


async def test_the_stream_drops_what_comes_twice(tmp_path):
    """A retry after a lost acknowledgement leaves one message in the stream."""
    async with nats_server(tmp_path) as url:
        out = sink(url, subject="desk.alerts")
        for n in (1, 1, 2):
            await out.send(message(n))
        await out.close()
        assert [each.headers["Nats-Msg-Id"] for each in await stored(url, "desk_alerts")] == [
            "msg_1",
            "msg_2",
        ]


async def test_a_server_that_is_away_is_tried_again(tmp_path):
    """No server is a refusal for now; when it is there the next attempt succeeds over a new connection."""
    port = free_port()
    out = sink(f"nats://user:hush@127.0.0.1:{port}")
    with pytest.raises(SinkError) as refusal:
        await out.send(message())
    assert not refusal.value.permanent
    assert "hush" not in str(refusal.value)
    for n in (1, 2):
        async with nats_server(tmp_path, port):
            await out.send(message(n))
    async with nats_server(tmp_path, port) as url:
        assert len(await stored(url)) == 2
    await out.close()


async def test_what_is_too_large_is_never_tried_again(tmp_path):
    """The server's limit does not move between attempts."""
    async with nats_server(tmp_path) as url:
        out = sink(url)
        with pytest.raises(SinkError) as refusal:
            await out.send(message(body=b"x" * 2_000_000))
        await out.close()
    assert refusal.value.permanent


async def test_a_server_that_refuses_the_credentials_is_tried_again(tmp_path):
    """Somebody may mend the credentials; the refusal does not show them."""
    options = tmp_path / "closed.conf"
    options.write_text("authorization { token: hushhush }\n")
    async with nats_server(tmp_path, None, "-c", str(options)) as url:
        out = sink(url.replace("nats://", "nats://wrongword@"))
        with pytest.raises(SinkError) as refusal:
            await out.send(message())
        await out.close()
        out = sink(url.replace("nats://", "nats://hushhush@"))
        await out.send(message())
        await out.close()
    assert not refusal.value.permanent
    assert "wrongword" not in str(refusal.value)
