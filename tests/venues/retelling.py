"""Telling a venue's samples in any order and more than once, and what is believed in the end."""

import copy
import random
from datetime import timedelta

import msgspec

from accountd.core.beliefs import Beliefs
from accountd.core.fold import Fold
from accountd.core.told import REST, STREAM, Telling
from accountd.venues.base import Call, Page, Reply
from tests.venues.tape import AT, frame

# What depends on which telling came first, and means nothing: who told it, in which row, how often.
TOLD_BY = {
    "source", "journal_seq", "events", "n", "past", "received_at", "reason", "seen_at",
    "execution_type", "last_quantity",
}  # fmt: skip


def streamed(venue, *events):
    """Return tellings of events, as a stream brings them."""
    out = []
    for event in events:
        raw = event if isinstance(event, bytes) else frame(event)
        decoded = venue.decode(raw, AT)
        out.append(
            Telling(
                account_id="main",
                source=STREAM,
                kind=decoded.kind,
                raw=raw,
                received_at=AT,
                told=decoded.told,
            )
        )
    return out


def paged(venue, **pages):
    """Return tellings of pages by kind (dots written as two underscores), as REST brings them."""
    out = []
    for name, body in pages.items():
        kind, raw = name.replace("__", "."), body if isinstance(body, bytes) else frame(body)
        told = venue.decode_page(kind, raw, AT)
        out.append(
            Telling(account_id="main", source=REST, kind=kind, raw=raw, received_at=AT, told=told, keep=False)
        )
    return out


def believed(tellings):
    """Return what is believed after the tellings, without who told it."""
    beliefs = Beliefs("main", 0, b"\0" * 32)
    changes = Fold(beliefs, AT - timedelta(days=9999), lambda n: b"\0" * n).run(copy.deepcopy(tellings))
    names = ("orders", "fills", "balances", "positions", "transfers")
    state = {name: {k: _meaning(v) for k, v in getattr(beliefs, name).items()} for name in names}
    return state, changes


def _meaning(row):
    return {k: v for k, v in msgspec.structs.asdict(row).items() if k not in TOLD_BY}


def one_state_in_any_order(tellings, rounds=12):
    """Check that shuffled and doubled tellings end in the state of the first order; return that state."""
    state, changes = believed(tellings)
    assert not changes.findings, changes.findings
    rng = random.Random(7)
    for _ in range(rounds):
        mixed = [*tellings, *tellings]
        rng.shuffle(mixed)
        again, changes = believed(mixed)
        assert again == state
        assert not changes.findings
    return state


def drive(flow, answer):
    """Run a flow against ``answer(call)`` (a body, or an error); return its result, calls and pages."""
    calls, pages = [], []
    try:
        step = next(flow)
        while True:
            if isinstance(step, Page):
                pages.append(step)
                step = flow.send(None)
                continue
            calls.append(step)
            assert len(calls) < 500
            body = answer(step)
            if isinstance(body, Exception):
                step = flow.throw(body)
            else:
                raw = body if isinstance(body, bytes) else frame(body)
                step = flow.send(Reply(body=raw, fetched_at=AT))
    except StopIteration as done:
        return done.value, calls, pages


def first_call(flow):
    """Return the first call of a flow."""
    call = next(flow)
    assert isinstance(call, Call)
    flow.close()
    return call
