"""Turns what was measured into a table for people and a file for programs."""

import json
import os
import platform
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from statistics import median
from typing import Any

HERE = Path(__file__).parent
LIBRARIES = ("websockets", "msgspec", "sqlalchemy", "psycopg")
WORKLOAD = (
    "An event is one execution report (ORDER_TRADE_UPDATE, about 600 bytes, every documented field); an "
    "order is told three times (NEW, TRADE in part, TRADE of the rest), 16 orders at the same time. Three "
    "events leave 3 rows in `journal`, 3 in `order_events`, 2 in `fills` and 1 in `orders`. Rows are counted "
    "after every case."
)
CASES = {
    "real": "accountd: socket → watcher → intake → recorder → writer → durable commit",
    "baseline": "websockets + json + ORM session, a commit for each event",
    "limit": "raw driver, the same rows in bulk, nothing else (executemany; COPY)",
}


def machine(databases: dict[str, str]) -> dict[str, Any]:
    """Say where the figures come from."""
    lines = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return {
        "cpu": names[0] if names else platform.processor() or platform.machine(),
        "cores": os.cpu_count(),
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "libraries": {name: version(name) for name in LIBRARIES},
        "databases": databases,
        "date": datetime.now(UTC).isoformat(" ", "minutes"),
        "load_before": round(os.getloadavg()[0], 2),
    }


def quantile(values: list[float], share: float) -> float:
    """Return the value below which ``share`` of the values are."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]


def spread(values: list[float]) -> str:
    """Write a median and the range around it."""
    return f"{median(values):,.0f} [{min(values):,.0f}–{max(values):,.0f}]"


def ratios(speeds: dict[str, list[float]]) -> dict[str, float]:
    """Compare the medians of the repeats, each repeat with its own baseline and limit."""
    rounds = list(zip(speeds["real"], speeds["baseline"], speeds["limit"], strict=True))
    return {
        "times_baseline": median(real / baseline for real, baseline, _ in rounds),
        "percent_of_limit": 100 * median(real / limit for real, _, limit in rounds),
    }


def throughput(found: dict[str, Any]) -> list[str]:
    """Return the table of events a second."""
    lines = ["| database | case | events/s, median [range] | |", "|---|---|---|---|"]
    for kind, speeds in found["throughput"].items():
        told = found["ratios"][kind]
        marks = {
            "real": f"**{told['times_baseline']:.1f} × baseline, "
                    f"{told['percent_of_limit']:.0f} % of the limit**",
            "baseline": "what people write", "limit": "what the database takes",
        }  # fmt: skip
        for case, name in CASES.items():
            lines.append(f"| {kind} | {name} | {spread(speeds[case])} | {marks[case]} |")
    return lines


def latency(found: dict[str, Any]) -> list[str]:
    """Return the table of waits."""
    lines = [
        "| database | events/s offered | receipt → commit p50 ms | p99 ms | due → commit p50 ms | p99 ms |",
        "|---|---|---|---|---|---|",
    ]
    for row in found["latency"]:
        cells = (row[name] for name in ("received_p50", "received_p99", "due_p50", "due_p99"))
        waits = " | ".join(f"{cell:.1f}" for cell in cells)
        lines.append(f"| {row['database']} | {row['rate']:,} | {waits} |")
    return lines


def memory(found: dict[str, Any]) -> list[str]:
    """Return what was seen of memory, if it was looked at."""
    lines = []
    if "idle" in found:
        told = found["idle"]
        lines.append(
            f"One idle account: {told['rss_mib']:.0f} MiB resident, {told['cpu_percent']:.1f} % of a core."
        )
    for row in found.get("soak", []):
        lines.append(
            f"\n{row['events']:,} events: {row['early_mib']:.0f} MiB resident after 10 s, "
            f"{row['end_mib']:.0f} MiB at the end."
        )
    return lines


def text(found: dict[str, Any]) -> str:
    """Write everything as Markdown."""
    m = found["machine"]
    libraries = ", ".join(f"{name} {number}" for name, number in (m["libraries"] | m["databases"]).items())
    return "\n".join([
        "# What it costs", "",
        "Written by `make bench`. Absolute figures are this machine's; the ratios compare what ran side by "
        "side.", "",
        f"{m['cpu']}, {m['cores']} cores, {m['system']}, Python {m['python']}, {libraries}; {m['date']} UTC, "
        f"load average before the run {m['load_before']}.", "", WORKLOAD, "",
        "## Sustained throughput", "", *throughput(found), "",
        f"{found['events']:,} events a repeat ({found['baseline_events']:,} for the baseline), "
        f"{found['repeats']} interleaved repeats. Every commit is durable: SQLite WAL with synchronous=FULL, "
        "Postgres with fsync.", "",
        "## Latency, open loop", "", *latency(found), "",
        "*Receipt* is when the frame was read from the socket, *due* when the sender's timetable wanted it "
        "sent, so the second pair includes the sender's own delays and all queueing.", "",
        "## Memory", "", *memory(found), "",
    ])  # fmt: skip


def write(found: dict[str, Any]) -> None:
    """Keep the figures beside this file."""
    (HERE / "RESULTS.md").write_text(text(found), encoding="utf-8")
    (HERE / "results.json").write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
