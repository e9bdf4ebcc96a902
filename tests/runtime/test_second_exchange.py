"""The daemon against an exchange that shares nothing with the simulated one, at the venue's own limits."""

import asyncio
import time
from contextlib import asynccontextmanager

import pytest

from accountd import config
from accountd.core.health import Health
from accountd.runtime import duties
from accountd.runtime.daemon import Daemon
from accountd.store import tables
from tests.second_exchange import KEY, SECRET, Exchange, refusal
from tests.second_ledger import Ledger
from tests.world import Receiver, World, compare, ms

# Times are shrunk; what the venue counts by the minute is not.
SHORT = {
    "SETTLE_AFTER": "500ms",
    "SWEEP_INTERVAL": "2s",
    "STALE_AFTER": "1s",
    "RECONNECT_MAX": "500ms",
    "REQUEST_TIMEOUT": "2s",
    "RECHECK_AFTER": "500ms",
    "CONNECT_BUDGET": "1000/5m",
    "WEB__LISTEN": "",
}


class Stage:
    """The second exchange, a webhook, and the daemon in this process."""

    def __init__(self, url, exchange, hook, **more):
        self.url, self.exchange, self.hook, self.more = url, exchange, hook, more
        self.health = Health()
        account = {
            "VENUE": "binance-usdm", "API_KEY": KEY, "API_SECRET": SECRET,
            "REST_URL": exchange.rest_url, "STREAM_URL": exchange.stream_url,
        }  # fmt: skip
        here = {"TYPE": "webhook", "URL": hook.url, "ALLOW_PRIVATE": "true", "ON": '["*"]'}
        written = SHORT | {f"HOOKS__HERE__{k}": v for k, v in here.items()} | more
        written |= {f"ACCOUNTS__MAIN__{k}": v for k, v in account.items()} | {"DATABASE_URL": url}
        settings = config.load({f"ACCOUNTD_{k}": v for k, v in written.items()}, env_file=None)
        self.stop_event = asyncio.Event()
        self.task = asyncio.create_task(Daemon(settings, health=self.health).run(self.stop_event))

    rows = World.rows
    recorded = World.recorded
    until = World.until
    live = World.live

    def differences(self):
        """Compare the record with the ledger."""
        return compare(self.exchange.ledger.truth(), self.recorded())

    async def agreed(self, seconds, gaps=True):
        """Wait until the record equals the ledger, and no gap is open; return how long that took."""
        begun = time.monotonic()
        while True:
            differ = await asyncio.to_thread(self.differences)
            c = tables.gaps.c
            holes = self.rows(tables.gaps, c.closed_at.is_(None)) if gaps else []
            if not differ and not holes:
                return time.monotonic() - begun
            if self.task.done():
                self.task.result()
            assert time.monotonic() < begun + seconds, f"{differ} {holes}"
            await asyncio.sleep(0.1)

    async def rang(self, seconds=10.0):
        """Wait until every fill since the first start rang, and see that each has one id."""
        (account,) = self.rows(tables.accounts)
        born = ms(account["created_at"])
        due = {(one["symbol"], str(one["id"])) for one in self.exchange.ledger.trades if one["time"] >= born}
        await self.until(lambda: set(self.hook.fills()) >= due, seconds)
        assert sorted(self.hook.fills()) == sorted(due)


@asynccontextmanager
async def stage(url, exchange=None, **more):
    """Start everything, wait for LIVE, and see at the end that nothing forbidden was asked."""
    async with exchange or Exchange() as exchange, Receiver() as hook:
        made = Stage(url, exchange, hook, **more)
        try:
            await made.until(lambda: made.health.ready, 20)
            yield made
            assert made.exchange.wrong == []
            assert made.exchange.over == 0
        finally:
            made.stop_event.set()
            await asyncio.wait({made.task}, timeout=8)
        assert made.task.result() == 0


def everything(exchange):
    """Let everything happen that can happen to a futures account."""
    ledger = exchange.ledger
    exchange.happen("place", "BTCUSDT", quantity="2", price="101")
    first = ledger.numbers
    exchange.happen("fill", first, "0.5")
    exchange.happen("amend", first, "102")
    exchange.happen("fill", first)
    exchange.happen("place", "测试USDT", "SELL", "4", "7")
    short = ledger.numbers
    exchange.happen("fill", short)
    exchange.happen("force", "测试USDT")
    exchange.happen("force", "BTCUSDT", "adl_autoclose")
    exchange.happen("place", "ETHUSDT")
    exchange.happen("cancel", ledger.numbers)
    exchange.happen("place", "ETHUSDT")
    exchange.happen("cancel", ledger.numbers, "EXPIRED")
    exchange.happen("fund", "ETHUSDT")
    exchange.happen("transfer", "250.5")
    exchange.happen("transfer", "-1.25", asset="BNB")
    for end in ("trigger", "algo_ends"):
        exchange.happen("algo", "ETHUSDT")
        exchange.happen(end, ledger.numbers)


async def test_everything_is_followed(sqlite_url):
    """All that can happen, told by stream and REST, is in the record as in the ledger."""
    async with stage(sqlite_url) as made:
        everything(made.exchange)
        await made.agreed(20)
        await made.rang()


async def trade(made, count, rate=50.0):
    """Let the account trade at a pace, a little of everything."""
    exchange, rng = made.exchange, made.exchange.rng
    for n in range(count):
        symbol = rng.choice(exchange.ledger.symbols)
        exchange.happen("place", symbol, rng.choice(("BUY", "SELL")), "1", str(rng.randint(90, 110)))
        number = exchange.ledger.numbers
        if n % 5 == 0:
            exchange.happen("fill", number, "0.4")
        exchange.happen(*(("cancel", number) if n % 5 == 1 else ("fill", number)))
        if n % 10 == 3:
            exchange.happen("fund", symbol)
        await asyncio.sleep(1 / rate)


async def test_a_cut_with_a_burst_in_it_heals_in_time(sqlite_url):
    """A thousand fills while the stream is cut are all there within 15 s of the reconnection, gaps closed."""
    async with stage(sqlite_url, HOOKS__HERE__ON='["fill"]') as made:
        await trade(made, 20)
        made.exchange.cut(2.0)
        made.exchange.happen("burst", 1000)
        everything(made.exchange)
        await asyncio.sleep(2.0)
        await made.until(made.live, 15)
        assert await made.agreed(15) < 15
        await made.rang(60)


FAULTS = {
    "expiry, told": lambda ex: ex.expire(),
    "expiry, untold": lambda ex: ex.expire(told=False),
    "duplicates": lambda ex: ex.chance.update(duplicate=0.5),
    "reorder": lambda ex: ex.chance.update(reorder=0.4),
    "drop": lambda ex: ex.chance.update(drop=0.3),
    "REST lag": lambda ex: setattr(ex, "lag", 0.4),
    "429": lambda ex: ex.storm.extend([refusal(429, -1003, "Too many requests.")] * 2) or ex.cut(0.2),
    "503": lambda ex: ex.storm.extend([refusal(503)] * 10) or ex.cut(0.2),
    "-1008": lambda ex: ex.storm.extend([refusal(503, -1008, "Request throttled.")] * 5) or ex.cut(0.2),
    "-1109": lambda ex: ex.storm.extend([refusal(400, -1109, "Invalid account.")] * 5) or ex.cut(0.2),
    "-2015": lambda ex: ex.storm.extend([refusal(401, -2015, "Invalid API-key.")] * 2) or ex.cut(0.2),
    "clock": lambda ex: setattr(ex.ledger, "skew", 30_000),
}


@pytest.mark.parametrize("name", FAULTS)
async def test_faults_heal(sqlite_url, name):
    """After each fault the record equals the ledger soon, and every fill rang once."""
    async with stage(sqlite_url, KEEPALIVE_INTERVAL="1s") as made:
        await trade(made, 20)
        FAULTS[name](made.exchange)
        await trade(made, 100)
        made.exchange.chance.update(drop=0.0, duplicate=0.0, reorder=0.0)
        made.exchange.lag = 0.0
        await made.until(made.live, 15)
        assert await made.agreed(15) < 15
        await made.rang()


QUIET = {"SWEEP_INTERVAL": "50s", "STALE_AFTER": "1h"}


async def test_frames_dropped_now_and_then_are_found_by_what_is_told(sqlite_url):
    """Without any sweep, the other frames of an execution lead to the one that was dropped."""
    async with stage(sqlite_url, **QUIET) as made:
        await trade(made, 20)
        await made.agreed(15)
        made.exchange.happen("place", "BTCUSDT", quantity="3")
        number = made.exchange.ledger.numbers
        for dropped in ("ORDER_TRADE_UPDATE", "ACCOUNT_UPDATE"):
            made.exchange.deaf_to = dropped
            made.exchange.happen("fill", number, "1")
            await asyncio.sleep(0.1)
            made.exchange.deaf_to = None
        await made.agreed(10)
        await made.rang()


async def test_an_execution_dropped_whole_is_found_by_its_commission(sqlite_url):
    """Both frames of an execution are dropped: the next look at the income names a trade that nobody told."""
    async with stage(sqlite_url, **QUIET) as made:
        await trade(made, 5)
        await made.agreed(15)
        made.exchange.happen("place", "BTCUSDT", quantity="3")
        number = made.exchange.ledger.numbers
        made.exchange.chance["drop"] = 1.0
        made.exchange.happen("fill", number)
        await asyncio.sleep(0.1)
        made.exchange.chance["drop"] = 0.0
        made.exchange.happen("fund", "BTCUSDT")
        await made.agreed(15)  # also what it made of balance and position, which no frame told either


async def test_one_drop_that_is_noticed_brings_the_next_sweep_forward(sqlite_url, monkeypatch):
    """An order was placed and cancelled unheard; then it shows that another frame was dropped."""
    monkeypatch.setattr(duties, "SOONER", 0.01)
    monkeypatch.setattr(duties, "WISHES", 0.2)
    async with stage(sqlite_url, **QUIET) as made:
        await trade(made, 20)
        await asyncio.sleep(1.0)
        await made.agreed(15)
        made.exchange.happen("place", "ETHUSDT", quantity="3")
        number = made.exchange.ledger.numbers
        await asyncio.sleep(0.2)
        made.exchange.chance["drop"] = 1.0
        made.exchange.happen("place", "BTCUSDT")
        made.exchange.happen("cancel", made.exchange.ledger.numbers)
        await asyncio.sleep(0.2)
        made.exchange.chance["drop"] = 0.0
        made.exchange.deaf_to = "ACCOUNT_UPDATE"
        made.exchange.happen("fill", number, "1")
        await asyncio.sleep(0.2)
        made.exchange.deaf_to = None
        await made.agreed(20)


GLANCES = {"SWEEP_INTERVAL": "1h", "WEIGHT_SHARE": "1"}


async def test_an_end_that_was_dropped_is_found_by_a_look_at_what_is_open(sqlite_url):
    """Cancelled or expired, plain or conditional, a few or many at once: without a frame that tells."""
    async with stage(sqlite_url, Exchange(limit=24_000), **GLANCES) as made:
        await trade(made, 5)
        numbers = []
        for what in ("place", "algo"):
            for _ in range(12):
                made.exchange.happen(what, "ETHUSDT")
                numbers.append(made.exchange.ledger.numbers)
        await made.agreed(15)
        made.exchange.chance["drop"] = 1.0
        made.exchange.happen("cancel", numbers[0], "EXPIRED")
        for number in numbers[1:11]:
            made.exchange.happen("cancel", number)
        for number in numbers[12:14]:
            made.exchange.happen("algo_ends", number)
        await asyncio.sleep(0.1)
        made.exchange.chance["drop"] = 0.0
        made.exchange.happen("place", "BTCUSDT")  # the stream goes on: nothing looks silent
        await made.agreed(12)
        assert not made.rows(tables.findings, tables.findings.c.kind == "order_missing")


async def test_looks_at_what_is_open_cost_no_more_than_is_open(sqlite_url):
    """Nothing is asked while nothing is open, and then for the symbol alone."""
    async with stage(sqlite_url, **GLANCES) as made:
        await trade(made, 5)
        await made.agreed(15)
        quiet = dict(made.exchange.spent)
        await asyncio.sleep(2.5)
        assert made.exchange.spent.get("/fapi/v1/openOrders") == quiet.get("/fapi/v1/openOrders")
        made.exchange.happen("place", "ETHUSDT")
        await asyncio.sleep(2.5)
        spent = made.exchange.spent["/fapi/v1/openOrders"] - quiet.get("/fapi/v1/openOrders", 0)
        assert 1 <= spent <= 3
        assert made.exchange.spent.get("/fapi/v1/openAlgoOrders") == quiet.get("/fapi/v1/openAlgoOrders")


async def test_what_happens_in_a_long_cut_is_no_error_of_the_books(sqlite_url):
    """When a balance moved is not known of a time in which nothing was heard: no tie is judged inside it."""
    async with stage(sqlite_url, **QUIET) as made:
        await trade(made, 20)
        await made.agreed(15)
        made.exchange.cut(9.0)
        everything(made.exchange)
        await asyncio.sleep(9.0)
        await made.until(made.live, 15)
        await made.agreed(15)
        await asyncio.sleep(1.0)
        kinds = [row["kind"] for row in made.rows(tables.findings)]
        assert not [kind for kind in kinds if kind.endswith("_unexplained")]


async def cut(made, seconds, *happen):
    """Cut the stream, let things happen, heal; return what each path cost since the cut."""
    before = dict(made.exchange.spent)
    made.exchange.cut(seconds)
    for what, *args in happen:
        made.exchange.happen(what, *args)
    await asyncio.sleep(seconds)
    await made.until(made.live, 15)
    await made.agreed(15)
    return {
        path.rpartition("/")[2]: cost - before.get(path, 0) for path, cost in made.exchange.spent.items()
    }


async def test_a_burst_in_a_cut_is_read_in_pages_that_nothing_is_cut_off_from(sqlite_url):
    """A page of income weighs 30: what the fills left in it is known before it is asked for, each time."""
    async with stage(sqlite_url, **QUIET) as made:
        await trade(made, 20)
        await made.agreed(15)
        cost = await cut(made, 0.7, ("burst", 1000))
        assert cost["income"] >= 2 * 30  # a thousand commissions, and as many profits
        assert made.exchange.full["income"] == 0  # such a page would have been asked for in vain


@asynccontextmanager
async def older(url, exchange, **more):
    """Like `stage`, after what has happened to the exchange is older than every overlap."""
    await asyncio.sleep(1.0)
    async with stage(url, exchange, **QUIET, **more) as made:
        await asyncio.sleep(1.0)
        await made.agreed(15)
        yield made


async def test_where_nothing_can_have_moved_nothing_is_asked(sqlite_url):
    """In a dozen symbols, one of them traded, the fills of the others and all open orders are left alone."""
    exchange = Exchange()
    exchange.ledger = Ledger([f"S{n:02}USDT" for n in range(12)])
    exchange.happen("place", "S01USDT", "BUY", "3")
    exchange.happen("algo", "S02USDT")
    async with older(sqlite_url, exchange) as made:
        cost = await cut(made, 0.3, ("fill", 1001, "1"), ("algo_ends", 1002))
        assert cost["userTrades"] <= 4 * 5
        assert cost["openOrders"] + cost["openAlgoOrders"] <= 6


async def test_what_settles_late_is_seen_in_orders_from_before_the_cut(sqlite_url):
    """Orders that ended just before the stream was back, and that REST still showed as open at first."""
    exchange = Exchange()
    for _ in range(2):
        exchange.happen("place", "BTCUSDT", "BUY", "3")
    exchange.happen("algo", "ETHUSDT")
    async with older(sqlite_url, exchange, SETTLE_AFTER="1s") as made:
        exchange.lag = 0.9
        exchange.cut(0.2)
        await made.until(lambda: not exchange.sockets)
        await made.until(lambda: exchange.sockets)
        exchange.ledger.fill(1001, "1")
        exchange.ledger.cancel(1002)
        exchange.ledger.algo_ends(1003)
        await made.until(made.live, 15)
        await made.agreed(15)


async def test_many_orders_that_ended_are_not_asked_for_one_by_one(sqlite_url):
    """A page of a symbol's history shows what became of all of them."""
    exchange = Exchange()
    for _ in range(60):
        exchange.happen("place", "BTCUSDT")
    async with older(sqlite_url, exchange) as made:
        cost = await cut(made, 0.3, *[("cancel", number) for number in range(1001, 1061)])
        assert cost.get("order", 0) == 0


OPTIONAL = [
    "/fapi/v1/accountConfig", "/fapi/v1/symbolConfig", "/fapi/v1/openAlgoOrders", "/fapi/v1/allAlgoOrders",
    "/fapi/v1/algoOrder", "/fapi/v1/order",
]  # fmt: skip


@pytest.mark.parametrize("bare", [False, True])
async def test_an_older_and_smaller_exchange_is_followed_too(sqlite_url, bare):
    """What can be done without may be missing: paths, fields, headers. What is missing is said."""
    async with stage(sqlite_url, Exchange(missing=OPTIONAL, bare=bare)) as made:
        await trade(made, 20)
        made.exchange.cut(0.5)
        made.exchange.happen("burst", 30)
        await made.until(made.live, 15)
        await made.agreed(20, gaps=False)
        await made.rang()
        found = {(row["kind"], row["subject"]) for row in made.rows(tables.findings)}
        assert ("history_absent", "algo_orders:usdm conditional orders") in found


async def test_a_list_of_no_subscriptions_proves_nothing(sqlite_url):
    """Where only what was subscribed to by message is listed, the key over REST is the proof."""
    exchange = Exchange()
    exchange.lists = False
    async with stage(sqlite_url, exchange, **QUIET) as made:
        await trade(made, 5)
        await made.agreed(15)
        assert {row["source"] for row in made.rows(tables.fills)} == {"stream"}


async def test_without_income_the_rest_is_followed(sqlite_url):
    """An exchange without an income history leaves a gap in the transfers, and nothing else behind."""
    async with stage(sqlite_url, Exchange(missing=["/fapi/v1/income"])) as made:
        await trade(made, 20)
        await asyncio.sleep(1.5)
        assert made.differences().keys() <= {"transfers"}
        gaps = made.rows(tables.gaps, tables.gaps.c.closed_at.is_(None))
        assert {gap["dataset"] for gap in gaps} == {"transfers"}


async def test_orders_need_a_symbol_and_come_all_at_once(sqlite_url):
    """A thousand orders of one millisecond overflow a page, and are read by their numbers."""
    async with stage(sqlite_url, Exchange(symbol_mandatory=True, limit=24_000)) as made:
        made.exchange.cut(0.5)
        made.exchange.ledger.frozen = made.exchange.ledger.now()
        made.exchange.happen("burst", 1200, ["BTCUSDT"])
        made.exchange.ledger.frozen = None
        await made.until(made.live, 15)
        await made.until(lambda: len(made.rows(tables.fills)) == 1200, 30)
        await asyncio.sleep(1.0)
        assert made.differences().keys() <= {"transfers"}  # no question about income goes further
