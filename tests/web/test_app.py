"""What the web shows, and to whom."""

import hashlib
import re
from base64 import b64encode
from datetime import UTC, datetime

import pytest
from starlette.testclient import TestClient

from accountd.core.health import AccountHealth, Health
from accountd.core.states import State
from accountd.runtime.metrics import Metrics
from accountd.store.engine import writer_engine
from accountd.store.migrate import upgrade
from accountd.store.writer import Writer
from accountd.web import app

NOW = datetime(2026, 11, 23, tzinfo=UTC)
TOKEN = "a-token"
LOCAL = "http://127.0.0.1:8787"


def live():
    """Health of a daemon whose only account is LIVE."""
    return Health(accounts={"main": AccountHealth(state=State.LIVE, since=NOW, last_event_at=NOW)})


def client(health=None, base=LOCAL, **more):
    """Return a browser."""
    metrics = Metrics()
    built = app.build(health or live(), metrics.registry, before_scrape=metrics.observe, **more)
    return TestClient(built, base_url=base)


def test_healthz_only_says_that_the_process_is_alive():
    """/healthz is 200 whatever the accounts do."""
    with client(Health()) as browser:
        reply = browser.get("/healthz")
    assert (reply.status_code, reply.text) == (200, "alive\n")


def test_readyz_is_200_when_everything_is_live():
    """/readyz says that every account is LIVE."""
    with client() as browser:
        reply = browser.get("/readyz")
    assert reply.status_code == 200
    assert reply.json()["ready"] is True
    assert reply.json()["accounts"]["main"]["state"] == "LIVE"


def test_readyz_is_503_with_the_reasons():
    """/readyz names what is not ready."""
    health = live()
    health.account("other").detail = "the key was refused"
    health.writer_ok, health.writer_error = False, "disk full"
    with client(health) as browser:
        reply = browser.get("/readyz")
    assert reply.status_code == 503
    assert reply.json()["reasons"] == ["other: CONNECTING (the key was refused)", "writer: disk full"]


def test_metrics_are_those_of_now():
    """/metrics copies the health at the moment of the scrape."""
    health = live()
    with client(health) as browser:
        health.ring_depth = 7
        reply = browser.get("/metrics")
    assert "accountd_ring_depth 7.0" in reply.text
    assert reply.headers["content-type"].startswith("text/plain")


def test_page_shows_accounts_and_escapes():
    """The page names each account, and nothing that was told can become markup."""
    health = live()
    health.account("main").detail = "<script>alert(1)</script>"
    with client(health) as browser:
        text = browser.get("/").text
    assert "main" in text
    assert "<script" not in text
    assert "&lt;script&gt;" in text


def test_page_shows_the_record(sqlite_url):
    """The page lists open gaps from the database."""
    upgrade(sqlite_url)
    writer = Writer(writer_engine(sqlite_url), lambda: NOW)
    writer.open_account("main", "main", "binance-usdm", "live", NOW)
    with writer.begin() as tx:
        tx.open_gap("main", "fills", "usdm", "", NOW, "connection lost", NOW)
    writer.close()
    with client(database_url=sqlite_url) as browser:
        text = browser.get("/").text
    assert "connection lost" in text


def test_metrics_count_what_is_open(sqlite_url):
    """/metrics counts open gaps in the record at the moment of the scrape."""
    upgrade(sqlite_url)
    writer = Writer(writer_engine(sqlite_url), lambda: NOW)
    writer.open_account("main", "main", "binance-usdm", "live", NOW)
    with client(database_url=sqlite_url) as browser:
        before = browser.get("/metrics").text
        with writer.begin() as tx:
            tx.open_gap("main", "fills", "usdm", "", NOW, "connection lost", NOW)
        after = browser.get("/metrics").text
    writer.close()
    assert "accountd_gaps_open 0.0" in before
    assert "accountd_gaps_open 1.0" in after


def test_metrics_stand_without_the_database(tmp_path):
    """A database that does not answer does not take the other metrics away."""
    with client(database_url=f"sqlite:///{tmp_path / 'none.db'}") as browser:
        assert browser.get("/metrics").status_code == 200


def test_page_stands_without_the_database(tmp_path):
    """A database that does not answer is said on the page instead of breaking it."""
    with client(database_url=f"sqlite:///{tmp_path / 'none.db'}") as browser:
        reply = browser.get("/")
    assert reply.status_code == 200
    assert "no database" in reply.text


def test_policy_allows_the_page_and_nothing_else():
    """The content security policy names exactly the style of the page, and no script at all."""
    with client() as browser:
        reply = browser.get("/")
    style = re.search(r"<style>(.*?)</style>", reply.text, re.DOTALL)[1]
    digest = b64encode(hashlib.sha256(style.encode()).digest()).decode()
    policy = reply.headers["content-security-policy"]
    assert f"style-src 'sha256-{digest}'" in policy
    assert "default-src 'none'" in policy
    assert "script-src" not in policy
    assert reply.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize("path", ["/", "/readyz", "/metrics", "/nothing"])
def test_token_is_required(path):
    """With a token nothing but /healthz answers without it, nor with it in the address."""
    with client(token=TOKEN, base="http://accountd.example") as browser:
        for headers in ({}, {"authorization": "Bearer wrong"}, {"authorization": f"Basic {TOKEN}"}):
            assert browser.get(path, headers=headers).status_code == 401
        assert browser.get(f"{path}?token={TOKEN}").status_code == 401
        assert browser.get("/healthz").status_code == 200


def test_token_opens():
    """With the token in its header the page is served, under whatever name it is reached."""
    with client(token=TOKEN, base="http://accountd.example") as browser:
        assert browser.get("/readyz", headers={"authorization": f"Bearer {TOKEN}"}).status_code == 200


def test_strange_host_is_refused_without_a_token():
    """On loopback a request that names another host is refused: it comes from a stranger's page."""
    with client(base="http://evil.example") as browser:
        assert browser.get("/readyz").status_code == 400
    with client(base="http://localhost:8787") as browser:
        assert browser.get("/readyz").status_code == 200


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH"])
def test_nothing_can_be_changed(method):
    """The web is read-only."""
    with client() as browser:
        assert browser.request(method, "/readyz").status_code == 405
