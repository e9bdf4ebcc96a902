"""Pages of Binance's REST, row by row: one row that makes no sense spoils no other."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import Any

import msgspec

from accountd.core.told import Balance, Notice, Order, Position, Snapshot, Told
from accountd.errors import VenueUnavailable
from accountd.venues.wire import UNREADABLE, named, patiently

Split = Callable[[bytes], list[msgspec.Raw]]
# What a row tells: it is given the row, the venue time that its page speaks of, and the market.
Tell = Callable[[Any, datetime, str], Told | list[Told]]

every_row = msgspec.json.Decoder(list[msgspec.Raw]).decode


class _Listed(msgspec.Struct, gc=False):
    rows: list[msgspec.Raw] | None = None
    total: int | None = None


_listed = msgspec.json.Decoder(_Listed, strict=False)


def single_row(body: bytes) -> list[msgspec.Raw]:
    """Return a page that is one row."""
    return [msgspec.json.decode(body, type=msgspec.Raw)]


def listed_rows(body: bytes) -> list[msgspec.Raw]:
    """Return the rows of ``{"rows": [...], "total": n}``; without any, the venue leaves ``rows`` out.

    Raises:
        ValueError: the page names neither.
    """
    page = _listed.decode(body)
    if page.rows is None and page.total is None:
        raise ValueError("neither rows nor their number")
    return page.rows or []


class PageKind(msgspec.Struct, frozen=True, kw_only=True):
    """How a kind of page is read. ``lists`` names the dataset that such a page shows all of, if any."""

    market: str
    split: Split
    row: type
    tell: Tell
    lists: str | None = None


def page_kinds(market: str, table: Mapping[str, tuple[Split, type, Tell, str | None]]) -> dict[str, PageKind]:
    """Return kinds of pages of one market from rows of a table: how split, the row, its reader, what of."""
    return {
        name: PageKind(market=market, split=split, row=row, tell=tell, lists=lists)
        for name, (split, row, tell, lists) in table.items()
    }


class Pages:
    """Decodes pages. A kind is its name in the journal too: renaming one makes old rows unreadable."""

    def __init__(self, kinds: Mapping[str, PageKind]) -> None:
        self.kinds = dict(kinds)
        self._decoders: dict[type, msgspec.json.Decoder[Any]] = {
            kind.row: msgspec.json.Decoder(kind.row, strict=False) for kind in kinds.values()
        }

    def count(self, kind: str, body: bytes) -> int:
        """Return how many rows a page has, whatever they tell; 0 where it makes no sense."""
        try:
            return len(self.kinds[kind].split(body))
        except UNREADABLE:
            return 0

    def decode(self, kind: str, body: bytes, as_of: datetime) -> list[Told]:
        """Return what a page tells; a row that makes no sense becomes a notice.

        Raises:
            VenueUnavailable: the body as a whole makes no sense.
            KeyError: no page is of this kind.
        """
        page = self.kinds[kind]
        try:
            raws = page.split(body)
        except UNREADABLE as refusal:
            raise VenueUnavailable(f"{kind}: the reply makes no sense") from refusal
        decoder = self._decoders[page.row]
        told: list[Told] = []
        for raw in raws:
            try:
                found = page.tell(patiently(decoder.decode, raw), as_of, page.market)
                rows = [named(one) for one in found] if isinstance(found, list) else [named(found)]
            except UNREADABLE as refusal:
                detail = {"page": kind, "reason": str(refusal)[:200]}
                told.append(Notice(kind="undecodable", detail=detail, at=as_of))
                continue
            told.extend(rows)
        if page.lists is not None and not any(isinstance(row, Notice) for row in told):
            # With an unreadable row it is not known what is absent.
            keys = frozenset(_keys(told))
            told.append(Snapshot(market=page.market, dataset=page.lists, as_of=as_of, keys=keys))
        return told


def _keys(told: Iterable[Told]) -> Iterable[tuple[str, str]]:
    for row in told:
        if isinstance(row, Order):
            yield row.symbol, row.order_id
        elif isinstance(row, Position):
            yield row.symbol, row.position_side
        elif isinstance(row, Balance):
            yield row.asset, ""
