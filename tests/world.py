"""A whole world on loopback: the simulated exchange, a trader, a hook, and the daemon in this process."""

import asyncio
import json
import os
import time
from collections import Counter
from contextlib import AsyncExitStack
from decimal import Decimal
from pathlib import Path
from tempfile import gettempdir

from sqlalchemy import create_engine, select

from accountd import config
from accountd.core.health import Health
from accountd.core.states import State
from accountd.runtime.daemon import Daemon
from accountd.sim.app import build
from accountd.sim.server import SimServer
from accountd.sim.trader import Trader
from accountd.store import tables

SHORT = {
    "SETTLE_AFTER": "500ms",
    "SWEEP_INTERVAL": "2s",
    "STALE_AFTER": "1s",
    "RECONNECT_MAX": "500ms",
    "REQUEST_TIMEOUT": "2s",
    "WEIGHT_SHARE": "1",
    "RECHECK_AFTER": "500ms",
    "CONNECT_BUDGET": "1000/5m",
    "WEB__LISTEN": "",
}

# Times are shrunk a hundredfold and weight is still counted by the minute: sweeps need more of it. What
# happens when there is too little has tests of its own.
WEIGHT = 24_000


class Receiver:
    """A webhook on loopback that takes everything and remembers it."""

    def __init__(self):
        self.bodies = {}
        self.server = None

    async def __aenter__(self):
        self.server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{self.server.sockets[0].getsockname()[1]}/hook"
        return self

    async def __aexit__(self, *_):
        self.server.close()

    async def _serve(self, reader, writer):
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                headers = dict(
                    line.lower().split(": ", 1) for line in head.decode().split("\r\n")[1:] if line
                )
                body = await reader.readexactly(int(headers.get("content-length", 0)))
                self.bodies.setdefault(headers["webhook-id"], []).append(body)
                writer.write(b"HTTP/1.1 204 No Content\r\ncontent-length: 0\r\n\r\n")
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    def fills(self):
        """Return (symbol, trade id) of every distinct fill message."""
        told = [json.loads(bodies[0]) for bodies in self.bodies.values()]
        return [(one["data"]["symbol"], one["data"]["trade_id"]) for one in told if one["type"] == "fill"]


class World:
    """Everything together; ``more`` are settings without prefix, ``server`` options of the exchange."""

    def __init__(self, url, *, seed=1, history=0.0, server=None, accounts=("main",), account=None, **more):
        self.url, self.accounts = url, accounts
        self.exchange = build(seed, accounts, history_days=history, history_steps=60)
        self.server_options = server or {}
        self.more = more
        self.account_more = account or {}
        self.stack = AsyncExitStack()
        self.seed = seed

    async def __aenter__(self):
        await self.stack.__aenter__()
        options = {"weight_limit": WEIGHT} | self.server_options
        self.server = await self.stack.enter_async_context(SimServer(self.exchange, **options))
        self.faults = self.server.faults
        self.hook = await self.stack.enter_async_context(Receiver())
        self.born = None
        await self.start()
        return self

    async def __aexit__(self, *_):
        await self.stop()
        await self.stack.aclose()

    def environ(self):
        """Return the settings as environment variables."""
        env = {f"ACCOUNTD_{key}": value for key, value in (SHORT | self.more).items()}
        env["ACCOUNTD_DATABASE_URL"] = self.url
        if not self.url.startswith("sqlite"):  # whose key would lie in the working folder
            env["ACCOUNTD_JOURNAL__KEY_FILE"] = str(Path(gettempdir()) / f"accountd-tests-{os.getpid()}.key")
        for name in self.accounts:
            credential = self.exchange.accounts[name].credential
            own = {
                "VENUE": "binance-usdm",
                "API_KEY": credential.api_key,
                "API_SECRET": credential.secret,
                "REST_URL": self.server.rest_url,
                "STREAM_URL": self.server.stream_url,
            }
            env |= {
                f"ACCOUNTD_ACCOUNTS__{name.upper()}__{k}": v for k, v in (own | self.account_more).items()
            }
        env |= {
            "ACCOUNTD_HOOKS__HERE__TYPE": "webhook",
            "ACCOUNTD_HOOKS__HERE__URL": self.hook.url,
            "ACCOUNTD_HOOKS__HERE__ALLOW_PRIVATE": "true",
            "ACCOUNTD_HOOKS__HERE__ON": '["*"]',
        }
        return env

    async def start(self):
        """Start the daemon and wait until every account is LIVE."""
        self.health = Health()
        self.settings = config.load(self.environ(), env_file=None)
        self.daemon = Daemon(self.settings, health=self.health)
        self.stop_event = asyncio.Event()
        self.task = asyncio.create_task(self.daemon.run(self.stop_event))
        await self.until(lambda: self.health.ready, 20)

    async def stop(self):
        """Stop the daemon in order and return its exit code."""
        self.stop_event.set()
        return await asyncio.wait_for(self.task, 8)

    async def until(self, true, seconds=15.0):
        """Wait until something is true; the daemon must not die meanwhile."""
        deadline = time.monotonic() + seconds
        while not true():
            if self.task.done():
                self.task.result()
            assert time.monotonic() < deadline, f"not in {seconds} s: {self.health}"
            await asyncio.sleep(0.02)

    async def trade(self, steps, rate=200.0, account="main"):
        """Do so many things on the exchange."""
        trader = Trader(self.exchange, account, seed=self.seed, rate=rate)
        self.seed += 1
        await trader.run(steps)

    def live(self, account="main"):
        """Say whether the account is LIVE."""
        return account in self.health.accounts and self.health.accounts[account].state is State.LIVE

    def rows(self, table, *where):
        """Read a table of the record."""
        engine = create_engine(self.url)
        try:
            with engine.connect() as connection:
                return [dict(row) for row in connection.execute(select(table).where(*where)).mappings()]
        finally:
            engine.dispose()

    def truth(self, account="main"):
        """Return all that happened on the exchange."""
        return self.exchange.truth(account)

    def recorded(self, account="main", market=None):
        """Return the record's rows by table, of one market or of all."""
        return {
            table: [
                row
                for row in self.rows(table, table.c.account_id == account)
                if market in (None, row["market"])
            ]
            for table in (tables.fills, tables.orders, tables.balances, tables.positions, tables.transfers)
        }

    def differences(self, account="main"):
        """Compare the record with the exchange's truth; empty when they say the same."""
        return compare(self.truth(account), self.recorded(account))

    async def agreed(self, seconds=15.0, account="main"):
        """Wait until the record equals the truth and no gap is open."""
        deadline = time.monotonic() + seconds
        while True:
            if self.task.done():
                self.task.result()
            differ = await asyncio.to_thread(self.differences, account)
            c = tables.gaps.c
            gaps = self.rows(tables.gaps, c.closed_at.is_(None), c.account_id == account)
            if not differ and not gaps:
                return
            assert time.monotonic() < deadline, f"{differ} {gaps}"
            await asyncio.sleep(0.2)

    async def rang(self, seconds=10.0):
        """Wait until every fill since the first start rang, then check that none rang twice."""
        (account,) = self.rows(tables.accounts, tables.accounts.c.name == "main")
        born = ms(account["created_at"])
        fills = self.truth("main")["fills"]
        due = {(f["symbol"], str(f["trade_id"])) for f in fills if f["time_ms"] >= born}
        await self.until(lambda: set(self.hook.fills()) >= due, seconds)
        rung = self.hook.fills()
        assert sorted(rung) == sorted(due)
        assert all(len(set(bodies)) == 1 for bodies in self.hook.bodies.values())


def compare(truth, mine):
    """Compare recorded rows of a futures market with its truth; empty when they say the same."""
    found = {}
    d = Decimal
    pairs = {
        "fills": (
            [
                (
                    f["symbol"],
                    str(f["trade_id"]),
                    str(f["order_id"]),
                    f["side"],
                    d(f["price"]),
                    d(f["quantity"]),
                    d(f["commission"]),
                    f["commission_asset"],
                    d(f["realized_pnl"]),
                    f["maker"],
                    f["time_ms"],
                )
                for f in truth["fills"]
            ],
            [
                (
                    f["symbol"],
                    f["trade_id"],
                    f["order_id"],
                    f["side"],
                    f["price"],
                    f["quantity"],
                    f["commission"],
                    f["commission_asset"],
                    f["realized_pnl"],
                    f["is_maker"],
                    ms(f["traded_at"]),
                )
                for f in mine[tables.fills]
            ],
        ),
        "orders": (
            [
                (
                    o["symbol"],
                    str(o["order_id"]),
                    o["status"],
                    d(o["filled"]),
                    d(o["quantity"]),
                    d(o["price"]),
                    o["client_order_id"],
                )
                for o in truth["orders"]
            ],
            [
                (
                    o["symbol"],
                    o["order_id"],
                    o["status"],
                    o["filled_quantity"],
                    o["quantity"],
                    o["price"],
                    o["client_order_id"],
                )
                for o in mine[tables.orders]
                if o["kind"] == "order"
            ],
        ),
        "algo orders": (
            [
                (o["symbol"], str(o["algo_id"]), o["status"], str(o["order_id"] or ""))
                for o in truth["algo_orders"]
            ],
            [
                (o["symbol"], o["order_id"], o["status"], o["actual_order_id"] or "")
                for o in mine[tables.orders]
                if o["kind"] == "algo"
            ],
        ),
        "balances": (
            [(asset, d(total)) for asset, total in truth["balances"].items()],
            [(b["asset"], b["total"]) for b in mine[tables.balances]],
        ),
        "positions": (
            [(p["symbol"], d(p["quantity"])) for p in truth["positions"]],
            [(p["symbol"], p["quantity"]) for p in mine[tables.positions] if p["quantity"]],
        ),
        "transfers": (
            [(t["type"].lower(), str(t["tran_id"]), t["asset"], d(t["amount"])) for t in truth["transfers"]],
            [(t["kind"], t["transfer_id"], t["asset"], t["amount"]) for t in mine[tables.transfers]],
        ),
    }
    for what, (there, here) in pairs.items():
        missing, extra = Counter(there) - Counter(here), Counter(here) - Counter(there)
        if missing or extra:
            found[what] = {"missing": list(missing)[:5], "extra": list(extra)[:5]}
    return found


def ms(moment):
    """Return a datetime as ms since 1970."""
    return round(moment.timestamp() * 1000)
