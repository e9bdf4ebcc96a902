"""How a demo looks on a terminal and in a pipe."""

import io
from decimal import Decimal

from rich.console import Console

from accountd.cli.demo_story import FillCame, Finished, Latency, Opened, Pulse, Said
from accountd.cli.demo_verdict import Line, Verdict
from accountd.cli.demo_view import LiveView, PlainView

PULSE = Pulse(
    at=3, state="LIVE", there=5, here=5, rung=5, open_gaps=0,
    commit=Latency(p50=1.2, p99=3.4), hook=Latency(),
)  # fmt: skip
EXACT = Verdict(lines=[Line(what="fills", there=5, here=5)])
WRONG = Verdict(lines=[Line(what="fills", there=5, here=4, missing=1, examples=["missing ('BTCUSDT', '3')"])])


def story(verdict=EXACT):
    """Return a short demo."""
    return [
        Opened(exchange="http://127.0.0.1:1", hook="http://x", database="sqlite:///x.db", seed=7),
        Said(at=0.1, text="the stream is live", tone="good"),
        FillCame(
            at=1, symbol="BTCUSDT", side="BUY", quantity=Decimal("0.01"), price=Decimal("64000.1"),
            late=False, commit_ms=1.25, hook_ms=4.5,
        ),
        PULSE,
        Finished(verdict=verdict, pulse=PULSE, late=2, gaps_closed=1, database="sqlite:///x.db", kept=False),
    ]  # fmt: skip


def plain(events):
    """Return what a pipe gets."""
    out = io.StringIO()
    with PlainView(out) as view:
        for event in events:
            view.show(event)
    return out.getvalue()


def test_pipe_gets_plain_lines():
    """Nothing moves and nothing is coloured where nobody watches."""
    text = plain(story())
    assert "\x1b" not in text
    assert "\r" not in text
    assert "fill BTCUSDT BUY 0.01 at 64000.1  commit 1.2 ms  hook 4.5 ms" in text
    assert "Exact: all 5 fills" in text


def test_pipe_gets_the_reasons():
    """A verdict that is not exact names an example."""
    text = plain(story(WRONG))
    assert "NOT EXACT" in text
    assert "missing ('BTCUSDT', '3')" in text


def test_terminal_gets_the_same_verdict():
    """The terminal ends with the verdict, and the moving part leaves nothing behind that hides it."""
    out = io.StringIO()
    console = Console(file=out, force_terminal=True, width=100, color_system=None)
    with LiveView(console) as view:
        for event in story(WRONG):
            view.show(event)
    assert "✗ wrong" in out.getvalue()
    assert "NOT EXACT" in out.getvalue()
