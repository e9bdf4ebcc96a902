"""The demo itself: an exchange, a daemon and a webhook in one process, a cut, and the comparison."""

import asyncio
import contextlib
import secrets
from base64 import b64encode
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from accountd.cli import demo_ledger
from accountd.cli.demo_exchange import ACCOUNT, Exchange
from accountd.cli.demo_hooks import Receiver
from accountd.cli.demo_story import Event, Finished, Opened, Pulse, Said
from accountd.cli.demo_verdict import Ledger, Rung, Verdict, compare
from accountd.cli.demo_watch import Watch
from accountd.config import Settings
from accountd.core.health import Health
from accountd.core.states import State
from accountd.errors import AccountdError, SettingsError
from accountd.runtime import logs
from accountd.runtime.daemon import Daemon
from accountd.runtime.metrics import Metrics
from accountd.store import engine, migrate
from accountd.web import server

BEAT = 0.25  # seconds between two looks at the record
READY_WITHIN = 15.0  # seconds
QUIET_WITHIN = 20.0  # seconds
STOP_WITHIN = 5.0  # seconds
CUT = 10.0  # seconds

Show = Callable[[Event], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What a demo is asked to do. `seconds` is how long is traded; the cut is ten of them, or a third."""

    seconds: float = 35.0
    seed: int = 7
    rate: float = 20.0  # events a second
    database_url: str
    kept: bool = False

    @property
    def cut_at(self) -> float:
        """Return when the stream is cut, in seconds of trading."""
        return self.seconds * 0.3

    @property
    def cut_for(self) -> float:
        """Return for how many seconds."""
        return min(CUT, self.seconds / 3)


async def play(plan: Plan, show: Show) -> Verdict:
    """Play the demo, telling `show` what happens; return the verdict.

    Raises:
        SettingsError: the database is not empty.
        AccountdError: the daemon ended by itself, or never went live.
    """
    secret = "whsec_" + b64encode(secrets.token_bytes(32)).decode()
    receiver = Receiver(secret)
    async with contextlib.AsyncExitStack() as stack:
        exchange = await stack.enter_async_context(Exchange.started(plan.seed, plan.rate))
        hook_host, hook_port = await stack.enter_async_context(
            server.serving(receiver.app, server.bind("127.0.0.1", 0))
        )
        hook = f"http://{hook_host}:{hook_port}/hook"
        settings = demo_settings(plan.database_url, exchange, hook, secret)
        logs.hide_settings(settings)
        await asyncio.to_thread(migrate.upgrade, plan.database_url)
        watch = Watch(plan.database_url, receiver)
        stack.callback(watch.close)
        await asyncio.to_thread(watch.poll)
        if watch.born is not None:
            raise SettingsError("--database-url: it holds a record already; the demo wants an empty database")
        show(Opened(exchange=exchange.rest_url, hook=hook, database=settings.database_shown, seed=plan.seed))
        health = Health()
        daemon = await stack.enter_async_context(running(settings, health))
        demo = Demo(plan, show, exchange, receiver, watch, health, daemon)
        return await demo.acts()


def demo_settings(database_url: str, exchange: Exchange, hook: str, secret: str) -> Settings:
    """Return settings whose timings suit a minute instead of a month."""
    return Settings.from_layers(
        {
            "database_url": database_url,
            "accounts": {
                ACCOUNT: {
                    "venue": "binance-usdm",
                    "api_key": exchange.api_key,
                    "api_secret": exchange.api_secret,
                    "rest_url": exchange.rest_url,
                    "stream_url": exchange.stream_url,
                    "backfill": "1d",
                }
            },
            "hooks": {
                "demo": {
                    "type": "webhook",
                    "url": hook,
                    "secret": secret,
                    "on": ["fill"],
                    "allow_private": True,
                    "retry": ["200ms", "500ms", "1s", "2s"],
                }
            },
            "web": {"listen": ""},
            "keepalive_interval": "5s",
            "sweep_interval": "8s",
            "settle_after": "2s",
            "stale_after": "5s",
            "reconnect_max": "1s",
            "request_timeout": "5s",
            "weight_share": "1",
        }
    )


@contextlib.asynccontextmanager
async def running(settings: Settings, health: Health) -> AsyncIterator["asyncio.Task[int]"]:
    """Run a real daemon until the block ends; it stops as SIGTERM would stop it."""
    stop = asyncio.Event()
    daemon = Daemon(settings, health=health, metrics=Metrics())
    task = asyncio.create_task(daemon.run(stop), name="daemon")
    try:
        yield task
    finally:
        stop.set()
        await asyncio.wait({task}, timeout=STOP_WITHIN)
        if not task.done():
            task.cancel()
            await asyncio.wait({task})


@dataclass(slots=True)
class Demo:
    """One demo while it is played."""

    plan: Plan
    show: Show
    exchange: Exchange
    receiver: Receiver
    watch: Watch
    health: Health
    daemon: "asyncio.Task[int]"
    began: float = 0.0

    async def acts(self) -> Verdict:
        """Play every act and return the verdict."""
        self.began = asyncio.get_running_loop().time()
        await self.until(lambda: self.state is State.LIVE, READY_WITHIN, "the stream never went live")
        plan = self.plan
        await self.beat()
        self.say(
            f"the stream is live; {self.watch.history} fills of history are read and do not ring", "good"
        )
        self.say(f"trading begins, about {plan.rate:.0f} events a second")
        self.exchange.trade()
        await self.for_seconds(plan.cut_at)
        self.say(f"the stream is cut for {plan.cut_for:.0f} seconds; trading goes on", "bad")
        self.exchange.cut()
        await self.for_seconds(plan.cut_for / 2)
        self.say("the listen key expires; trading goes on", "bad")
        self.exchange.expire_key()
        await self.for_seconds(plan.cut_for / 2)
        self.say("the stream may come back", "good")
        self.exchange.restore()
        await self.for_seconds(plan.seconds - plan.cut_at - plan.cut_for)
        await self.exchange.hold()
        self.say("trading stops; the last sweep and the last hooks")
        await self.quiet()
        return await self.judged()

    async def judged(self) -> Verdict:
        """Compare everything with the exchange's truth."""
        truth = demo_ledger.of_exchange(self.exchange.truth())
        held = await asyncio.to_thread(self._record)
        rung = Rung(
            ids=[ring.message_id for ring in self.receiver.rings],
            fills=[ring.fill for ring in self.receiver.rings],
            bad_signatures=self.receiver.bad_signatures,
        )
        verdict = compare(
            truth,
            held,
            rung,
            open_gaps=self.watch.open_gaps,
            closed_gaps=self.watch.closed_gaps,
            born=demo_ledger.milliseconds(self.watch.born) if self.watch.born else 0,
        )
        self.show(
            Finished(
                verdict=verdict, pulse=self.pulse(), late=self.watch.late, gaps_closed=self.watch.closed_gaps,
                database=self.plan.database_url, kept=self.plan.kept,
            )
        )  # fmt: skip
        return verdict

    def _record(self) -> Ledger:
        with engine.reading(self.watch.reader) as connection:
            return demo_ledger.of_record(connection)

    async def quiet(self) -> None:
        """Wait until a sweep has proven everything up to now.

        A demo that never gets there is judged as it stands.
        """
        loop = asyncio.get_running_loop()
        limit = loop.time() + QUIET_WITHIN
        stopped = datetime.now(UTC)
        while loop.time() < limit:
            await self.beat()
            proven = self.watch.proven is not None and self.watch.proven >= stopped
            healed = self.state is State.LIVE and not self.watch.open_gaps
            if proven and healed and self.here == len(self.receiver.first) == self.exchange.fills:
                return

    async def for_seconds(self, seconds: float) -> None:
        """Go on for a while."""
        until = asyncio.get_running_loop().time() + seconds
        while asyncio.get_running_loop().time() < until:
            await self.beat()

    async def until(self, reached: Callable[[], bool], within: float, otherwise: str) -> None:
        """Go on until something holds.

        Raises:
            AccountdError: it does not hold in time.
        """
        limit = asyncio.get_running_loop().time() + within
        while not reached():
            if asyncio.get_running_loop().time() > limit:
                raise AccountdError(f"{otherwise} ({'; '.join(self.health.reasons())})")
            await self.beat()

    async def beat(self) -> None:
        """Look at the record once and tell what is new."""
        if self.daemon.done():
            error = self.daemon.exception()
            raise AccountdError(f"the daemon ended by itself: {error or self.daemon.result()}") from error
        await asyncio.to_thread(self.watch.poll)
        for event in self.watch.events(self.at):
            self.show(event)
        self.show(self.pulse())
        await asyncio.sleep(BEAT)

    def pulse(self) -> Pulse:
        """Return where things stand."""
        commit, hook = self.watch.latencies()
        return Pulse(
            at=self.at, state=str(self.state), there=self.exchange.fills, here=self.here,
            rung=len(self.receiver.first), open_gaps=self.watch.open_gaps, commit=commit, hook=hook,
        )  # fmt: skip

    def say(self, text: str, tone: str = "plain") -> None:
        """Tell a sentence."""
        self.show(Said(at=self.at, text=text, tone=tone))

    @property
    def at(self) -> float:
        """Return the seconds since the demo began."""
        return asyncio.get_running_loop().time() - self.began

    @property
    def here(self) -> int:
        """Return how many fills of the demo are in the record."""
        return len(self.watch.fills) - self.watch.history

    @property
    def state(self) -> State:
        """Return where the session stands."""
        return self.health.account(ACCOUNT).state


def file_url(folder: Path) -> str:
    """Return the address of a new SQLite database in `folder`."""
    return f"sqlite:///{folder / f'accountd-demo-{datetime.now(UTC):%Y%m%d-%H%M%S}.db'}"
