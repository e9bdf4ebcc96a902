"""How the interpreter is set for a process that makes millions of rows on two busy threads."""

from __future__ import annotations

import gc
import sys

OFTEN = 10_000  # objects made and not yet freed, before a look at them: at 50,000 it takes 15 to 35 ms
RARELY = 250  # ... looks at the young ones before a look at everything
# Seconds that a thread may keep the interpreter lock. The writer gives it away at every statement, and at
# the default of 5 ms a burst on the socket would make it wait that long each time to get it back.
TURN = 0.0005


def settle() -> None:
    """Leave alone what the start has built, and share the interpreter evenly; call it once, after it."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(OFTEN, 10, RARELY)
    sys.setswitchinterval(TURN)
