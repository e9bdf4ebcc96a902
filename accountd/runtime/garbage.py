"""How often the cycle collector looks for garbage in a process that makes millions of rows and few cycles."""

from __future__ import annotations

import gc

OFTEN = 50_000  # objects made and not yet freed, before a look at the youngest
RARELY = 50  # ... looks at the young ones before a look at everything


def settle() -> None:
    """Leave alone what the start has built, and look less often; call it once, when the start is over."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(OFTEN, 10, RARELY)
