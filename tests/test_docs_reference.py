"""The reference names every command, setting, table, column, view, alert type and metric there is."""

import re
from pathlib import Path

import pytest

from accountd import config
from accountd.cli.main import app
from accountd.runtime.metrics import Metrics
from accountd.store import tables
from tests.test_docs import existing

ROOT = Path(__file__).parents[1]
REFERENCE = ROOT / "docs" / "reference"
VIEWS = ("fills_numeric", "daily_pnl", "open_orders", "order_timeline", "balances_at", "fill_latency")


def page(name):
    """Return a page of the reference."""
    return (REFERENCE / f"{name}.md").read_text(encoding="utf-8")


def commands():
    """Yield every command as it is typed."""
    for command in app.registered_commands:
        yield f"accountd {command.name}"
    for group in app.registered_groups:
        for command in group.typer_instance.registered_commands:
            yield f"accountd {group.name} {command.name or command.callback.__name__}"


@pytest.mark.parametrize("command", sorted(commands()))
def test_every_command_is_documented(command):
    """Each command is on its page."""
    assert f"`{command}" in page("commands")


def test_no_other_command_is_documented():
    """The page names no command that does not exist."""
    there = set(commands()) | {f"accountd {group.name}" for group in app.registered_groups}
    assert set(re.findall(r"^## `(accountd [a-z ]+)`", page("commands"), re.MULTILINE)) <= there


@pytest.mark.parametrize("table", sorted(tables.metadata.tables))
def test_every_table_and_column_is_documented(table):
    """Each table has a section that names each of its columns."""
    section = re.search(rf"^## {table}\n(.*?)(?=^## |\Z)", page("tables"), re.MULTILINE | re.DOTALL)
    assert section, table
    words = set(re.findall(r"`([a-z_]+)`", section[1]))
    assert {column.name for column in tables.metadata.tables[table].columns} - words == set()


@pytest.mark.parametrize("view", VIEWS)
def test_every_view_is_documented(view):
    """Each view is on the page of the tables."""
    assert f"`{view}`" in page("tables")


@pytest.mark.parametrize("setting", sorted(existing()))
def test_every_setting_is_documented(setting):
    """Each setting is on its page under its full name."""
    assert f"`{setting.replace('__MAIN__', '__<NAME>__').replace('__OPS__', '__<NAME>__')}`" in page(
        "settings"
    )


def test_no_other_setting_is_documented():
    """The page names no setting that does not exist."""
    there = {name.replace("__MAIN__", "__<NAME>__").replace("__OPS__", "__<NAME>__") for name in existing()}
    assert set(re.findall(r"^\| `(ACCOUNTD_[A-Z_<>]+)`", page("settings"), re.MULTILINE)) == there


@pytest.mark.parametrize("kind", config.ALERT_TYPES)
def test_every_alert_type_is_documented(kind):
    """Each type is on the page about webhooks."""
    assert re.search(rf"(`|### ){re.escape(kind)}\b", page("webhook"))


def test_every_metric_is_documented():
    """Each metric is on its page, and the page names no other."""
    there = set()
    for family in Metrics().registry.collect():
        there.add(family.name + ("_total" if family.type == "counter" else ""))
    assert set(re.findall(r"`(accountd_[a-z_]+)`", page("metrics"))) == there


def test_links_lead_somewhere():
    """Every relative link in the documentation leads to a file."""
    for path in [ROOT / "README.md", ROOT / "CHANGELOG.md", *(ROOT / "docs").rglob("*.md")]:
        for link in re.findall(r"\]\((?!https?://|#)([^)#]+)", path.read_text(encoding="utf-8")):
            assert (path.parent / link).exists(), f"{path.name}: {link}"


KIND = re.compile(r"""(?:finding|Broken)\([^"]*?"([a-z_]+)",\s*"(?:info|warning|error)\"""")
CONSTANT = re.compile(r"^(?:KIND|BROKEN|CONFLICT|LATE|DRIFT|MISSED|UNCONFIRMED|UNCONFIRMED_ORDER|"
                      r"ORDER_FILLS|BALANCE|POSITION|ORDER_UNSEEN|SHUT) = "
                      r"\"([a-z_]+)\"", re.MULTILINE)  # fmt: skip


def test_every_kind_of_finding_is_documented():
    """Each kind that the code opens is a row of the page, and the page names no other."""
    sources = [path.read_text(encoding="utf-8") for path in (ROOT / "accountd").rglob("*.py")]
    opened = {kind for source in sources for kind in [*KIND.findall(source), *CONSTANT.findall(source)]}
    told = set(re.findall(r"^\| `([a-z_]+)` \| (?:info|warning|error)", page("findings"), re.MULTILINE))
    assert {"conflict", "stream_missed", "balance_unexplained", "key_rights"} <= opened
    assert told == opened
