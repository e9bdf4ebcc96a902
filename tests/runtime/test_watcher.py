"""A watched socket on loopback: every way to die is noticed, every frame handed on, no secret said."""

import asyncio
import contextlib
import logging
import socket
import struct
import time
from contextlib import asynccontextmanager
from datetime import timedelta

import pytest
from websockets.asyncio.server import serve
from websockets.exceptions import ConnectionClosed
from websockets.utils import accept_key

from accountd.errors import BadRequest, KeyRefused, RateLimited, VenueUnavailable
from accountd.runtime import watcher as module
from accountd.runtime.clock import SystemClock
from accountd.runtime.watcher import Watcher

SECRET = "pqia91ma19a5s61cv6a81va65sdf19v8a65a1a5s61cv6a81va65sdf19v8a65a1"
BEAT = 0.15
CLOCK = SystemClock()


async def watch(url, frames=None, beat=BEAT, patience=2.0):
    """Open a watcher on a URL that bears a listen key."""
    taken = [] if frames is None else frames
    return await Watcher.open(
        f"{url}/private/ws?listenKey={SECRET}", CLOCK.now, CLOCK, wait=patience, beat=beat,
        on_frame=lambda frame, at: taken.append(frame),
    )  # fmt: skip


async def lost(watcher, seconds=2.0):
    """Wait until the watcher says that its socket is lost; return the reason."""
    async with asyncio.timeout(seconds):
        await watcher.lost.wait()
    return watcher.reason


@asynccontextmanager
async def websocket(handler, **settings):
    """Serve WebSockets with the library's own server."""
    async with serve(handler, "127.0.0.1", 0, ping_interval=None, close_timeout=0.1, **settings) as server:
        yield f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}"


@asynccontextmanager
async def raw(answer):
    """Serve connections with bare bytes: ``answer`` gets reader and writer after the request."""
    tasks = set()

    async def accept(reader, writer):
        tasks.add(asyncio.current_task())
        try:
            with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
                await reader.readuntil(b"\r\n\r\n")
                await answer(reader, writer)
        finally:
            writer.transport.abort()

    server = await asyncio.start_server(accept, "127.0.0.1", 0)
    try:
        yield f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await asyncio.sleep(0)


def tasks():
    """Return the names of the watcher's tasks that are alive."""
    return [task.get_name() for task in asyncio.all_tasks() if task.get_name().startswith("accountd-")]


@pytest.fixture(autouse=True)
def silence_about_keys(caplog, capfd):
    """Whatever a test does here, the listen key reaches no log and no output."""
    caplog.set_level(logging.INFO)
    yield
    out, err = capfd.readouterr()
    assert SECRET not in caplog.text + out + err


async def test_frames_arrive_as_the_bytes_that_were_sent():
    """Text and binary frames, empty and split ones too, are handed on as bytes, in order, with a time."""

    async def talk(peer):
        await peer.send("{\"e\":\"测试\"}")
        await peer.send(b"\x00\xff")
        await peer.send("")
        await peer.send(["in ", "two"])
        await peer.wait_closed()

    frames = []
    async with websocket(talk) as url, await watch(url, frames) as watcher:
        async with asyncio.timeout(10):
            while len(frames) < 4:  # noqa: ASYNC110  # a frame sets no event
                await asyncio.sleep(0.005)
        assert frames == ["{\"e\":\"测试\"}".encode(), b"\x00\xff", b"", b"in two"]
        assert watcher.frames == 4
        assert not watcher.lost.is_set()


async def test_a_close_frame_names_its_code():
    """The venue's own close is noticed at once, with its code."""

    async def talk(peer):
        await peer.close(1008, SECRET)

    async with websocket(talk) as url, await watch(url) as watcher:
        assert await lost(watcher) == "closed 1008"


async def test_a_reset_is_noticed_at_once():
    """A TCP reset ends the watch without waiting for a beat."""

    async def talk(peer):
        linger = struct.pack("ii", 1, 0)
        peer.transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        peer.transport.abort()

    async with websocket(talk) as url, await watch(url, beat=60) as watcher:
        assert await lost(watcher, 1.0) == "connection lost"


async def test_a_black_hole_is_dead_after_two_beats():
    """A peer that reads nothing and says nothing is lost within two beats, and not before one."""

    async def talk(peer):
        peer.transport.pause_reading()
        await asyncio.sleep(1.0)

    async with websocket(talk) as url:
        started = CLOCK.monotonic()
        async with await watch(url, beat=0.3) as watcher:
            assert await lost(watcher) == "no answer to ping"
            assert 0.3 <= CLOCK.monotonic() - started < 0.6 + 0.3


async def test_a_peer_that_talks_is_alive_however_late_it_answers():
    """A venue busy with a burst answers behind it: what arrives meanwhile is a proof of life."""

    async def talk(peer):
        peer.transport.pause_reading()
        for n in range(20):
            await peer.send(str(n))
            await asyncio.sleep(0.05)
        await asyncio.sleep(1.0)

    async with websocket(talk) as url:
        started = CLOCK.monotonic()
        async with await watch(url, beat=0.1) as watcher:
            assert await lost(watcher) == "no answer to ping"
            assert watcher.frames == 20
            assert CLOCK.monotonic() - started > 1.0


async def test_without_the_ping_a_black_hole_looks_alive(monkeypatch):
    """Control: with the beat off, the same silence goes unnoticed."""

    async def never(self):
        await asyncio.Event().wait()

    async def talk(peer):
        peer.transport.pause_reading()
        await asyncio.sleep(1.0)

    monkeypatch.setattr(Watcher, "_ping", never)
    async with websocket(talk) as url, await watch(url, beat=0.1) as watcher:
        with pytest.raises(TimeoutError):
            await lost(watcher, 0.5)


async def test_an_idle_peer_that_answers_is_alive():
    """No frame for many beats is no death while pings are answered, and each answer is a proof of life."""

    async def talk(peer):
        await peer.wait_closed()

    async with websocket(talk) as url, await watch(url, beat=0.05) as watcher:
        first = watcher.alive_at
        await asyncio.sleep(0.5)
        assert not watcher.lost.is_set()
        assert watcher.alive_at > first


async def test_the_servers_pings_are_answered():
    """A ping of the venue gets its pong, with the same payload."""
    answered = asyncio.Event()

    async def talk(peer):
        await (await peer.ping(b"1763000000000"))
        answered.set()
        await peer.wait_closed()

    async with websocket(talk) as url, await watch(url):
        async with asyncio.timeout(10):
            await answered.wait()


async def test_a_frame_beyond_the_limit_ends_the_connection(monkeypatch):
    """One that is larger than any honest frame closes the socket instead of filling the memory."""
    monkeypatch.setattr(module, "MAX_FRAME", 1_000)

    async def talk(peer):
        with contextlib.suppress(ConnectionClosed):
            await peer.send("x" * 1_000)
            await peer.send("y" * 1_001)
            await peer.wait_closed()

    frames = []
    async with websocket(talk) as url, await watch(url, frames) as watcher:
        assert await lost(watcher) != ""
        assert frames == [b"x" * 1_000]


async def test_a_reader_that_fails_is_lost_not_deaf(caplog):
    """Should taking a frame ever fail, the socket counts as lost: nobody believes that it still listens."""

    async def talk(peer):
        await peer.send("poison")
        await peer.wait_closed()

    def fail(frame, at):
        raise ValueError("ours")

    async with websocket(talk) as url:
        watcher = await Watcher.open(url, CLOCK.now, CLOCK, wait=2, beat=60, on_frame=fail)
        async with watcher:
            assert await lost(watcher) == "reader failed: ValueError"


@pytest.mark.parametrize(
    ("status", "kind", "waits"),
    [
        ("401 Unauthorized", KeyRefused, None),
        ("403 Forbidden", VenueUnavailable, None),
        ("404 Not Found", BadRequest, None),
        ("408 Request Timeout", VenueUnavailable, None),
        ("418 I'm a teapot\r\nRetry-After: 120", RateLimited, 120.0),
        ("429 Too Many Requests\r\nRetry-After: 7", RateLimited, 7.0),
        ("429 Too Many Requests", RateLimited, 60.0),
        ("503 Service Unavailable\r\nRetry-After: 3", VenueUnavailable, 3.0),
        ("502 Bad Gateway", VenueUnavailable, None),
    ],
)
async def test_a_refused_handshake_says_what_to_do(status, kind, waits):
    """Each status means wait, try again, or give up; the error bears no key."""

    async def answer(reader, writer):
        writer.write(f"HTTP/1.1 {status}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".encode())
        await writer.drain()

    async with raw(answer) as url:
        with pytest.raises(kind) as refused:
            await watch(url)
    assert refused.value.status == int(status[:3])
    assert refused.value.retry_after == waits
    assert SECRET not in chain(refused.value)
    assert tasks() == []


def chain(error):
    """Write an error and everything that it came of."""
    words = ""
    while error is not None:
        words += f"{error!r} {error} {getattr(error, 'args', '')}"
        error = None if error.__suppress_context__ else error.__cause__ or error.__context__
    return words


async def test_a_redirect_is_not_followed():
    """A handshake sent elsewhere is refused: the key goes only where the settings say."""
    visited = []

    async def elsewhere(reader, writer):
        visited.append(True)

    async with raw(elsewhere) as other:

        async def answer(reader, writer):
            location = f"{other}/private/ws?listenKey={SECRET}"
            writer.write(f"HTTP/1.1 302 Found\r\nLocation: {location}\r\nContent-Length: 0\r\n\r\n".encode())
            await writer.drain()

        async with raw(answer) as url:
            with pytest.raises(VenueUnavailable) as refused:
                await watch(url)
    assert SECRET not in chain(refused.value)
    assert visited == []


async def test_nobody_there_is_unavailable():
    """A refused connection, silence after connect and nonsense are all reasons to try again."""
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
    with pytest.raises(VenueUnavailable) as refused:
        await watch(f"ws://127.0.0.1:{port}")
    assert SECRET not in chain(refused.value)

    async def silence(reader, writer):
        await asyncio.sleep(1.0)

    async with raw(silence) as url:
        with pytest.raises(VenueUnavailable):
            await watch(url, patience=0.2)

    async def nonsense(reader, writer):
        writer.write(b"\x00\x01 what?\r\n\r\n")
        await writer.drain()

    async with raw(nonsense) as url:
        with pytest.raises(VenueUnavailable):
            await watch(url)
    assert tasks() == []


async def test_closing_twice_is_closing_once_and_leaves_nothing():
    """A second close changes neither the reason nor anything else, and no task is left."""

    async def talk(peer):
        await peer.wait_closed()

    async with websocket(talk) as url:
        watcher = await watch(url)
        assert len(tasks()) == 2
        await asyncio.gather(watcher.close("first"), watcher.close("second"))
        await watcher.close("third")
        assert watcher.reason == "first"
        assert tasks() == []
        await watcher.send("{}")


async def test_closing_a_black_hole_does_not_wait_for_it():
    """A peer that never answers the close is dropped within seconds."""

    async def talk(peer):
        peer.transport.pause_reading()
        await asyncio.sleep(2.6)

    async with websocket(talk) as url:
        watcher = await watch(url, beat=60)
        started = CLOCK.monotonic()
        await watcher.close()
        assert CLOCK.monotonic() - started < 2.5
        assert tasks() == []


def soon(n=20_000, text="x"):
    """Return what sends so many frames at once and stays."""

    async def talk(peer):
        with contextlib.suppress(ConnectionClosed):
            for _ in range(n):
                await peer.send(text)
            await peer.wait_closed()

    return talk


async def test_a_flood_is_parsed_a_piece_at_a_time(monkeypatch):
    """However many frames one read brings, others have their turn between a few hundred of them."""
    monkeypatch.setattr(module, "TURN", 0.0)
    frames, jumps = [], []
    async with websocket(soon()) as url, await watch(url, frames, beat=60) as watcher:
        last = watcher.frames
        async with asyncio.timeout(10):
            while watcher.frames < 20_000:
                await asyncio.sleep(0)
                parsed = watcher.frames
                jumps.append(parsed - last)
                last = parsed
    assert max(jumps) <= 2_048 // 3 + 1  # a frame has three bytes, the first piece 2 KiB


async def test_one_of_several_takes_its_share_of_the_time():
    """With a tenth of the time, frames that cost much are taken slowly, and count as heard only then."""
    taken = []

    def work(frame, at):
        taken.append(at)
        end = time.thread_time() + 0.0005
        while time.thread_time() < end:
            pass

    async with websocket(soon(3_000, "x" * 200)) as url:
        watcher = await Watcher.open(url, CLOCK.now, CLOCK, wait=2, beat=60, on_frame=work, share=0.1)
        async with watcher:
            began, busy = time.perf_counter(), 0
            heard = watcher.alive_at
            while time.perf_counter() - began < 0.8:
                await asyncio.sleep(0.001)
                busy = len(taken)
            assert 50 < busy * 0.0005 / 0.8 * 1000 < 350  # thousandths of the time, with the burst
            assert watcher._socket.behind
            assert taken[-1] - max(heard, watcher.alive_at) > timedelta(seconds=0.3)


UPGRADE = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"


def upgraded(request):
    """Return the answer to a WebSocket handshake."""
    key = next(line for line in request.split(b"\r\n") if line.lower().startswith(b"sec-websocket-key:"))
    accept = accept_key(key.split(b":")[1].strip().decode())
    return f"{UPGRADE}Sec-WebSocket-Accept: {accept}\r\n\r\n".encode()


@asynccontextmanager
async def bare(behind):
    """Serve one WebSocket by hand: the handshake's answer and the bytes ``behind`` it in one write."""

    async def accept(reader, writer):
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            writer.write(upgraded(await reader.readuntil(b"\r\n\r\n")) + behind)
            await reader.read()
        writer.transport.abort()

    async with await asyncio.start_server(accept, "127.0.0.1", 0) as server:
        yield f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}"


async def test_what_comes_with_the_handshake_is_heard():
    """A venue may send events in the same breath as its answer; they are handed on, in order."""
    frames = []
    async with bare(b"".join(b"\x82\x02%02d" % n for n in range(99))) as url, await watch(url, frames):
        async with asyncio.timeout(10):
            while len(frames) < 99:  # noqa: ASYNC110
                await asyncio.sleep(0.005)
    assert frames == [b"%02d" % n for n in range(99)]


async def test_a_close_counts_though_the_connection_stands():
    """A venue that says goodbye and leaves the connection open is lost at once, not at the next beat."""
    async with bare(b"\x81\x01x\x88\x02\x03\xe9") as url, await watch(url, beat=60) as watcher:
        assert await lost(watcher, 1.0) == "closed 1001"
        assert watcher.frames == 1


async def test_a_flood_of_pieces_of_nothing_ends_the_connection():
    """A message that never ends and never says anything is no better than garbage."""
    async with bare(b"\x01\x00" + b"\x00\x00" * 5_000) as url, await watch(url, beat=60) as watcher:
        assert await lost(watcher, 2.0) == module.FLOOD
        assert watcher.frames == 0


async def test_a_flood_of_pings_ends_the_connection():
    """A venue pings now and then; a thousand in a second that no reader sees are no better than garbage."""

    async def talk(peer):
        with contextlib.suppress(ConnectionClosed):
            while True:
                await peer.ping()
                await asyncio.sleep(0)

    floods = []
    async with websocket(talk) as url:
        watcher = await Watcher.open(
            url, CLOCK.now, CLOCK, wait=2, beat=60, on_frame=lambda frame, at: None,
            on_flood=lambda: floods.append(True),
        )  # fmt: skip
        async with watcher:
            assert await lost(watcher, 5) == module.FLOOD
        assert floods == [True]


async def test_what_arrived_before_the_end_is_read_to_the_end():
    """Frames that wait for their turn when the connection dies are taken all the same."""

    async def talk(peer):
        peer.transport.write(b"\x81\x01x" * 3_000)  # one read, and more than a turn
        await peer.wait_closed()

    def take(frame, at):
        frames.append(turns)
        time.sleep(0.00001)

    frames, turns = [], 0
    async with websocket(talk) as url:
        watcher = await Watcher.open(url, CLOCK.now, CLOCK, wait=2, beat=60, on_frame=take, share=0.1)
        async with watcher:
            async with asyncio.timeout(10):
                while not watcher._socket.behind:  # noqa: ASYNC110
                    await asyncio.sleep(0)
            watcher._socket.transport.abort()
            while not watcher.lost.is_set():
                await asyncio.sleep(0)
                turns += 1
            assert watcher.reason == "connection lost"
    assert len(frames) == 3_000
    assert len(set(frames)) > 5  # and others had their turns meanwhile


async def test_who_is_given_up_is_cut_at_once():
    """Nothing more of a flood is parsed once it was given up, and nobody waits for its goodbye."""
    frames = []
    async with websocket(soon()) as url:
        watcher = await watch(url, frames, beat=60)
        async with asyncio.timeout(10):
            while not frames:  # noqa: ASYNC110
                await asyncio.sleep(0)
        since = watcher.alive_at - timedelta(seconds=9)
        watcher.give_up("nonsense", since)
        count, began = len(frames), CLOCK.monotonic()
        await watcher.close()
        assert CLOCK.monotonic() - began < 1.0
        assert len(frames) == count
        assert (watcher.reason, watcher.alive_at) == ("nonsense", since)
