"""A daemon as a process, between a simulated exchange and a webhook receiver, to be killed at will."""

import asyncio
import contextlib
import os
import re
import signal
import sys
import time
from collections import defaultdict
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path

from sqlalchemy import func, select

from accountd.cli.demo_ledger import milliseconds, of_exchange, of_record
from accountd.errors import DatabaseGone
from accountd.sim.app import build, credentials
from accountd.sim.server import SimServer
from accountd.sim.trader import Trader
from accountd.store import tables
from accountd.store.engine import reader_engine, reading
from tests.runtime.recording import verify_chain
from tests.sinks.receivers import receiver

ROOT = Path(__file__).parents[2]
RATE = 50.0  # deeds a second on the exchange
PATIENCE = 25.0  # seconds in which a restarted daemon must have caught up
FAST = {
    "SETTLE_AFTER": "1s", "SWEEP_INTERVAL": "2s", "STALE_AFTER": "2s", "RECONNECT_MAX": "1s",
    "CONNECT_BUDGET": "1000/1m", "WEIGHT_SHARE": "1", "WEB__LISTEN": "", "LOG_LEVEL": "info",
    "HOOKS__OPS__TYPE": "webhook", "HOOKS__OPS__ON": '["fill"]', "HOOKS__OPS__ALLOW_PRIVATE": "true",
    "HOOKS__OPS__RETRY": '["200ms","1s","2s","5s","5s"]',
}  # fmt: skip


@dataclass
class Process:
    """One run of `accountd run`."""

    running: asyncio.subprocess.Process
    log: Path

    @property
    def alive(self):
        return self.running.returncode is None

    async def kill(self):
        """Send SIGKILL to it, and to what it runs under, as a crash does."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.running.pid, signal.SIGKILL)
        return await self.running.wait()

    async def dies(self, seconds=20.0):
        """Wait until it has killed itself.

        Raises:
            TimeoutError: it lives.
        """
        async with asyncio.timeout(seconds):
            assert await self.running.wait() == -signal.SIGKILL, self.said()

    async def terminate(self, seconds):
        """Send SIGTERM; return the exit code and how long it took.

        Raises:
            TimeoutError: it is still there after ``seconds``.
        """
        asked = time.monotonic()
        self.running.send_signal(signal.SIGTERM)
        async with asyncio.timeout(seconds):
            code = await self.running.wait()
        return code, time.monotonic() - asked

    def said(self):
        """Return what it wrote to its log."""
        return self.log.read_text()


@dataclass
class Stage:
    """An exchange that trades, a receiver, a database and the daemons that came and went."""

    exchange: object
    server: SimServer
    hook: object
    url: str
    folder: Path
    processes: list[Process] = field(default_factory=list)
    trading: asyncio.Task | None = None

    def environ(self):
        keys = credentials(self.exchange)["main"]
        settings = FAST | {
            "DATABASE_URL": self.url, "ACCOUNTS__MAIN__VENUE": "binance-usdm",
            "ACCOUNTS__MAIN__API_KEY": keys.api_key, "ACCOUNTS__MAIN__API_SECRET": keys.secret,
            "ACCOUNTS__MAIN__REST_URL": self.server.rest_url,
            "ACCOUNTS__MAIN__STREAM_URL": self.server.stream_url,
            "HOOKS__OPS__URL": self.hook.url,
        }  # fmt: skip
        kept = {name: value for name, value in os.environ.items() if not name.startswith("ACCOUNTD_")}
        told = {f"ACCOUNTD_{name}": value for name, value in settings.items()}
        return kept | {"PYTHONPATH": str(ROOT), "PYTHONFAULTHANDLER": "1"} | told

    async def start(self, *prefix, module=("accountd", "run")):
        """Start a daemon: another module with its arguments, or under another program, if they are named."""
        log = self.folder / f"log-{len(self.processes)}"
        with log.open("wb") as out:
            running = await asyncio.create_subprocess_exec(
                *prefix, sys.executable, "-m", *module, cwd=self.folder, env=self.environ(), stdout=out,
                stderr=out, stdin=asyncio.subprocess.DEVNULL, start_new_session=True,
            )  # fmt: skip
        process = Process(running, log)
        self.processes.append(process)
        return process

    async def live(self, process, seconds=20.0):
        """Wait until the daemon's session is LIVE."""
        await self.until(lambda: self._is_live(process), seconds, "LIVE")

    def _is_live(self, process):
        assert process.alive, process.said()
        c = tables.sessions.c
        found = self.read(lambda conn: conn.execute(select(c.live_at).where(c.closed_at.is_(None))).all(), [])
        return bool(found) and all(row.live_at for row in found)

    def trade(self, seed=5):
        """Let the trader deal until `rest`."""
        trader = Trader(self.exchange, "main", seed=seed, rate=RATE)
        self.trading = asyncio.create_task(trader.run())

    async def rest(self):
        """End the trading."""
        if self.trading is not None:
            self.trading.cancel()
            await asyncio.gather(self.trading, return_exceptions=True)
            self.trading = None

    def read(self, run, otherwise=None):
        """Read the database; ``otherwise`` while there is none yet."""
        engine = reader_engine(self.url)
        try:
            with reading(engine) as connection:
                return run(connection)
        except DatabaseGone:
            return otherwise
        except Exception as error:
            if otherwise is None or not re.search("no such table|does not exist", str(error)):
                raise
            return otherwise
        finally:
            engine.dispose()

    async def until(self, true, seconds, what):
        """Wait until something is so."""
        end = time.monotonic() + seconds
        while not true():
            assert time.monotonic() < end, f"not {what} within {seconds} s"
            await asyncio.sleep(0.1)

    async def quiet(self, process):
        """Wait until the record equals the truth and every alert is sent, or say what differs."""
        end = time.monotonic() + PATIENCE
        while problems := self.differences() + self.unsent():
            assert process.alive, process.said()
            if time.monotonic() > end:
                process.running.send_signal(signal.SIGABRT)  # its stacks come out
                await process.running.wait()
                raise AssertionError("\n".join([*sorted(problems)[:20], process.said()[-6000:]]))
            await asyncio.sleep(0.25)

    def unsent(self):
        """Name the alerts that wait."""
        c = tables.outbox.c
        columns = (c.message_id, c.attempts, c.created_at, c.next_attempt_at)
        waiting = self.read(lambda conn: conn.execute(select(*columns).where(c.status == "pending")).all())
        return [f"pending: {tuple(map(str, row))}" for row in waiting]

    def differences(self):
        """Compare everything that happened with everything that is recorded; return each difference."""
        truth, held = of_exchange(self.exchange.truth("main")), self.read(of_record)
        fills = [name for name, _ in held.fills]
        found = [f"twice: {name}" for name in set(fills) if fills.count(name) > 1]
        for what in ("fills", "orders", "balances", "positions", "transfers"):
            there, here = dict(getattr(truth, what)), dict(getattr(held, what))
            found += [f"{what}: missing {name}" for name in there.keys() - here.keys()]
            found += [f"{what}: invented {name}" for name in here.keys() - there.keys()]
            found += [
                f"{what}: {name} is {there[name]}, held {here[name]}"
                for name in there.keys() & here.keys() if there[name] != here[name]
            ]  # fmt: skip
        return found

    def owed(self):
        """Return the fills since the account's first start: each owes one alert."""
        born = self.read(lambda conn: conn.execute(select(tables.accounts.c.created_at)).scalar_one())
        fills = of_exchange(self.exchange.truth("main")).fills
        return {name for name, facts in fills if facts["at"] >= milliseconds(born)}

    def frames(self):
        """Return what the last session says of itself, and how many of its frames are in the journal."""
        s, j = tables.sessions.c, tables.journal.c
        last = select(s.session_id, s.close_reason, s.frames).order_by(s.opened_at.desc()).limit(1)
        name, reason, frames = self.read(lambda conn: conn.execute(last).one())
        kept = select(func.count()).where(j.session_id == name, j.source == "stream")
        return reason, frames, self.read(lambda conn: conn.execute(kept).scalar_one())

    def open_gaps(self):
        """Name the gaps that nothing has closed."""
        c = tables.gaps.c
        still = select(c.dataset, c.market, c.symbol, c.reason).where(c.closed_at.is_(None))
        return self.read(lambda conn: conn.execute(still).all())

    def chain(self):
        """Recompute the journal's chain; return how many rows it has.

        Raises:
            AssertionError: a row does not fit.
        """
        return self.read(lambda conn: verify_chain(conn, "main"))

    def alerts(self):
        """Return the fill alerts of the outbox: how often each fill has one, and the body of each message."""
        c = tables.outbox.c
        query = select(c.message_id, c.body, c.status).where(c.type == "fill")
        return self.read(lambda conn: conn.execute(query).all())

    def heard(self):
        """Return what the receiver heard: for each message id the digests of its bodies."""
        bodies = defaultdict(set)
        for request in self.hook.seen:
            bodies[request.headers["webhook-id"]].add(sha256(request.body).hexdigest())
        return bodies


@asynccontextmanager
async def staged(url, folder, seed=3):
    """Set the stage; whatever still runs at the end is killed."""
    exchange = build(seed, ("main",), history_days=1, history_steps=60)
    async with receiver() as hook, SimServer(exchange, weight_limit=1_000_000) as server:
        stage = Stage(exchange, server, hook, url, folder)
        try:
            yield stage
        finally:
            await stage.rest()
            for process in stage.processes:
                await process.kill()
