"""What is shipped for operators: rules that parse, metrics that exist, files that fit the daemon."""

import configparser
import re
from pathlib import Path

import promql_parser
import pytest
import yaml

from accountd import config
from accountd.runtime.metrics import Metrics

CONTRIB = Path(__file__).parents[1] / "contrib"
RULES = yaml.safe_load((CONTRIB / "prometheus/accountd.rules.yml").read_text())
EACH = [rule for group in RULES["groups"] for rule in group["rules"]]


def samples():
    """Return the name of every series that /metrics can show."""
    found = {"up"}
    for family in Metrics().registry.collect():
        ends = {"counter": ("_total",), "histogram": ("_bucket", "_sum", "_count")}.get(family.type, ("",))
        found |= {family.name + end for end in ends}
    return found


@pytest.mark.parametrize("rule", EACH, ids=[rule["alert"] for rule in EACH])
def test_rules_parse_and_name_what_exists(rule):
    """Each expression is PromQL, and each metric in it is one of ours."""
    promql_parser.parse(rule["expr"])
    assert set(re.findall(r"\b(accountd_\w+|up)\b(?!\")", rule["expr"])) <= samples()
    assert set(rule) <= {"alert", "expr", "for", "labels", "annotations"}
    assert rule["labels"]["severity"] in ("page", "ticket")
    assert rule["annotations"]["summary"]
    assert re.fullmatch(r"\d+[smh]", rule.get("for", "1m"))


def test_rules_are_named_once():
    """No two rules have the same name, and a broken expression would be noticed."""
    names = [rule["alert"] for rule in EACH]
    assert len(names) == len(set(names))
    with pytest.raises(ValueError):
        promql_parser.parse("rate(accountd_fills_total[5m]")


def test_metrics_are_named_as_prometheus_asks():
    """Counters end in _total, times are in seconds, every metric has a help text and a lower-case name."""
    for family in Metrics().registry.collect():
        assert re.fullmatch(r"accountd(_[a-z]+)+", family.name), family.name
        assert family.documentation
        assert not re.search(r"_(ms|milliseconds|minutes|count|sum|bucket|total|gauge|counter)$", family.name)
        if family.type == "histogram":
            assert family.name.endswith(("_seconds", "_tellings")), family.name


def test_unit_fits_the_daemon():
    """The unit waits for READY, watches, never restarts on wrong settings, and stops within its time."""
    unit = configparser.ConfigParser(strict=False, interpolation=None)
    unit.optionxform = str
    unit.read(CONTRIB / "systemd/accountd.service")
    service = unit["Service"]
    assert service["Type"] == "notify"
    assert int(service["WatchdogSec"]) >= 30
    assert service["RestartPreventExitStatus"] == "2"
    assert int(service["TimeoutStopSec"]) > 5
    assert unit["Unit"]["StartLimitIntervalSec"] == "0"


def test_compose_names_settings_that_exist():
    """The container's settings are settings of this version, and its port is open to this host only."""
    told = yaml.safe_load((CONTRIB / "docker/compose.yml").read_text())["services"]["accountd"]
    environ = dict(told["environment"], ACCOUNTD_WEB__TOKEN="a-token")
    environ["ACCOUNTD_DATABASE_URL"] = environ["ACCOUNTD_DATABASE_URL"].replace("${POSTGRES_PASSWORD:?}", "x")
    settings = config.load(environ, env_file=None, cwd=CONTRIB, need_accounts=False)
    assert settings.web.listen == ("0.0.0.0", 8787)
    assert all(port.startswith("127.0.0.1:") for port in told["ports"])


def test_image_has_what_the_wheel_needs():
    """Everything that the build reads is copied into it, and the daemon does not run as root."""
    text = (CONTRIB / "docker/Dockerfile").read_text()
    for needed in ("pyproject.toml", "LICENSE", "README.md", "accountd", "migrations"):
        assert re.search(rf"^COPY .*\b{re.escape(needed)}\b", text, re.MULTILINE), needed
    assert re.search(r"^USER accountd$", text, re.MULTILINE)


def test_proxy_does_not_hold_events_back():
    """The proxy's example turns buffering off for both streams."""
    text = (CONTRIB / "nginx/accountd.conf").read_text()
    streams = re.search(r"location ~ (\S+) \{(.*?)\}", text, re.DOTALL)
    assert all(re.fullmatch(streams[1], path) for path in ("/live", "/api/v1/events"))
    assert "proxy_buffering off;" in streams[2]
