"""What a broken account costs a healthy one: the healthy one's waits alone and beside it, in the same run.

``python -m benchmarks.isolation``: both accounts live in one daemon on SQLite, each with an exchange in a
process of its own; every way of being broken is measured next to a run without the broken account. Figures of
ways that were not measured this time are kept from the last.
"""

import argparse
import asyncio
import json
import logging
import sys
import tempfile
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import datetime, timedelta
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
from benchmarks.isolation_exchange import FLOODS, WAYS

HERE = Path(__file__).parent
READY = 20.0  # seconds until the healthy account is LIVE
WARM = timedelta(seconds=1)
LIVE_SINCE = "SELECT min(live_at) FROM sessions WHERE account_id = 'well'"
FILLS = (
    "SELECT received_at, committed_at, traded_at FROM fills "
    "WHERE account_id = 'well' AND source = 'stream'"
)
SHORT = {
    "SETTLE_AFTER": "500ms", "SWEEP_INTERVAL": "2s", "STALE_AFTER": "1s", "RECONNECT_MAX": "500ms",
    "REQUEST_TIMEOUT": "2s", "RECHECK_AFTER": "500ms", "CONNECT_BUDGET": "1000/5m", "WEB__LISTEN": "",
}  # fmt: skip
EXCHANGE, APART = "benchmarks.isolation_exchange", "benchmarks.isolation_apart"
READ, RECORDED = "read", "recorded"  # what another process does with the flood, as a control
NAMES = ("alone_p50", "alone_p99", "beside_p50", "beside_p99", "alone_told_p99", "beside_told_p99")
CONTROLS = (RECORDED, READ)
Waits = list[tuple[float, float]]  # ms from receipt and from execution to the commit


@asynccontextmanager
async def process(*arguments: str, module: str = EXCHANGE) -> Any:
    """Start an exchange, or who follows one; yield what it says of itself."""
    other = await asyncio.create_subprocess_exec(
        sys.executable, "-m", module, *arguments, cwd=HERE.parent,
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    assert other.stdout is not None
    try:
        yield json.loads(await other.stdout.readline())
    finally:
        other.kill()
        await other.wait()


def settings(folder: Path, accounts: dict[str, dict[str, str]]) -> config.Settings:
    """Return the settings of one or two accounts."""
    env = {"DATABASE_URL": f"sqlite:///{folder}/accountd.db", **SHORT}
    for name, own in accounts.items():
        env |= {f"ACCOUNTS__{name.upper()}__{key}": value for key, value in own.items()}
    return config.load({f"ACCOUNTD_{key}": value for key, value in env.items()}, env_file=None)


def waits(folder: Path) -> Waits:
    """Return the waits of every fill that the stream told, but for the first moments."""
    engine = create_engine(f"sqlite:///{folder}/accountd.db")
    with engine.connect() as connection:
        live = datetime.fromisoformat(connection.execute(text(LIVE_SINCE)).scalar_one())
        rows = [tuple(map(datetime.fromisoformat, row)) for row in connection.execute(text(FILLS))]
    return [
        ((committed - received) / timedelta(milliseconds=1), (committed - traded) / timedelta(milliseconds=1))
        for received, committed, traded in rows
        if received > live + WARM
    ]


async def live(health: Health) -> None:
    """Wait until the healthy account is LIVE."""
    while health.account("well").state is not State.LIVE:  # noqa: ASYNC110
        await asyncio.sleep(0.05)


async def run(pair: tuple[str, str], way: str, seconds: float, control: str = "") -> Waits:
    """Follow the accounts for a while; return the healthy one's waits.

    Without a ``way`` there is only the healthy one; with a ``control`` the flood goes to another process.
    """
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        accounts = {"well": await stack.enter_async_context(process("--venue", pair[0]))}
        if way:
            broken = await stack.enter_async_context(process("--venue", pair[1], "--way", way))
            if control == READ:
                await stack.enter_async_context(process("--read", f"{broken['STREAM_URL']}/ws-api/v3"))
            elif control == RECORDED:
                apart = Path(stack.enter_context(tempfile.TemporaryDirectory()))
                await stack.enter_async_context(process(str(apart), json.dumps(broken), module=APART))
            else:
                accounts["broken"] = broken
        health, stop = Health(), asyncio.Event()
        daemon = Daemon(settings(folder, accounts), health=health)
        task = asyncio.create_task(daemon.run(stop))
        async with asyncio.timeout(READY):
            await live(health)
        await asyncio.sleep(WARM.total_seconds() + seconds)
        stop.set()
        await task
        return waits(folder)


def measure(pair: tuple[str, str], way: str, seconds: float, repeats: int) -> dict[str, Any]:
    """Measure one way of being broken; return its row."""
    found: dict[str, Waits] = {"alone": [], "beside": [], READ: [], RECORDED: []}
    for _ in range(repeats):
        found["alone"] += asyncio.run(run(pair, "", seconds))
        found["beside"] += asyncio.run(run(pair, way, seconds))
        if way in FLOODS:
            found[RECORDED] += asyncio.run(run(pair, way, seconds, RECORDED))
        if way in FLOODS and pair[1] != "us":  # whose address needs a key
            found[READ] += asyncio.run(run(pair, way, seconds, READ))
    row: dict[str, Any] = {"way": way, "pair": " beside ".join(pair), "fills": len(found["beside"])}
    for name, told in found.items():
        if told:
            received, executed = [one for one, _ in told], [one for _, one in told]
            row |= {f"{name}_p50": report.quantile(received, 0.5)}
            row |= {f"{name}_p99": report.quantile(received, 0.99)}
            row |= {f"{name}_told_p99": report.quantile(executed, 0.99)}
    row |= {"ratio": row["beside_p99"] / row["alone_p99"], "seconds": seconds, "repeats": repeats}
    return row | {key: report.machine({})[key] for key in ("date", "load_before")}


def pairs(way: str) -> list[tuple[str, str]]:
    """Return which venues meet: a flood comes from each kind of stream."""
    return [("spot", "us"), ("usdm", "spot"), ("spot", "usdm")] if way in FLOODS else [("spot", "us")]


def real(seconds: float) -> list[dict[str, Any]]:
    """Measure what costs the most while it is tried again, at the pauses of the settings' defaults."""
    for name in SHORT.keys() - {"WEB__LISTEN"}:
        del SHORT[name]
    found = []
    for way in ("", "garbage flood", "unknown flood", "huge replies", "garbage flood", ""):
        told = [received for received, _ in asyncio.run(run(("spot", "us"), way, seconds))]
        shares = {f"p{share * 100:.0f}": report.quantile(told, share) for share in (0.5, 0.99)}
        found.append({"way": way or "nothing", "fills": len(told), "seconds": seconds, **shares})
        print(real_line(found[-1]), flush=True)
    return found


def real_line(row: dict[str, Any]) -> str:
    """Write one way as a row of the second table."""
    return f"| {row['way']} | {row['fills']} | {row['p50']:.1f} | {row['p99']:.1f} |"


def main() -> None:
    """Measure, print, and write down."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.isolation", description=__doc__)
    parser.add_argument("--seconds", type=float, default=4.0)
    parser.add_argument("--repeats", type=int, default=1)
    parser.add_argument("--way", choices=WAYS, action="append", help="default: all")
    parser.add_argument("--pair", choices=("us", "spot", "usdm"), help="only this broken venue")
    parser.add_argument("--real", action="store_true", help="the second table: the product's own pauses")
    parser.add_argument("--dry", action="store_true", help="print only")
    told = parser.parse_args()
    interpreter.settle()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    kept = HERE / "isolation.json"
    found = json.loads(kept.read_text()) if kept.exists() else {"rows": []}
    if told.real:
        found["real"] = real(told.seconds)
    rows = {(row["way"], row["pair"]): row for row in found["rows"]}
    for way in [] if told.real else told.way or WAYS:
        for pair in pairs(way):
            if told.pair in (None, pair[1]):
                row = measure(pair, way, told.seconds, told.repeats)
                rows[row["way"], row["pair"]] = row
                print(line(row), flush=True)
    if not told.dry:
        order = {way: number for number, way in enumerate(WAYS)}
        ordered = sorted(rows.values(), key=lambda row: order[row["way"]])
        found |= {"machine": report.machine({}), "rows": ordered}
        kept.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
        (HERE / "ISOLATION.md").write_text(page(found), encoding="utf-8")


def line(row: dict[str, Any]) -> str:
    """Write one way as a row of a table."""
    cells = " | ".join(f"{row[name]:.1f}" for name in NAMES)
    controls = " | ".join(f"{row[f'{one}_p99']:.1f}" if f"{one}_p99" in row else "" for one in CONTROLS)
    return f"| {row['way']} | {row['pair']} | {row['fills']} | {cells} | {controls} | {row['ratio']:.2f} |"


def page(found: dict[str, Any]) -> str:
    """Write everything as Markdown."""
    m, rows = found["machine"], found["rows"]
    ratios, dates = [row["ratio"] for row in rows], sorted(row["date"] for row in rows)
    loads = [row["load_before"] for row in rows]
    runs = {f"{row['repeats']} × {row['seconds']:.0f} s" for row in rows}
    return "\n".join([
        "# What a broken account costs a healthy one", "",
        "Written by `python -m benchmarks.isolation`: a healthy account and a broken one of another venue in "
        "one daemon on SQLite, each with an exchange in a process of its own. Waits of the healthy one's "
        "fills in ms, alone and beside the broken one, each pair of runs right after the other: from receipt "
        "to commit, and from the execution at the exchange to the commit. Two controls, receipt to commit, "
        "show what a flood costs this machine by itself. *Apart*: the broken account lives in a daemon of "
        "its own, with a database of its own, and reads at the same pace. *Read*: another process reads the "
        "flood as fast as it can and heeds nothing. Pauses are shrunk: a connection that was given up is "
        "tried again within half a second, not 30.",
        "",
        f"{m['cpu']}, {m['cores']} cores, Python {m['python']}; {dates[0]} to {dates[-1]} UTC, load before "
        f"a run {min(loads)} to {max(loads)}; {', '.join(sorted(runs))} each.", "",
        "| broken by | venues | fills | alone p50 | p99 | beside p50 | p99 | executed → commit p99, alone | "
        "beside | apart p99 | read p99 | p99 beside / alone |",
        "|---|---|---|---|---|---|---|---|---|---|---|---|", *(line(row) for row in rows), "",
        f"Median ratio {median(ratios):.2f}, largest {max(ratios):.2f}.", "", *second(found.get("real", [])),
    ])  # fmt: skip


def second(rows: list[dict[str, Any]]) -> list[str]:
    """Write the table of the settings' own pauses."""
    if not rows:
        return []
    return [
        "## With the default pauses", "",
        f"`--real`: spot beside us, {rows[0]['seconds']:.0f} s each, receipt to commit in ms. A connection "
        "that was given up is tried again after half of `RECONNECT_MAX` at least, a failed request less and "
        "less often.", "",
        "| broken by | fills | p50 | p99 |", "|---|---|---|---|", *map(real_line, rows), "",
    ]  # fmt: skip


if __name__ == "__main__":
    main()
