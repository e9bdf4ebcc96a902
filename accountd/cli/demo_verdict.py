"""The verdict of the demo: what the exchange knows against what accountd holds, line by line."""

from collections import Counter
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

Key = Hashable
Facts = Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Ledger:
    """One side of the comparison: facts by key. Fills are a sequence, so that one held twice shows."""

    fills: Sequence[tuple[Key, Facts]]
    orders: Mapping[Key, Facts]
    balances: Mapping[Key, Facts]
    positions: Mapping[Key, Facts]
    transfers: Mapping[Key, Facts]


@dataclass(frozen=True, slots=True, kw_only=True)
class Rung:
    """What reached the hook about fills: for each message its id, and beside it the fill that it told of."""

    ids: Sequence[str]
    fills: Sequence[Key]
    bad_signatures: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One line of the verdict; `wrong` counts what makes it not exact, `examples` names some of it."""

    what: str
    there: int
    here: int
    missing: int = 0
    duplicated: int = 0
    differing: int = 0
    examples: Sequence[str] = ()

    @property
    def exact(self) -> bool:
        """Tell whether both sides say the same."""
        return self.there == self.here and not (self.missing or self.duplicated or self.differing)


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """All lines, and what else has to hold."""

    lines: Sequence[Line]
    faults: Sequence[str] = field(default=())

    @property
    def exact(self) -> bool:
        """Tell whether everything is exact; nothing traded would prove nothing."""
        return not self.faults and all(line.exact for line in self.lines)


def compare(
    truth: Ledger, held: Ledger, rung: Rung, *, open_gaps: int = 0, closed_gaps: int = 0, born: int = 0
) -> Verdict:
    """Compare every fill, order, balance, position and transfer, and the alerts with the fills they owe.

    Fills from before `born`, in ms, are history and owe none.
    """
    faults = []
    if not truth.fills:
        faults.append("the exchange traded nothing, so nothing is proven")
    if open_gaps:
        faults.append(f"{open_gaps} gaps are still open")
    if not closed_gaps:
        faults.append("no gap opened and closed, though the stream was cut")
    if rung.bad_signatures:
        faults.append(f"{rung.bad_signatures} webhooks had a bad signature")
    return Verdict(
        lines=(
            _line("fills", truth.fills, held.fills),
            _line("orders", list(truth.orders.items()), list(held.orders.items())),
            _line("balances", list(truth.balances.items()), list(held.balances.items())),
            _line("positions", list(truth.positions.items()), list(held.positions.items())),
            _line("transfers", list(truth.transfers.items()), list(held.transfers.items())),
            _alerts({key for key, facts in truth.fills if facts["at"] >= born}, rung),
        ),
        faults=faults,
    )


def _line(what: str, there: Sequence[tuple[Key, Facts]], here: Sequence[tuple[Key, Facts]]) -> Line:
    """Compare two lists of keyed facts; only what both sides state is compared."""
    wanted, found = dict(there), dict(here)
    twice = sum(count - 1 for count in Counter(key for key, _ in here).values())
    missing = [key for key in wanted if key not in found]
    surplus = [key for key in found if key not in wanted]
    differing = {
        key: text for key in wanted if key in found and (text := _difference(wanted[key], found[key]))
    }
    examples = (
        *(f"missing {key}" for key in missing[:3]),
        *(f"not at the exchange {key}" for key in surplus[:3]),
        *(f"{key}: {text}" for key, text in list(differing.items())[:3]),
    )
    return Line(
        what=what, there=len(there), here=len(here), missing=len(missing), duplicated=twice,
        differing=len(differing) + len(surplus), examples=examples,
    )  # fmt: skip


def _difference(there: Facts, here: Facts) -> str:
    """Return which facts differ; a fact that the exchange does not state cannot."""
    return ", ".join(
        f"{name} {there[name]} there, {here.get(name)} here"
        for name in there
        if there[name] != here.get(name)
    )


def _alerts(owed: set[Key], rung: Rung) -> Line:
    """Compare the fills that rang with those that should have: each once, under one id."""
    told = set(rung.fills)
    second_ids = len(set(rung.ids)) - len(told)  # the same id twice is a retry, which receivers drop
    missing, surplus = owed - told, told - owed
    return Line(
        what="alerts", there=len(owed), here=len(told), missing=len(missing), duplicated=max(0, second_ids),
        differing=len(surplus),
        examples=(
            *(f"never rang {key}" for key in sorted(missing, key=str)[:3]),
            *(f"rang for nothing {key}" for key in sorted(surplus, key=str)[:3]),
        ),
    )  # fmt: skip
