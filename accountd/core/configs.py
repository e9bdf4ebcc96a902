"""What each symbol is set to: its leverage and its margin type, each as the latest telling has it."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Any

from accountd.core.told import Position, SymbolConfig

_NAMES = ("leverage", "margin_type")


class Configs:
    """The settings of one account's symbols, by market and symbol."""

    def __init__(self) -> None:
        self._told: dict[tuple[str, str], dict[str, tuple[Any, datetime]]] = {}

    def of(self, market: str, symbol: str) -> tuple[Decimal | None, str | None]:
        """Return the leverage and the margin type, as far as told."""
        told = self._told.get((market, symbol), {})
        leverage, margin = (told[name][0] if name in told else None for name in _NAMES)
        return leverage, margin

    def take(self, told: SymbolConfig | Position, *, kept: bool) -> dict[str, Any]:
        """Note what a telling sets and return it, without what a later telling set or it told before.

        ``kept``: it is journaled for certain. What may not be leaves its time behind only with a new value.
        """
        settings = self._told.setdefault((told.market, told.symbol), {})
        said: dict[str, Any] = {}
        for name in _NAMES:
            value = getattr(told, name)
            known = settings.get(name)
            if value is None or (known is not None and told.as_of < known[1]) or known == (value, told.as_of):
                continue
            said[name] = value
            if kept or known is None or known[0] != value:
                settings[name] = (value, told.as_of)
        return said
