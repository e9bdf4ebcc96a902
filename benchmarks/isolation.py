"""What a broken account costs a healthy one: receipt to commit, alone and beside it, in the same run.

``python -m benchmarks.isolation``: both accounts live in one daemon on SQLite; every way of being broken is
measured next to a run without the broken account.
"""

import argparse
import asyncio
import json
import logging
import sys
import tempfile
from contextlib import asynccontextmanager
from pathlib import Path
from statistics import median
from typing import Any

import structlog
from sqlalchemy import create_engine, text

from accountd import config
from accountd.core.health import Health
from accountd.core.states import State
from accountd.runtime import interpreter
from accountd.runtime.daemon import Daemon
from benchmarks import report
from benchmarks.isolation_exchange import WAYS
from tests.second_spot_keys import API_KEY, SECRET

HERE = Path(__file__).parent
READY = 20.0  # seconds until the healthy account is LIVE
WARM = 1.0
LIVE_SINCE = "SELECT julianday(min(live_at)) FROM sessions WHERE account_id = 'well'"


@asynccontextmanager
async def exchanges(way: str) -> Any:
    """Start both exchanges; yield their addresses."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "benchmarks.isolation_exchange", "--way", way, cwd=HERE.parent,
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    assert process.stdout is not None
    try:
        yield json.loads(await process.stdout.readline())
    finally:
        process.kill()
        await process.wait()


def settings(folder: Path, addresses: list[str], beside: bool) -> config.Settings:
    """Return the settings of one or two accounts."""
    env = {
        "ACCOUNTD_DATABASE_URL": f"sqlite:///{folder}/accountd.db", "ACCOUNTD_WEB__LISTEN": "",
        "ACCOUNTD_SETTLE_AFTER": "500ms", "ACCOUNTD_SWEEP_INTERVAL": "2s", "ACCOUNTD_STALE_AFTER": "1s",
        "ACCOUNTD_RECONNECT_MAX": "500ms", "ACCOUNTD_REQUEST_TIMEOUT": "2s",
        "ACCOUNTD_RECHECK_AFTER": "500ms", "ACCOUNTD_CONNECT_BUDGET": "1000/5m",
    }  # fmt: skip
    accounts = {"WELL": ("binance-spot", *addresses[:2])}
    if beside:
        accounts["BROKEN"] = ("binance-us", *addresses[2:])
    for name, (venue, rest, socket) in accounts.items():
        own = {"VENUE": venue, "API_KEY": API_KEY, "API_SECRET": SECRET, "REST_URL": rest,
               "WS_API_URL": socket, "STREAM_URL": socket}  # fmt: skip
        env |= {f"ACCOUNTD_ACCOUNTS__{name}__{key}": value for key, value in own.items()}
    return config.load(env, env_file=None)


def waits(folder: Path) -> list[float]:
    """Return receipt to commit of every fill that the stream told, in ms, but for the first moments."""
    engine = create_engine(f"sqlite:///{folder}/accountd.db")
    query = (
        "SELECT (julianday(committed_at) - julianday(received_at)) * 86400000 FROM fills "
        "WHERE account_id = 'well' AND source = 'stream' AND julianday(received_at) > :since"
    )
    with engine.connect() as connection:
        live = connection.execute(text(LIVE_SINCE)).scalar_one()
        found = connection.execute(text(query), {"since": (live or 0) + WARM / 86400})
        return [row[0] for row in found]


async def live(health: Health) -> None:
    """Wait until the healthy account is LIVE."""
    while health.account("well").state is not State.LIVE:  # noqa: ASYNC110
        await asyncio.sleep(0.05)


async def run(way: str, beside: bool, seconds: float) -> list[float]:
    """Follow the accounts for a while; return the healthy one's waits."""
    with tempfile.TemporaryDirectory() as name:
        async with exchanges(way) as addresses:
            health, stop = Health(), asyncio.Event()
            daemon = Daemon(settings(Path(name), addresses, beside), health=health)
            task = asyncio.create_task(daemon.run(stop))
            async with asyncio.timeout(READY):
                await live(health)
            await asyncio.sleep(WARM + seconds)
            stop.set()
            await task
        return waits(Path(name))


def main() -> None:
    """Measure, print, and write down."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.isolation", description=__doc__)
    parser.add_argument("--seconds", type=float, default=4.0)
    parser.add_argument("--repeats", type=int, default=1)
    parser.add_argument("--way", choices=WAYS, action="append", help="default: all")
    parser.add_argument("--dry", action="store_true", help="print only")
    told = parser.parse_args()
    interpreter.settle()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    rows = []
    for way in told.way or WAYS:
        alone: list[float] = []
        beside: list[float] = []
        for _ in range(told.repeats):
            alone += asyncio.run(run("", False, told.seconds))
            beside += asyncio.run(run(way, True, told.seconds))
        row = {"way": way, "fills": len(beside)}
        for name, found in (("alone", alone), ("beside", beside)):
            row |= {f"{name}_p50": report.quantile(found, 0.5), f"{name}_p99": report.quantile(found, 0.99)}
        row["ratio_p99"] = row["beside_p99"] / row["alone_p99"]
        rows.append(row)
        print(line(row), flush=True)
    if not told.dry:
        found = {"machine": report.machine({}), "seconds": told.seconds, "repeats": told.repeats}
        found["rows"] = rows
        (HERE / "isolation.json").write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
        (HERE / "ISOLATION.md").write_text(page(found), encoding="utf-8")


def line(row: dict[str, Any]) -> str:
    """Write one way as a row of a table."""
    cells = (f"{row[name]:.1f}" for name in ("alone_p50", "alone_p99", "beside_p50", "beside_p99"))
    return f"| {row['way']} | {row['fills']} | {' | '.join(cells)} | {row['ratio_p99']:.2f} |"


def page(found: dict[str, Any]) -> str:
    """Write everything as Markdown."""
    m, ratios = found["machine"], [row["ratio_p99"] for row in found["rows"]]
    return "\n".join([
        "# What a broken account costs a healthy one", "",
        "Written by `python -m benchmarks.isolation`: a healthy spot account and a broken one of another "
        "venue in one daemon on SQLite. Receipt to commit of the healthy one's fills in ms, alone and beside "
        "the broken one, each pair of runs right after the other.", "",
        f"{m['cpu']}, {m['cores']} cores, Python {m['python']}; {m['date']} UTC, load before the run "
        f"{m['load_before']}; {found['repeats']} × {found['seconds']:.0f} s each.", "",
        "| broken by | fills | alone p50 | alone p99 | beside p50 | beside p99 | p99 ratio |",
        "|---|---|---|---|---|---|---|", *(line(row) for row in found["rows"]), "",
        f"Median ratio {median(ratios):.2f}, largest {max(ratios):.2f}.", "",
    ])  # fmt: skip


if __name__ == "__main__":
    main()
