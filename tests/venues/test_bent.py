"""Every official payload with one thing inside it missing, null, empty or of another type."""

import pytest

from accountd.core.told import Notice, Snapshot
from accountd.errors import VenueUnavailable
from accountd.venues import open_venue
from tests.venues import tape
from tests.venues.tape import AT, GONE, bent, frame

PRODUCTS = {
    "binance-usdm": "um", "binance-coinm": "cm", "binance-portfolio": "pm", "binance-options": "options",
}  # fmt: skip
ABSENT = (GONE, None, "")
OTHERS = (5, "x", [], [5], {}, {"a": 1}, True, -1, "7.25", 7.25, "NaN", 10**40)
TRADE = {
    "x": "TRADE", "X": "PARTIALLY_FILLED", "l": "0.5", "z": "0.5", "L": "7", "t": 9, "n": "0.1",
    "N": "USDT", "rp": "1",
}  # fmt: skip
# What another field of the same payload may stand in for; everything else is told, or is None.
STAND_INS = {
    "as_of", "seen_at", "updated_at", "created_at", "at", "detail", "keys", "quote_quantity", "info",
    "transfer_id", "status", "locked", "quantity",
}  # fmt: skip


def leaves(value, before=()):
    """Yield the path of every plain value."""
    if isinstance(value, dict | list):
        for key in value if isinstance(value, dict) else range(len(value)):
            yield from leaves(value[key], (*before, key))
    else:
        yield before


def events(venue):
    """Yield the official events, and the order's as a trade."""
    for name in tape.names(PRODUCTS[venue], "*event_*"):
        event = tape.load(name, PRODUCTS[venue])
        event = event.get("data", event)
        yield name, event
        if event["e"] == "ORDER_TRADE_UPDATE":
            yield f"{name}, a trade", event | {"o": event["o"] | TRADE}


def pages(venue):
    """Yield the official pages that a kind reads without complaint."""
    for kind in venue.pages.kinds:
        for name in tape.names(PRODUCTS[venue.name], "GET_*"):
            body = tape.load(name, PRODUCTS[venue.name])
            try:
                told = venue.decode_page(kind, frame(body), AT)
            except VenueUnavailable:
                continue
            if any(not isinstance(row, Snapshot) for row in told) and not complains(told):
                yield kind, body, told


def complains(told):
    """Say whether something is reported as unreadable."""
    return any(isinstance(row, Notice) and row.kind in ("undecodable", "unknown") for row in told)


def compare(before, after, what):
    """What can no longer be told is reported; the rest is as it was, or not told: never something else."""
    if complains(after):
        return
    assert len(after) >= len(before), what
    for old, new in zip(before, after, strict=False):
        assert type(old) is type(new), what
        for field in old.__struct_fields__:
            told = getattr(new, field)
            if field not in STAND_INS:
                assert told in (getattr(old, field), None, ""), (what, field, told)


@pytest.mark.parametrize("name", PRODUCTS)
def test_an_event_with_a_gap_in_it_invents_and_hides_nothing(name):
    """A value that is absent is None or reported; one of another type never raises."""
    venue = open_venue(name)
    for what, event in events(name):
        before = venue.decode(frame(event), AT).told
        for path in leaves(event):
            for new in ABSENT:
                compare(before, venue.decode(frame(bent(event, path, new)), AT).told, (what, path, new))
            for new in OTHERS:
                assert venue.decode(frame(bent(event, path, new)), AT).kind


@pytest.mark.parametrize("name", PRODUCTS)
def test_a_page_with_a_gap_in_it_invents_and_hides_nothing(name):
    """The same of pages, where a row that cannot be read is reported and no snapshot is believed whole."""
    venue = open_venue(name)
    for kind, body, before in pages(venue):
        for path in leaves(body):
            for new in (*ABSENT, *OTHERS):
                try:
                    after = venue.decode_page(kind, frame(bent(body, path, new)), AT)
                except VenueUnavailable:
                    continue
                if complains(after):
                    assert not any(isinstance(row, Snapshot) for row in after)
                elif new in ABSENT:
                    compare(before, after, (kind, path, new))


@pytest.mark.parametrize("lost", ["x", "l", "t", "L", "S", "i", "s"])
def test_an_execution_that_does_not_say_enough_is_reported(lost):
    """A trade without what makes it one is no plain order update: it is told to be unreadable."""
    event = tape.load("event_ORDER_TRADE_UPDATE")
    event["o"] |= TRADE
    for new in ABSENT:
        (notice,) = open_venue("binance-usdm").decode(frame(bent(event, ("o", lost), new)), AT).told
        assert notice.kind == "undecodable"
