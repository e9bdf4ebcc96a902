"""The bars of a first sync."""

import io

from rich.console import Console

from accountd.cli.progress import Bars


def console(terminal):
    """A console that writes into memory."""
    return Console(file=io.StringIO(), force_terminal=terminal, width=80)


def test_bars_show_accounts_on_a_terminal_and_go_away():
    """Each account has a bar while it syncs, and nothing is redrawn after the last one."""
    screen = console(True)
    with Bars(screen) as bars:
        bars.total("main", 3)
        bars.advance("main", "fills BTCUSDT", 2)
        bars.progress.refresh()
        assert "main" in screen.file.getvalue()
        bars.done("main")
        assert not bars.progress.live.is_started


def test_bars_are_silent_elsewhere():
    """Where nobody watches nothing is written."""
    screen = console(False)
    with Bars(screen) as bars:
        bars.total("main", 3)
        bars.advance("main", "fills", 3)
        bars.done("main")
    assert screen.file.getvalue() == ""
