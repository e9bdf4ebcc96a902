"""Faults on command: what is wrong with the venue right now, for how often or how long."""

import asyncio
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

AMOUNTS = frozenset({"delay", "stale_rest", "slow_rest"})
LASTING = AMOUNTS | {
    "accept_then_close",
    "ack_never",
    "ban",
    "blackhole",
    "drop",
    "duplicate",
    "extra_fields",
    "handshake_status",
    "html",
    "http_5xx",
    "rate_limit",
    "reorder",
    "slow",
    "torn_frame",
    "torn_json",
}

Action = Callable[..., Any]


@dataclass
class Fault:
    """A fault in force: `left` times more or until `ends` on the loop's clock; None means for ever."""

    name: str
    left: int | None
    ends: float | None
    amount: float = 0.0
    options: dict[str, Any] = field(default_factory=dict)

    def concerns(self, subject: str) -> bool:
        """Tell whether the fault is meant for a request, named "METHOD path"."""
        return str(self.options.get("path", "")) in subject


class Faults:
    """Everything that can be made to go wrong.

    `inject(name, ...)` starts a lasting fault or runs an action at once. Lasting faults take `n` (times)
    and `seconds` (duration); for delay, stale_rest and slow_rest `seconds` is the amount and `lasting`
    the duration. `p` is a probability (1 if absent), `path` narrows REST faults to matching requests.

    Lasting: accept_then_close, ack_never, ban, blackhole(where), delay, drop(p), duplicate(p), extra_fields,
    handshake_status(code, retry_after), html(status), http_5xx(status), rate_limit(retry_after), reorder(p),
    slow(rate bytes/s), slow_rest, stale_rest, torn_frame, torn_json.
    At once: close(code, reason), rst, fin, half_open, refuse(seconds), expire_key(account, told),
    invalidate_key, replace_key, garbage(kind), clock_skew(seconds), server_shutdown(seconds), clear.
    With spot also: terminate_stream(account, market), kill_subscription(account, market),
    revoke_key(account), restore_key(account).
    """

    def __init__(self, seed: int = 0) -> None:
        self.rng = random.Random(seed)
        self.injected: list[str] = []
        self._active: dict[str, Fault] = {}
        self._actions: dict[str, Action] = {"clear": self.clear}

    def on(self, name: str, action: Action) -> None:
        """Run `action(**options)` when the fault `name` is injected."""
        self._actions[name] = action

    def inject(self, name: str, **options: Any) -> Any:
        """Start a fault; ValueError for an unknown name or a missing option."""
        self.injected.append(name)
        if name in self._actions:
            try:
                return self._actions[name](**options)
            except TypeError as error:
                raise ValueError(f"fault {name}: {error}") from error
        if name not in LASTING:
            raise ValueError(f"no fault is called {name}")
        return self.start(name, **options)

    def start(
        self,
        name: str,
        n: int | None = None,
        seconds: float | None = None,
        lasting: float | None = None,
        **options: Any,
    ) -> None:
        """Put a lasting fault in force, in place of one of the same name."""
        amount = 0.0
        if name in AMOUNTS:
            amount, seconds = seconds or 0.0, lasting
        ends = None if seconds is None else asyncio.get_running_loop().time() + seconds
        self._active[name] = Fault(name, n, ends, amount, options)

    def stop(self, name: str) -> None:
        """Lift one fault."""
        self._active.pop(name, None)

    def clear(self) -> None:
        """Lift all lasting faults; the clock keeps its skew, because a venue's time never steps back."""
        self._active.clear()

    def active(self, name: str) -> Fault | None:
        """Return a fault if it is in force."""
        fault = self._active.get(name)
        if fault and fault.ends is not None and asyncio.get_running_loop().time() >= fault.ends:
            del self._active[name]
            return None
        return fault

    def take(self, name: str, subject: str = "") -> Fault | None:
        """Return a fault if it is in force, concerns the subject and its die falls; use up one time of it."""
        fault = self.active(name)
        if fault is None or not fault.concerns(subject):
            return None
        if self.rng.random() >= float(fault.options.get("p", 1)):
            return None
        if fault.left is not None:
            fault.left -= 1
            if fault.left <= 0:
                del self._active[name]
        return fault
