"""Long answers go through a pager, which learns nothing secret."""

import os
import shutil
import stat

import pytest

from accountd.cli import pager


@pytest.fixture
def paged(tmp_path, monkeypatch):
    """A pager that keeps what it is given and what it knows, on a screen of ten lines."""
    program = tmp_path / "page"
    program.write_text(f"#!/bin/sh\ncat > {tmp_path}/shown\nenv > {tmp_path}/env\n")
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PAGER", str(program))
    monkeypatch.setattr(shutil, "get_terminal_size", lambda *_, **__: os.terminal_size((80, 10)))
    return tmp_path


def test_a_long_answer_is_paged(paged, monkeypatch, capsys):
    """What is longer than the screen goes to $PAGER, without any setting of ours in its environment."""
    monkeypatch.setenv("ACCOUNTD_ACCOUNTS__MAIN__API_SECRET", "dont-tell")
    text = "line\n" * 50
    pager.show(text)
    assert (paged / "shown").read_text() == text
    assert "dont-tell" not in (paged / "env").read_text()
    assert "LESS=FRX" in (paged / "env").read_text()
    assert capsys.readouterr().out == ""


def test_a_short_answer_is_not(paged, capsys):
    """What fits on the screen is printed."""
    pager.show("line\n" * 5)
    assert capsys.readouterr().out == "line\n" * 5


@pytest.mark.parametrize("program", ["", "no-such-program-anywhere"])
def test_without_a_pager_it_is_printed(paged, monkeypatch, capsys, program):
    """An empty or missing pager loses nothing."""
    monkeypatch.setenv("PAGER", program)
    pager.show("line\n" * 50)
    assert len(capsys.readouterr().out) == 250


def test_a_reader_who_quits_is_no_error(paged, tmp_path, monkeypatch):
    """A pager that ends before it has read everything is no error."""
    quits = tmp_path / "quits"
    quits.write_text("#!/bin/sh\nexit 0\n")
    quits.chmod(0o755)
    monkeypatch.setenv("PAGER", str(quits))
    pager.show("line\n" * 500_000)
