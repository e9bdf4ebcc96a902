"""What accountd holds in memory: while millions of events go by, and while nothing happens."""

import asyncio
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil

from accountd.runtime import interpreter
from benchmarks.databases import Databases
from benchmarks.frames import whole
from benchmarks.peer import ROOT
from benchmarks.real import measure

SOAK = (200_000, 2_000_000)  # events
IDLE = 10.0  # seconds looked at
SETTLE = 8.0  # seconds for the first sweep to be over
MIB = 1024 * 1024


def soak(dbs: Databases, counts: tuple[int, ...] = SOAK) -> list[dict[str, float]]:
    """Record ever more events, each count in a process of its own; return its peak memory in MiB."""
    found: list[dict[str, float]] = []
    for count in counts:
        with dbs.fresh("sqlite") as url:
            command = [sys.executable, "-m", "benchmarks.memory", url, str(count)]
            done = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True)
            dbs.verify(url, whole(count))
        early, late = (float(word) for word in done.stdout.split()[-2:])
        found.append({"events": whole(count), "early_mib": early, "end_mib": late})
    return found


async def watched(url: str, count: int) -> tuple[float, float]:
    """Record ``count`` events; return the resident MiB after the first seconds and at the end."""
    me, task = psutil.Process(), asyncio.create_task(measure(url, count))
    early = 0.0
    started = time.monotonic()
    while not task.done():
        await asyncio.wait({task}, timeout=0.5)
        if not early and time.monotonic() - started > 10:
            early = me.memory_info().rss / MIB
    task.result()
    late = me.memory_info().rss / MIB
    return early or late, late


def idle() -> dict[str, float]:
    """Follow one account of a quiet simulated exchange; return MiB and percent of a core."""
    command = [sys.executable, "-m", "accountd"]
    with tempfile.TemporaryDirectory(prefix="accountd-idle") as folder:
        clean = {name: value for name, value in os.environ.items() if not name.startswith("ACCOUNTD_")}
        clean["PYTHONPATH"] = str(ROOT)
        sim = subprocess.Popen(
            [*command, "sim", "--listen", "127.0.0.1:0", "--rate", "0"], cwd=folder, env=clean, text=True,
            stdout=subprocess.PIPE,
        )  # fmt: skip
        try:
            told = _settings(sim)
            told["ACCOUNTD_DATABASE_URL"] = f"sqlite:///{Path(folder) / 'idle.db'}"
            told["ACCOUNTD_WEB__LISTEN"] = ""
            daemon = subprocess.Popen(
                [*command, "run"], cwd=folder, env=clean | told, stderr=subprocess.DEVNULL
            )
            try:
                return _look(daemon)
            finally:
                daemon.send_signal(signal.SIGTERM)
                daemon.wait(10)
        finally:
            sim.terminate()
            sim.wait(10)
            assert sim.stdout is not None
            sim.stdout.close()


def _settings(sim: "subprocess.Popen[str]") -> dict[str, str]:
    """Read the settings that the simulation prints."""
    assert sim.stdout is not None
    told: dict[str, str] = {}
    while not any(name.endswith("STREAM_URL") for name in told):
        line = sim.stdout.readline()
        if not line:
            raise RuntimeError("the simulated exchange did not start")
        if found := re.fullmatch(r"(ACCOUNTD_\w+)=(.*)", line.strip()):
            told[found[1]] = found[2]
    return told


def _look(daemon: "subprocess.Popen[bytes]") -> dict[str, float]:
    time.sleep(SETTLE)
    process = psutil.Process(daemon.pid)
    before = sum(process.cpu_times()[:2])
    time.sleep(IDLE)
    used = sum(process.cpu_times()[:2]) - before
    return {"rss_mib": process.memory_info().rss / MIB, "cpu_percent": 100 * used / IDLE}


if __name__ == "__main__":
    interpreter.settle()
    print(*asyncio.run(watched(sys.argv[1], whole(int(sys.argv[2])))))
