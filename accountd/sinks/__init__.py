"""The ways out for alerts, one file each: a sink is a module here with ``make(hook) -> Sink``.

What sinks share is in ``base`` and in modules that begin with an underscore.
"""

from __future__ import annotations

from importlib import import_module
from pkgutil import iter_modules

from accountd.config import Hook
from accountd.sinks.base import Sink


def kinds() -> tuple[str, ...]:
    """Return the hook types that there is a sink for."""
    names = [module.name for module in iter_modules(__path__)]
    return tuple(name for name in names if name != "base" and not name.startswith("_"))


def make(hook: Hook) -> Sink:
    """Return the sink that a hook's settings ask for.

    Raises:
        LookupError: there is no sink of that type.
    """
    if hook.type not in kinds():
        raise LookupError(f"no sink of type {hook.type}; there are {', '.join(kinds())}")
    sink: Sink = import_module(f"{__name__}.{hook.type}").make(hook)
    return sink
