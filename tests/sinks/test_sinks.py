"""The registry of sinks."""

from types import SimpleNamespace

import pytest

from accountd import sinks
from accountd.config import SINKS


def test_every_sink_of_the_settings_has_its_file():
    """What settings offer is there, and what is there is offered."""
    assert sorted(sinks.kinds()) == sorted(SINKS)


@pytest.mark.parametrize("kind", ["base", "_targets", "os", "pigeon"])
def test_what_is_no_sink_is_refused(kind):
    """A type is looked up among the sinks, never imported by whatever name."""
    with pytest.raises(LookupError, match="no sink"):
        sinks.make(SimpleNamespace(type=kind))
