"""The program: its commands, its version, and its exit codes in a real process."""

import os
import re
import subprocess
import sys

import pytest

from accountd import __version__
from accountd.cli.main import app

COMMANDS = {
    "demo", "run", "check", "status", "reconcile", "orders", "fills", "balances", "positions", "transfers",
    "pnl", "export", "query", "audit", "verify", "replay", "backfill", "alerts", "db", "sim",
}  # fmt: skip
SECRET = "dont-print-this-value"


def accountd(folder, *words, **settings):
    """Run the program in a process of its own."""
    environ = {name: value for name, value in os.environ.items() if not name.upper().startswith("ACCOUNTD_")}
    return subprocess.run(
        [sys.executable, "-m", "accountd", *words],
        cwd=folder,
        env=environ | {"PYTHONPATH": os.pathsep.join(sys.path)} | settings,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_exactly_the_commands_of_this_version():
    """A command that does nothing yet is not offered."""
    names = {command.name for command in app.registered_commands} | {
        group.name for group in app.registered_groups
    }
    assert names == COMMANDS


def test_version(shell):
    """--version prints the version and nothing else."""
    assert shell("--version").stdout == f"accountd {__version__}\n"


def test_every_command_explains_itself(shell):
    """--help of every command says what it does."""
    for name in sorted(COMMANDS):
        result = shell(name, "--help")
        assert result.exit_code == 0
        assert re.search(r"[a-z]{4}.*\.", result.stdout)


@pytest.mark.parametrize("command", ["run", "check", "reconcile"])
def test_bad_settings_are_one_line_each(tmp_path, command):
    """Each bad value gets a line with the setting's name, no secret is shown, and nothing is created."""
    result = accountd(
        tmp_path, command,
        ACCOUNTD_DATABASE_URL=f"sqlite:///{tmp_path / 'none.db'}",
        ACCOUNTD_ACCOUNTS__MAIN__VENUE="binance-usdm",
        ACCOUNTD_ACCOUNTS__MAIN__API_KEY=SECRET,
        ACCOUNTD_KEEPALIVE_INTERVAL="60m",
        ACCOUNTD_WEIGHT_SHARE="2",
        ACCOUNTD_NONSENSE="1",
    )  # fmt: skip
    lines = result.stderr.splitlines()
    assert result.returncode == 2
    assert sorted(line.partition(":")[0] for line in lines) == [
        "ACCOUNTD_ACCOUNTS__MAIN__API_SECRET",
        "ACCOUNTD_KEEPALIVE_INTERVAL",
        "ACCOUNTD_NONSENSE",
        "ACCOUNTD_WEIGHT_SHARE",
    ]
    assert SECRET not in result.stderr + result.stdout
    assert list(tmp_path.iterdir()) == []


def test_no_account_is_exit_2(tmp_path):
    """`run` without any account says which setting is missing."""
    result = accountd(tmp_path, "run")
    assert result.returncode == 2
    assert "ACCOUNTD_ACCOUNTS__<NAME>__VENUE" in result.stderr


def test_unknown_option_is_exit_2(tmp_path):
    """Wrong usage is exit 2 in a real process too."""
    assert accountd(tmp_path, "fills", "--nonsense").returncode == 2
