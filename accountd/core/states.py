"""The life of one session of one account, as a table of transitions."""

from __future__ import annotations

from enum import StrEnum


class State(StrEnum):
    """Where a session stands; only LIVE means that proof of subscription and a sweep are behind it."""

    CONNECTING = "CONNECTING"
    SYNCING = "SYNCING"
    LIVE = "LIVE"
    CLOSED = "CLOSED"


class Event(StrEnum):
    """What moves a session along."""

    PROVEN = "proven"
    SWEPT = "swept"
    LOST = "lost"


TRANSITIONS: dict[State, dict[Event, State]] = {
    State.CONNECTING: {Event.PROVEN: State.SYNCING, Event.LOST: State.CLOSED},
    State.SYNCING: {Event.SWEPT: State.LIVE, Event.LOST: State.CLOSED},
    State.LIVE: {Event.SWEPT: State.LIVE, Event.LOST: State.CLOSED},
    State.CLOSED: {},
}


def step(state: State, event: Event) -> State:
    """Return the next state. An illegal transition is a KeyError, which is a bug of ours."""
    return TRANSITIONS[state][event]
