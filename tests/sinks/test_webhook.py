"""Webhooks, against receivers that behave as badly as receivers do."""

import asyncio
import base64
import logging
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from standardwebhooks import Webhook

from accountd import sinks
from accountd.config import Hook
from accountd.errors import SinkError
from accountd.sinks.base import Message
from accountd.sinks.webhook import WebhookSink, read_retry_after
from tests.sinks.receivers import endless, for_ever, hang, receiver, reset, said, stalled, status

SECRET = "whsec_" + base64.b64encode(b"a secret of some length").decode()
OLDER = "whsec_" + base64.b64encode(b"the one that it replaces").decode()
BODY = '{"type":"fill","timestamp":"2026-11-01T12:00:00.000Z","data":{"symbol":"ⓢ"}}'.encode()
NOW = datetime(2026, 11, 1, 12, tzinfo=UTC)


def message(**changes):
    settings = {"id": "msg_1", "type": "fill", "body": BODY, "attempted_at": datetime.now(UTC)}
    return Message(**{**settings, **changes})


@asynccontextmanager
async def hook(url, **changes):
    settings = {"type": "webhook", "url": url, "secret": SECRET, "allow_private": True, "timeout": "5s"}
    sink = sinks.make(Hook(**{**settings, **changes}))
    try:
        yield sink
    finally:
        await sink.close()


async def refusal(*answers, sent=None, **changes):
    """Send to a receiver that does not take it; return the error and the receiver."""
    async with receiver(*answers) as there, hook(there.url, **changes) as sink:
        with pytest.raises(SinkError) as caught:
            await sink.send(sent or message())
        return caught.value, there


async def test_the_reference_library_verifies_what_is_sent():
    """Id, time of the attempt and signature are what receivers check; the body is verbatim."""
    async with receiver(status(200)) as there, hook(there.url) as sink:
        await sink.send(message())
    (request,) = there.seen
    assert request.body == BODY
    assert (request.path, request.headers["webhook-id"]) == ("/hook", "msg_1")
    assert request.headers["content-type"] == "application/json"
    assert Webhook(SECRET).verify(request.body, request.headers)["type"] == "fill"


async def test_while_rotating_either_secret_verifies():
    """Two secrets make two signatures, so that a receiver may know either."""
    async with receiver(status(200)) as there, hook(there.url, secret=f"{SECRET} {OLDER}") as sink:
        await sink.send(message())
    for secret in (SECRET, OLDER):
        Webhook(secret).verify(there.seen[0].body, there.seen[0].headers)
    assert len(there.seen[0].headers["webhook-signature"].split(" ")) == 2


async def test_without_a_secret_nothing_is_signed():
    """A receiver cannot mistake an unsigned message for a signed one."""
    async with receiver(status(200)) as there, hook(there.url, secret=()) as sink:
        await sink.send(message())
    assert "webhook-signature" not in there.seen[0].headers


@pytest.mark.parametrize("code", [200, 201, 202, 204, 299])
async def test_any_2xx_is_delivered(code):
    """Receivers may answer with whichever success they like."""
    async with receiver(status(code)) as there, hook(there.url) as sink:
        await sink.send(message())
    assert len(there.seen) == 1


async def test_the_connection_is_kept():
    """Messages that follow each other share a connection."""
    async with receiver(status(200, body=b"ok")) as there, hook(there.url) as sink:
        for _ in range(3):
            await sink.send(message())
    assert (len(there.seen), there.connections) == (3, 1)


@pytest.mark.parametrize("code", [400, 401, 404, 429, 500, 503])
async def test_other_answers_are_tried_again(code):
    """A receiver that is being repaired must not lose what came meanwhile."""
    error, _ = await refusal(status(code))
    assert (error.status, error.permanent, error.retry_after) == (code, False, None)


async def test_a_change_of_protocol_is_a_refusal():
    """Nobody asked for another protocol."""
    error, _ = await refusal(said(b"HTTP/1.1 101 Go\r\n\r\n"))
    assert (error.status, error.permanent) == (101, False)


async def test_gone_is_for_ever():
    """410 says that no attempt will ever be taken."""
    error, _ = await refusal(status(410))
    assert (error.status, error.permanent) == (410, True)


async def test_redirects_are_not_followed():
    """A redirect could lead anywhere; it is a failure, and nothing is sent twice."""
    async with receiver(status(200)) as elsewhere:
        error, there = await refusal(status(301, f"Location: {elsewhere.url}"))
        assert elsewhere.seen == []
    assert (error.status, error.permanent, len(there.seen)) == (301, False, 1)


@pytest.mark.parametrize("code", [429, 503])
async def test_retry_after_in_seconds_is_passed_on(code):
    """Who asks for a pause gets it."""
    error, _ = await refusal(status(code, "Retry-After: 120"))
    assert error.retry_after == 120


async def test_retry_after_as_a_date_is_counted_from_the_attempt():
    """An HTTP date becomes seconds from the attempt."""
    date = format_datetime(NOW + timedelta(minutes=3), usegmt=True)
    error, _ = await refusal(status(503, f"Retry-After: {date}"), sent=message(attempted_at=NOW))
    assert error.retry_after == 180


@pytest.mark.parametrize(
    ("text", "seconds"),
    [(None, None), ("soon", None), ("", None), ("-5", None), ("0", 0), (" 7 ", 7), ("9" * 5000, 10**9)],
)
def test_retry_after_that_makes_no_sense_says_nothing(text, seconds):
    """Whatever stands there, reading it neither fails nor overflows."""
    assert read_retry_after(text, NOW) == seconds


@given(st.text())
def test_retry_after_never_fails(text):
    """A receiver may write anything there."""
    seconds = read_retry_after(text, NOW)
    assert seconds is None or seconds >= 0


def test_a_date_that_has_passed_asks_for_nothing():
    """A pause is never negative."""
    assert read_retry_after("Sun, 01 Nov 2026 11:00:00 GMT", NOW) == 0


async def test_a_receiver_that_hangs_is_left():
    """The time-out covers the whole attempt."""
    error, _ = await refusal(hang, timeout="200ms")
    assert (error.message, error.permanent, error.status) == ("no reply within 0.2 s", False, None)


async def test_a_broken_connection_is_tried_again():
    """A reset is a failure like any other."""
    error, _ = await refusal(reset)
    assert (error.permanent, error.status) == (False, None)


async def test_nobody_there_is_tried_again():
    """A refused connection is a failure like any other."""
    async with receiver() as there:
        url = there.url
    async with hook(url) as sink:
        with pytest.raises(SinkError, match="no reply: ClientConnectorError"):
            await sink.send(message())


@pytest.mark.parametrize(("answer", "seconds"), [(endless(200), 0.8), (stalled(200), 4)])
async def test_a_success_is_a_success_whatever_follows(answer, seconds):
    """Neither an endless body, of which little is read, nor one that stalls takes a 2xx back."""
    async with receiver(answer) as there, hook(there.url) as sink:
        async with asyncio.timeout(seconds):
            await sink.send(message())
    assert len(there.seen) == 1


async def test_an_endless_refusal_is_a_refusal():
    """The body of an error is not read to its end either."""
    error, _ = await refusal(endless(500))
    assert error.status == 500


OK = b"HTTP/1.1 200 OK\r\n"
CHUNKED = OK + b"transfer-encoding: chunked\r\n\r\n"


@pytest.mark.parametrize(
    "answer",
    [
        for_ever(OK, b"x-more: and more\r\n"), said(OK + b"x-long: " + b"x" * 300_000),
        for_ever(b"", b"HTTP/1.1 102 Processing\r\n\r\n", 0.01), for_ever(OK, b"x", 0.01),
        said(b"\x00\xff\x15\x03", then="close"), said(b"SSH-2.0-OpenSSH_9.9\r\n"), said(b"", then="close"),
        said(OK, then="close"),
        said(b"HTTP/1.1 999999 OK\r\n\r\n"), said(CHUNKED + b"zz\r\n", then="close"),
        said(OK + b"content-length: 1\r\ncontent-length: 2\r\n\r\n"),
        said(OK + b"content-length: -7\r\n\r\n"),
        said(CHUNKED + b"ffffffffffffffffffffffff\r\nx"), said(CHUNKED + b"0\r\n" + b"x-y: z\r\n" * 50_000),
    ],
    ids=[
        "endless headers", "a long header", "endless 102", "dripping", "binary", "ssh", "nothing",
        "half a head", "no such status", "no chunk", "two lengths", "no such length", "huge chunk",
        "trailers",
    ],
)  # fmt: skip
async def test_what_is_no_reply_is_a_failure(answer):
    """Whatever comes in place of a reply: no success, no status, no fault, and within the time-out."""
    async with asyncio.timeout(3):
        error, _ = await refusal(answer, timeout="300ms")
    assert (error.permanent, error.status) == (False, None)
    assert error.message.startswith("no reply")


@pytest.mark.parametrize(
    "answer",
    [
        said(b"HTTP/1.0 200 OK\r\n\r\nfine", then="close"),
        said(b"HTTP/1.1 204 No Content\r\nconnection: close\r\n\r\n"),
        said(b"HTTP/1.1 200\r\nconnection: close\r\n\r\n", then="close"),
        said(CHUNKED, b"zz\r\n", then="close", pause=0.02),
        said(CHUNKED, b"ffffffffffffffffffffffff\r\nx", pause=0.02),
        said(CHUNKED, b"0\r\n" + b"x-y: z\r\n" * 50_000, pause=0.02),
        for_ever(CHUNKED, b"5\r\nhello\r\n"),
        said(b"HTTP/1.1 100 Continue\r\n\r\n" + OK + b"\r\n", then="close"),
    ],
    ids=[
        "HTTP/1.0", "no body", "no reason", "no chunk", "huge chunk", "trailers", "endless chunks",
        "after 100",
    ],
)  # fmt: skip
async def test_a_whole_head_with_2xx_is_a_delivery(answer):
    """What follows the head takes nothing back, and the next message finds a connection that works."""
    async with asyncio.timeout(5), receiver(answer, status(204)) as there, hook(there.url) as sink:
        await sink.send(message())
        await sink.send(message(id="msg_2"))
    assert [each.headers["webhook-id"] for each in there.seen] == ["msg_1", "msg_2"]



async def test_a_connection_that_the_receiver_closed_is_not_used():
    """Between two messages the receiver may close: that fails no attempt."""
    once = said(OK + b"content-length: 0\r\n\r\n", then="close")
    async with receiver(once, status(200)) as there, hook(there.url) as sink:
        await sink.send(message())
        await asyncio.sleep(0.02)
        await sink.send(message())
    assert (len(there.seen), there.connections) == (2, 2)



@pytest.mark.parametrize(
    "url",
    [
        "https://[::ffff:127.0.0.1]:{port}/x", "https://[::1]:{port}/x", "https://[fe80::1]:{port}/x",
        "https://example.com@127.0.0.1:{port}/x", "https://example.com:443@127.0.0.1:{port}/x",
        "https://127.1:{port}/x", "https://2130706433:{port}/x", "https://0x7f000001:{port}/x",
        "https://localhost:{port}/x", "https://127.0.0.1.:{port}/x",
    ],
)  # fmt: skip
async def test_no_spelling_of_this_machine_gets_through(url):
    """The system's own look-up decides what a spelling means; nothing is connected."""
    async with receiver(status(200)) as there:
        place = url.format(port=there.url.split(":")[2].split("/")[0])
        sink = WebhookSink(place, [], 1.0)
        with pytest.raises(SinkError, match=r"not public|no address"):
            await sink.send(message())
        await sink.close()
    assert there.connections == 0


async def test_what_can_be_no_address_is_refused_at_once():
    """An octal spelling that some systems would read as this machine."""
    with pytest.raises(ValueError, match="address"):
        WebhookSink("https://0177.0.0.1/x", [], 1.0)


async def test_a_name_that_changes_after_the_look_reaches_nothing_private(monkeypatch):
    """What was looked up is connected to; a name that is looked up again is judged again."""
    monkeypatch.setattr("accountd.sinks._targets.is_public", lambda address: address != "127.0.0.1")
    answers = [["127.0.0.2"], ["127.0.0.1"]]  # nobody is at the first

    async def resolve(host, port):
        return answers.pop(0)

    async with receiver(status(200)) as there:
        port = there.url.split(":")[2].split("/")[0]
        sink = WebhookSink(f"https://hooks.example.com:{port}/x", [], 1.0, resolve=resolve)
        for why in ("no reply", "not public"):
            with pytest.raises(SinkError, match=why):
                await sink.send(message())
        await sink.close()
    assert (there.connections, answers) == (0, [])


async def test_nothing_tells_the_url(caplog):
    """People put tokens into webhook URLs; neither errors nor logs may show them."""
    caplog.set_level(logging.INFO)
    async with receiver(status(500)) as there, hook(there.url + "/token-in-path?key=abc") as sink:
        with pytest.raises(SinkError) as caught:
            await sink.send(message())
    assert "token-in-path" not in str(caught.value) + caplog.text
    assert there.seen[0].path == "/hook/token-in-path?key=abc"


async def test_proxies_of_the_environment_are_not_used(monkeypatch):
    """A proxy would connect to an address that nobody checked."""
    async with receiver(status(200)) as proxy, receiver(status(200)) as there:
        for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, proxy.url)
        async with hook(there.url) as sink:
            await sink.send(message())
    assert (len(proxy.seen), len(there.seen)) == (0, 1)


async def test_a_webhook_needs_a_url():
    """Settings refuse it before; the sink does not rely on that."""
    with pytest.raises(ValueError, match="URL"):
        sinks.make(Hook.model_construct(type="webhook", url=None))


async def test_a_private_target_is_refused_where_not_allowed():
    """Without ALLOW_PRIVATE a name that leads to this machine is refused, and nothing is sent."""

    async def resolve(host, port):
        return ["127.0.0.1"]

    async with receiver(status(200)) as there:
        sink = WebhookSink("https://hooks.example.com/x", [], 1.0, resolve=resolve)
        try:
            with pytest.raises(SinkError, match="not public"):
                await sink.send(message())
        finally:
            await sink.close()
    assert there.connections == 0
