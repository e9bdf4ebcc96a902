"""A daemon of its own for a broken account, on the same machine and the same disk: what the account costs a
healthy one with which it shares nothing else. It reads the stream at the pace of one of several."""

import asyncio
import json
import logging
import sys
from pathlib import Path
from typing import Any

import structlog

from accountd.core.health import Health
from accountd.runtime import connector, interpreter
from accountd.runtime.daemon import Daemon
from accountd.runtime.watcher import Watcher
from benchmarks.isolation import settings

connect = Watcher.open


async def paced(*where: Any, **how: Any) -> Watcher:
    """Open a connection that takes no more of the loop than beside another account."""
    return await connect(*where, **{**how, "share": connector.SHARE})


async def main(folder: Path, account: dict[str, str]) -> None:
    """Follow the account until killed."""
    daemon = Daemon(settings(folder, {"broken": account}), health=Health())
    print("{}", flush=True)
    await daemon.run(asyncio.Event())


if __name__ == "__main__":
    interpreter.settle()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    Watcher.open = paced  # type: ignore[method-assign]
    asyncio.run(main(Path(sys.argv[1]), json.loads(sys.argv[2])))
