"""What an intake takes, and when it has had enough."""

from types import SimpleNamespace

import pytest

from accountd.core.health import AccountHealth
from accountd.runtime.intake import Intake
from accountd.runtime.link import Link, Socket
from accountd.runtime.metrics import Metrics
from accountd.runtime.watcher import FLOOD, NONSENSE, TORN, Watcher
from accountd.venues import open_venue
from tests.fake_clock import FakeClock

GARBAGE = b'{"e":"executionReport","E":'
UNKNOWN = b'{"e":"somethingNew","E":1763000000000}'
ORDINARY = b'{"e":"balanceUpdate","E":1763000000000,"a":"BTC","d":"1","T":1763000000000}'


class Stage:
    """An intake whose recorder keeps what it is offered, and a link of one socket."""

    def __init__(self):
        self.clock, self.kept, self.dropped, self.floods = FakeClock(), [], [], []
        recorder = SimpleNamespace(offer=lambda telling: self.kept.append(telling) or True)
        self.intake = Intake(
            "main", open_venue("binance-spot"), recorder, AccountHealth(), Metrics(), self.clock, set(),
            lambda *told: None,
        )  # fmt: skip
        self.link = Link("s", self.clock.now(), 0.0)
        self.socket = Socket(SimpleNamespace(aside=""))
        self.watcher = self.socket.connected = Watcher(
            SimpleNamespace(drop=lambda: self.dropped.append(True)), self.clock.now, self.clock, 1.0, 1.0,
            lambda frame, at: None, on_flood=lambda: self.floods.append(True),
        )  # fmt: skip
        self.watcher._tasks = [SimpleNamespace(cancel=lambda: None)]

    def take(self, frame, times):
        """Take a frame so many times in one moment."""
        for _ in range(times):
            self.intake.take(self.link, self.socket, frame, self.clock.now())


@pytest.mark.parametrize(("frame", "most"), [(GARBAGE, NONSENSE // TORN), (UNKNOWN, NONSENSE)])
async def test_a_flood_that_means_nothing_ends_the_link(frame, most):
    """So many in a second are kept, the next one ends the link, and it counts since the first of them."""
    stage = Stage()
    began = stage.clock.now()
    stage.take(frame, most)
    assert not stage.dropped
    stage.clock.advance(0.5)
    stage.take(frame, 500)
    assert stage.watcher.lost.is_set()
    assert (stage.watcher.reason, stage.watcher.alive_at) == (FLOOD, began)
    assert (stage.dropped, stage.floods) == ([True], [True])
    assert len(stage.kept) == most


async def test_noise_and_events_are_borne():
    """As many frames in two seconds, or any number of real events, are no flood of nonsense."""
    stage = Stage()
    stage.take(GARBAGE, NONSENSE // TORN)
    stage.clock.advance(1.1)
    stage.take(UNKNOWN, NONSENSE)
    stage.take(ORDINARY, 2 * NONSENSE)
    assert not stage.watcher.lost.is_set()
    assert len(stage.kept) == NONSENSE // TORN + 3 * NONSENSE
