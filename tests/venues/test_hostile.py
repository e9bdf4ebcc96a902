"""Frames and pages that are torn, bent or of the wrong shape, on every venue that listens by listen key."""

import json
import random

import pytest

from accountd.errors import VenueUnavailable
from accountd.venues import open_venue
from tests.venues import tape
from tests.venues.tape import AT, frame

PRODUCTS = {"binance-coinm": "cm", "binance-options": "options", "binance-portfolio": "pm"}
SHAPES = [None, 5, "x", [], [1], {}, {"a": 1}, True, "NaN", 1e300]


def samples(venue):
    """Yield every official event of a venue as plain values, out of its wrapping."""
    for name in tape.names(PRODUCTS[venue], "*event_*"):
        event = tape.load(name, PRODUCTS[venue])
        yield event.get("data", event)


def bent(value, rng):
    """Return a copy in which one thing somewhere inside has another shape."""
    value = json.loads(json.dumps(value))
    here = value
    while True:
        keys = list(here) if isinstance(here, dict) else range(len(here))
        key = rng.choice(list(keys))
        deeper = here[key]
        if isinstance(deeper, dict | list) and deeper and rng.random() < 0.7:
            here = deeper
            continue
        here[key] = rng.choice(SHAPES)
        return value


@pytest.mark.parametrize("name", PRODUCTS)
def test_no_event_ever_raises(name):
    """An event with anything inside it bent, or cut anywhere, decodes to something."""
    venue, rng = open_venue(name), random.Random(11)
    for event in samples(name):
        for _ in range(60):
            assert venue.decode(frame(bent(event, rng)), AT).kind
        sent = frame(event)
        for at in rng.sample(range(len(sent)), 20):
            assert venue.decode(sent[:at], AT).kind == "undecodable"
            noisy = sent[:at] + bytes([rng.randrange(256)]) + sent[at + 1 :]
            assert venue.decode(noisy, AT).kind


@pytest.mark.parametrize("name", PRODUCTS)
def test_no_page_raises_but_as_unavailable(name):
    """A page of the wrong shape is the venue's failure; a row of the wrong shape is told as a notice."""
    venue, rng = open_venue(name), random.Random(12)
    bodies = [tape.load(one, PRODUCTS[name]) for one in tape.names(PRODUCTS[name], "GET_*")]
    for kind in venue.pages.kinds:
        for body in bodies:
            for sent in (body, bent(body, rng) if body else body):
                try:
                    assert isinstance(venue.decode_page(kind, frame(sent), AT), list)
                except VenueUnavailable:
                    continue


@pytest.mark.parametrize("name", PRODUCTS)
def test_keys_are_redacted(name):
    """A known key is replaced wherever it stands, in the wrapping as in the event."""
    venue, key = open_venue(name), "89ljxuL6jFTN3Ej85aYOqH2BYXQ7eeuNYcGm7ktV"
    for event in samples(name):
        sent = json.dumps({"stream": key, "data": event | {"listenKey": key}}).encode()
        clean = venue.redact(sent, [key])
        assert key.encode() not in clean
        assert venue.decode_kept("x", clean, AT) == venue.decode(sent, AT).told
