"""The stream of events: in order, exact, and going on where it ended."""

import asyncio
import json

import pytest

from accountd.web import events, pages, server
from accountd.web.record import Record
from tests.store.samples import changes, fill
from tests.web.conftest import build, healthy


def parsed(text):
    """Return (id, event, data) of each event of a stream."""
    found = []
    for block in text.split("\n\n"):
        told = dict(line.split(": ", 1) for line in block.split("\n") if ": " in line)
        if "data" in told:
            found.append((told["id"], told["event"], json.loads(told["data"])))
    return found


def ask(browser, **query):
    """Return the events of an answer that ends when there are no more."""
    query.setdefault("wait", "0")
    reply = browser.get("/api/v1/events", params=query)
    assert reply.headers["content-type"].startswith("text/event-stream")
    return parsed(reply.text)


def test_everything_is_told_in_the_order_of_the_journal(browser):
    """From the start every row of the journal is told once per account in order, fills before their row."""
    told = ask(browser, after="start")
    rows = [(one["account"], one["seq"]) for _, kind, one in told if kind == "told"]
    assert rows == [("main", 1), ("main", 2), ("other", 1)]
    fills = [one["trade_id"] for _, kind, one in told if kind == "fill" and one["account"] == "main"]
    assert sorted(fills) == ["1", "2", "3", "4", "5", "6", "7"]
    kinds = [kind for _, kind, one in told if one["account"] == "other"]
    assert kinds == ["fill", "told"]
    assert told[-1][2]["message"] == {"e": "ORDER_TRADE_UPDATE"}


def test_it_begins_now_unless_asked(browser):
    """Without a place the stream has only what comes after it was opened, and says where that is."""
    reply = browser.get("/api/v1/events", params={"wait": "0"})
    assert parsed(reply.text) == []
    assert reply.text.startswith("retry: 2000\nid: ")


def test_each_id_leads_on(browser):
    """Going on after any event gives exactly what followed it; a fill is given again rather than lost."""
    told = ask(browser, after="start")
    for number, (place, kind, _) in enumerate(told):
        rest = told[number + 1 :]
        again = ask(browser, after=place)
        assert again[-len(rest) :] == rest if rest else again == []
        if kind == "told":
            assert again == rest


def test_the_browsers_header_leads_on_too(browser):
    """A browser that reconnects says where it was in Last-Event-ID."""
    told = ask(browser, after="start")
    reply = browser.get("/api/v1/events", params={"wait": "0"}, headers={"last-event-id": told[-2][0]})
    assert [one for one in parsed(reply.text) if one[1] == "told"] == [told[-1]]


def test_one_account_alone(browser):
    """With an account only its events are told."""
    assert {one["account"] for _, _, one in ask(browser, after="start", account="other")} == {"other"}


def test_a_place_survives_a_restart(record, record_url):
    """A new process goes on where an old one ended."""
    from starlette.testclient import TestClient

    places = []
    for number in (2, 3):
        built = build(record_url)
        with TestClient(built, base_url="http://localhost") as browser:
            told = ask(browser, after=places[-1] if places else "start")
            places.append(told[-1][0])
        built.state.close()
        if number == 3:
            assert [one["trade_id"] for _, kind, one in told if kind == "fill"] == ["50"]
        with record.begin() as tx:
            tx.write([changes(first=number, fills=[fill(48 + number, journal_seq=number + 1)])])


def test_no_secret_and_no_number_is_changed():
    """What was received is passed on digit by digit; what is no JSON is left out."""
    assert bytes(events._message(b'{"price":0.10000000000000000001}')) == b'{"price":0.10000000000000000001}'
    assert events._message(b"\xff\xfe") is None


@pytest.mark.parametrize("written", ["", "AA", "e30x", "W10", "eyJhIjoiYiJ9", "!!"])
def test_a_place_that_never_was(browser, written):
    """An id that no event had is refused, except the empty one, which means now."""
    reply = browser.get("/api/v1/events", params={"wait": "0"}, headers={"last-event-id": written})
    assert reply.status_code == (200 if written == "" else 404)


async def test_a_fill_arrives_while_somebody_listens(record, record_url):
    """A fill that is committed reaches an open stream at once, and the stream ends when the web does."""
    built = build(record_url)
    async with server.serving(built, server.bind("127.0.0.1", 0)) as (host, port):
        reader, writer = await asyncio.open_connection(host, port)
        head = f"GET /api/v1/events HTTP/1.1\r\nHost: {host}\r\nAccept: text/event-stream\r\n\r\n"
        writer.write(head.encode())
        await reader.readuntil(b"retry: 2000")
        with record.begin() as tx:
            tx.write([changes(first=2, fills=[fill(77, journal_seq=3)])])
        text = await asyncio.wait_for(reader.readuntil(b'"trade_id":"77"'), 10)
        assert b"event: fill" in text
    await asyncio.wait_for(reader.read(), 10)
    writer.close()


async def test_streams_are_counted(record, record_url, monkeypatch):
    """More streams than allowed are refused, and a closed one makes room."""
    monkeypatch.setattr(events, "MOST", 1)
    built = build(record_url)
    async with server.serving(built, server.bind("127.0.0.1", 0)) as (host, port):
        head = f"GET /api/v1/events HTTP/1.1\r\nHost: {host}\r\nAccept: text/event-stream\r\n\r\n".encode()
        first, writer = await asyncio.open_connection(host, port)
        writer.write(head)
        await first.readuntil(b"retry: 2000")
        second, other = await asyncio.open_connection(host, port)
        other.write(head)
        assert b" 503 " in await second.readline()
        other.close()
        writer.close()


async def test_trouble_does_not_end_a_stream(record, record_url, monkeypatch):
    """While the database does not answer the stream stays open and goes on later."""
    from accountd.errors import DatabaseGone

    monkeypatch.setattr(events, "TROUBLE", 0.01)
    watched, looks = Record(record_url, healthy()), []

    async def look(run):
        looks.append(run)
        if len(looks) == 1:
            raise DatabaseGone
        return await Record.look(watched, run)

    monkeypatch.setattr(watched, "look", look)
    told = b"".join([piece async for piece in events.follow(watched, {}, None, 0.05)])
    watched.close()
    assert len(parsed(told.decode())) == 11


async def test_fresh_pages_are_counted(record, record_url, monkeypatch):
    """More open pages than allowed are not kept fresh, so that health stays reachable."""
    monkeypatch.setattr(pages, "MOST_LIVE", 1)
    built = build(record_url)
    async with server.serving(built, server.bind("127.0.0.1", 0)) as (host, port):
        head = f"GET /live HTTP/1.1\r\nHost: {host}\r\n\r\n".encode()
        first, writer = await asyncio.open_connection(host, port)
        writer.write(head)
        await first.readuntil(b"event: changed")
        second, other = await asyncio.open_connection(host, port)
        other.write(head)
        assert b" 503 " in await second.readline()
        other.close()
        writer.close()
