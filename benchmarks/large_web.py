"""How quickly each page and each path of the API answers on a large record."""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import datetime, tzinfo
from unittest.mock import patch

from prometheus_client import CollectorRegistry
from starlette.testclient import TestClient

from accountd.core.health import AccountHealth, Health
from accountd.core.states import State
from accountd.web import api_reads, app, pages, pictures
from benchmarks.large_record import ASKED, BEGIN, YEAR, order_of

ACCOUNT, ORDER = f"a{ASKED:03}", f"usdm/ETHUSDT/order/{order_of(ASKED)}"
END = BEGIN + YEAR
SPRING = "2026-03-01T00:00:00Z"
WEEK = "since=2026-10-24T00:00:00Z&until=2026-10-31T00:00:00Z"
PAGES = (
    "/", "/?range=30d", f"/accounts/{ACCOUNT}", f"/accounts/{ACCOUNT}?range=90d",
    f"/accounts/{ACCOUNT}/orders/{ORDER}", "/orders", "/orders?open=yes", f"/orders?account={ACCOUNT}",
    "/orders?status=CANCELED", "/fills", f"/fills?account={ACCOUNT}", "/fills?symbol=SOLUSDT",
    f"/fills?account={ACCOUNT}&symbol=SOLUSDT", "/alerts", f"/alerts?account={ACCOUNT}", "/findings",
    "/findings?open=all", "/metrics",
)  # fmt: skip
BALANCE = f"equity?account={ACCOUNT}&market=usdm&asset=USDT"
API = (
    "accounts", "orders", "orders?open=true", "orders?symbol=SOLUSDT&side=BUY",
    f"orders?account={ACCOUNT}", "orders?client_order_id=bot-6b", f"accounts/{ACCOUNT}/orders/{ORDER}",
    "fills", "fills?limit=1000", "fills?symbol=SOLUSDT", f"fills?account={ACCOUNT}", f"fills?until={SPRING}",
    "balances", f"balances?account={ACCOUNT}", f"balances?at={SPRING}",
    "positions", f"positions?account={ACCOUNT}", f"positions?at={SPRING}",
    "transfers", "transfers?kind=funding_fee", "transfers?kind=deposit", f"transfers?account={ACCOUNT}",
    f"pnl?account={ACCOUNT}&{WEEK}", f"pnl?account={ACCOUNT}", f"pnl?by=symbol&account={ACCOUNT}",
    BALANCE, f"{BALANCE}&{WEEK}", "coverage", "gaps", "gaps?open=true", "findings", "alerts",
    f"alerts?account={ACCOUNT}", "alerts?status=dead",
)  # fmt: skip
REPEATS = 5
Seen = tuple[str, float, float, int]


class Then(datetime):
    """The clock of the web at the end of the record."""

    @classmethod
    def now(cls, tz: tzinfo | None = None) -> datetime:  # type: ignore[override]
        """Return the end of the record."""
        return END if tz is None else END.astimezone(tz)


@contextmanager
def browser(url: str, accounts: int) -> Iterator[TestClient]:
    """Open the web on a record whose accounts are all live; nothing but sums is kept from look to look."""
    live = {f"a{n:03}": AccountHealth(state=State.LIVE, since=END, last_event_at=END, blind_seconds=0.0)
            for n in range(accounts)}  # fmt: skip
    with ExitStack() as stack:
        for module in (pages, api_reads):
            stack.enter_context(patch.object(module, "datetime", Then))
        stack.enter_context(patch.object(pictures, "KEPT", -1.0))
        built = app.build(Health(accounts=live), CollectorRegistry(), database_url=url)
        stack.callback(built.state.close)
        yield stack.enter_context(TestClient(built, base_url="http://127.0.0.1:8787"))


def measure(url: str, accounts: int) -> list[Seen]:
    """Ask for everything; print and return median and least time in ms, and the size in bytes."""
    told = []
    with browser(url, accounts) as look:
        for path in (*PAGES, *(f"/api/v1/{path}" for path in API)):
            times = []
            for _ in range(REPEATS):
                begun = time.perf_counter()
                reply = look.get(path)
                times.append((time.perf_counter() - begun) * 1000)
                if reply.status_code != 200:
                    raise RuntimeError(f"{path}: {reply.status_code} {reply.text[:200]}")
                if times[-1] > 5000:
                    break
            middle = statistics.median(times)
            told.append((path, round(middle, 1), round(min(times), 1), len(reply.content)))
            mark = "!" if middle > 100 else " "
            size = len(reply.content)
            print(f"{mark} {middle:9.1f} ms ({min(times):.1f}) {size:8} bytes  {path}", flush=True)
    return told
