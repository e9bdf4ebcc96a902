"""Every official payload with one number in it written as text, or one number in a text written bare."""

import re

import pytest

from accountd.errors import VenueUnavailable
from accountd.venues import open_venue
from tests.venues import tape
from tests.venues.tape import AT, bent, frame
from tests.venues.test_bent import TRADE, leaves

PRODUCTS = {
    "binance-usdm": "um", "binance-coinm": "cm", "binance-portfolio": "pm", "binance-options": "options",
    "binance-spot": "spot", "binance-margin": "margin",
}  # fmt: skip
NUMBER = re.compile(r"-?\d+(\.\d+)?")
MARK = b'"@@"'


def written_otherwise(value):
    """Yield each payload in which a number is written in the other way, with its place."""
    for path in leaves(value):
        here = value
        for key in path:
            here = here[key]
        if isinstance(here, str) and NUMBER.fullmatch(here):
            yield path, frame(bent(value, path, "@@")).replace(MARK, here.encode())
        elif isinstance(here, int) and not isinstance(here, bool):
            yield path, frame(bent(value, path, str(here)))


def events(product):
    """Yield the official events, and the order's as a trade."""
    for name in tape.names(product, "*event*"):
        event = tape.load(name, product)
        event = event.get("data", event.get("event", event)) if isinstance(event, dict) else {}
        if "e" in event:
            yield event
        if event.get("e") == "ORDER_TRADE_UPDATE":
            yield event | {"o": event["o"] | TRADE}


def belief(told):
    """Return what is told, without details that are shown as they were written."""
    return [row for row in told if not getattr(row, "detail", None)]


@pytest.mark.parametrize("name", PRODUCTS)
def test_an_event_means_the_same_however_its_numbers_are_written(name):
    """No event is lost or changed by a number that became text, or the other way round."""
    venue, product = open_venue(name), PRODUCTS[name]
    for form in events(product):
        before = venue.decode(frame(form), AT)
        for path, sent in written_otherwise(form):
            after = venue.decode(sent, AT)
            assert (after.kind, belief(after.told)) == (before.kind, belief(before.told)), (form["e"], path)


@pytest.mark.parametrize("name", PRODUCTS)
def test_a_page_means_the_same_however_its_numbers_are_written(name):
    """The same of pages: no row is lost, and no page is taken for nothing."""
    venue, product = open_venue(name), PRODUCTS[name]
    pages = venue.pages if hasattr(venue, "pages") else venue.section.asking.pages
    bodies = [tape.load(one, product) for one in tape.names(product, "*") if "event" not in one]
    for kind in pages.kinds:
        for body in bodies:
            try:
                before = venue.decode_page(kind, frame(body), AT)
            except VenueUnavailable:
                continue
            if any(getattr(row, "kind", "") == "undecodable" for row in before):
                continue
            for path, sent in written_otherwise(body):
                assert venue.decode_page(kind, sent, AT) == before, (kind, path)
