"""The settings of public market streams: prices of the account's symbols, and streams named by hand."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Annotated

from accountd import settings_values as values
from accountd.settings_section import Problem, Section

FAMILIES = ("spot", "us", "usdm", "coinm")


def _streams(written: object) -> tuple[str, ...]:
    words = values.read_words(written)
    for word in words:
        family, colon, stream = word.partition(":")
        if not colon or family not in FAMILIES or not stream or any(c in stream for c in "?&# /"):
            raise ValueError(f"{word!r}: write FAMILY:STREAM, with a family of {', '.join(FAMILIES)}")
    return words


class Market(Section):
    """What is recorded of the public market; off unless asked for."""

    prices: values.Truth = False
    """Keep mark and best bid and ask of the symbols that the accounts trade."""
    sample: values.Duration = timedelta(minutes=1)
    """Time between two rows of a symbol's price series; fills add rows of their own."""
    streams: Annotated[tuple[str, ...], values.PlainValidator(_streams)] = ()
    """Public streams that are recorded, as family:stream (usdm:btcusdt@kline_1m)."""

    def problems(self) -> Iterator[Problem]:
        """Yield a pace of sampling that would be a tape and not a series."""
        if self.prices and self.sample < timedelta(milliseconds=100):
            yield "sample", "100ms or more"
