"""Runs the benchmarks: throughput against baseline and limit, latency under load, memory."""

import argparse
import asyncio
import gc
import logging
from statistics import median
from typing import Any

import structlog

from accountd.runtime import interpreter
from benchmarks import baseline, limit, memory, real, report
from benchmarks.databases import KINDS, Databases, databases
from benchmarks.frames import whole

RATES = (100, 1_000, 5_000)  # events a second
BASELINE = 480  # events; its speed does not depend on how many
ORDER = ("real", "baseline", "limit")


def say(line: str) -> None:
    """Show progress."""
    print(line, flush=True)


def speed(dbs: Databases, kind: str, case: str, count: int, made: limit.Rows) -> float:
    """Run one case on a fresh database and return its events a second."""
    gc.collect()
    if case == "limit":
        seconds = []
        for size in limit.GROUPS:
            with dbs.fresh(kind) as url:
                seconds.append(limit.measure(url, made, size))
                dbs.verify(url, count)
        return count / min(seconds)
    with dbs.fresh(kind) as url:
        if case == "baseline":
            count = whole(BASELINE)
            taken = asyncio.run(baseline.measure(url, count))
        else:
            taken = asyncio.run(real.measure(url, count)).seconds
        dbs.verify(url, count)
    return count / taken


def throughput(
    dbs: Databases, kinds: tuple[str, ...], count: int, repeats: int
) -> dict[str, dict[str, list[float]]]:
    """Run every case of every database in turn, again and again; return all speeds."""
    made = limit.make(count)
    found: dict[str, dict[str, list[float]]] = {kind: {case: [] for case in ORDER} for kind in kinds}
    for repeat in range(repeats):
        for kind in kinds:
            for case in ORDER:
                found[kind][case].append(speed(dbs, kind, case, count, made))
                say(f"{repeat + 1}/{repeats} {kind:8} {case:8} {found[kind][case][-1]:10,.0f} events/s")
    return found


def waits(dbs: Databases, kind: str, rate: int, seconds: float) -> dict[str, float]:
    """Send at a fixed rate and return the waits in ms."""
    gc.collect()
    count = whole(int(rate * seconds))
    with dbs.fresh(kind) as url:
        run = asyncio.run(real.measure(url, count, rate))
        dbs.verify(url, count)
    due, told = [], 0
    for committed, at in run.arrivals:
        due += [at - run.begin - (number + 1) / rate for number in range(told, committed)]
        told = committed
    return {
        f"{name}_p{share * 100:.0f}": 1000 * report.quantile(values, share)
        for name, values in (("received", run.waits), ("due", due)) for share in (0.5, 0.99)
    }  # fmt: skip


def latency(dbs: Databases, kinds: tuple[str, ...], repeats: int, seconds: float) -> list[dict[str, Any]]:
    """Measure every rate on every database, repeats interleaved; return the medians."""
    seen: dict[tuple[str, int], list[dict[str, float]]] = {
        (kind, rate): [] for kind in kinds for rate in RATES
    }
    for repeat in range(repeats):
        for (kind, rate), found in seen.items():
            found.append(waits(dbs, kind, rate, seconds))
            told = found[-1]
            say(f"{repeat + 1}/{repeats} {kind:8} {rate:5}/s p50 {told['received_p50']:6.1f} ms, "
                f"p99 {told['received_p99']:6.1f} ms")  # fmt: skip
    return [
        {"database": kind, "rate": rate, **{name: median(one[name] for one in found) for name in found[0]}}
        for (kind, rate), found in seen.items()
    ]


def main() -> None:
    """Measure, print and write down."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--events", type=int, default=24_000, help="events of a throughput case")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=3.0, help="seconds of a latency case")
    parser.add_argument("--database", choices=KINDS, action="append", help="default: both")
    parser.add_argument("--soak", action="store_true", help="also memory over 2 million events")
    parser.add_argument("--memory", action="store_true", help="print memory alone; RESULTS.md stays as it is")
    parser.add_argument("--dry", action="store_true", help="print, but leave RESULTS.md alone")
    told = parser.parse_args()
    interpreter.settle()  # as `accountd run` does; baseline and limit have it too
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    kinds, count = tuple(told.database or KINDS), whole(told.events)
    found: dict[str, Any]
    with databases() as dbs:
        if told.memory:
            found = {"idle": memory.idle()} | ({"soak": memory.soak(dbs)} if told.soak else {})
            print("\n".join(report.memory(found)))
            return
        found = {
            "machine": report.machine({kind: dbs.version(kind) for kind in kinds}),
            "events": count, "baseline_events": whole(BASELINE), "repeats": told.repeats,
        }  # fmt: skip
        found["throughput"] = throughput(dbs, kinds, count, told.repeats)
        found["ratios"] = {kind: report.ratios(speeds) for kind, speeds in found["throughput"].items()}
        found["latency"] = latency(dbs, kinds, told.repeats, told.seconds)
        found["idle"] = memory.idle()
        if told.soak:
            found["soak"] = memory.soak(dbs)
    print(report.text(found))
    if not told.dry:
        report.write(found)


if __name__ == "__main__":
    main()
